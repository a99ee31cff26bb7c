"""Numbers that belong together, however they were paired (union-find)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

__all__ = ["Groups"]


class Groups:
    """Numbers that belong together, however they were paired; false where nothing was joined."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._parent)

    def join(self, one: int, other: int) -> None:
        """Put two numbers, and all that go with them, together."""
        a, b = self._root(one), self._root(other)
        self._parent[max(a, b)] = min(a, b)

    def groups(self) -> list[list[int]]:
        """List what was joined, each group in order."""
        return self.parts(sorted(self._parent))

    def parts(self, numbers: Iterable[int]) -> list[list[int]]:
        """Group some numbers, in their order; those that were never joined stand alone."""
        found: dict[int, list[int]] = defaultdict(list)
        for each in numbers:
            found[self._root(each)].append(each)
        return list(found.values())

    def _root(self, one: int) -> int:
        parent = self._parent.setdefault(one, one)
        while parent != one:
            self._parent[one] = grand = self._parent[parent]
            one, parent = parent, grand
        return one
