"""What became of each element on its way into another version: the ledger of one conversion."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

__all__ = ["GONE", "WHY", "Steps", "VersionStep", "What", "beside", "leaves"]

GONE: Final = object()
"""Stands in a list of which something was taken, so that the others keep their places."""

_INDEX: Final = re.compile(r"\[\d+\]")

What = Literal["kept", "moved", "translated", "extension", "lost"]

WHY: Final[Mapping[str, str]] = {
    "place": "The other version has it in another place.",
    "list": "The other version has a list there where this one has one only, or the other way round.",
    "shape": "The other version writes it in another shape (a text as an annotation, a code as a concept).",
    "words": "The other version says it in other words.",
    "restored": "An extension had kept it from that version; it is back in its place.",
    "no-element": "The other version has no such element.",
    "no-type": "The other version does not allow a value of this type there.",
    "no-code": "The other version has no such code there.",
    "one-only": "The other version has room for one only.",
    "no-resource": "The other version has no such type of resource, or we do not convert it.",
    "unknown-element": "The version that was told has no such element.",
    "empty": "It is empty, which nothing in FHIR may be.",
    "bad-shape": "It is not built as its version demands: a text where an object is due, and the like.",
    "implied": "The other version says it by another element that is there.",
    "not-dated": "The other version wants a day there and this is an instant, or the other way round.",
}
"""Why an element did not stay what and where it was. Stable words; the text is for people."""


@dataclass(frozen=True, slots=True)
class VersionStep:
    """What became of one element: `path` in the version that came, `to` in the one that was asked for ("" if lost)."""

    path: str
    what: What
    to: str = ""
    why: str = ""
    before: Any = None  # for "translated": the word that was there, and the one that is
    after: Any = None


@dataclass(slots=True)
class Steps:
    """The steps of one conversion; every leaf of the resource that came is in it once."""

    found: list[VersionStep] = field(default_factory=list)

    def note(self, path: str, to: str, why: str = "place") -> None:
        """Note that a value stands at `to`: kept where that is its old place, else moved there."""
        one, other = path.partition(".")[2], to.partition(".")[2]
        if one == other:
            self.found.append(VersionStep(path, "kept", to))
        else:
            only_list = why == "place" and _INDEX.sub("", one) == _INDEX.sub("", other)
            self.found.append(VersionStep(path, "moved", to, "list" if only_list else why))

    def translate(self, path: str, to: str, before: Any, after: Any) -> None:
        """Note that it is said in other words."""
        self.found.append(VersionStep(path, "translated", to, "words", before, after))

    def extend(self, path: str, to: str, why: str) -> None:
        """Note that an extension keeps it."""
        self.found.append(VersionStep(path, "extension", to, why))

    def lose(self, path: str, value: Any, why: str) -> None:
        """Note that a value, and all in it, does not survive."""
        self.found.extend(VersionStep(leaf, "lost", "", why) for leaf in leaves(value, path))

    def lose_beside(self, path: str, value: Any, why: str) -> None:
        """Note that what a primitive carries does not survive."""
        self.lose(beside(path), value, why)

    def counts(self) -> Counter[What]:
        """Count them by what became of them."""
        return Counter(step.what for step in self.found)


def leaves(value: Any, path: str) -> Iterator[str]:
    """List the paths of all texts, numbers and truths in a value; what is empty is a leaf as well, and null is none."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}")
    elif isinstance(value, list) and value:
        for position, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{position}]")
    elif value is not None and value is not GONE:
        yield path


def beside(path: str) -> str:
    """Return the path of what a primitive carries beside it, its id and extensions: "name._given[0]"."""
    holder, dot, name = path.rpartition(".")
    return f"{holder}{dot}_{name}"
