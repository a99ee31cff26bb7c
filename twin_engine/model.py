"""What a model is: the contract that a published equation and a simulated organ both keep.

A model is a value. It holds settings and no patient, so one model serves a thousand twins. It says what it needs, what
it yields, where it holds and how well it was tested; `twin_engine.run` does the rest. The first axis of each array
is the ensemble.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from mappers.facts import Coding

__all__ = ["Array", "Card", "Need", "NeedKind", "Parameter", "Prior", "Range", "TwinModel", "Yield"]

Array = npt.NDArray[np.float64]

NeedKind = Literal["measurement", "demographic", "problem", "medication", "status"]


@dataclass(frozen=True, slots=True)
class Need:
    """One question that a model asks of a patient's facts; the answer is a number.

    Parameters
    ----------
    name
        The model's word for it, unique within the model.
    unit
        UCUM unit in which the facts carry it. Questions that are answered with yes (1) or no (0) have the unit "1".
    kind
        "measurement": a quantity. "demographic": "age" in completed years, or "sex" (1 female, 0 male). "problem": is
        there such a condition? "medication": is a drug of such a class taken now? "status": a coded answer that
        `answers` turns into a number.
    bounds, why
        The least and the greatest value for which the model may be used, both included, and the reason in a sentence.
    max_age_days, age_why
        How old a fact may be (`None`: any age), and who says so: a citation, or "policy" where it is our choice.
    of
        Names of the facts, or of the medication classes, that answer; by default the name itself.
    at
        The need at whose time this one is asked ("age at the time of the creatinine"); by default the time of the
        profile.
    near
        Names of facts that come nearest where none answers; they are shown, never used.
    ever
        For a problem: a past one counts too.
    presume_absent
        For a problem that excludes a patient only if it is known: no record of it is taken as "not known", and said in
        the result.
    imputed, imputed_from
        The distribution in a population that stands in where no fact answers, and its citation; `None` where the model
        does without an answer or not at all. A result that rests on it says so.
    optional
        The model does without an answer, and uses one where there is one: it is then listed with what a result stands
        on. No yield names such a need.
    within
        Results of one time that differ by no more than this, in `unit`, are readings of one thing: their mean answers,
        and that is said. By default results of one time have to agree to their digits.
    dated
        The model takes the age of the answer, too: in days, as the input of this name with "-days" behind it.
    """

    name: str
    title: str
    unit: str
    kind: NeedKind
    bounds: tuple[float, float]
    why: str
    max_age_days: int | None = None
    age_why: str = ""
    of: tuple[str, ...] = ()
    at: str = ""
    near: tuple[str, ...] = ()
    answers: tuple[tuple[Coding, float], ...] = ()
    ever: bool = False
    presume_absent: bool = False
    imputed: Prior | None = None
    imputed_from: str = ""
    optional: bool = False
    dated: bool = False
    within: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """Name the facts that answer."""
        return self.of or (self.name,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Name what a model gets of an answer: the value, and its age where that is asked for."""
        return (self.name, f"{self.name}-days") if self.dated else (self.name,)

    @property
    def is_number(self) -> bool:
        """Tell a quantity from a question that is answered with a word."""
        return self.kind == "measurement" or (self.kind == "demographic" and self.names == ("age",))


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of a number before this patient is: a normal distribution on the scale on which it is one.

    Parameters
    ----------
    scale
        "linear", "log" (natural) or "sqrt".
    centre
        The median, in natural units.
    sd
        Standard deviation on the scale.
    drift
        Standard deviation of the random walk on the scale after one hour: how fast it changes within one patient.
    """

    scale: Literal["linear", "log", "sqrt"]
    centre: float
    sd: float
    drift: float = 0.0

    @property
    def mean(self) -> float:
        """The mean on the scale."""
        return float(self.scaled(np.asarray([self.centre]))[0])

    def scaled(self, natural: Array) -> Array:
        """Put natural values on the scale."""
        match self.scale:
            case "linear":
                return natural
            case "log":
                return np.asarray(np.log(natural))
            case "sqrt":
                return np.asarray(np.sqrt(natural))

    def natural(self, scaled: Array) -> Array:
        """Turn values on the scale into natural ones; below zero a square root is zero."""
        match self.scale:
            case "linear":
                return scaled
            case "log":
                return np.asarray(np.exp(scaled))
            case "sqrt":
                return np.asarray(np.square(np.maximum(scaled, 0.0)))

    def draw(self, members: int, rng: np.random.Generator) -> Array:
        """Draw values on the scale."""
        return np.asarray(rng.normal(self.mean, self.sd, members))

    def __str__(self) -> str:
        words = {"linear": "normal", "log": "lognormal", "sqrt": "normal in the square root"}[self.scale]
        return f"{words}, median {self.centre:g}, sd {self.sd:g}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number inside a model that can be argued about or fitted: its value, its bounds, and where it comes from.

    `prior` is the distribution that a calibration starts from; `None` where it is fixed.
    """

    name: str
    unit: str
    value: float
    bounds: tuple[float, float]
    citation: str
    prior: Prior | None = None
    title: str = ""

    @property
    def fitted_from(self) -> Prior:
        """The prior of a parameter that has one."""
        if self.prior is None:
            raise ValueError(f"{self.name} is fixed")
        return self.prior


