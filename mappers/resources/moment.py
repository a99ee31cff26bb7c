"""Moments as answers: a day that was told (the last period, the day of delivery), as precise as it was told."""

from __future__ import annotations

from typing import Any

from mappers.codes import Concept
from mappers.resources.answer import Answer, read_text
from mappers.when import read_when

__all__ = ["read_moment"]


def read_moment(value: Any, found: Concept) -> Answer | str:
    """Read a date or dateTime; its value is the text, as with a birth date. A time without a zone is none."""
    return read_text(value, found) if read_when(value) else "bad-date"
