"""twin source list, twin source show."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gateway.cli.terminal import Options, counted, print_json, print_table, say
from gateway.home import Home
from gateway.settings import Settings, SourceSettings, load_settings
from gateway.store import Store
from gateway.twin_toml import TwinToml

__all__ = ["list_", "show_"]


def list_(*, options: Options = Options()) -> None:
    """List the sources: where each is, how it is asked, when it was last pulled and what that pull proved."""
    settings = load_settings(options.home)
    with _store(settings) as store:
        rows = [_row(name, told, store) for name, told in settings.sources.items()]
    if options.json:
        print_json({"sources": rows})
        return
    if not rows:
        say("There is no source yet. Run: twin source add NAME --url URL")
        return
    print_table(
        counted(len(rows), "source"),
        ["Name", "Kind", "Where", "Auth", "Way", "Last pull (UTC)", "Verdict", ">Twins"],
        (
            (r["name"], r["kind"], r["where"], r["auth"], r["way"], r["last_pull"][:16], r["verdict"], r["twins"])
            for r in rows
        ),
    )


def show_(source: str, /, *, options: Options = Options()) -> None:
    """Show all settings of a source, where each comes from, and what its last pull proved. Secrets are not shown.

    Parameters
    ----------
    source
        A name from [sources] in twin.toml.
    """
    settings = load_settings(options.home)
    told = settings.source(source)
    rows = [*_settings(told, _origins(settings, source))]
    with _store(settings) as store:
        row = _row(source, told, store)
        pull = store.last_pull(source) if store else None
        certificate = pull.certificate if pull else None
    if options.json:
        print_json({**row, "settings": {key: {"value": value, "from": origin} for key, value, origin in rows}})
        return
    say(f"{source}: {row['kind']}, {row['twins']} twins")
    if certificate:
        say(f"  Last pull {row['last_pull'][:16]} UTC: {certificate.verdict}, {certificate.seen} resources came.")
        if certificate.note:
            say(f"  {certificate.note}")
        say(f"  More of it: twin certificates show {row['pull']}")
    else:
        say("  It was not pulled to an end yet.")
    print_table("Settings", ["Setting", "Value", "From"], ((key, _words(value), origin) for key, value, origin in rows))


@contextmanager
def _store(settings: Settings) -> Iterator[Store | None]:
    """Open the store where there is one: sources can be looked at before anything was pulled."""
    if not Home.exists(settings):
        yield None
        return
    with Home.open(settings, create=False) as home:
        yield home.store


def _row(name: str, told: SourceSettings, store: Store | None) -> dict[str, Any]:
    pull = store.last_pull(name) if store else None
    return {
        "name": name,
        "kind": "folder" if told.folder else "server",
        "where": str(told.folder) if told.folder else told.base_url,
        "auth": "" if told.folder else told.auth,
        "way": "folder" if told.folder else told.way,
        "last_pull": f"{pull.finished:%Y-%m-%d %H:%M:%S}" if pull and pull.finished else "",
        "pull": pull.id[:8] if pull else "",
        "verdict": pull.certificate.verdict if pull and pull.certificate else "",
        "twins": sum(name in twin.sources for twin in store.twins()) if store else 0,
    }


def _origins(settings: Settings, name: str) -> Mapping[str, str]:
    """Say which settings were told, and where; a variable wins over the file."""
    variables = {key.upper(): value for key, value in os.environ.items()}
    by_variable = json.loads(variables.get("TWIN_SOURCES") or "{}")
    found = dict.fromkeys(TwinToml(settings.home).sources.get(name, {}), "twin.toml")
    return found | dict.fromkeys(by_variable.get(name, {}), "TWIN_SOURCES")


def _settings(told: SourceSettings, origins: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    for key, value in told.model_dump(mode="json").items():
        yield key, value, origins.get(key, "default")


def _words(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)
