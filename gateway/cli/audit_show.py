"""twin audit show."""

from __future__ import annotations

from gateway.audit_words import in_full
from gateway.cli.terminal import Options, print_json, print_table
from gateway.home import Home
from gateway.settings import load_settings
from security.audit import search_event
from security.errors import UnknownName

__all__ = ["show_"]


def show_(number: int, /, *, options: Options = Options()) -> None:
    """Show all that one event says, part by part; with `--format json` the AuditEvent as it was recorded.

    Looking at it is recorded. How to prove to others that it stands in the log: twin audit prove.

    Parameters
    ----------
    number
        The event's number, as twin audit list tells it.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        entry = home.store.audit_event(number)
        access = home.access(query=f"AuditEvent/{number}".encode())
        home.store.append_audit([search_event(access, found=int(entry is not None))])
        if entry is None:
            raise UnknownName("event", str(number), ["1", f"up to {home.store.search_audit(limit=1).size}"])
        if options.json:
            print_json({"sequence": entry.sequence, "event": entry.event})
            return
        print_table(f"Event {number}", ("", ""), in_full(entry.event))
