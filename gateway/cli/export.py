"""twin export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateway.cli.terminal import Options, print_json, progress, say
from gateway.export import gather, write_export
from gateway.home import Home
from gateway.settings import load_settings
from security.errors import Misuse

__all__ = ["export_"]


def export_(
    twin: str, /, *, out: Annotated[str, Parameter(allow_leading_hyphen=True)], options: Options = Options()
) -> None:
    """Take out all that is held about one person, for them: a zip archive with a FHIR Bundle. That is recorded.

    It holds facts with their Provenance, what the sources sent, the history, what was simulated and delivered, who they
    are taken for, who had access, and a list of it, signed. It is not sealed: whoever has the file can read it.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    out
        A new file, readable by you only; "-" writes to the standard output, unless that is a terminal.
    """
    if out == "-" and (options.json or sys.stdout.isatty()):
        raise Misuse("An archive is nothing for a terminal, nor within JSON.", hint="Say --out FILE.")
    with Home.open(load_settings(options.home), create=False) as home, progress("Exporting") as tell:
        found = home.store.find_twin(twin)
        tell("Opening the twin")
        gathered = gather(home, found)
        tell("Writing")
        written = write_export(home, gathered, sys.stdout.buffer if out == "-" else Path(out))
    if options.json:
        print_json(
            {
                "twin": found,
                "export": written.id,
                "file": written.place,
                "bytes": written.bytes,
                "sha256": written.sha256,
                "counts": written.parts,
            }
        )
    elif out != "-":
        say(f"Twin {found} is in {written.place}, {written.bytes / 1e6:.2f} MB:")
        for name, count in written.parts.items():
            say(f"  {count:>8}  {name}")
        say("It is not sealed. Hand it over on a way that you would trust with a letter to a patient.")
