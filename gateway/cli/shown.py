"""twin shown."""

from __future__ import annotations

from collections import Counter

from gateway.api.charts import StoreCharts
from gateway.cli.terminal import Options, counted, print_json, print_table, say
from gateway.home import Home
from gateway.settings import load_settings
from mappers.shown import REASONS
from security.audit import read_event

__all__ = ["shown_"]


def shown_(twin: str, /, *, resource: str = "", limit: int = 50, options: Options = Options()) -> None:
    """Tell what the API shows of a twin, before scopes and consents, and why it does not show the rest.

    Each resource that a source sent is shown, or counted under the reason why not. Reading it is recorded.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    resource
        Only of this resource, as its source calls it: Observation/123.
    limit
        How many to list at most; 0 lists all. The counts are of all.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        found = home.store.find_twin(twin)
        home.store.append_audit([read_event(home.access(patient=found))])
        chart = StoreCharts(home).chart(found)
        shown = [
            {"source": source, "resource": key, "shown_as": each.reference, "version": each.version}
            for source, key, each in chart.from_sources()
            if resource in ("", key)
        ]
        hidden = [
            {"source": track.source, "resource": track.key, "reason": why.reason, "path": why.path}
            for track, why in chart.hidden()
            if resource in ("", track.key)
        ]
        left_out = [
            {"source": track.source, "resource": track.key, "reason": each.reason, "path": each.path}
            for track, lost in chart.left_out()
            for each in lost
            if resource in ("", track.key)
        ]
        received, withheld = chart.received, dict(chart.withheld)
    if options.json:
        told = {"id": found, "received": received, "shown": received - sum(withheld.values()), "withheld": withheld}
        print_json({**told, "resources": shown, "hidden": hidden, "left_out": left_out})
        return
    say(f"Twin {found}: of {counted(received, 'resource')} {received - sum(withheld.values())} are shown by the API")
    if resource:
        for row in shown:
            say(f"{row['source']} {row['resource']} is shown as {row['shown_as']}, version {row['version']}")
        if not shown and not hidden:
            say(f"There is no current {resource} in this twin; twin versions tells what came, and what was retracted.")
    for title, rows in (("not shown", hidden), ("left out of what is shown", left_out)):
        if rows:
            print_table(
                f"{len(rows)} {title}",
                [">Count", "Reason", "What it means"],
                ((n, r, REASONS[r]) for r, n in Counter(str(row["reason"]) for row in rows).most_common()),
            )
            some = rows[: limit or None]
            print_table(
                f"{'All' if len(some) == len(rows) else f'The first {len(some)} of'} {len(rows)}",
                ["Reason", "Source", "Resource", "Where"],
                ((row["reason"], row["source"], row["resource"], row["path"]) for row in some),
            )
