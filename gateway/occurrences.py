"""Where each resource of a pull stands for the last time, in 8 bytes a resource.

Servers repeat resources over shifted pages, and the last one is the newest. Nearly all come once, and of those a hash
is enough; who comes again is kept by name. Names are patient data: all of this stays in memory.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping

import numpy as np

from gateway.store.hashes import Hashes

__all__ = ["Occurrences"]

_AS_THEY_ARE = 8_192  # names, beyond which hashes take their place


class Occurrences:
    """The resources that came, and for each that came several times its last place: page and index.

    Hashes are those of Python's strings (64 bits, keyed by chance for each process): that two names share one makes
    them both kept by name, and no more.
    """

    __slots__ = ("_again", "_asked", "_closed", "_hashes", "_recent", "_told")

    def __init__(self, last: Mapping[str, tuple[int, int]] | None = None) -> None:
        """Begin with none, or with `last` places that are known."""
        self._told = dict(last or {})
        self._recent: dict[str, tuple[int, int]] = dict(self._told)
        self._again: dict[str, tuple[int, int]] = {}
        self._hashes = Hashes()
        self._asked: dict[str, bool] = {}
        self._closed: int | None = None  # how many there were

    def note(self, name: str, page: int, index: int) -> None:
        """Note that a resource stands there; places come in order."""
        if name in self._again or name in self._recent:
            self._again[name] = (page, index)
            return
        if len(self._recent) >= _AS_THEY_ARE:
            self._settle()
        self._recent[name] = (page, index)

    def is_last(self, name: str, page: int, index: int) -> bool:
        """Say whether a resource does not come again behind this place. One that is not known does not."""
        place = self.again.get(name)
        return place is None or place == (page, index)

    @property
    def again(self) -> Mapping[str, tuple[int, int]]:
        """The last place of each that came several times; it may name others, too."""
        if self._recent and len(self._hashes):
            self._settle()
        return ChainMap(self._again, self._told) if self._told else self._again

    @property
    def repeated(self) -> frozenset[str]:
        """The types of which some came several times."""
        if self._recent and len(self._hashes):
            self._settle()
        return frozenset(name.partition("/")[0] for name in self._again)

    def close(self, asked: Iterable[str]) -> None:
        """Give the memory back, once all has come; from now on, only of the names `asked` is it known whether they did.

        What is the last of several stays known of each.
        """
        names = list(asked)
        count = len(self)
        if len(self._hashes):
            self._asked = {name: name in self for name in names}
            self._closed, self._hashes = count, Hashes()

    def __contains__(self, name: object) -> bool:
        if self._closed is not None:
            if not isinstance(name, str) or name not in self._asked:
                raise LookupError("nobody said that this would be asked")
            return self._asked[name]
        if name in self._recent or name in self._again:
            return True
        found = np.array([hash(name)], dtype=np.int64)
        return bool(self._hashes.has(found)[0])

    def __len__(self) -> int:
        if self._closed is not None:
            return self._closed
        if self._recent and len(self._hashes):
            self._settle()
        return len(self._hashes) + len(self._recent)

    def _settle(self) -> None:
        """Make hashes of the names so far, and keep by name those that are there already."""
        names = list(self._recent)
        hashes = np.fromiter(map(hash, names), dtype=np.int64, count=len(names))
        known = self._hashes.has(hashes)
        for place in np.flatnonzero(known):
            self._again.setdefault(names[place], self._recent[names[place]])
        self._hashes.add(hashes[~known])
        self._recent = {}
