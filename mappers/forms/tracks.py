"""Bytes that come again but for some holes: found by walking what was seen before, not by reading JSON.

What was seen is a tree: a run of bytes that is the same, then a hole, or a place where several go on. What is found
differs from something seen before in its holes alone, and where these end cannot be mistaken. The tree is written in C
(`_tracks.c`), because in Python it is no quicker than reading; where there was no compiler when we were installed,
nothing is known of tracks, and all is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

try:
    from mappers.forms import _tracks as _built  # type: ignore[attr-defined]  # hatch_build.py makes it
except ImportError:
    _built = None

__all__ = ["ARE_BUILT", "MOST_HOLES", "NUMBER", "TEXT", "TOKEN", "VALUE", "Part", "Tracks", "make_tracks", "size_of"]

TEXT: Final = 0
"""The inside of a string without escapes: printable ASCII."""
NUMBER: Final = 1
"""A number as it is mostly written: 15 digits and 30 decimals at most, no exponent."""
VALUE: Final = 2
"""Any JSON value without padding and odd escapes, not deeper than 60."""
TOKEN: Final = 3
"""What FHIR calls an id: letters, digits, - and . of ASCII."""

MOST_HOLES: Final = 1024
ARE_BUILT: Final = _built is not None

Part = bytes | int
"""Bytes that are the same, or the kind of a hole."""


Filling = tuple[
    Callable[..., Any], bool, dict[str, str] | None, str, dict[str, str] | None, str, object | None, Mapping[Any, Any]
]
"""How what is told becomes a value where that is plain, without Python (`mappers.forms.stencil.Stencil.plainly`):

what makes it of form, id, version, blanks and subject; whether a version is told; whom a reference names (`None`: none
is told, and it is the next); how precise a time is (`None`: none is told), and how precise it has to be; the `Slot` of
a number (`None`: none is told); and the forms by what became of the number.
"""

_NODE_BYTES: Final = 150
_End = TypeVar("_End")


class Tracks(Protocol[_End]):
    """A tree of what was seen, with something at the end of each track."""

    def add(self, parts: list[Part], wanted: tuple[int, ...], end: _End, plainly: Filling | None = None, /) -> bool:
        """Add a track; what ended in the same way before is replaced.

        `wanted` numbers the holes that are told; for `fill` they are id, version, subject, time, number. Returns
        `False` where another kind of hole stands in a place of it.
        """

    def find(self, raw: bytes, /) -> tuple[_End, tuple[str, ...]] | None:
        """Walk bytes to their end; returns what is there, and what is told in the holes that are wanted."""

    def fill(self, raw: bytes, /) -> Any:
        """Walk bytes to their end; returns what is made of them where that is plain, else what `find` does."""

    def hits(self) -> list[tuple[_End, int]]:
        """Say how often each end was found since this was asked last."""


def size_of(parts: list[Part]) -> int:
    """About how many bytes a track takes at most; it shares its beginning with others."""
    return sum(len(part) + _NODE_BYTES if isinstance(part, bytes) else _NODE_BYTES for part in parts)


def make_tracks() -> Tracks[Any]:
    """Make an empty tree. There is one only where `ARE_BUILT`."""
    made: Tracks[Any] = _built.Tracks()
    return made
