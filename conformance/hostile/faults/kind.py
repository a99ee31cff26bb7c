"""What a fault is: one function, beside it what it plays, where it bites and who reported the pain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["PLACES", "Act", "Kind", "Place", "fault", "registered"]

Place = Literal[
    "request",
    "token",
    "write",
    "written",
    "kept",
    "looked-for",
    "asked",
    "found",
    "count",
    "turn",
    "page",
    "body",
    "statement",
    "discovery",
    "kick-off",
    "order",
    "poll",
    "manifest",
    "file",
    "lines",
    "cancel",
]

PLACES: dict[Place, str] = {
    "request": "any request below the base but metadata",
    "token": "the token endpoint",
    "write": "create, update, delete, batch, transaction",
    "written": "the answer to a write that was done",
    "kept": "what is kept of a resource that is written",
    "looked-for": "a search, or the condition of a write",
    "asked": "the parameters of a search",
    "found": "what a search finds",
    "count": "the count alone",
    "turn": "following a next link",
    "page": "the Bundle of a page",
    "body": "the bytes of an answer",
    "statement": "the capability statement",
    "discovery": ".well-known/smart-configuration",
    "kick-off": "the request that begins an export",
    "order": "what an export was asked for",
    "poll": "the status of an export",
    "manifest": "the manifest of an export",
    "file": "the request for a file of an export",
    "lines": "the lines of a file of an export",
    "cancel": "the DELETE of an export",
}

# Takes what the place acts on and the switch that was thrown; what it returns ends the matter there.
Act = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One fault.

    Parameters
    ----------
    name, does, cite
        What it is called, what it plays, and the report that it reproduces; numbers are those of the complaints in
        interop.md section 3.
    place
        Where it bites.
    value
        The default of what can be set about it; "" where nothing can.
    times
        How often it strikes where nothing is said; `None` for always. What changes the record happens once.
    act, fits
        What it does there, and whether it can strike at all here; only what it can strike is counted.
    """

    name: str
    place: Place
    does: str
    cite: str
    value: str
    times: int | None
    act: Act
    fits: Callable[[Any], bool] | None

    @property
    def is_number(self) -> bool:
        """Say whether the value is a number."""
        try:
            float(self.value)
        except ValueError:
            return False
        return True


_KINDS: dict[str, Kind] = {}


def fault(
    name: str,
    place: Place,
    does: str,
    cite: str,
    *,
    value: str = "",
    times: int | None = None,
    fits: Callable[[Any], bool] | None = None,
) -> Callable[[Act], Act]:
    """Register the function below as a fault; see `Kind`."""

    def register(act: Act) -> Act:
        if name in _KINDS:
            raise ValueError(f"There are two faults called {name}.")
        _KINDS[name] = Kind(name, place, does, cite, value, times, act, fits)
        return act

    return register


def registered() -> dict[str, Kind]:
    """Return the faults, in the order in which they act."""
    return _KINDS
