"""A model that is calibrated to a twin as it was known, with all that it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mappers.facts import Fact
from twin_engine.answer import Found
from twin_engine.backtest import Skill
from twin_engine.clock import Ahead
from twin_engine.dynamic import DynamicModel
from twin_engine.run import Input
from twin_engine.series import Series
from twin_engine.track import Track

__all__ = ["Calibrated", "said_assumptions"]


@dataclass(frozen=True)
class Calibrated:
    """The model, the twin, the track with its series and skill, and the grounds."""

    twin: str
    twin_version: int
    model: DynamicModel
    inputs: Mapping[str, float]
    grounds: tuple[Input, ...]
    assumptions: tuple[str, ...]
    series: Series
    track: Track
    skill: Skill
    facts: tuple[Fact, ...]
    at: datetime
    known: bool  # as it is known now; False for a past version of the twin
    whole: bool = True  # False where series and facts are the recent ones only

    @property
    def last(self) -> datetime:
        """When the last reading was taken that was followed; of a person at rest, the time of the calibration."""
        return self.series.readings[-1].when if self.series.readings else self.track.at


def said_assumptions(found: Mapping[str, Found], ahead: tuple[Ahead, ...] = ()) -> tuple[str, ...]:
    """Say what answers took for granted, and which clocks run ahead; each once."""
    told = dict.fromkeys(answer.assumption for answer in found.values() if answer.assumption)
    return (*told, *(each.said() for each in ahead))
