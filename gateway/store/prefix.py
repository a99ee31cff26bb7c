"""Finding a row by the start of its id, by way of the index: a comparison of a part of each id would read them all."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import and_

__all__ = ["begins_with"]

_BEHIND: Final = "\N{VERTICAL LINE}"  # sorts after all that our ids consist of


def begins_with(column: Any, start: str) -> Any:
    """Say that an id, of letters and digits and in lower case, begins with what a person typed.

    Compared, not matched with LIKE: what a person types may hold % and _.
    """
    low = start.lower()
    return and_(column >= low, column < low + _BEHIND)
