"""Who a resource is, whom it is about and what it refers to, without reading it: for a first look at very many.

What was seen once is a track (`mappers.forms.tracks`): all plain texts and numbers in it are holes. So of resources of
the same build only the holes are told that matter here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from mappers.forms.pieces import cut, inner_length, reference_in, text_in, values_in
from mappers.forms.tracks import ARE_BUILT, MOST_HOLES, TOKEN, Part, Tracks, make_tracks, size_of

__all__ = ["Build", "Heads"]

_ABOUT: Final = ("subject", "patient")
_REFERENCE: Final = re.compile(rb'"reference"\s*:\s*"\Z')
_TYPED: Final = re.compile(rb"([A-Z][A-Za-z]{1,40}/)[A-Za-z0-9.-]{1,64}")
_LONGEST_KEY: Final = 40
_TRIES: Final = 300  # builds of one type, after which it is asked whether they come again
_BYTES: Final = 32 << 20  # of what is remembered, about


class Build(NamedTuple):
    """Resources of one type that are built alike. Their names begin with `start`.

    Where `is_about`, the second text that is told is the reference to whom they are about. `first` is the number of the
    first of the texts that are other references.
    """

    type: str
    start: str
    is_about: bool
    first: int


class Heads:
    """Tells heads of resources of all types but some, once it has seen one of that build.

    Parameters
    ----------
    but
        Types of which a head is not enough.
    referred
        References to resources of these types are told, and those that do not say a type in the plain way.
    """

    def __init__(self, but: Collection[str] = (), referred: Collection[str] = ()) -> None:
        self._but, self._referred = frozenset(but), frozenset(b"%b/" % each.encode() for each in referred)
        self._tracks: Tracks[Build] | None = make_tracks() if ARE_BUILT else None
        self._drawn: Counter[str] = Counter()
        self._size = 0

    def read(self, raw: bytes) -> tuple[Build, tuple[str, ...]] | None:
        """Tell a head: what it is, then id, whom it is about, and each reference; `None` where its build is new.

        References that are the same in all resources of a build are not told again.
        """
        return None if self._tracks is None else self._tracks.find(raw)

    def see(self, raw: bytes) -> None:
        """Remember the build of a resource that was read."""
        if self._tracks is None:
            return
        kind = _type_in(raw)
        if not kind or kind in self._but or self._drawn[kind] > _TRIES:
            return
        self._drawn[kind] += 1
        drawn = _draw(raw, self._referred)
        if drawn is None:
            return
        self._size += size_of(drawn[0])
        if self._size > _BYTES:
            self._tracks, self._drawn, self._size = make_tracks(), Counter(), size_of(drawn[0])
        self._tracks.add(*drawn)


def _type_in(raw: bytes) -> str:
    """Read the type of a resource that begins with it."""
    start = b'{"resourceType":"'
    return raw[len(start) : raw.find(b'"', len(start))].decode("ascii", "replace") if raw.startswith(start) else ""


def _draw(raw: bytes, referred: Collection[bytes]) -> tuple[list[Part], tuple[int, ...], Build] | None:
    pieces: Any = cut(raw)
    if pieces is None or "id" not in pieces or inner_length(tuple(pieces)) + sum(map(len, pieces.values())) != len(raw):
        return None
    kind, about = text_in(bytes(pieces["resourceType"])), [bytes(pieces[name]) for name in _ABOUT if name in pieces]
    if not kind or len(about) > 1 or not all(map(reference_in, about)):
        return None
    parts: list[Part] = []
    wanted: dict[str, list[int]] = {"id": [], "about": [], "": []}
    place = count = done = 0
    for name, piece in pieces.items():
        place += len(name.encode()) + 4
        if name != "resourceType":
            for begin, end, kind_of_hole in values_in(bytes(piece)):
                before, hole = raw[done : place + begin], kind_of_hole
                if name == "id":
                    wanted["id"].append(count)
                elif _REFERENCE.search(before[-_LONGEST_KEY:]):
                    typed = _TYPED.fullmatch(raw, place + begin, place + end)
                    if name in _ABOUT:
                        wanted["about"].append(count)
                    elif typed is None or typed[1] in referred:
                        wanted[""].append(count)
                    else:
                        before, hole = before + typed[1], TOKEN
                parts += [before, hole]
                done = place + end
                count += 1
        place += len(piece)
    parts.append(raw[done:])
    if count > MOST_HOLES or len(wanted["id"]) != 1 or len(wanted["about"]) != len(about):
        return None
    told = (*wanted["id"], *wanted["about"], *wanted[""])
    return parts, told, Build(kind, f"{kind}/", bool(about), 1 + len(about))
