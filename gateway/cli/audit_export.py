"""twin audit export."""

from __future__ import annotations

from pathlib import Path

from gateway.audit_export import Form, export_events
from gateway.cli.audit_filters import Filters
from gateway.cli.terminal import Options, print_json, progress, say
from gateway.home import Home
from gateway.settings import load_settings

__all__ = ["export_"]


def export_(
    *, out: Path, format_out: Form = "ndjson", filters: Filters = Filters(), options: Options = Options()
) -> None:
    """Write events into a file for people and their programs, with its SHA-256 beside it; that it left is recorded.

    Without a filter these are all events. What an auditor needs to verify the log offline is another file: twin audit
    bundle.

    Parameters
    ----------
    out
        The file; it must not be there yet. Its hash goes beside it, as sha256sum --check reads it.
    format_out
        ndjson: an AuditEvent a line. csv: for a spreadsheet; a cell that it would run is quoted. bundle: one FHIR
        Bundle of type collection.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        with progress("Writing events") as tell:
            done = export_events(
                home, filters.question(home), format_out, out, lambda events: tell(f"{events:,} events written")
            )
        if options.json:
            print_json({"events": done.events, "sha256": done.sha256, "file": str(out), "hash": str(done.hash_file)})
            return
        say(f"{done.events} events in {out.name}; SHA-256 {done.sha256}, also in {done.hash_file.name}.")
