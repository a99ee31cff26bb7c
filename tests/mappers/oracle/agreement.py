"""How far two conversions of a resource agree: leaf by leaf, an extension known by its URL and not by its place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["Agreement", "Kind", "flatten"]

Kind = tuple[str, str, str, str, str]
"""From, to, type of resource, element (without positions), and who has it: "ours", "theirs", or "differ"."""

_INDEX: Final = re.compile(r"\[\d+\]")
_PROSE: Final = (".text.div",)  # HL7's library writes white space of its own


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """List the leaves of a resource by path; a number is its digits."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("extension", "modifierExtension") and isinstance(inner, list):
                yield from _extensions(inner, f"{path}.{name}")
            else:
                yield from flatten(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from flatten(inner, f"{path}[{position}]")
    else:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)


def _extensions(found: list[Any], path: str) -> Iterator[tuple[str, str]]:
    seen: Counter[str] = Counter()
    for extension in found:
        url = str(extension.get("url"))
        rest = {name: value for name, value in extension.items() if name != "url"}
        yield from flatten(rest, f"{path}({url.rpartition('/')[2]})[{seen[url]}]")
        seen[url] += 1


@dataclass
class Agreement:
    """The leaves on which two conversions agree, and the others by their kind."""

    agreed: Counter[tuple[str, str]] = field(default_factory=Counter)
    kinds: Counter[Kind] = field(default_factory=Counter)
    none: Counter[tuple[str, str, str]] = field(
        default_factory=Counter
    )  # what HL7 has no converter for, or cannot read

    def add(self, source: str, target: str, kind: str, ours: Any, theirs: Any) -> None:
        """Compare two conversions of one resource."""
        mine, other = dict(flatten(ours)), dict(flatten(theirs))
        for path in mine.keys() | other.keys():
            if path.endswith(_PROSE):
                continue
            if mine.get(path) == other.get(path):
                self.agreed[source, target] += 1
            else:
                who = "ours" if path not in other else "theirs" if path not in mine else "differ"
                self.kinds[source, target, kind, _INDEX.sub("", path).removeprefix("."), who] += 1

    def share(self) -> float:
        """Return the share of the leaves of either on which both agree."""
        return self.agreed.total() / (self.agreed.total() + self.kinds.total())
