"""Series: SampledData, evenly spaced numbers in one text; what the device could not tell is a gap."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Final

from mappers.analytes import Analyte, step_to
from mappers.codes import Concept
from mappers.elements import number, objects
from mappers.facts import Quantity
from mappers.resources.answer import Answer
from mappers.resources.quantity import measured
from mappers.units import Step, convert, units_of

__all__ = ["read_series"]

GAPS: Final = frozenset({"E", "L", "U"})  # FHIR R4 SampledData.data: error, below and above the limits of detection


def read_series(value: Any, found: Concept) -> Answer | str:
    """Read SampledData of one dimension: value = origin + sample * factor, converted to the canonical unit.

    Samples that cannot be are gaps, and the answer says so ("implausible"); the others count.
    """
    analytes = measured(found)
    if isinstance(analytes, str):
        return analytes
    data = next(iter(objects(value)), {})
    origin = next(iter(objects(data.get("origin"))), {})
    zero, period, factor = number(origin.get("value")), number(data.get("period")), number(data.get("factor", 1))
    samples = _samples(data.get("data"))
    if (
        zero is None
        or period is None
        or period <= 0
        or factor is None
        or data.get("dimensions") != 1
        or samples is None
    ):
        return "bad-value"
    code, words = units_of(origin)
    reason = ""
    for analyte, coding in analytes:
        step = step_to(analyte, code, words)
        if isinstance(step, Step):
            original = None if step.places == 0 else Quantity(zero, code or words)
            values, problem = _values(samples, zero, factor, step, analyte)
            return Answer(analyte.name, coding, values, original, period, problem)
        reason = reason or step
    return reason


def _samples(data: Any) -> list[Decimal | None] | None:
    """Read the text of the samples, gaps as `None`; `None` for all of it where one is no number."""
    if not isinstance(data, str) or not data.strip():
        return None
    samples: list[Decimal | None] = []
    for word in data.split():
        if word in GAPS:
            samples.append(None)
            continue
        try:
            sample = number(Decimal(word))
        except InvalidOperation:
            return None
        if sample is None:
            return None
        samples.append(sample)
    return samples


def _values(
    samples: list[Decimal | None], zero: Decimal, factor: Decimal, step: Step, analyte: Analyte
) -> tuple[tuple[Decimal | None, ...], str]:
    values: list[Decimal | None] = []
    problem = ""
    for sample in samples:
        new = None
        if sample is not None:
            told = zero + sample * factor
            new = told if step.places == 0 else convert(told, step)
            if not analyte.low <= new <= analyte.high:
                new, problem = None, "implausible"
        values.append(new)
    return tuple(values), problem
