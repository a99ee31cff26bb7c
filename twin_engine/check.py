"""What each model has to keep; outside packages run the same checks on theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import numpy as np

from mappers.concepts import classes_of
from mappers.facts import Coding, Fact, Kind, Origin, Quantity
from mappers.when import When
from twin_engine.answer import Found
from twin_engine.model import Array, Need, TwinModel
from twin_engine.profile import Profile
from twin_engine.run import Run, simulate

__all__ = ["check_model", "example_profile"]

NOON = datetime(2024, 6, 15, 12, tzinfo=UTC)
CLOSED = frozenset({"condition", "medication"})
MEMBERS = 3
DRUGS = ("atorvastatin", "lisinopril")  # one of each class that our tables know
CORNERS = 256  # combinations of extreme inputs that are tried; the first of a model with very many inputs

KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# The grammar of UCUM (section "syntax rules"), without its table of unit atoms: an exponent, an annotation, terms by .
# and /.
ATOM = r"(?:10[*^][+-]?\d+|\d+|(?:[A-Za-z%'\"]|\[[A-Za-z0-9_'\"./]+\])+(?:[+-]?\d+)?)"
UCUM = re.compile(
    rf"/?(?:{ATOM}(?:\{{[^{{}}]*\}})?|\{{[^{{}}]*\}})(?:[./](?:{ATOM}(?:\{{[^{{}}]*\}})?|\{{[^{{}}]*\}}))*"
)


def check_model(model: TwinModel) -> tuple[str, ...]:
    """Return what is wrong with a model, in sentences; nothing where it keeps the contract.

    Checked are: names, units, citations and the card; that the docstring says what is assumed; that the same seed gives
    the same bits; that arrays handed in stay as they are; that members do not see each other; that all outputs are
    finite, and risks between 0 and 1, at the corners of the stated ranges; and that a value outside a range is refused.
    """
    # Numbers mean nothing while the words are wrong, and refusals nothing while the numbers are.
    return tuple(_words(model)) or tuple(_numbers(model)) or tuple(_refusals(model))


def example_profile(model: TwinModel, **values: float) -> Profile:
    """Make the facts of a person who answers each need of a model: with the values given by need, else from mid-range.

    For tests. Names of needs are written with underscores. Yes and no are 1 and 0; lists count as whole.
    """
    given = {name.replace("_", "-"): value for name, value in values.items()}
    facts: dict[str, Fact] = {}
    for need in sorted(
        model.needs, key=lambda need: need.name in given
    ):  # what is given is written last, over the rest
        fact = _fact(need, given.get(need.name, _middle(need)))
        if fact and (need.name in given or fact.name not in facts):
            facts[fact.name] = fact
    return Profile(tuple(facts.values()), NOON, CLOSED)


def _words(model: TwinModel) -> Iterator[str]:
    for text in ("name", "version", "title", "citation", "population", "card", "needs", "yields"):
        if not getattr(model, text, None):
            yield f"The model has no {text}."
            return
    if not KEBAB.fullmatch(model.name):
        yield "The name is lower-case words joined by hyphens."
    if "assume" not in (type(model).__doc__ or "").lower():
        yield "The docstring does not say what is assumed."
    for field in fields(model.card):
        if not getattr(model.card, field.name).strip():
            yield f'The card says nothing about {field.name}; "not assessed" would be an answer.'
    needs = [need.name for need in model.needs]
    names = needs + [y.name for y in model.yields] + [parameter.name for parameter in model.parameters]
    yield from (
        f'The name "{name}" is not lower-case words joined by hyphens.' for name in names if not KEBAB.fullmatch(name)
    )
    yield from (f'The name "{name}" is used twice.' for name in {n for n in names if names.count(n) > 1})
    for what, unit in _units(model):
        if not UCUM.fullmatch(unit):
            yield f"The unit of {what} is not UCUM: {unit!r}."
    for need in model.needs:
        if not need.bounds[0] <= need.bounds[1] or not need.why:
            yield f"The need {need.name} has no bounds, or does not say why."
        if need.max_age_days is not None and not need.age_why:
            yield f"The need {need.name} does not say who limits the age of its facts."
        if need.at and need.at not in needs[: needs.index(need.name)]:
            yield f"The need {need.name} is asked at {need.at}, which does not stand before it."
    for wanted in model.yields:
        if unknown := set(wanted.needs) - set(needs):
            yield f"The yield {wanted.name} needs what the model does not ask: {', '.join(sorted(unknown))}."
        if wanted.kind == "risk" and (wanted.unit != "1" or not wanted.horizon_years):
            yield f'The risk {wanted.name} has the unit "1" and a horizon.'
        if not wanted.reference or not wanted.title:
            yield f"The yield {wanted.name} has no title or no reference."
    for parameter in model.parameters:
        low, high = parameter.bounds
        if not (low <= parameter.value <= high and parameter.citation):
            yield f"The parameter {parameter.name} is outside its bounds, or has no citation."
    if model.valid_at and model.valid_at not in needs:
        yield f"The results are valid at {model.valid_at}, which the model does not ask."


def _numbers(model: TwinModel) -> Iterator[str]:
    for inputs in _corners(model):
        observed = _observe(model, inputs, MEMBERS, seed=1)
        if observed.shape != (MEMBERS, len(model.yields)):
            yield f"observe() gives {observed.shape}, not (members, yields)."
            return
        if not np.array_equal(observed, _observe(model, inputs, MEMBERS, seed=1), equal_nan=True):
            yield "The same seed gives other bits."
            return
        derived = {**inputs, **model.derive(inputs)}
        for column, wanted in enumerate(model.yields):
            limits = [limit for limit in model.holds_for if not limit.yields or wanted.name in limit.yields]
            if unknown := [limit.name for limit in limits if limit.name not in derived]:
                yield f"holds_for names {unknown[0]}, which is neither a need nor derived."
                return
            if not all(limit.holds(derived[limit.name]) for limit in limits):
                continue
            values = observed[:, column]
            if not np.isfinite(values).all():
                yield f"{wanted.name} is not finite inside the stated range: {inputs}."
                return
            if wanted.kind == "risk" and not ((values >= 0.0) & (values <= 1.0)).all():
                yield f"{wanted.name} is no probability inside the stated range: {inputs}."
                return
    yield from _members(model)


def _members(model: TwinModel) -> Iterator[str]:
    """Check that each member is on its own, and that states handed in are not written to."""
    inputs = {need.name: _middle(need) for need in model.needs}
    state = model.start(inputs, MEMBERS, np.random.default_rng(1))
    if state.ndim != 2 or len(state) != MEMBERS:
        yield f"start() gives {state.shape}, not (members, states)."
        return
    kept = state.copy()
    together = model.observe(state)
    alone = np.vstack([model.observe(state[i : i + 1]) for i in range(MEMBERS)])
    if not np.allclose(together, alone, rtol=1e-12, atol=0.0, equal_nan=True):
        yield "observe() mixes the members of the ensemble."
    later = model.step(state, {}, 1.0, np.random.default_rng(2))
    if later.shape != kept.shape:
        yield f"step() gives {later.shape}, not the shape of the state."
    if not np.array_equal(later, model.step(kept.copy(), {}, 1.0, np.random.default_rng(2)), equal_nan=True):
        yield "step() gives other bits with the same seed."
    if not np.array_equal(state, kept, equal_nan=True):
        yield "A state that was handed in has changed."


def _refusals(model: TwinModel) -> Iterator[str]:
    """Check that the stated ranges are kept where facts come in: computed inside, refused just outside."""
    inside = simulate(model, example_profile(model))
    if not isinstance(inside, Run):
        yield f"No output is computed from the middle of the stated ranges: {' '.join(inside.say)}"
        return
    for need in model.needs:
        for value in _outside(need):
            profile = example_profile(model, **{need.name.replace("-", "_"): value})
            answer = profile.find(need)
            if isinstance(answer, Found):
                yield f"The need {need.name} takes {value:g}, which is outside its bounds."


def _corners(model: TwinModel) -> Iterator[dict[str, float]]:
    """Combine the ends of the ranges; all of them where there are few, else a fixed spread."""
    ends = [tuple(dict.fromkeys(need.bounds)) for need in model.needs]
    total = int(np.prod([len(end) for end in ends], dtype=np.float64))
    stride = max(1, total // CORNERS)
    stride += 1 - stride % 2  # odd, so that each end of each range is met
    for number, values in enumerate(product(*ends)):
        if number % stride == 0:
            yield dict(zip((need.name for need in model.needs), values, strict=True))


def _observe(model: TwinModel, inputs: Mapping[str, float], members: int, seed: int) -> Array:
    return model.observe(model.start(inputs, members, np.random.default_rng(seed)))


def _units(model: TwinModel) -> Iterator[tuple[str, str]]:
    yield from ((need.name, need.unit) for need in model.needs)
    yield from ((parameter.name, parameter.unit) for parameter in model.parameters)
    yield from ((wanted.name, wanted.unit) for wanted in model.yields)
    yield from ((limit.name, limit.unit) for limit in model.holds_for)


def _middle(need: Need) -> float:
    """Choose an ordinary value: no for a question, else the middle, by ratio where all values are positive."""
    low, high = need.bounds
    if not need.is_number:
        return low
    middle = (low * high) ** 0.5 if low > 0.0 else (low + high) / 2.0
    return float(round(middle)) if need.kind == "demographic" else middle


def _outside(need: Need) -> Iterator[float]:
    """Choose values just outside: half a per mille of the width, a whole year for an age, yes for an exclusion."""
    low, high = need.bounds
    if need.kind in {"problem", "medication"}:
        yield from (value for value in (1.0,) if value > high)
    elif need.kind == "demographic" and need.is_number:
        yield from (value for value in (low - 1.0, high + 1.0) if value >= 0.0)
    elif need.kind == "measurement":
        margin = (high - low) / 2000.0
        yield from (low - margin, high + margin)


def _fact(need: Need, value: float) -> Fact | None:
    """Make the fact that answers a need with a value; none where absence is the answer."""
    name, when = need.names[0], _when(NOON - timedelta(hours=1))
    match need.kind:
        case "measurement":
            quantity = Quantity(Decimal(repr(value)), need.unit)
            return _make("measurement", name, quantity, when, "final")
        case "status":
            code = next((code for code, number in need.answers if number == value), Coding("", ""))
            return _make("measurement", name, code, when, "final")
        case "problem":
            return _make("condition", name, None, when, "active") if value else None
        case "medication":
            drug = next((drug for drug in DRUGS if classes_of(drug) & frozenset(need.names)), name)
            return _make("medication", drug, None, when, "active") if value else None
        case "demographic" if name == "sex":
            return _make("demographic", "sex", "female" if value else "male", None, "")
        case "demographic":
            return _make("demographic", "birth-date", f"{NOON.year - int(value):04d}-01-01", None, "")


def _make(kind: Kind, name: str, value: Quantity | Coding | str | None, when: When | None, status: str) -> Fact:
    origin = Origin("example", kind, name)
    return Fact(kind, name, Coding("", ""), value, when, status, origin, "example")


def _when(instant: datetime) -> When:
    return When(instant, instant, instant.isoformat(), "second")
