"""What the demonstration shows of a twin that lives: a forecast with its scores, warnings, a what-if."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.calibration import Calibrated, current, dynamic_model
from gateway.home import Home
from gateway.orders import read_orders
from gateway.outlook import branch_out, keep
from gateway.sensor_feed import SOURCE
from gateway.simulation import open_twin
from gateway.warnings import Assessed, attend
from security.errors import NotFhir
from twin_engine import Missing
from twin_engine.scenario import Comparison

__all__ = ["LivingPart", "live"]

_MODEL = "glucose"
_PLANS = ("60 g carbohydrate at +0min", "60 g carbohydrate at +30min")
_OUTCOMES = ("hypoglycaemia", "severe-low")
_MINUTES = 240


@dataclass(frozen=True)
class LivingPart:
    """The twin of the virtual person, and what was foreseen for it."""

    found: Calibrated
    assessed: Assessed
    tried: Comparison

    @property
    def twin(self) -> str:
        """The twin's id."""
        return self.found.twin

    def as_json(self) -> dict[str, Any]:
        """Write it with the keys that scripts rely on."""
        forecast = self.assessed.forecast
        course = forecast.courses[0]
        return {
            "model": f"{forecast.model} {forecast.version}",
            "readings": len(self.found.series.readings),
            "forecast": {
                "minutes": course.minutes[-1],
                "unit": course.unit,
                "expected": round(course.median[-1], 1),
                "from": round(course.low[-1], 1),
                "to": round(course.high[-1], 1),
                "simulated": True,
            },
            "scores": [
                {
                    "minutes": s.minutes,
                    "forecasts": s.count,
                    "rmse": round(s.rmse, 2),
                    "mae": round(s.mae, 2),
                    "crps": round(s.crps, 2),
                    "inside_90": round(s.coverage, 3),
                    "nothing_changes_rmse": round(s.persistence, 2),
                }
                for s in forecast.scores
            ],
            "days": {day: round(scores[-1].rmse, 2) for day, scores in forecast.days.items()},
            "warnings": [
                {
                    "rule": one.rule.name,
                    "probability": round(one.probability, 3),
                    "lead_minutes": one.lead_minutes,
                    "raised_from": one.evidence.threshold,
                    "false_alarms_a_day": round(one.evidence.false_alarms_a_day, 3),
                }
                for one in self.assessed.standing
            ],
            "what_if": {
                "plans": [branch.plan.title for branch in self.tried.branches],
                "ranking": list(self.tried.ranking),
                "worth": [round(b.worth.value, 3) if b.worth else None for b in self.tried.branches],
                "utility": self.tried.utility.title if self.tried.utility else None,
                "outcomes": [
                    {each.name: round(each.value, 3) for each in branch.outcomes if each.name in _OUTCOMES}
                    for branch in self.tried.branches
                ],
            },
        }


def live(home: Home) -> LivingPart:
    """Calibrate the twin of the virtual person, forecast, warn, and try what could be done about it."""
    [twin] = [each.id for each in home.store.twins() if SOURCE in each.sources]
    found = current(home, open_twin(home, twin), dynamic_model(home, _MODEL))
    if isinstance(found, Missing):
        raise NotFhir("The virtual sensor cannot be read.", hint="Please report it.", detail=found.say)
    assessed = attend(home, found)
    plans = [read_orders([order], order, found.model, found.track.at) for order in _PLANS]
    tried = branch_out(found, plans, minutes=_MINUTES)
    keep(home, found, tried)
    return LivingPart(found, assessed, tried)
