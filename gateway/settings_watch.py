"""Notices what was set differently since the store was opened last: by a command of ours, or by hand.

Seen are the keys of twin.toml, each with a keyed hash of its value, and the tables of codes, each with one of its
bytes. A difference is recorded with the keys, never with values; whoever opens the store next is who is named, so a
command that changes settings opens it at once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.code_files import code_files
from security.audit import settings_event

if TYPE_CHECKING:
    from gateway.home import Home

__all__ = ["note_changes", "record_changes"]

_NAME = "settings"
_MANY = 200  # keys that one event lists


def note_changes(home: Home) -> list[str]:
    """Record which keys were added, changed or removed since it was noted last, and return them."""
    before = home.store.noted(_NAME)
    known: dict[str, str] = msgspec.json.decode(before or "{}", type=dict[str, str])
    seen = {key: home.blind.of(f"setting {key}", value) for key, value in _settings(home.settings.home)}
    changed = sorted(key for key in {*known, *seen} if known.get(key) != seen.get(key))
    if changed:
        text = msgspec.json.encode(seen, order="sorted").decode()
        parts = [changed[at : at + _MANY] for at in range(0, len(changed), _MANY)]
        home.store.note(
            _NAME, text, [settings_event(home.access(), part="twin.toml", keys=part) for part in parts], before=before
        )
    return changed


def record_changes(settings: Any) -> None:
    """Open the store, where there is one, so that what this command changed is recorded as done by who ran it.

    Where there is none yet, the first who makes it is named, with all that stands there then.
    """
    from gateway.home import Home  # noqa: PLC0415 - a home notes changes itself

    if Home.exists(settings):
        Home.open(settings, create=False).store.close()


def _settings(folder: Path) -> Iterator[tuple[str, str]]:
    file = folder / "twin.toml"
    if file.is_file():
        yield from _flat("", tomllib.loads(file.read_text("utf-8")))
    for path in code_files(folder):
        yield f"codes.{path.stem}", path.read_bytes().hex()


def _flat(prefix: str, told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in told.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", repr(value)
