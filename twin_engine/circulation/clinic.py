"""What a clinic measured of a heart at rest: which facts count, how far each may be off, and how it ages.

A reading is of the day on which it was taken. What it tells of today is blurred by what has changed since, as by a
random walk: `yearly` is the spread after a year. All spreads are policy; where a paper gave a feeling for one, it is
named (read in abstracts, or from memory).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import hypot, sqrt
from typing import Final

from twin_engine.model import Need

__all__ = ["NEEDED", "NEEDS", "READINGS", "Reading", "departs", "expects_filling", "fresh", "readings_of"]

_YEAR = 365.25
_MEASURED = "measured-"


@dataclass(frozen=True, slots=True)
class Reading:
    """One kind of reading: the fact and the yield that it is of, its unit, how far it may be off, and how it ages."""

    name: str
    title: str
    unit: str
    sd: float
    yearly: float
    bounds: tuple[float, float]
    days: int
    why: str
    needed: bool = False

    @property
    def need(self) -> Need:
        """The question to a patient's facts."""
        return Need(
            _MEASURED + self.name,
            f"{self.title}, measured",
            self.unit,
            "measurement",
            self.bounds,
            "Policy: outside, a reading is wrong or nobody at rest is alive.",
            self.days,
            "policy",
            of=(self.name,),
            optional=not self.needed,
            dated=True,
            within=2.0 * self.sd,
        )

    def spread(self, days: float) -> float:
        """Return the standard deviation of a reading that is so many days old."""
        return hypot(self.sd, self.yearly * sqrt(max(days, 0.0) / _YEAR))


_ECHO, _CATHETER = 1100, 400  # days: an echo of the last three years, a catheter of the last one

READINGS: Final = (
    Reading("heart-rate", "Heart rate", "/min", 3.0, 8.0, (25.0, 220.0), 400, "counted at rest"),
    Reading("systolic-pressure", "Systolic pressure", "mm[Hg]", 5.0, 12.0, (50.0, 260.0), 400, "a cuff", True),
    Reading("diastolic-pressure", "Diastolic pressure", "mm[Hg]", 5.0, 8.0, (25.0, 160.0), 400, "a cuff", True),
    Reading("mean-pressure", "Mean pressure", "mm[Hg]", 4.0, 9.0, (35.0, 200.0), 30, "a cuff or a line"),
    Reading("ejection-fraction", "Ejection fraction", "%", 5.0, 5.0, (8.0, 85.0), _ECHO, "two readers of an echo"),
    Reading("end-diastolic-volume", "End-diastolic volume", "mL", 12.0, 15.0, (35.0, 500.0), _ECHO, "as above"),
    Reading("end-systolic-volume", "End-systolic volume", "mL", 10.0, 13.0, (8.0, 450.0), _ECHO, "as above"),
    Reading("aortic-valve-area", "Aortic valve area", "cm2", 0.15, 0.15, (0.3, 6.0), _ECHO, "stenosis grows by 0.1"),
    Reading("aortic-mean-gradient", "Aortic mean gradient", "mm[Hg]", 4.0, 7.0, (0.5, 120.0), _ECHO, "as above"),
    Reading("cardiac-output", "Cardiac output", "L/min", 0.5, 0.8, (1.2, 15.0), _CATHETER, "thermodilution, 10 %"),
    Reading("wedge-pressure", "Wedge pressure", "mm[Hg]", 3.0, 5.0, (0.5, 50.0), _CATHETER, "a catheter"),
    Reading("mean-pulmonary-pressure", "Mean pulmonary pressure", "mm[Hg]", 3.0, 6.0, (5.0, 90.0), _CATHETER, "same"),
    Reading("central-venous-pressure", "Central venous pressure", "mm[Hg]", 2.0, 4.0, (-5.0, 35.0), _CATHETER, "same"),
)
"""All kinds of readings. Spreads are those of the specification (1.9) where it tells them."""

NEEDED: Final = tuple(reading.need.name for reading in READINGS if reading.needed)

_PEPTIDES: Final = {"bnp": (35.0, 400.0), "nt-probnp": (125.0, 900.0)}  # pg/mL, see `expects_filling`

_DEPARTS: Final = {
    "atrial-fibrillation": "Atrial fibrillation is on record: this circulation has a regular rhythm.",
    "mitral-regurgitation": "Mitral regurgitation is on record: the valves of this circulation do not leak.",
    "aortic-regurgitation": "Aortic regurgitation is on record: the valves of this circulation do not leak.",
    "septic-shock": "Septic shock is on record: these reflexes are of somebody who lives with such pressures.",
    "dialysis": "Dialysis is on record: volume and pressures depend on the day.",
}

NEEDS: Final = (
    *(reading.need for reading in READINGS),
    *(
        Need(name, title, "pg/mL", "measurement", (0.0, 1e5), "Policy.", 90, "policy", optional=True)
        for name, title in (("bnp", "BNP"), ("nt-probnp", "NT-proBNP"))
    ),
    *(
        Need(name, name.replace("-", " ").capitalize(), "1", "problem", (0.0, 1.0), "Told, where it is.", optional=True)
        for name in _DEPARTS
    ),
)


def readings_of(inputs: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Return the readings among answers to `NEEDS`: by yield, the value and its standard deviation today."""
    found = {}
    for reading in READINGS:
        name = _MEASURED + reading.name
        if name in inputs:
            found[reading.name] = (inputs[name], reading.spread(inputs.get(f"{name}-days", 0.0)))
    return found


def fresh(
    before: Mapping[str, float], inputs: Mapping[str, float], days: float
) -> dict[str, tuple[float, float]] | None:
    """Return the readings that were taken since the answers of `before`, which are `days` old.

    `None` where there are none, or where one that was known then has gone, or has become another.
    """
    told, found = readings_of(inputs), {}
    if not readings_of(before).keys() <= told.keys():
        return None
    for name in told:
        key = _MEASURED + name
        age, value = inputs.get(f"{key}-days", 0.0), inputs[key]
        is_same = before.get(key) == value and abs(before.get(f"{key}-days", 0.0) + days - age) <= 1.0  # whole days
        if is_same:
            continue
        if age > days:
            return None
        found[name] = told[name]
    return found or None


def departs(inputs: Mapping[str, float]) -> Iterator[str]:
    """Say where a known problem is one that the model does not have."""
    yield from (said for name, said in _DEPARTS.items() if inputs.get(name, 0.0) > 0.0)


def expects_filling(inputs: Mapping[str, float], wedge: float) -> Iterator[str]:
    """Say where a natriuretic peptide speaks against a simulated wedge pressure, mmHg.

    Peptides are held against the answer and not fitted to: in one patient they follow filling weakly (r = 0.21 between
    BNP and diastolic pulmonary pressure in 609 pairs; J Card Fail 2020;26(10 Suppl):S18, abstract). Below the first
    limit heart failure is unlikely in those who come by themselves, above the second it is likely (2021 ESC heart
    failure guideline, Eur Heart J 2021;42:3599, and Maisel 2008; from memory).
    """
    for name, (low, high) in _PEPTIDES.items():
        told = inputs.get(name)
        title = {"bnp": "BNP", "nt-probnp": "NT-proBNP"}[name]
        if told is not None and told > high and wedge < 12.0:
            yield f"{title} of {told:.0f} pg/mL speaks for a higher filling than the simulated {wedge:.0f} mmHg."
        if told is not None and told < low and wedge > 20.0:
            yield f"{title} of {told:.0f} pg/mL speaks for a lower filling than the simulated {wedge:.0f} mmHg."
