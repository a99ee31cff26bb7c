"""Which resources were written through the API, under which source and name: no other may be changed here."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final
from uuid import uuid4

import msgspec

from gateway.home import Home
from gateway.written import source_of
from mappers.shown.naming import Naming

__all__ = ["Origin", "draw", "id_of", "naming_of", "origin_of", "remember"]

_KIND: Final = "written"
_DIGITS: Final = re.compile(r"-([a-z2-7]{20,40})$", re.ASCII)


class Origin(msgspec.Struct, frozen=True):
    """The source of a written resource, and its name there."""

    source: str
    name: str


def draw(client: str) -> Origin:
    """Draw the name of a resource that a client creates."""
    return Origin(source_of(client), uuid4().hex)


def id_of(home: Home, origin: Origin, type_: str, twin: str) -> str:
    """Say which id the API shows it under (`gateway.api.charts`)."""
    return naming_of(home, origin, twin).id_of(f"{type_}/{origin.name}", type_)


def naming_of(home: Home, origin: Origin, twin: str) -> Naming:
    """Say what the names of a written resource become when it is shown."""
    return Naming(origin.source, "", "r4", twin, home.blind.of, frozenset({f"Patient/{twin}"}))


def origin_of(home: Home, type_: str, id_: str, now: datetime) -> Origin | None:
    """Say where a resource was written; `None` for one that an EHR tells."""
    kept = home.store.registered(_KIND, _name(type_, id_), now)
    return msgspec.msgpack.decode(kept.content, type=Origin) if kept else None


def remember(home: Home, origin: Origin, type_: str, id_: str, now: datetime) -> None:
    """Keep where it was written, in the transaction in which it is."""
    if not home.store.register(_KIND, _name(type_, id_), msgspec.msgpack.encode(origin), now):
        raise RuntimeError("a drawn name was drawn before")


def _name(type_: str, id_: str) -> str:
    """Name it without whose it is: that changes where two twins turn out to be one person."""
    found = _DIGITS.search(id_)
    return f"{type_}/{found[1] if found else id_}"
