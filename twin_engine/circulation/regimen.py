"""Regimens: which drugs at which doses go together, their neighbours, and how an ensemble answers them.

An ensemble is run under a regimen from rest until its reflexes have answered, as drugs were when they were held against
published groups. All members are the same under all regimens (common random numbers), so that a difference is the
regimen's. Their reflexes are as strong as in the people in whom the drugs were tested: at rest reflexes do nothing, so
that this changes no resting heart, and with the whole of them most drugs leave their published ranges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin_engine.circulation.body import INDEX, adult, scaled
from twin_engine.circulation.drugs import drugs, effect, under
from twin_engine.circulation.formulary import Entry, formulary
from twin_engine.circulation.heart import ALIVE, run, told
from twin_engine.circulation.objective import Objective, tells
from twin_engine.circulation.resting import Resting
from twin_engine.circulation.rows import read_table
from twin_engine.circulation.studies import GAINS
from twin_engine.model import Array

__all__ = ["FEW", "LONG", "SHORT", "Regimen", "Run", "Tried", "answers", "neighbours", "regimens", "with_gains"]

Regimen = tuple[tuple[str, float], ...]
"""Drugs with their doses, by name; empty for nothing new."""

LONG: Final = (160.0, 20.0)  # s: until the reflexes have answered, and over which beats are averaged; as `drugs`
SHORT: Final = (60.0, 12.0)  # s: within 0.9 mmHg of wedge pressure and 3 of mean pressure, for looking around only
FEW: Final = 16
_TOGETHER = 128  # hearts that are run in one call


@dataclass(frozen=True, slots=True)
class Run:
    """Which members are run, and how long (s): until they have settled, and while they are watched."""

    members: NDArray[np.int64]
    settling: float
    window: float

    @classmethod
    def some(cls, resting: Resting) -> Run:
        """Return a short run of few members, evenly from all of them."""
        few = min(FEW, resting.members)
        return cls(np.arange(few, dtype=np.int64) * resting.members // few, *SHORT)

    @classmethod
    def all(cls, resting: Resting) -> Run:
        """Return the whole run of all members."""
        return cls(np.arange(resting.members, dtype=np.int64), *LONG)


@dataclass(frozen=True, slots=True)
class Tried:
    """How members answered a regimen: what they tell, what each costs, who lives, and who keeps each bound."""

    regimen: Regimen
    values: Mapping[str, Array]
    cost: Array
    alive: NDArray[np.bool_]
    kept: NDArray[np.bool_]

    @property
    def share(self) -> float:
        """Return the share of the members that live and keep all bounds."""
        return float(self.kept.mean())

    @property
    def collapsed(self) -> float:
        """Return the share of the members whose circulation collapsed, or gave no number."""
        return float((~self.alive).mean())

    def feasible(self, share: float) -> bool:
        """Say whether nobody collapses, and at least this share of the members keeps all bounds."""
        return self.collapsed == 0.0 and self.share >= share

    @property
    def expected(self) -> float:
        """Return the mean cost; infinite where a member collapsed."""
        return float(self.cost.mean())


def with_gains(resting: Resting, kind: str | None) -> Resting:
    """Return the hearts with reflexes as strong as in people of a kind (`tables/studies.toml`)."""
    if kind is None:
        return resting
    parameters, columns = resting.parameters.copy(), [INDEX[symbol] for symbol in GAINS]
    whole = scaled(adult()[None], resting.surface)[0, columns]
    parameters[:, columns] = whole * read_table("studies")["kinds"][kind]["gains"]
    return Resting(resting.hearts, parameters, resting.beats, resting.surface)


def regimens(entries: Sequence[Entry], largest: int, *, coarse: bool) -> Iterator[Regimen]:
    """Yield all regimens of up to so many drugs, never two of a class nor two that are not combined.

    With `coarse`, two or more drugs have half the usual dose and the usual one each.
    """
    for size in range(1, largest + 1):
        for chosen in combinations(entries, size):
            if any(_apart(one, other) for one, other in combinations(chosen, 2)):
                continue
            ladders = [_coarse(entry) if coarse and size > 1 else entry.doses for entry in chosen]
            for doses in product(*ladders):
                yield tuple(zip((entry.drug for entry in chosen), doses, strict=True))


def neighbours(regimen: Regimen, entries: Sequence[Entry], largest: int) -> list[Regimen]:
    """Return the regimens that are one step away: one dose a step up or down, or one up and another down.

    No dose is the lowest step, so that a drug is added, left out, or given for another.
    """
    given = dict(regimen)
    ladders = [(0.0, *entry.doses) for entry in entries]
    at = [ladder.index(given.get(entry.drug, 0.0)) for entry, ladder in zip(entries, ladders, strict=True)]
    places = range(len(entries))
    moves = [{place: step} for place in places for step in (1, -1)]
    moves += [{up: 1, down: -1} for up in places for down in places if up != down]
    found = []
    for move in moves:
        to = [step + move.get(place, 0) for place, step in enumerate(at)]
        if not all(0 <= step < len(ladder) for step, ladder in zip(to, ladders, strict=True)):
            continue
        chosen = [(entry, ladder[step]) for entry, ladder, step in zip(entries, ladders, to, strict=True) if step]
        if 0 < len(chosen) <= largest and not any(_apart(a, b) for (a, _), (b, _) in combinations(chosen, 2)):
            found.append(tuple((entry.drug, dose) for entry, dose in chosen))
    return found


def answers(
    resting: Resting,
    wanted: Sequence[Regimen],
    how: Run,
    objective: Objective,
    seen: Callable[[int], None] | None = None,
) -> list[Tried]:
    """Run members under each regimen; `seen` is told how many regimens were run since it was last told."""
    each = max(1, _TOGETHER // len(how.members))
    found: list[Tried] = []
    for first in range(0, len(wanted), each):
        part = wanted[first : first + each]
        beats = _run(resting, part, how)
        count = len(how.members)
        found += [
            _tried(regimen, beats[i * count : (i + 1) * count], resting.surface, objective)
            for i, regimen in enumerate(part)
        ]
        if seen is not None:
            seen(len(part))
    return found


def _run(resting: Resting, part: Sequence[Regimen], how: Run) -> Array:
    hearts = np.tile(resting.hearts[how.members], (len(part), 1))
    parameters = []
    for place, regimen in enumerate(part):
        effects = {name: float(effect(drugs()[name], dose)) for name, dose in regimen}
        parameters.append(under(resting.parameters[how.members], effects))
        block = slice(place * len(how.members), (place + 1) * len(how.members))
        hearts[block, 5] += sum(drugs()[name].volume * size for name, size in effects.items())
    made = np.concatenate(parameters)
    run(hearts, made, how.settling)
    return told(run(hearts, made, how.window, window=how.window))


def _tried(regimen: Regimen, beats: Array, surface: float, objective: Objective) -> Tried:
    values = tells(beats, surface)
    finite = np.isfinite(beats).all(axis=1)
    alive = finite & (values["mean-pressure"] >= ALIVE)
    kept = alive.copy()
    for bound in objective.bounds:
        kept &= bound.holds(values[bound.quantity])
    doses = sum(dose / drugs()[name].usual for name, dose in regimen)
    with np.errstate(invalid="ignore"):
        cost = np.where(alive, objective.cost(values, len(regimen), doses), np.inf)
    return Tried(regimen, values, cost, alive, kept)


def _apart(one: Entry, other: Entry) -> bool:
    return one.class_ == other.class_ or formulary().why_apart(one.class_, other.class_) is not None


def _coarse(entry: Entry) -> tuple[float, ...]:
    usual = drugs()[entry.drug].usual
    near = {min(entry.doses, key=lambda dose, aim=aim: abs(dose - aim)) for aim in (usual / 2.0, usual)}  # type: ignore[misc]
    return tuple(sorted(near))
