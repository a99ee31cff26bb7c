"""The command `twin`: one command a file, and the single `except Fault`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from gateway import __version__
from security.errors import Fault

__all__ = ["app", "main"]

app = App(
    name="twin",
    version=__version__,
    help="Keep an encrypted twin of each patient in your EHRs: pull, normalise, simulate, write back, audit.",
    help_epilogue="Exit status: 0 done, 1 failed, 2 wrong use, 3 try again later, 4 not allowed, 5 done in part.",
)
for _name in ("demo", "doctor", "pull", "list", "show", "refusals", "simulate", "propose", "send"):
    app.command(f"gateway.cli.{_name}:{_name}_", name=_name)
_audit = App(name="audit", help="Ask the audit log who saw what, and whether it is whole.")
for _name in ("list", "verify"):
    _audit.command(f"gateway.cli.audit:{_name}_", name=_name)
_model = App(name="model", help="See which models there are and on what evidence they stand.")
for _name in ("list", "show", "check"):
    _model.command(f"gateway.cli.model:{_name}_", name=_name)
app.command(_audit)
app.command(_model)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    said = sys.argv[1:] if arguments is None else list(arguments)
    try:
        status = app(said, result_action="return_value", exit_on_error=False, print_error=True)
    except Fault as fault:
        print(f"twin: {fault.message}", file=sys.stderr)  # noqa: T201 - the one place where a failure is told
        if fault.hint:
            print(f"      {fault.hint}", file=sys.stderr)  # noqa: T201
        if fault.detail is not None and "--debug" in said:
            print(f"      detail: {fault.detail}", file=sys.stderr)  # noqa: T201
        return fault.exit_status
    except KeyboardInterrupt:
        print("twin: stopped. Nothing is lost; run it again and it goes on.", file=sys.stderr)  # noqa: T201
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except CycloptsError:
        return 2
    return status if isinstance(status, int) else 0
