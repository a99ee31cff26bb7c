"""How facts, runs and their numbers are put into words, for the terminal and the page alike."""

from __future__ import annotations

from decimal import Decimal

from mappers.facts import Coding, Fact, Quantity, Value
from twin_engine import Output, Run
from twin_engine.outcome import Outcome

__all__ = [
    "not_computed",
    "not_used",
    "outcome_unit",
    "output_interval",
    "output_value",
    "said_minutes",
    "said_name",
    "said_outcome",
    "said_value",
    "short_time",
    "source_of_input",
]

_MOST_DECIMALS = 6
_UNITS = {"1": "", "a": "years", "{score}": ""}


def said_name(fact: Fact) -> str:
    """Name what a fact states, and of whom where not the patient is meant: our word, else the code's, else the code."""
    name = fact.name.replace("-", " ") or fact.code.display or fact.text or str(fact.code)
    return f"{name} ({fact.relative.display or fact.relative.code})" if fact.relative else name


def said_value(value: Value) -> str:
    """Write a value with its unit; "" where the fact itself says it."""
    match value:
        case None:
            return ""
        case Quantity():
            return f"{value.comparator}{_plain(value.value)} {_UNITS.get(value.unit, value.unit)}".strip()
        case Coding():
            return value.display or value.code
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case _:
            told = [v for v in value if v is not None]
            gaps = len(value) - len(told)
            if not told:
                return f"{gaps} gaps"
            return f"{len(told)} samples, {_plain(min(told))} to {_plain(max(told))}" + (
                f", {gaps} gaps" if gaps else ""
            )


def output_value(output: Output) -> tuple[str, str]:
    """Write a result as number and unit: a risk in percent, all else in its own unit."""
    return _shown(output, output.value), "%" if output.kind == "risk" else _UNITS.get(output.unit, output.unit)


def output_interval(output: Output) -> str:
    """Write the middle 95 % of a result in the digits and the unit of its value; "" where nothing varies."""
    if output.low is None or output.high is None:
        return ""
    return f"{_shown(output, output.low)} to {_shown(output, output.high)}"


def _shown(output: Output, number: float) -> str:
    if output.kind == "risk":
        return f"{number * 100:z.{max(output.decimals - 2, 0)}f}"
    return f"{number:z.{output.decimals}f}"


def said_outcome(outcome: Outcome) -> str:
    """Write what came of a plan, with its interval; a probability in percent."""
    if outcome.unit == "1" and outcome.low is None:
        return f"{100 * outcome.value:.0f}"
    digits = 1 if abs(outcome.value) < 100 else 0
    interval = f" ({outcome.low:.{digits}f} to {outcome.high:.{digits}f})" if outcome.low is not None else ""
    return f"{outcome.value:.{digits}f}{interval}"


def outcome_unit(outcome: Outcome) -> str:
    """Name the unit in which `said_outcome` writes it."""
    return "% of cases" if outcome.unit == "1" and outcome.low is None else outcome.unit


def said_minutes(count: float) -> str:
    """Say whole minutes."""
    return f"{count:.0f} minute" if round(count) == 1 else f"{count:.0f} minutes"


def short_time(text: str) -> str:
    """Write a FHIR date or dateTime to the minute, as its clock showed it; a partial date stays as it is."""
    return text[:16].replace("T", " ")


def not_computed(run: Run) -> list[tuple[str, str]]:
    """Gather the results that were not computed by the reason that they share."""
    shared: dict[str, list[str]] = {}
    for name, reason in run.not_computed.items():
        shared.setdefault(reason, []).append(name)
    return [(", ".join(names), reason) for reason, names in shared.items()]


_ABSENT = frozenset({"never-measured", "too-old", "after", "unproven"})


def not_used(run: Run) -> list[str]:
    """Say which facts are there and were not used, though the model could do without them: a contradiction, a bound."""
    reasons = " ".join(run.not_computed.values())
    return list(dict.fromkeys(lack.say for lack in run.lacks if lack.why not in _ABSENT and lack.say not in reasons))


def source_of_input(run: Run, name: str) -> str:
    """Say from which sources an input of a run comes, or on which ground it stands."""
    for each in run.inputs:
        if each.name == name:
            sources = sorted({source for fact in each.facts for source in fact.sources})
            return (
                ", ".join(sources)
                if sources and each.basis in ("measured", "recorded")
                else " ".join([each.basis, *sources])
            )
    return ""


def _plain(number: Decimal) -> str:
    """Write a number as it was told, but for digits that no instrument has."""
    exponent = number.as_tuple().exponent
    return f"≈{number:.4f}" if isinstance(exponent, int) and exponent < -_MOST_DECIMALS else f"{number:f}"