@dataclass(frozen=True, slots=True)
class Yield:
    """One number that a model gives.

    Parameters
    ----------
    kind
        "observation": a quantity as a laboratory or a monitor would report it. "risk": a probability between 0 and 1,
        unit "1".
    needs
        Names of the needs without which this number cannot be computed. The other yields do not suffer from their
        absence.
    code
        LOINC code of an observation, where LOINC has one.
    outcome
        SNOMED CT code of what the risk is a risk of, where one code says exactly that; the title always does.
    horizon_years
        Over how many years, for a risk.
    decimals
        How many decimals may be shown. The value itself is not rounded.
    categories
        Lower bounds, highest first, with the published name of the class above each. The shown, rounded number decides.
    """

    name: str
    title: str
    kind: Literal["observation", "risk"]
    unit: str
    needs: tuple[str, ...]
    decimals: int
    reference: str
    code: Coding | None = None
    outcome: Coding | None = None
    horizon_years: float | None = None
    categories: tuple[tuple[float, str], ...] = ()

    def category(self, value: float) -> str:
        """Name the class that a value falls into, "" where the yield has no classes."""
        shown = round(value, self.decimals)
        return next((label for low, label in self.categories if shown >= low), "")


@dataclass(frozen=True, slots=True)
class Range:
    """Where a model holds, in an input or in a quantity that the model derives from its inputs, and why it stops there.

    `unit` is UCUM. `low` is included; `high` is too, unless `below` says that it is the first value outside. `yields`
    names what the range is a condition of; none means all.
    """

    name: str
    title: str
    unit: str
    low: float
    high: float
    why: str
    below: bool = False
    yields: tuple[str, ...] = ()

    def holds(self, value: float) -> bool:
        """Say whether the value is inside."""
        return self.low <= value and (value < self.high if self.below else value <= self.high)


@dataclass(frozen=True, slots=True)
class Card:
    """The evidence for a model, in plain words; an empty field is refused, "not assessed" is an answer.

    After ASME V&V 40-2018 and FDA, Assessing the Credibility of Computational Modeling and Simulation in Medical Device
    Submissions (2023): context of use, verification (is the code right?), validation (is the model right, and for
    whom?), uncertainty, limits.
    """

    context_of_use: str
    verification: str
    validation: str
    uncertainty: str
    limits: str


@dataclass(frozen=True)
class TwinModel(ABC):
    """A published, parameterised description of part of a body or a disease.

    Subclass it (or `twin_engine.equation.Equation`, which is shorter) as a frozen dataclass whose fields are settings.
    The docstring says what is assumed. All chance comes from `rng`; arrays that come in are never changed.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    title: ClassVar[str]
    citation: ClassVar[str]
    population: ClassVar[str]  # for whom it was developed and validated, in a sentence
    needs: ClassVar[tuple[Need, ...]]
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    yields: ClassVar[tuple[Yield, ...]]
    holds_for: ClassVar[tuple[Range, ...]] = ()
    valid_at: ClassVar[str] = ""  # the need whose time the results refer to; by default the time of the profile
    members: ClassVar[int] = 1  # of the ensemble of which an answer is told; more than one where something is not known
    card: ClassVar[Card]

    @property
    def settings(self) -> dict[str, str]:
        """Name the settings of this model with their values, as text."""
        told: Any = self  # a model without settings need not be a dataclass
        return {field.name: str(getattr(told, field.name)) for field in fields(told)} if is_dataclass(told) else {}

    def derive(self, inputs: Mapping[str, float]) -> Mapping[str, float]:
        """Compute the quantities between inputs and outputs that `holds_for` names, so far as the inputs allow."""
        return {}

    def remarks(self, inputs: Mapping[str, float], state: Array) -> tuple[str, ...]:
        """Say in sentences what a reader has to know of this answer besides its numbers; `state` is from `start`."""
        return ()

    @abstractmethod
    def start(self, inputs: Mapping[str, float], members: int, rng: np.random.Generator) -> Array:
        """Return the states at the start, (members, states). An input that nothing answered is absent from `inputs`."""

    def step(self, state: Array, plan: Mapping[str, float], days: float, rng: np.random.Generator) -> Array:
        """Return the states some days later under a plan. An equation knows no time between: unchanged."""
        return state

    @abstractmethod
    def observe(self, state: Array) -> Array:
        """Return what would be measured, (members, yields) in the order of `yields`.

        NaN where an absent input prevents it.
        """
