"""twin audit list."""

from __future__ import annotations

from gateway.audit_words import in_brief
from gateway.cli.audit_filters import Filters
from gateway.cli.terminal import Options, note, print_json, print_table, say
from gateway.home import Home
from gateway.settings import load_settings
from security.audit import search_event
from security.errors import Misuse

__all__ = ["list_"]

_COLUMNS = (">No", "Recorded", "What", "Who", "Why", "Twin", "Other side", "Outcome")


def list_(
    *, limit: int = 30, below: int | None = None, filters: Filters = Filters(), options: Options = Options()
) -> None:
    """List events, newest first: who did what to which twin, when, why, with which outcome. Listing is recorded too.

    Without a filter these are the newest events of all. What is listed was opened and compared; the last line says how
    many events were opened for it.

    Parameters
    ----------
    limit
        How many events to list.
    below
        Only events with a lower number: where the list before ended.
    """
    if limit < 1:
        raise Misuse("A list has at least one line.", hint="Say --limit 30.")
    with Home.open(load_settings(options.home), create=False) as home:
        asked = filters.question(home)
        page = home.store.search_audit(asked.criteria, asked.span, limit=limit, below=below)
        # Recorded before anything is shown; and after the search, which does not show itself.
        event = search_event(home.access(query=asked.text, patient=asked.patient), found=len(page.entries))
        home.store.append_audit([event])
        if options.json:
            events = [{"sequence": entry.sequence, "event": entry.event} for entry in page.entries]
            told = {"next": page.next or None, "looked_at": page.looked_at, "size": page.size}
            print_json({"events": events, **told, "unindexed": page.unindexed})
            return
        print_table(
            f"{len(page.entries)} events, newest first" if page.entries else "No such events",
            _COLUMNS,
            ((entry.sequence, *in_brief(entry.event)) for entry in page.entries),
        )
        say(f"{page.looked_at} of {page.size} events were opened." + _more(page.next))
        if page.unindexed:
            note(f"{page.unindexed} events are from before the index and had to be opened. Run: twin audit reindex")


def _more(number: int) -> str:
    return f" There may be more: --below {number}" if number else " There are no more."
