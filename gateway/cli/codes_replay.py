"""twin codes replay."""

from __future__ import annotations

from gateway.cli.terminal import Options, print_json, progress, say
from gateway.home import Home
from gateway.replay import replay
from gateway.settings import load_settings
from security.audit import read_event

__all__ = ["replay_"]


def replay_(
    *, source: str | None = None, dry_run: bool = False, everything: bool = False, options: Options = Options()
) -> None:
    """Map again what is kept, where the tables of codes or our rules say other than when it came.

    Nothing is asked of the EHR: the bytes are kept, sealed. A fact that is replaced stays in the history of its twin.
    Stopped at any moment, run it again and it goes on.

    Parameters
    ----------
    source
        Only of this source.
    dry_run
        Say what would change, and change nothing.
    everything
        Map all that is kept, and not only what is affected.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        home.must_know(source)
        home.store.append_audit([read_event(home.access(what=("Basic/replay",)))])
        with progress("Mapping again") as show:
            done = replay(home, source, show, dry_run=dry_run, everything=everything)
    counts = done.counts()
    if options.json:
        print_json({"dry_run": dry_run, **counts})
        return
    would = "would be" if dry_run else "were"
    say(f"{done.looked_at:,} resources are kept; {done.mapped:,} {would} mapped again.")
    say(
        f"{done.changed:,} say something else now, in {len(done.twins):,} twins: {done.facts_new:,} new facts, "
        f"{done.facts_other:,} other, {done.facts_gone:,} are none any more; {done.refusals_gone:,} refusals fewer, "
        f"{done.refusals_new:,} more."
    )
