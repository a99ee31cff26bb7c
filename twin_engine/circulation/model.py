"""The circulation under the contract of models: personal, and moved by drugs, fluids, devices and a new valve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from security.errors import Diverged
from twin_engine.circulation.body import INDEX, adult, scaled
from twin_engine.circulation.clinic import departs, expects_filling, fresh, readings_of
from twin_engine.circulation.course import COLUMNS, DRUGS, PLACE, Given, blank, circulation_of, minute, settled
from twin_engine.circulation.heart import TOLD, at_rest
from twin_engine.circulation.kernel import STATES
from twin_engine.circulation.personal import APART, LEARNT, personal
from twin_engine.circulation.renewal import renewed
from twin_engine.circulation.words import (
    CARD,
    CHANNELS,
    CITATION,
    FITTED,
    HOLDS,
    NEEDS,
    PLAN,
    STATE_WORDS,
    SYMBOLS,
    YIELDS,
)
from twin_engine.dynamic import Channel, DynamicModel, PlanInput, State
from twin_engine.model import Array, Card, Need, Parameter, Range, Yield
from twin_engine.refusal import refuse_diverged, refuse_outside

__all__ = ["Circulation"]

_TOLD = slice(PLACE["heart-rate"], PLACE["heart-rate"] + len(TOLD))
_HUEFNER, _DISSOLVED, _TENSION = 1.34, 0.003, 90.0  # mL/g; mL/dL/mmHg; mmHg, where arterial oxygen is not known
_FEWEST = 0.03  # of the draws that have to carry the weight (policy): below, the ensemble is a few members many times
_OBSERVED = tuple(wanted.name for wanted in YIELDS)


@dataclass(frozen=True)
class Circulation(DynamicModel):
    """Heart, vessels and reflexes of one person as a closed loop of eight volumes.

    It assumes that a person at rest is where their reflexes want them; that all of the left ventricle contracts alike;
    that the rhythm is regular; and that drugs add up. Parameters are those of a body of 1.9 m2, and scale with its
    surface. What is settled is not run again (`twin_engine.circulation.course`).
    """

    name: ClassVar[str] = "circulation"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Heart and circulation"
    citation: ClassVar[str] = CITATION
    population: ClassVar[str] = (
        "Adults. Drugs were held against published groups with chronic heart failure, norepinephrine against shock."
    )
    needs: ClassVar[tuple[Need, ...]] = NEEDS
    states: ClassVar[tuple[State, ...]] = STATE_WORDS
    parameters: ClassVar[tuple[Parameter, ...]] = FITTED
    plan: ClassVar[tuple[PlanInput, ...]] = PLAN
    channels: ClassVar[tuple[Channel, ...]] = CHANNELS
    yields: ClassVar[tuple[Yield, ...]] = YIELDS
    holds_for: ClassVar[tuple[Range, ...]] = HOLDS
    card: ClassVar[Card] = CARD
    horizon_minutes: ClassVar[int] = 60
    follows: ClassVar[bool] = False
    members: ClassVar[int] = 100

    substeps: int = 30_000  # of a minute: two milliseconds

    def derive(self, inputs: Mapping[str, float]) -> Mapping[str, float]:
        """Return the pulse pressure, mmHg, where a cuff told both ends of it."""
        ends = [inputs.get(f"measured-{name}-pressure") for name in ("systolic", "diastolic")]
        return {"pulse-pressure": ends[0] - ends[1]} if ends[0] is not None and ends[1] is not None else {}

    def start(self, inputs: Mapping[str, float], members: int, rng: np.random.Generator) -> Array:
        """Return an ensemble of this person at rest, calibrated to what was measured; of anybody, where nothing was.

        Raises `Diverged` where the readings contradict each other so much that a few draws carry all of the weight:
        their intervals would be none.
        """
        readings = readings_of(inputs)
        if not readings:
            return super().start(inputs, members, rng)
        found = personal(self, inputs, readings, members=members, seed=int(rng.integers(2**62)))
        if found.share < _FEWEST:
            names = ", ".join(each.replace("-", " ") for each in found.contradicts) or "all of them together"
            raise Diverged(
                f"The readings contradict each other too much for a circulation of this person: {names}.",
                hint="Check them where they were measured; twin profile ID --model circulation shows them.",
            )
        return found.ensemble

    def renew(
        self, before: Mapping[str, float], inputs: Mapping[str, float], state: Array, days: float, seed: int
    ) -> tuple[Array, tuple[str, ...]] | None:
        """Move an ensemble on by the readings that were taken since (`twin_engine.circulation.renewal`)."""
        readings = fresh(before, inputs, days)
        if readings is None:
            return None
        found = renewed(self, inputs, state, readings, days=days, seed=seed)
        said = [f"Moved on by {len(readings)} readings ({', '.join(readings)}) from an ensemble {days:.0f} days old."]
        if found.contradicts:
            said.append(f"Not expected from it: {', '.join(found.contradicts)}; the ensemble is wider for that.")
        if found.changed:
            said.append("The readings together say that the person has changed: what was known before counts less.")
        return found.ensemble, tuple(said)

    def remarks(self, inputs: Mapping[str, float], state: Array) -> tuple[str, ...]:
        """Say what contradicts, what these readings do not tell, and under what they were taken."""
        return tuple(self._remarks(inputs, state))

    def _remarks(self, inputs: Mapping[str, float], state: Array) -> Iterator[str]:
        names, seen = [wanted.name for wanted in self.yields], self.observe(state)
        off = {}
        for name, (value, sd) in readings_of(inputs).items():
            place = names.index(name)
            near = float(np.median(seen[:, place]))
            off[self.yields[place].title] = (near - value) / sd
            if abs(near - value) > APART * sd:
                yield (
                    f"{self.yields[place].title} of {value:g} {self.yields[place].unit} contradicts the other readings "
                    f"(the nearest circulation has {near:.3g}): all intervals are wider for it."
                )
        far = sorted((title for title in off if abs(off[title]) > 1.0), key=lambda title: -abs(off[title]))
        if off and sum(each**2 for each in off.values()) > len(off) and max(map(abs, off.values())) <= APART:
            yield f"No circulation tells all of these readings; the furthest off: {', '.join(far)}."
        priors = np.array([parameter.fitted_from.sd for parameter in self.fitted])
        spread = state[:, len(self.states) :].std(axis=0) / priors
        untold = [
            parameter.title.split(", at")[0]
            for parameter, each in zip(self.fitted, spread, strict=True)
            if each > LEARNT
        ]
        if untold and len(state) > 1:
            yield f"Not told by these readings, and left as wide as in other adults: {'; '.join(untold)}."
        yield from departs(inputs)
        yield from expects_filling(inputs, float(np.median(seen[:, names.index("wedge-pressure")])))
        yield "The person was at rest when measured, and under the medicines taken then."

    def rest(self, inputs: Mapping[str, float], parameters: Array) -> Array:
        """Return the states at rest, under the drugs and settings that `inputs` tell."""
        row = np.array([inputs.get(each.name, each.resting) for each in self.plan])
        given = _given(row)
        state = blank(len(parameters), inputs, given)
        fitted = dict(zip(SYMBOLS, parameters.T, strict=True))
        made = circulation_of(state, fitted, given)
        heart, made, beats = at_rest(made, step=60.0 / self.substeps)
        state[:, :STATES], state[:, _TOLD] = heart, beats
        state[:, PLACE["set-pressure"]] = made[:, INDEX["MAP_set"]]
        state[:, PLACE["set-filling"]] = made[:, INDEX["RAP_set"]]
        return settled(state, fitted, given)

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        """Follow an ensemble. Raises `Misuse` on a plan outside the bounds, `Diverged` on what is no number."""
        refuse_outside(self, plan)
        width = len(COLUMNS)
        moved = np.array(state[:, :width])
        fitted = dict(zip(SYMBOLS, self.parameters_of(state).T, strict=True))
        seen = []
        for place, row in enumerate(plan):
            minute(moved, fitted, _given(row), 60.0 / self.substeps)
            if (place + 1) % every == 0:
                seen.append(self._told(moved, fitted))
        after = np.concatenate([moved, state[:, width:]], axis=1)
        observed = np.stack(seen) if seen else np.empty((0, len(state), len(self.channels)))
        refuse_diverged(self.name, after, observed, every, detail=(state, plan))
        return after, observed

    def measure(self, state: Array) -> Array:
        """Return what the channels would tell, (members, channels)."""
        return self._told(state, dict(zip(SYMBOLS, self.parameters_of(state).T, strict=True)))

    def _told(self, state: Array, fitted: Mapping[str, Array]) -> Array:
        columns = [
            _valve(state, fitted) if each.name == "aortic-valve-area" else state[:, PLACE[each.name]]
            for each in self.channels
        ]
        return np.stack(columns, axis=1)

    def observe(self, state: Array) -> Array:
        """Return the yields; oxygen delivery is NaN where haemoglobin is not known."""
        surface, haemoglobin = state[:, PLACE["surface"]], state[:, PLACE["haemoglobin"]]
        output = state[:, PLACE["cardiac-output"]]
        content = _HUEFNER * haemoglobin * state[:, PLACE["saturation"]] / 100.0 + _DISSOLVED * _TENSION
        derived = {
            "cardiac-index": output / surface,
            "oxygen-delivery": np.where(haemoglobin > 0.0, 10.0 * output * content, np.nan),
            "aortic-valve-area": _valve(state, dict(zip(SYMBOLS, self.parameters_of(state).T, strict=True))),
        }
        return np.stack([derived[name] if name in derived else state[:, PLACE[name]] for name in _OBSERVED], axis=1)

    def anchor(self, state: Array, channel: int, value: float) -> Array:
        """Move what one channel tells to a value; where it is heart rate, the resting rate by as much."""
        moved = state.copy()
        name = self.channels[channel].name
        if name == "aortic-valve-area":
            moved[:, PLACE["valve-area"]] = value
            return moved
        at = PLACE[name]
        if name == "heart-rate":
            low, high = self.parameters[0].bounds
            rate = self.parameters_of(state)[:, 0] * value / np.maximum(moved[:, at], 1.0)
            moved[:, len(self.states)] = np.log(np.clip(rate, low, high))
        moved[:, at] = value
        return moved


def _valve(state: Array, fitted: Mapping[str, Array]) -> Array:
    """Return the effective orifice of the aortic valve, cm2: of the new one, or the person's own."""
    base = np.tile(adult(), (len(state), 1))
    base[:, INDEX["A_av"]] = fitted["A_av"]
    own = scaled(base, state[:, PLACE["surface"]])[:, INDEX["A_av"]]
    new = state[:, PLACE["valve-area"]]
    return np.where(new > 0.0, new, own)


def _given(row: Array) -> Given:
    """Read a row of the plan."""
    told = dict(zip((each.name for each in PLAN), row, strict=True))
    return Given(
        doses=np.array([told[drug.name] for drug in DRUGS]),
        levels=np.array([told["pump-speed"], told["balloon"], told["pacing"], told["airway-pressure"]]),
        blood=float(told["bleeding"]),
        crystalloid=float(told["crystalloid"]),
        valve=float(told["aortic-valve"]),
    )
