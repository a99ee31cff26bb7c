"""One thing that somebody should look at, and what is known beside the log."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

__all__ = ["Anomaly", "Known"]


@dataclass(frozen=True, slots=True)
class Anomaly:
    """What is unusual, and why it is said.

    Parameters
    ----------
    rule
        Its name in `RULES`.
    patient
        The twin, where it is about one.
    why
        In words, with the numbers and the threshold; no name and nothing clinical.
    chance
        How likely so much is by chance, where the rule is a statistical one; else `None`.
    events
        Numbers in the log, oldest first.
    """

    rule: str
    actor: str
    patient: str
    when: datetime
    why: str
    chance: float | None
    events: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What the log itself does not say.

    Parameters
    ----------
    marked
        Twins that are watched (VIPs, colleagues): any use of them is told.
    namesakes
        Twins of each account whose patient has the account's surname. Only that they agree is told, no name.
    deaths
        Twins whose patients died, and when.
    """

    marked: Collection[str] = frozenset()
    namesakes: Mapping[str, Collection[str]] = field(default_factory=dict)
    deaths: Mapping[str, date] = field(default_factory=dict)
