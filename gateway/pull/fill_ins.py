"""What resources refer to and nobody listed: medicines, people, places, samples. They are asked for by their ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from gateway.pull.asking import SAID_NO
from gateway.pull.bundle import NotReadError, head_of, read_bundle
from gateway.pull.connection import ComeBackLater, Connection
from gateway.pull.inflate import TooLarge
from gateway.pull.origin import ForeignUrlError
from gateway.pull.page import Entry
from security.errors import Denied, NotFhir, Refused, Unreachable

__all__ = ["FILLED_IN", "Named", "References", "ask_by_name"]

FILLED_IN: Final = (
    *("Medication", "Practitioner", "PractitionerRole", "Organization", "Location", "Specimen", "Device"),
)
"""The types that are filled in."""

_MOST = 20_000  # names that are looked for in one pull
_JUDGED = 50_000  # references that are remembered as they are written, because most come again and again
_PAGES = 20  # of one question for 50 names
_REFERENCE = re.compile(rb'"reference"\s*:\s*"([^"\\]{3,600})"')
_NAME = re.compile(rb"(?:(.*)/)?([A-Z][A-Za-z]{1,40})/([A-Za-z0-9.-]{1,64})(?:/_history/.*)?")


class References:
    """Collects what is referred to, as pages come by.

    Parameters
    ----------
    base
        The FHIR base: a reference to another server is not ours to ask.
    types
        The types that are filled in.
    is_held
        Says whether a resource ("Medication/1") is held already, so that it is not asked for again.
    """

    def __init__(self, base: str, types: Collection[str], is_held: Callable[[str], bool]) -> None:
        self._base = base.encode()
        self._names = frozenset(types)
        self._types = frozenset(each.encode() for each in types)
        self._is_held = is_held
        self._wanted: dict[str, None] = {}
        self._came: set[str] = set()
        self._judged: set[bytes] = set()
        self.left_out = False

    def note(self, raw: bytes) -> None:
        """Note what a resource refers to."""
        self.note_all([raw])

    def note_all(self, raws: Iterable[bytes]) -> None:
        """Note what resources refer to."""
        told = set(_REFERENCE.findall(b"\n".join(raws))) - self._judged
        if len(self._judged) >= _JUDGED:
            self._judged.clear()
        self._judged |= told
        for text in told:
            found = _NAME.fullmatch(text)
            if found is None or found[2] not in self._types or (found[1] or self._base) != self._base:
                continue
            name = f"{found[2].decode()}/{found[3].decode()}"
            if name in self._came or name in self._wanted:
                continue
            if len(self._wanted) < _MOST:
                self._wanted[name] = None
            else:
                self._judged.discard(text)  # there may be room for it later
                self.left_out = True

    def arrived(self, type_: str, id_: str) -> None:
        """Note that a resource came, or that it was asked for."""
        if type_ in self._names:
            name = f"{type_}/{id_}"
            self._wanted.pop(name, None)
            self._came.add(name)

    def want(self, names: Sequence[str]) -> None:
        """Note names that were wanted before."""
        self._wanted |= dict.fromkeys(name for name in names if name not in self._came)

    @property
    def wanted(self) -> tuple[str, ...]:
        """What is referred to and did not come, in the order in which it was met."""
        return tuple(self._wanted)

    def missing(self) -> dict[str, tuple[str, ...]]:
        """Return the ids that are to be asked for, by type: what did not come and is not held."""
        found: dict[str, list[str]] = {}
        for name in self._wanted:
            if not self._is_held(name):
                type_, _, id_ = name.partition("/")
                found.setdefault(type_, []).append(id_)
        return {type_: tuple(ids) for type_, ids in sorted(found.items())}


@dataclass(slots=True)
class Named:
    """What became of a question for some names: `absent` of them the server does not have, `unknown` nobody knows."""

    entries: list[Entry] = field(default_factory=list)
    came: set[str] = field(default_factory=set)
    absent: int = 0
    unknown: int = 0
    pages: int = 0
    sent: str = ""


async def ask_by_name(connection: Connection, type_: str, ids: Sequence[str], *, longest_url: int = 2000) -> Named:
    """Ask for some resources of a type: by one search (`_id=a,b,c`), and what that does not bring one by one.

    Raises what ends a pull: `Denied` where our credentials are no longer good, `Unreachable`, also "come back later".
    """
    found = Named()
    await _search(connection, type_, ids, found, longest_url)
    for id_ in ids:
        if id_ not in found.came:
            if found.unknown and not found.came:
                found.unknown += 1  # what the server does not give once, it does not give
                continue
            await _read(connection, type_, id_, found)
    return found


async def _search(connection: Connection, type_: str, ids: Sequence[str], found: Named, longest_url: int) -> None:
    params = (("_id", ",".join(ids)), ("_count", str(len(ids))))
    by_post = len(f"{connection.base.url}/{type_}?{urlencode(params)}") > longest_url
    try:
        reply = await connection.search(type_, params, allow=SAID_NO, by_post=by_post)
        found.sent = f"{reply.url}?{urlencode(params)}" if by_post else reply.url
        for _ in range(_PAGES):
            if reply.status in SAID_NO:
                return
            bundle = read_bundle(reply.body)
            found.pages += 1
            for item in bundle.entry:
                _take(bytes(item.resource), item.fullUrl, type_, ids, connection, found)
            if not (link := bundle.linked("next")) or len(found.came) == len(ids):
                return
            reply = await connection.get(connection.resolve(link, reply.url), allow=SAID_NO)
    except (ComeBackLater, Denied):
        raise
    except (ForeignUrlError, NotFhir, NotReadError, Refused, TooLarge):
        return
    except Unreachable:
        if not await connection.answers():
            raise


async def _read(connection: Connection, type_: str, id_: str, found: Named) -> None:
    try:
        reply = await connection.get(f"{type_}/{id_}", allow=SAID_NO, tries=2)
    except (ComeBackLater, Denied):
        raise
    except (NotFhir, Refused, TooLarge):
        found.unknown += 1
        return
    except Unreachable:
        if not await connection.answers():
            raise
        found.unknown += 1
        return
    found.sent = found.sent or reply.url
    if reply.status in (404, 410):
        found.absent += 1
    elif reply.status in SAID_NO or not _take(
        reply.body, f"{connection.base.url}/{type_}/{id_}", type_, (id_,), connection, found
    ):
        found.unknown += 1


def _take(raw: bytes, full_url: str, type_: str, ids: Sequence[str], connection: Connection, found: Named) -> bool:
    head = head_of(raw)
    if head is None or head.resourceType != type_ or head.id not in ids:
        return False
    if head.id not in found.came:
        found.came.add(head.id)
        place = f"{type_}, filled in, page {max(1, found.pages)}"
        found.entries.append(Entry(raw, full_url, place, version=connection.fhir_version or ""))
    return True
