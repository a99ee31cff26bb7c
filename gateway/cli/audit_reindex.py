"""twin audit reindex."""

from __future__ import annotations

from gateway.cli.terminal import Options, print_json, progress, say
from gateway.home import Home
from gateway.settings import load_settings
from security.audit import log_event

__all__ = ["reindex_"]


def reindex_(*, check: bool = False, anew: bool = False, options: Options = Options()) -> int:
    """Index the events that are from before there was an index, so that searches need not open them.

    May be stopped and run again, and runs beside other commands. Exit status 1 where --check finds that the index hides
    an event: then run it with --anew, and ask who changed the file of the store.

    Parameters
    ----------
    check
        Only compare the index with all events: whether a search could miss one of them.
    anew
        Forget the index, and make it from the events.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        home.store.append_audit([log_event(home.access())])
        if check:
            with progress("Comparing the index with the events") as tell:
                verdict = home.store.check_index(lambda done, size: tell(f"{done:,} of {size:,} events compared"))
            if options.json:
                told = {"size": verdict.size, "unindexed": verdict.unindexed, "hidden": verdict.hidden}
                print_json({"ok": verdict.ok, **told, "invented": verdict.invented})
            elif verdict.hidden is not None:
                say(f"The index hides event {verdict.hidden} from searches. Run: twin audit reindex --anew")
            elif verdict.invented:
                say("The index names events that have nothing to do with it. Run: twin audit reindex --anew")
            else:
                say(f"The index is what the {verdict.size - verdict.unindexed} events in it say.")
            return 0 if verdict.ok else 1
        if anew:
            home.store.drop_index()
        with progress("Indexing") as tell:
            while left := home.store.index_further():
                tell(f"{left:,} events to go")
        size = home.store.search_audit(limit=1).size
        if options.json:
            print_json({"size": size, "unindexed": 0})
        else:
            say(f"All {size} events are in the index.")
        return 0
