"""Insulin pumps: what they can give of what is asked for, in steps and up to a limit."""

from __future__ import annotations

import math
from dataclasses import dataclass

from security.errors import Misuse, UnknownName

__all__ = ["PUMPS", "Pump", "peer_pump", "pump_of"]


@dataclass(frozen=True, slots=True)
class Pump:
    """A pump. Steps and limits are of a basal rate in [iU]/h, and of one bolus in [iU].

    What is asked for is rounded to the nearest step, halves to the even one, and cut at the limit; what rounding takes
    away is not made up later.
    """

    name: str
    basal_step: float
    basal_most: float
    bolus_step: float
    bolus_most: float

    def __post_init__(self) -> None:
        told = (self.basal_step, self.basal_most, self.bolus_step, self.bolus_most)
        if not all(0.0 < each < math.inf for each in told):
            raise Misuse("Steps and limits of a pump are above zero.")

    def basal(self, rate: float) -> float:
        """Return the basal rate that flows, [iU]/h, of one that is asked for."""
        return _stepped(rate, self.basal_step, self.basal_most)

    def bolus(self, units: float) -> float:
        """Return the bolus that is given, [iU], of one that is asked for."""
        return _stepped(units, self.bolus_step, self.bolus_most)


# Insulet Omnipod and Deltec Cozmo, with the numbers of simglucose 0.2.11 (pump_params.csv) taken as [iU] and [iU]/h.
PUMPS = {
    "insulet": Pump("insulet", 0.05, 30.0, 0.05, 30.0),
    "cozmo": Pump("cozmo", 0.05, 35.0, 0.05, 75.0),
}


def pump_of(name: str) -> Pump:
    """Return a pump by its name in `PUMPS`. Raises `UnknownName`."""
    if name not in PUMPS:
        raise UnknownName("pump", name, PUMPS)
    return PUMPS[name]


def peer_pump(name: str, interval: int) -> Pump:
    """Return a pump as simglucose 0.2.11 has it, for comparison: steps of 0.05 pmol/min, limits in units a minute.

    It takes the numbers of the makers in other units, so that its pumps hardly round and never reach a limit. A bolus
    is spread there over the `interval` minutes up to the next decision and rounded minute by minute.
    """
    made = pump_of(name)
    step = 0.05 / 6000.0  # units a minute
    return Pump(
        f"{name} of simglucose", step * 60.0, made.basal_most * 60.0, step * interval, made.bolus_most * interval
    )


def _stepped(amount: float, step: float, most: float) -> float:
    if not 0.0 <= amount < math.inf:
        raise Misuse("A pump is asked for an amount of 0 or more.", detail=amount)
    return min(round(amount / step) * step, most)
