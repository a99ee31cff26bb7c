"""JSON objects that note which of their elements somebody looks at: what nobody looked at made no difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Unlinked", "Watched"]


class Watched(dict[str, Any]):  # noqa: PLW1641  no dict has a hash
    """An object of a resource. Which elements it has is always known; `seen` are those whose values were looked at."""

    __slots__ = ("seen",)

    def __init__(self, found: dict[str, Any]) -> None:
        super().__init__(found)
        self.seen: set[str] = set()

    def __getitem__(self, element: str) -> Any:
        """Give an element."""
        self.seen.add(element)
        return super().__getitem__(element)

    def get(self, element: str, default: Any = None) -> Any:
        """Give an element, or another value where it is absent."""
        self.seen.add(element)
        return super().get(element, default)

    def values(self) -> Any:
        """Give all elements."""
        self.seen.update(super().keys())
        return super().values()

    def items(self) -> Any:
        """Give all elements with their names."""
        self.seen.update(super().keys())
        return super().items()

    def copy(self) -> dict[str, Any]:
        """Copy it, for which all has to be read."""
        return dict(self.items())

    def __or__(self, other: Any) -> Any:
        """Join it with another, for which all has to be read."""
        return dict(self.items()) | other

    def __eq__(self, other: object) -> bool:
        """Compare, for which all has to be read."""
        self.seen.update(super().keys())
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        """Compare, for which all has to be read."""
        return not self == other

    def __iter__(self) -> Iterator[str]:
        """Walk the names of its elements. That this is written here makes `dict(watched)` go through `__getitem__`."""
        return super().__iter__()


class Unlinked(Mapping[str, Any]):
    """No resource at all, in the place of those that others refer to; notes whether anybody asked for one."""

    __slots__ = ("was_asked",)

    def __init__(self) -> None:
        self.was_asked = False

    def __getitem__(self, reference: str) -> Any:
        """Find nothing."""
        self.was_asked = True
        raise KeyError(reference)

    def __iter__(self) -> Iterator[str]:
        """Walk nothing."""
        self.was_asked = True
        return iter(())

    def __len__(self) -> int:
        """Count nothing."""
        self.was_asked = True
        return 0
