"""twin versions."""

from __future__ import annotations

from datetime import datetime

import msgspec

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.home import Home
from gateway.settings import load_settings
from gateway.versions import brought, open_past

__all__ = ["versions_"]


def versions_(twin: str, /, *, limit: int = 60, options: Options = Options()) -> None:
    """List the versions of one twin: when each came, from where, and what it brought. Reading it is recorded.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    limit
        How many versions to list at most, newest last; 0 lists all.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        past = open_past(home, twin)
        told = brought(home, past)
    if options.json:
        print_json({"twin": past.twin, "versions": [msgspec.to_builtins(b, builtin_types=(datetime,)) for b in told]})
        return
    if not told:
        say(f"Twin {past.twin}: nothing is known yet.")
        return
    shown = told[-limit:] if limit else told
    title = f"Twin {past.twin}: {len(told)} versions" + (f", the newest {len(shown)}" if len(shown) < len(told) else "")
    print_table(
        title,
        [
            ">Version",
            "Came (UTC)",
            "From",
            ">Resources",
            ">Facts came",
            ">Corrected",
            ">Retracted",
            ">Refusals",
            "Pull",
        ],
        (
            (
                b.version,
                f"{b.created:%Y-%m-%d %H:%M:%S}",
                b.source,
                b.resources,
                b.came,
                b.corrected,
                b.retracted,
                b.refusals,
                f"{b.pull:%Y-%m-%d %H:%M:%S}" if b.pull else "",
            )
            for b in shown
        ),
    )
    say(f"What moved and why: twin diff {past.twin[:8]} --from VERSION --to VERSION")
