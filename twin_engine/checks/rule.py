"""The rules of the contract: what each one keeps, and what to do where it is broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from twin_engine.model import TwinModel

__all__ = ["RULES", "Broken", "Finding", "Rule", "findings"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule keeps, and what the author of a model does who broke it; sentences."""

    keeps: str
    do: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One way in which a model breaks the contract: whose, which rule (stable), what was seen, what to do."""

    model: str
    rule: str
    says: str
    do: str

    def __str__(self) -> str:
        return f"{self.model}: {self.says} {self.do}"


Broken = Iterator[tuple[str, str]]
"""What a check yields: the name of the rule, and what it saw in a sentence."""

RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        # What is written.
        "identity": Rule(
            "name, version, title, citation, population, card, needs and yields are there",
            "Write it as an attribute of the class.",
        ),
        "assumptions": Rule(
            "the docstring says what is assumed", 'Write a sentence with "assumes" into the docstring of the class.'
        ),
        "card": Rule("each field of the card has words", 'Say what was done; "not assessed" is an answer.'),
        "names": Rule("names are lower-case words joined by hyphens, and none is used twice", "Rename it."),
        "units": Rule("each unit is UCUM", "Look the unit up at ucum.org; upper and lower case count."),
        "citations": Rule(
            "each number that can be argued about says where it comes from",
            'Cite the source, or write "policy" where it is your choice.',
        ),
        "needs": Rule(
            "a need has bounds and a reason, and a population that stands in is inside them",
            "Correct the need.",
        ),
        "yields": Rule(
            "a yield has a title and known needs; a risk has the unit 1 and a horizon", "Correct the yield."
        ),
        "parameters": Rule("the value of a parameter is inside its bounds", "Correct the value or the bounds."),
        "priors": Rule(
            "a prior has a width above zero, its centre inside the bounds, and at most a twentieth outside them",
            "Correct the prior or the bounds of the parameter.",
        ),
        "valid-at": Rule(
            "the results are valid at a need that is asked", "Name a need in `valid_at`, or leave it out."
        ),
        "ranges": Rule("what `holds_for` limits is a need or derived", "Return it from `derive`, or correct the name."),
        "states": Rule("a state has a title, bounds and a noise of zero or more", "Correct the state."),
        "plan": Rule(
            "a plan input has finite bounds with a reason, its resting value inside, a kind that its group has, and no "
            "delay below zero",
            "Correct the plan input.",
        ),
        "channels": Rule(
            "a channel has an error above zero and bounds, and stands for a yield of its name and unit",
            "Correct the channel, or add the yield that it stands for.",
        ),
        "clock": Rule(
            "`substeps` is a setting, and forecasts have whole minutes",
            "Keep `substeps: int` a field of the frozen dataclass, at least 1; spacing and horizon are whole minutes.",
        ),
        # What is computed.
        "shape": Rule("arrays have the shape that the contract says", "The first axis is the ensemble."),
        "seed": Rule("the same seed gives the same bits", "Take all chance from the `rng` that is handed in."),
        "untouched": Rule("an array that is handed in stays as it is", "Copy it before you write to it."),
        "members": Rule(
            "a member goes the same way alone and in company", "Compute along the first axis, one member a row."
        ),
        "finite": Rule(
            "inside the stated ranges all numbers are finite, or the plan is refused",
            "Narrow the ranges or the plan's bounds, or mend the formula.",
        ),
        "probability": Rule("a risk is between 0 and 1", "Narrow the ranges, or mend the formula."),
        "refusal": Rule(
            "what is outside a need's bounds is refused, and the middle is computed", "Correct the bounds."
        ),
        # What moves.
        "state-bounds": Rule(
            "states stay inside their bounds, at rest and under a light plan",
            "Widen the bounds to what the model can do, or mend `rest` or `trace`.",
        ),
        "parameter-bounds": Rule(
            "parameters are handed on inside their bounds, and `trace` leaves them alone",
            "Use `natural` and `join` of DynamicModel.",
        ),
        "measure": Rule("what `trace` observes last is what `measure` tells of its end", "Use `measure` in `trace`."),
        "anchor": Rule(
            "`anchor` moves what a channel tells towards the value", "Move the state that the channel measures."
        ),
        "split": Rule(
            "a course in two parts is the course in one", "Keep all that the next minute needs in the states."
        ),
        "time-step": Rule(
            "half the step changes what is measured by less than half of its error, and half of that by less still",
            "Raise `substeps`, or use a method of higher order.",
        ),
        "plan-refusal": Rule(
            "a plan outside its bounds is refused, and the bounds themselves are taken", "Mend the bounds."
        ),
    }
)


def findings(model: TwinModel, broken: Broken) -> tuple[Finding, ...]:
    """Make findings of what a check saw. `model` may lack all but its class."""
    name = str(getattr(model, "name", "") or type(model).__name__)
    return tuple(Finding(name, rule, says, RULES[rule].do) for rule, says in broken)
