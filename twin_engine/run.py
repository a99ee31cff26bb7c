"""One run of a model on one patient: reproducible from its seed, with all that it rests on.

A run and a missing answer hold patient data; both can be written to JSON and read back with msgspec.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Literal

import msgspec
import numpy as np

from mappers.facts import Coding, Fact
from mappers.when import When
from twin_engine.answer import Found, Lack
from twin_engine.model import Array, Range, TwinModel, Yield
from twin_engine.profile import Profile

__all__ = [
    "Input",
    "Missing",
    "Output",
    "Run",
    "Start",
    "ask",
    "beyond",
    "inputs_of",
    "missing",
    "rests_on",
    "simulate",
    "values_of",
]

Start = Callable[[TwinModel, Mapping[str, float], int, int], Array]
"""Gives the ensemble that a model starts with: of the model, what answers its needs, how many members, and a seed."""


class Input(msgspec.Struct, frozen=True, omit_defaults=True):
    """One value that a run used: how a person would say it, since when, on which ground, and the facts it rests on."""

    name: str
    title: str
    value: float
    said: str
    unit: str
    basis: str
    when: str = ""
    age_days: int | None = None
    facts: tuple[Fact, ...] = ()


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """One number that a run gives.

    `low` and `high` bound the middle 95 % of the ensemble, and are absent where nothing varies.
    A risk is a probability between 0 and 1. `value` is not rounded; show `decimals` of it, for a risk in percent two
    less.
    """

    name: str
    title: str
    kind: Literal["observation", "risk"]
    value: float
    unit: str
    decimals: int
    reference: str
    low: float | None = None
    high: float | None = None
    code: Coding | None = None
    outcome: Coding | None = None
    horizon_years: float | None = None
    category: str = ""


class Run(msgspec.Struct, frozen=True, tag="run"):
    """What a model says about a patient at a time.

    `valid_at` is the time that the outputs refer to, as precisely as it is known. `not_computed` gives for each output
    that is absent a sentence why, and `lacks` what would have to be known. `settings` are the model's, as text.
    `remarks` are what the model has to say besides its numbers.
    """

    model: str
    title: str
    version: str
    settings: dict[str, str]
    at: datetime
    valid_at: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    not_computed: dict[str, str]
    lacks: tuple[Lack, ...]
    assumptions: tuple[str, ...]
    limits: str
    citation: str
    seed: int
    members: int
    remarks: tuple[str, ...] = ()


class Missing(msgspec.Struct, frozen=True, tag="missing"):
    """No number at all, and why: an answer, not a failure. `say` has one sentence a reason."""

    model: str
    title: str
    version: str
    at: datetime
    lacks: tuple[Lack, ...]
    not_computed: dict[str, str]
    nearest: tuple[Fact, ...]
    say: tuple[str, ...]


def _start(model: TwinModel, inputs: Mapping[str, float], members: int, seed: int) -> Array:
    return model.start(inputs, members, np.random.default_rng(seed))


def simulate(
    model: TwinModel, profile: Profile, members: int | None = None, seed: int = 0, start: Start = _start
) -> Run | Missing:
    """Run a model on a patient: the outputs that the facts allow, and for each other one the reason.

    The same model, profile, seed and number of members (by default the model's) give the same bits. `start` is for a
    caller that keeps ensembles.
    """
    if dead := profile.died():
        when = f" ({dead.when})" if dead.when else ""
        return missing(
            model, profile, {}, {}, (f"The patient is recorded as dead{when}: there is nothing to forecast.",)
        )
    found, lacks = ask(model, profile)
    inputs = values_of(model, found)
    derived = model.derive(inputs)
    sentences = {y.name: tuple(_why_not(model, y, {**inputs, **derived}, lacks)) for y in model.yields}
    reasons = {name: " ".join(said) for name, said in sentences.items() if said}
    if len(reasons) == len(model.yields):
        return missing(model, profile, lacks, reasons, tuple(dict.fromkeys(chain.from_iterable(sentences.values()))))
    members = model.members if members is None else members
    state = start(model, inputs, members, seed)
    observed = model.observe(state)
    anchor = found[model.valid_at].when if model.valid_at else None
    used = _used(model, reasons)
    assumed = (a.assumption for name, a in found.items() if name in used and a.assumption)
    return Run(
        model=model.name,
        title=model.title,
        version=model.version,
        settings=model.settings,
        at=profile.at,
        valid_at=str(anchor) if anchor else profile.at.isoformat(),
        inputs=tuple(inputs_of(model, found, used, derived)),
        outputs=tuple(
            _output(y, observed[:, column]) for column, y in enumerate(model.yields) if y.name not in reasons
        ),
        not_computed=reasons,
        lacks=tuple(dict.fromkeys(lacks.values())),
        assumptions=tuple(dict.fromkeys(assumed)),
        limits=model.card.limits,
        citation=model.citation,
        seed=seed,
        members=members,
        remarks=model.remarks(inputs, state),
    )


def rests_on(model: TwinModel, profile: Profile) -> tuple[Input, ...]:
    """List what a run would stand on, without making it; nothing where it would give no number at all."""
    if profile.died():
        return ()
    found, lacks = ask(model, profile)
    inputs = values_of(model, found)
    derived = model.derive(inputs)
    refused = {y.name for y in model.yields if any(_why_not(model, y, {**inputs, **derived}, lacks))}
    if len(refused) == len(model.yields):
        return ()
    return tuple(inputs_of(model, found, _used(model, refused), derived))


def _used(model: TwinModel, refused: Container[str]) -> set[str]:
    """Name the needs on which those yields hang that are not refused, and the optional ones."""
    used = {name for y in model.yields if y.name not in refused for name in y.needs}
    return used | {need.name for need in model.needs if need.optional}


def ask(model: TwinModel, profile: Profile) -> tuple[dict[str, Found], dict[str, Lack]]:
    """Answer each need. One that is asked at the time of another lacks what that other lacks."""
    found: dict[str, Found] = {}
    lacks: dict[str, Lack] = {}
    for need in model.needs:
        when: When | None = None
        if need.at in lacks:
            lacks[need.name] = lacks[need.at]
            continue
        if need.at:
            when = found[need.at].when
        answer = profile.find(need, when)
        if isinstance(answer, Found):
            found[need.name] = answer
        else:
            lacks[need.name] = answer
    return found, lacks


def values_of(model: TwinModel, found: Mapping[str, Found]) -> dict[str, float]:
    """Return what a model takes of the answers to its needs: their values, and the ages that it asks for."""
    ages = {
        f"{need.name}-days": float(found[need.name].age_days or 0)
        for need in model.needs
        if need.dated and need.name in found
    }
    return {name: answer.value for name, answer in found.items()} | ages


def beyond(model: TwinModel, inputs: Mapping[str, float]) -> tuple[str, ...]:
    """Say in sentences where inputs, or what follows from them, lie outside a range that all yields hang on."""
    known = {**inputs, **model.derive(inputs)}
    return tuple(
        _outside(limit, known[limit.name])
        for limit in model.holds_for
        if not limit.yields and limit.name in known and not limit.holds(known[limit.name])
    )


def _outside(limit: Range, value: float) -> str:
    return f"{limit.title} is {value:.4g} {limit.unit}. {limit.why}"


def _why_not(
    model: TwinModel, wanted: Yield, quantities: Mapping[str, float], lacks: Mapping[str, Lack]
) -> Iterator[str]:
    """Say in sentences why a yield is not computed; none where it is."""
    yield from dict.fromkeys(lacks[name].say for name in wanted.needs if name in lacks)
    for limit in model.holds_for:
        value = quantities.get(limit.name)
        concerns = not limit.yields or wanted.name in limit.yields
        if concerns and value is not None and not limit.holds(value):
            yield _outside(limit, value)


def inputs_of(
    model: TwinModel, found: Mapping[str, Found], used: set[str], derived: Mapping[str, float]
) -> Iterator[Input]:
    """List what the computed yields rest on, then the quantities in between."""
    for need in model.needs:
        if need.name in used and (answer := found.get(need.name)):
            when = str(answer.when) if answer.when else ""
            yield Input(
                need.name,
                need.title,
                answer.value,
                answer.said,
                answer.unit,
                answer.basis,
                when,
                answer.age_days,
                answer.facts,
            )
    known = {y.name for y in model.yields} | set(found)
    for limit in model.holds_for:
        if limit.name in derived and limit.name not in known:
            value = derived[limit.name]
            yield Input(limit.name, limit.title, value, f"{value:.4g}", limit.unit, "derived")


def _output(wanted: Yield, values: Array) -> Output:
    """Summarise the ensemble of one yield by its median and its middle 95 %."""
    value = float(np.median(values))
    if not np.isfinite(value):
        raise ArithmeticError(f"The model gave no finite {wanted.name} from inputs inside its range.")
    low, high = (float(q) for q in np.quantile(values, (0.025, 0.975)))
    varies = bool(np.ptp(values) > 0.0)
    return Output(
        name=wanted.name,
        title=wanted.title,
        kind=wanted.kind,
        value=value,
        unit=wanted.unit,
        decimals=wanted.decimals,
        reference=wanted.reference,
        low=low if varies else None,
        high=high if varies else None,
        code=wanted.code,
        outcome=wanted.outcome,
        horizon_years=wanted.horizon_years,
        category=wanted.category(value),
    )


def missing(
    model: TwinModel, profile: Profile, lacks: Mapping[str, Lack], reasons: dict[str, str], say: tuple[str, ...]
) -> Missing:
    """Say that there is no number at all, and why."""
    nearest = tuple(dict.fromkeys(fact for lack in lacks.values() for fact in lack.nearest))
    return Missing(
        model.name, model.title, model.version, profile.at, tuple(dict.fromkeys(lacks.values())), reasons, nearest, say
    )
