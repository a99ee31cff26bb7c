"""What an EHR does not take goes as something that it takes: RiskAssessment, else Observation, else DocumentReference."""

from __future__ import annotations

import msgspec

__all__ = ["StepDown"]


class StepDown(msgspec.Struct, frozen=True):
    """One step: what had to be told ("risks", "provenance"), in what it goes now, and in what it would have gone."""

    what: str
    to: str
    instead_of: str
