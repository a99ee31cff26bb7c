"""One row of a table between two versions: an element of the one, and what the other has instead of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """An element of the other version (`there`), and what R4 has instead of it (`r4`). Dots lead into parts."""

    there: str
    r4: str
    up: bool  # from the other version to R4, else the other way
    codes: Mapping[str, str] = field(default_factory=dict)  # the other version's words to R4's
    back: Mapping[str, str] = field(default_factory=dict)  # R4's words to its, where `codes` turned round is not it
    system: str = ""
    inner: str = ""
    said: str = ""  # what has said already what this row has no word for
    by: str = "type"
    labels: Mapping[str, str] = field(default_factory=dict)
    turned: bool = False
    value: Any = None
    keep: bool = False
    peek: bool = False  # another row takes the element; this one only looks, and only for its `codes`
    each: bool = False  # each value goes into a part of its own
    targets: Mapping[str, str] = field(default_factory=dict)

    @property
    def came(self) -> str:
        """The element that the row takes."""
        return self.there if self.up else self.r4

    @property
    def goes(self) -> str:
        """The element that it gives."""
        return self.r4 if self.up else self.there

    def turned_round(self) -> Row:
        """Return the row as it is read in the other direction."""
        return replace(self, up=not self.up)

    def word(self, said: Any) -> str | None:
        """Say a word in the words of the version that was asked for; `None` where the row has none for it."""
        if not isinstance(said, str):
            return None
        if self.up:
            return self.codes.get(said)
        turned: dict[str, str] = {}
        for there, here in self.codes.items():
            turned.setdefault(here, there)
        return self.back.get(said) or turned.get(said)
