"""The command `twin`: one command a file, and the single `except Fault`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.resources import files
from inspect import cleandoc

from cyclopts import App, CycloptsError

from gateway import __version__
from gateway.neighbours import refuse_neighbours
from gateway.undumped import forbid_dumps
from gateway.unforeseen import quieten
from security.errors import Fault
from security.plain import visible

__all__ = ["app", "main"]

app = App(
    name="twin",
    version=__version__,
    help="Keep an encrypted twin of each patient in your EHRs: pull, normalise, simulate, write back, audit.",
    help_epilogue="Exit status: 0 done, 1 failed, 2 wrong use, 3 try again later, 4 not allowed, 5 done in part.",
)

_audit = App(name="audit", help="Ask the audit log who saw what, and whether it is whole.")
_warnings = App(name="warnings", help="See what is likely to go wrong soon, and say that you have seen it.")
_model = App(name="model", help="See which models there are and on what evidence they stand.")
_certificates = App(name="certificates", help="See what each pull proved of the completeness of what came.")
_keys = App(name="keys", help="See and change what the twins' keys are wrapped by, and who keeps that.")
_source = App(name="source", help="See and set where data comes from: EHRs and folders, with their keys.")
_codes = App(name="codes", help="Say what an EHR's own codes are in standard ones, and see which nobody knows.")
_identities = App(name="identities", help="Decide which twins are one person, where that is not certain.")
_store = App(name="store", help="See where the data is kept, and set its PostgreSQL database up.")
_user = App(name="user", help="Say who may log in, to allow apps what they ask for and to open them on a patient.")
_client = App(name="client", help="Say which apps and programs may ask for access, and for what.")
_consent = App(name="consent", help="See what a patient's consents say, and why they let somebody in or keep them out.")
_proposals = App(name="proposals", help="See what results would tell an EHR, and agree to it or decline.")
_outbox = App(name="outbox", help="See what is on its way to EHRs, what did not arrive and why, and try it again.")
_hostile = App(name="hostile", help="Play an EHR that goes wrong, to try a FHIR client on: ours or yours.")


def _register(to: App, name: str, module: str) -> None:
    """Offer a command that is imported when it runs, so that help comes at once; its docstring is read as text."""
    function = f"{name.replace('-', '_')}_"
    source = files("gateway.cli").joinpath(f"{module}.py").read_text("utf-8")
    _, _, body = source.partition(f"\ndef {function}(")
    _, _, docstring = body.partition('    """')
    told = docstring.partition('"""')[0].partition("\n\n    Parameters\n")[0]
    to.command(f"gateway.cli.{module}:{function}", name=name, help=cleandoc(told))


for _name in (
    "init",
    "demo",
    "doctor",
    "pull",
    "listen",
    "convert",
    "list",
    "show",
    "shown",
    "profile",
    "versions",
    "diff",
    "refusals",
    "explain",
    "quality",
    "simulate",
    "forecast",
    "what-if",
    "compare",
    "rehearse",
    "operate",
    "medicate",
    "glycaemia",
    "propose",
    "send",
    "deliver",
    "lineage",
    "serve",
    "export",
    "erase",
    "hold",
    "backup",
    "restore",
):
    _register(app, _name, _name.replace("-", "_"))
_register(app, "restrict", "hold")
for _name in ("list", "show", "export", "retain", "reindex", "serve"):
    _register(_audit, _name, f"audit_{_name}")
for _name in ("verify", "bundle", "prove", "witness", "cosign"):
    _register(_audit, _name, f"audit_{_name}")
_register(_audit, "consistency", "audit_prove")
for _name in ("disclosures", "access-log"):
    _register(_audit, _name, "audit_reports")
for _name in ("anomalies", "review", "mark"):
    _register(_audit, _name, "audit_anomalies")
for _name in ("list", "show", "check"):
    _register(_model, _name, "model")
for _name in ("card", "new"):
    _register(_model, _name, f"model_{_name}")
for _name in ("check", "list", "ack", "silence"):
    _register(_warnings, _name, "warnings")
for _name in ("list", "show"):
    _register(_certificates, _name, "certificates")
for _name in ("list", "show"):
    _register(_source, _name, "source")
for _name in ("add", "remove"):
    _register(_source, _name, "source_edit")
_register(_source, "keys", "source_keys")
_register(_keys, "status", "keys")
for _name in ("rotate", "protect", "tokens"):
    _register(_keys, _name, f"keys_{_name}")
_register(_source, "vendors", "source_vendors")
for _name in ("list", "show", "check"):
    _register(_codes, _name, "codes")
for _name in ("missing", "import", "replay"):
    _register(_codes, _name, f"codes_{_name}")
for _name in ("list", "show", "join", "part", "undo"):
    _register(_identities, _name, "identities")
for _name in ("sql", "status"):
    _register(_store, _name, "store")
for _name in ("list", "serve", "proxy"):
    _register(_hostile, _name, "hostile")
for _name in ("list", "show"):
    _register(_user, _name, "user")
    _register(_client, _name, "client")
_register(_user, "add", "user_add")
for _name in ("disable", "enable", "remove", "roles"):
    _register(_user, _name, "user_change")
for _name in ("password", "passkeys"):
    _register(_user, _name, f"user_{_name}")
for _name in ("add", "launch"):
    _register(_client, _name, f"client_{_name}")
for _name in ("rotate", "disable", "enable", "remove"):
    _register(_client, _name, "client_change")
for _name in ("list", "show", "test"):
    _register(_consent, _name, "consent")
for _name in ("list", "show"):
    _register(_proposals, _name, "proposals")
    _register(_outbox, _name, "outbox")
for _name in ("approve", "decline"):
    _register(_proposals, _name, "proposals_decide")
for _name in ("retry", "drop"):
    _register(_outbox, _name, "outbox_change")
_register(_outbox, "retract", "outbox_retract")
app.command(_consent)
app.command(_proposals)
app.command(_outbox)
app.command(_audit)
app.command(_certificates)
app.command(_codes)
app.command(_identities)
app.command(_keys)
app.command(_model)
app.command(_warnings)
app.command(_source)
app.command(_store)
app.command(_user)
app.command(_client)
app.command(_hostile)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    said = sys.argv[1:] if arguments is None else [*arguments]  # gateway.cli.list hides the builtin here
    if arguments is None:
        forbid_dumps()
        if "--debug" not in said:
            quieten()
    try:
        refuse_neighbours()
        status = app(said, result_action="return_value", exit_on_error=False, print_error=True)
    except Fault as fault:
        print(f"twin: {visible(fault.message)}", file=sys.stderr)  # noqa: T201 - the one place where a failure is told
        if fault.hint:
            print(f"      {visible(fault.hint)}", file=sys.stderr)  # noqa: T201
        if fault.detail is not None and "--debug" in said:
            print(f"      detail: {visible(str(fault.detail))}", file=sys.stderr)  # noqa: T201
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
