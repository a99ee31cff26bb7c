"""twin list."""

from __future__ import annotations

from gateway.cli.terminal import Options, counted, print_json, print_table, say
from gateway.home import Home
from gateway.settings import load_settings
from security.audit import read_event

__all__ = ["list_"]


def list_(*, options: Options = Options()) -> None:
    """List all twins: id, version, sources and counts. Nothing is opened, so nobody is named."""
    with Home.open(load_settings(options.home), create=False) as home:
        home.store.append_audit([read_event(home.access(what=("Basic/twins",)))])
        twins = home.store.twins()
        if options.json:
            print_json({"twins": [{**_row(t), "sources": list(t.sources)} for t in twins]})
            return
        if not twins:
            say("No twins yet. Run: twin pull SOURCE, or twin pull --folder FOLDER")
            return
        print_table(
            counted(len(twins), "twin"),
            ["Twin", ">Version", "Sources", ">Resources", ">Facts", ">Refusals", "Updated"],
            (
                (t.id, t.version, ", ".join(t.sources), t.resources, t.facts, t.refusals, f"{t.updated:%Y-%m-%d %H:%M}")
                for t in twins
            ),
        )


def _row(twin: object) -> dict[str, object]:
    names = ("id", "version", "resources", "facts", "refusals", "created", "updated")
    return {name: getattr(twin, name) for name in names}
