"""Who uses what: the first resource that refers to another one, so that a practitioner or a sample is a link.

References are read off the bytes, because of most resources nothing else is read in the first pass. Names are patient
data: all of this stays in memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from gateway.store.hashes import Hashes

__all__ = ["Usage"]

_BY_NAME: Final = 100_000  # names of which the user is kept; of all beyond, only that they are used
_JUDGED: Final = 50_000  # references that are remembered as they are written, because most come again and again
_REFERENCE: Final = re.compile(rb'"reference"\s*:\s*"([^"]{1,600})"')
_TYPE: Final = re.compile(r"(?:^|/)([A-Z][A-Za-z]{1,40})/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?$")


class Usage:
    """Collects what resources refer to, as pages come by.

    Parameters
    ----------
    types
        Only references to these types are kept, and those that do not tell a type (`urn:uuid:…`).
    plain
        How a reference is written within its source.
    """

    def __init__(self, types: Iterable[str], plain: Callable[[str], str]) -> None:
        self._types = frozenset(types)
        self._plain = plain
        self._users: dict[str, str] = {}
        self._many = Hashes()
        self._judged: set[str] = set()

    def note(self, raw: bytes, name: str) -> None:
        """Note what the resource of this name refers to."""
        self.refer([reference.decode("utf-8", "replace") for reference in _REFERENCE.findall(raw)], name)

    def refer(self, references: Sequence[str], name: str) -> None:
        """Note that the resource of this name refers to others."""
        if not self._judged.issuperset(references):
            for reference in references:
                if reference not in self._judged:
                    self._judge(reference, name)

    def _judge(self, reference: str, name: str) -> None:
        if len(self._judged) >= _JUDGED:
            self._judged.clear()
        self._judged.add(reference)
        found = _TYPE.search(reference)
        if found[1] in self._types if found else reference.startswith("urn:"):
            plain = self._plain(reference)
            if plain != name:
                self._users.setdefault(plain, name)
        if len(self._users) >= _BY_NAME:
            self._many.add(_hashes(self._users))
            self._users = {}

    def of(self, names: Iterable[str], known: Mapping[str, str]) -> str | None:
        """Return who uses something of these names, "" where only that it is used is kept, `None` where nobody does."""
        asked = list(names)
        for name in asked:
            if (user := known.get(name) or self._users.get(name)) is not None:
                return user
        return "" if len(self._many) and asked and self._many.has(_hashes(asked)).any() else None


def _hashes(names: Iterable[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.fromiter(map(hash, names), dtype=np.int64)
