"""A part of a page that can be missing: what it lacks is said in its place, and costs no other part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from security.errors import Denied, Fault, Sealed, StoreFull, Tampered
from twin_engine import Missing

__all__ = ["Lacking", "attempt", "lacking"]

Made = TypeVar("Made")

_WHOLE_PAGE = (StoreFull, Sealed, Tampered, Denied)  # no record, no key, or no right: then there is no page

_FROM_WHERE = (
    "Readings, meals and doses come with twin pull from a source that holds them, or by themselves through a stream "
    "(docs/settings.md)."
)


@dataclass(frozen=True)
class Lacking:
    """What stands in the place of a section: its title, why it is not there, and what to do."""

    title: str
    sentences: tuple[str, ...]
    hint: str = ""


def attempt(title: str, make: Callable[[], Made]) -> Made | Lacking:
    """Make a section; a fault of it stands in its place. What concerns the whole page is raised."""
    try:
        return make()
    except _WHOLE_PAGE:
        raise
    except Fault as fault:
        return Lacking(title, (fault.message,), fault.hint)


def lacking(missing: Missing) -> Lacking:
    """Say what a model that moves in time lacks, and where that comes from."""
    return Lacking(missing.title, missing.say, _FROM_WHERE)
