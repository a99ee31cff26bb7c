"""Series: SampledData, evenly spaced numbers in one text; what the device could not tell is a gap."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from mappers.analytes import Analyte, step_to
from mappers.codes import Concept
from mappers.elements import number, objects
from mappers.facts import Quantity
from mappers.resources.answer import Answer
from mappers.resources.quantity import measured
from mappers.units import Step, convert, units_of
from mappers.waveform import GAPS, count_samples, stretch_of, thin

__all__ = ["read_series"]


def read_series(value: Any, found: Concept) -> Answer | str:
    """Read SampledData of one dimension: value = origin + sample * factor, converted to the canonical unit.

    Samples that cannot be are gaps, and the answer says so ("implausible"); the others count. Those beyond the limits
    of detection are gaps as well, with the flag "beyond-detection". A long series is thinned (`mappers.waveform`), with
    the flag "thinned" and a note of how; its spacing is then that of the samples that were kept.
    """
    analytes = measured(found)
    if isinstance(analytes, str):
        return analytes
    data = next(iter(objects(value)), {})
    origin = next(iter(objects(data.get("origin"))), {})
    zero, period, factor = number(origin.get("value")), number(data.get("period")), number(data.get("factor", 1))
    told = data["data"] if isinstance(data.get("data"), str) else ""
    count = count_samples(told)
    if not count or not factor or zero is None or period is None or period <= 0 or data.get("dimensions") != 1:
        return "bad-value"
    code, words = units_of(origin)
    reason = ""
    for analyte, coding in analytes:
        step = step_to(analyte, code, words)
        if not isinstance(step, Step):
            reason = reason or step
            continue
        scale = _Scale(zero, factor, step, analyte)
        stretch = stretch_of(count, float(period))
        kept = thin(told, stretch, low=scale.low, high=scale.high, fits=scale.fits) if stretch else told.split()
        values = scale.read(kept) if kept is not None else None
        if values is None:
            return "bad-value"
        flags, note = ("beyond-detection",) * ("L" in told or "U" in told), ""
        if stretch:
            flags = ("thinned", *flags)
            note = f"Thinned: of each {stretch} samples, {period:f} ms apart, the least and the greatest are kept."
            period = period * stretch / 2
        if any(each is not None and analyte.is_unusual(each) for each in values):
            flags = (*flags, "unusual")
        original = None if step.places == 0 else Quantity(zero, code or words)
        problem = "implausible" if scale.impossible else ""
        return Answer(analyte.name, coding, values, original, period, problem, flags=flags, note=note)
    return reason


class _Scale:
    """From samples as they are told to the canonical unit; `impossible` says whether one was seen that cannot be."""

    def __init__(self, zero: Decimal, factor: Decimal, step: Step, analyte: Analyte) -> None:
        self._zero, self._factor, self._step, self._analyte = zero, factor, step, analyte
        ends = sorted(
            (float((bound - step.offset) / step.slope) - float(zero)) / float(factor)
            for bound in (Fraction(analyte.low), Fraction(analyte.high))
        )
        self.low, self.high = ends
        self.impossible = False

    def fits(self, word: str) -> bool:
        """Say whether a sample can be."""
        value = self._value(word)
        if value is None:  # a number that no instrument gives
            self.impossible = True
            return False
        return self._can_be(value)

    def read(self, words: list[str]) -> tuple[Decimal | None, ...] | None:
        """Read samples, gaps as `None`; `None` for all of it where one is no number."""
        values: list[Decimal | None] = []
        for word in words:
            if word in GAPS:
                values.append(None)
                continue
            value = self._value(word)
            if value is None:
                return None
            values.append(value if self._can_be(value) else None)
        return tuple(values)

    def _value(self, word: str) -> Decimal | None:
        try:
            sample = number(Decimal(word))
        except InvalidOperation:
            return None
        if sample is None:
            return None
        told = self._zero + sample * self._factor
        return told if self._step.places == 0 else convert(told, self._step)

    def _can_be(self, value: Decimal) -> bool:
        holds = self._analyte.low <= value <= self._analyte.high
        self.impossible |= not holds
        return holds
