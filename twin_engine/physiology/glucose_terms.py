"""What models of glucose have in common: what can be given, what is measured, and what a model of insulin asks."""

from __future__ import annotations

from dataclasses import replace

from twin_engine.model import Need, Yield
from twin_engine.physiology.minimal_glucose import MinimalGlucose

__all__ = ["BASAL", "BASAL_AT_REST", "BOLUS", "CARBOHYDRATE", "METER", "SENSOR", "body_weight", "glucose_yields"]

SENSOR, METER = MinimalGlucose.channels
# The minimal model delays insulin by minutes; in models with an own depot under the skin nothing is added to that.
CARBOHYDRATE = MinimalGlucose.plan[0]
BOLUS, BASAL = (replace(each, delay=0.0) for each in MinimalGlucose.plan[1:3])

BASAL_AT_REST = Need(
    name=BASAL.name,
    title="Basal insulin at rest",
    unit=BASAL.unit,
    kind="measurement",
    bounds=(0.05, 3.0),
    why="Below, type 1 diabetes is not kept at rest; above are rates that no published subject rests under.",
    max_age_days=1,
    age_why="policy: basal rates change with the hour of the day",
    of=("insulin-pump-basal",),
)


def body_weight(low: float, high: float, why: str) -> Need:
    """Ask for the body weight, within the weights that a model was made for. None is imputed."""
    return replace(MinimalGlucose.needs[0], bounds=(low, high), why=why, imputed=None, imputed_from="")


def glucose_yields(reference: str, *needs: str, interstitial: bool = True) -> tuple[Yield, ...]:
    """Tell glucose in plasma, and where a model knows it in the interstitium, in mg/dL."""
    return tuple(
        replace(each, needs=needs, reference=reference)
        for each in MinimalGlucose.yields
        if interstitial or each.name == METER.name
    )
