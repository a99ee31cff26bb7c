"""What a run of a model found, as values that know nothing of any FHIR version."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

import msgspec

from mappers.facts import Coding
from mappers.outbound.names import kind_of

__all__ = ["MOST_DECIMALS", "Attention", "Result", "ResultInput", "ResultOutput"]

MOST_DECIMALS = 6
"""More than any model here can stand for, and few enough that a decimal never needs an exponent (DSTU2 has none)."""


class ResultInput(msgspec.Struct, frozen=True):
    """One fact that a run used, and where it stands.

    Parameters
    ----------
    name, title
        Our word for it ("creatinine") and what a clinician calls it.
    value, unit
        As used by the model, in text; the unit is UCUM, "" for a code or a word.
    when
        When it was measured, as FHIR writes it; "" where it has no time (sex).
    reference
        The resource version that says it: relative within the EHR that is written to ("Observation/12/_history/3"), or
        an absolute URL where the fact came from another one.
    source
        Our short name of the EHR that said it.
    local
        Whether `reference` is within the EHR that is written to.
    """

    name: str
    title: str
    value: str
    unit: str
    when: str
    reference: str
    source: str
    local: bool

    @property
    def type(self) -> str:
        """Name the resource type in the reference; "" where it has none."""
        return kind_of(self.reference)

    def __str__(self) -> str:
        value = f"{self.title} {self.value} {self.unit}".strip()
        told = ", ".join(part for part in (self.when, self.source) if part)
        return f"{value} ({told})" if told else value


class ResultOutput(msgspec.Struct, frozen=True):
    """One number that a run found.

    Parameters
    ----------
    kind
        "observation" becomes an Observation, "risk" a prediction in a RiskAssessment.
    code
        What an observation is (LOINC); `None` where no code says it, then `title` alone does.
    value, unit
        UCUM unit. A risk is a probability from 0 to 1 with the unit "1".
    horizon_years, horizon_minutes
        How far ahead a risk looks, in one of the two; none of them is the rest of the life.
    outcome
        What a risk is the risk of (SNOMED CT); `None` where `title` alone says it.
    decimals
        Digits after the point as written, 0 to 6: of the value of an observation, of the percentage of a risk.
    low, high
        The middle 95 % of the simulated ensemble, in the same unit as `value` and around it; both, or none where
        nothing varies.
    rationale
        What a risk stands on beyond the result's inputs, in sentences: the numbers before and after what is tried, with
        their intervals.
    """

    name: str
    title: str
    kind: Literal["observation", "risk"]
    code: Coding | None
    value: Decimal
    unit: str
    horizon_years: int | None
    outcome: Coding | None
    decimals: int
    horizon_minutes: int | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    rationale: str = ""

    def __post_init__(self) -> None:
        told = [number for number in (self.low, self.value, self.high) if number is not None]
        if not all(number.is_finite() for number in told):
            raise ValueError("an output is a finite number, and so are the ends of its interval")
        if len(told) == 2 or told != sorted(told):
            raise ValueError("an output lies in its interval, which has two ends or is absent")
        if not 0 <= self.decimals <= MOST_DECIMALS:
            raise ValueError(f"an output has 0 to {MOST_DECIMALS} decimals")
        if self.kind == "risk" and (self.unit != "1" or not 0 <= told[0] <= told[-1] <= 1):
            raise ValueError('a risk is a probability from 0 to 1 with the unit "1"')
        if self.kind == "observation" and not self.unit:
            raise ValueError("an observation has a unit")
        if self.kind == "observation" and self.rationale:
            raise ValueError("an observation has no rationale, only a risk has one")

    @property
    def written(self) -> Decimal:
        """Round to the digits that are written, half up as laboratories do; a risk as a percentage."""
        return self._rounded(self.value)

    @property
    def interval(self) -> tuple[Decimal, Decimal] | None:
        """Round the ends of the interval like the value; `None` where nothing varies."""
        return None if self.low is None or self.high is None else (self._rounded(self.low), self._rounded(self.high))

    @property
    def unit_written(self) -> str:
        """Name the unit of what is written."""
        return "%" if self.kind == "risk" else self.unit

    def _rounded(self, number: Decimal) -> Decimal:
        scaled = number * 100 if self.kind == "risk" else number
        return scaled.quantize(Decimal(1).scaleb(-self.decimals), rounding=ROUND_HALF_UP) + 0  # -0.0 becomes 0.0


class Attention(msgspec.Struct, frozen=True):
    """A warning: what a person should look at now, and until when it means anything.

    Parameters
    ----------
    name
        Part of its name in the EHR: the same for the same warning, however often it is told.
    title, said
        A few words, and a sentence with the numbers that it stands on.
    code
        What it warns of (SNOMED CT); `None` where no code says it.
    begins, ends
        The window in which it is expected.
    """

    name: str
    title: str
    said: str
    severity: Literal["high", "moderate", "low"]
    begins: datetime
    ends: datetime
    code: Coding | None = None

    def __post_init__(self) -> None:
        if self.begins.tzinfo is None or self.ends.tzinfo is None or self.ends < self.begins:
            raise ValueError("a warning has a window of time, with zones")


class Result(msgspec.Struct, frozen=True):
    """All that one run of one model found for one twin; with a hypothesis, what would follow if something were done.

    What a plan would do is no observation of the patient: such a result has risks only, which say how large a share of
    the ensemble comes to each outcome.

    Parameters
    ----------
    model, version, title, citation, limits
        The model, and where it stops holding.
    made_at
        When the run was made, with a zone.
    valid_at
        The time that the result speaks of, as FHIR writes it: for an eGFR the time of the creatinine, for a hypothesis
        the time at which it is taken to begin. A horizon in minutes needs a time of day.
    assumptions
        What the run took for granted, a sentence each.
    run
        Hexadecimal digits that are the same for the same twin, inputs, model and hypothesis, and that a key protects.
    hypothesis
        What was tried on the model and not on the patient ("Aortic valve: Edwards Magna Ease 23 mm"); "" where the
        result is of the patient as they are.
    """

    model: str
    version: str
    title: str
    citation: str
    limits: str
    made_at: datetime
    valid_at: str
    inputs: tuple[ResultInput, ...]
    outputs: tuple[ResultOutput, ...]
    assumptions: tuple[str, ...]
    run: str
    hypothesis: str = ""

    def __post_init__(self) -> None:
        if self.made_at.tzinfo is None:
            raise ValueError("made_at has a zone")
        if not self.outputs or not self.run:
            raise ValueError("a result has outputs and the name of its run")
        names = [output.name for output in self.outputs]
        if len(set(names)) != len(names):
            raise ValueError("each output of a result has its own name")
        if self.hypothesis and self.observations:
            raise ValueError("a hypothetical result has risks only, no observations")
        if "T" not in self.valid_at and any(output.horizon_minutes is not None for output in self.outputs):
            raise ValueError("a horizon in minutes has a time of day to start from")

    @property
    def observations(self) -> tuple[ResultOutput, ...]:
        """The outputs that become Observations."""
        return tuple(output for output in self.outputs if output.kind == "observation")

    @property
    def risks(self) -> tuple[ResultOutput, ...]:
        """The outputs that become predictions of one RiskAssessment."""
        return tuple(output for output in self.outputs if output.kind == "risk")
