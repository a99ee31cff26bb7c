"""The text of a search value, cut as FHIR R4 says (3.1.1.4.7): "," for or, "$" and "|" within, each escaped by "\\"."""

from __future__ import annotations

import re
from typing import Final

from mappers.search.unsearchable import Unsearchable

__all__ = ["LONGEST", "MOST", "alternatives", "cut", "plain", "prefixed"]

LONGEST: Final = 1024
"""Characters of one value."""
MOST: Final = 500
"""Values of one parameter."""

_ESCAPED: Final = re.compile(r"\\([\\,$|])")
_PREFIX: Final = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)


def alternatives(value: str) -> tuple[str, ...]:
    """Cut a value into those of which one has to match; they keep their escapes. Raises `Unsearchable` for too many."""
    if len(value) > LONGEST * 32:
        raise Unsearchable("too-costly", "A value of a search is too long.")
    found = tuple(cut(value, ","))
    if len(found) > MOST:
        raise Unsearchable("too-costly", f"A parameter has {MOST} values at most.")
    if any(len(each) > LONGEST for each in found):
        raise Unsearchable("too-costly", f"A value of a search has {LONGEST} characters at most.")
    if not all(found):
        raise Unsearchable("value", "A value of a search is empty.")
    return found


def cut(value: str, mark: str) -> list[str]:
    """Cut at a mark that no backslash stands before; the parts keep their escapes."""
    if mark not in value:
        return [value]
    if "\\" not in value:
        return value.split(mark)
    parts, part, skip = [], [], False
    for letter in value:
        if skip or letter != mark:
            part.append(letter)
            skip = letter == "\\" and not skip
        else:
            parts.append("".join(part))
            part = []
    return [*parts, "".join(part)]


def plain(value: str) -> str:
    """Take the escapes away."""
    return _ESCAPED.sub(r"\1", value) if "\\" in value else value


def prefixed(value: str) -> tuple[str, str]:
    """Cut the prefix off ("ge2024"); without one it is "eq"."""
    found = _PREFIX.fullmatch(value)
    return (found[1] or "eq", found[2]) if found else ("eq", value)
