"""A circulation minute by minute, under drugs, fluids, devices and procedures; what is settled is not run again.

A minute of a heart is thirty thousand steps, and a day of them would say the same thing over and over. So a heart is
run until its pressures and flow repeat, and stands still until something has changed that it would answer: its
parameters, what is done to it, the effect of a drug, or the blood in it. Whether that is so can be told from the state
alone, so that a course in two parts is the course in one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from twin_engine.circulation.body import INDEX, adult, scaled
from twin_engine.circulation.drugs import Drug, drugs, effect, under
from twin_engine.circulation.heart import ALIVE, TOLD, run, told
from twin_engine.circulation.kernel import STATES
from twin_engine.circulation.rows import read_table
from twin_engine.circulation.studies import GAINS
from twin_engine.model import Array

__all__ = ["COLUMNS", "DRUGS", "PLACE", "Given", "blank", "circulation_of", "minute", "settled"]

DRUGS: Final[tuple[Drug, ...]] = tuple(drugs().values())

# What a member's state holds: the heart, what its beats tell, the person, and what is under way.
_HEART = (
    *("volume-left-atrium", "volume-left-ventricle", "volume-right-atrium", "volume-right-ventricle"),
    *("volume-arteries", "volume-veins", "volume-lung-arteries", "volume-lung-veins", "felt-pressure", "sympathetic"),
    *("vagal", "tone", "force", "vein-tone", "felt-filling", "pump-flow", "since-beat", "beat-length", "breath"),
    "breath-second",
)
_PERSON = ("surface", "haemoglobin", "saturation", "set-pressure", "set-filling", "gains")
_UNDER_WAY = ("valve-area", "leaking", "print", "drift", "collapsed")
COLUMNS: Final = (
    *_HEART,
    *TOLD,
    *_PERSON,
    *_UNDER_WAY,
    *(f"effect-{drug.name}" for drug in DRUGS),
)
PLACE: Final[Mapping[str, int]] = {name: place for place, name in enumerate(COLUMNS)}
_FIRST_TOLD, _FIRST_EFFECT = PLACE["heart-rate"], PLACE[f"effect-{DRUGS[0].name}"]

# How near two minutes have to be to count as the same, in the unit of what is told.
_SAME: Final = {
    **{"mean-pressure": 0.1, "cardiac-output": 0.02, "central-venous-pressure": 0.03, "wedge-pressure": 0.05},
    **{"heart-rate": 0.1, "ejection-fraction": 0.1},
}
_SAME_AT = np.array([_FIRST_TOLD + list(TOLD).index(name) for name in _SAME])
_SAME_BY = np.array(list(_SAME.values()))
_BLOOD, _EFFECT = 25.0, 0.02  # mL, and share of a drug's effect, after which a settled heart is run again (policy)
_GAINS = [INDEX[symbol] for symbol in GAINS]
_RATE_GAINS = [INDEX["G_hr_s"], INDEX["G_hr_v"]]
_FAILURE, _FAILING = "heart-failure", 40.0  # %: heart failure with reduced ejection fraction, as guidelines divide it
_WINDOW = 20.0  # s at the end of a minute over which beats are averaged: five breaths
_LEAK_HALF, _LEAK_SHARE = 25.0, 0.75  # min, and of crystalloid that leaves the vessels (specification 3.1; not fitted)
_CM_H2O = 0.7356  # mmHg
_REACHES = 0.5  # of the airway pressure reaches the pleura in a lung of normal compliance (policy)


class Given(NamedTuple):
    """What is done in one minute: doses by drug; pump speed, balloon, pacing and airway pressure; blood lost and fluid
    given (mL); the area of a new valve (cm2), 0 for none.
    """

    doses: Array
    levels: Array
    blood: float
    crystalloid: float
    valve: float


def blank(members: int, inputs: Mapping[str, float], given: Given) -> Array:
    """Return the columns of a person, (members, columns), before their heart is at rest.

    The surface is that of Mosteller (N Engl J Med 1987;317:1098). Whose ejection fraction was measured at 40 % or less
    has the reflexes of people with heart failure (docs/circulation-drugs.md).
    """
    state = np.zeros((members, len(COLUMNS)))
    state[:, PLACE["surface"]] = np.sqrt(inputs["body-height"] * inputs["body-weight"] / 3600.0)
    state[:, PLACE["haemoglobin"]] = inputs.get("haemoglobin", 0.0)
    state[:, PLACE["saturation"]] = inputs.get("oxygen-saturation", 97.0)
    failing = inputs.get("measured-ejection-fraction", 100.0) <= _FAILING
    state[:, PLACE["gains"]] = read_table("studies")["kinds"][_FAILURE]["gains"] if failing else 1.0
    state[:, _FIRST_EFFECT : _FIRST_EFFECT + len(DRUGS)] = [
        effect(drug, dose) for drug, dose in zip(DRUGS, given.doses, strict=True)
    ]
    return state


def circulation_of(state: Array, fitted: Mapping[str, Array], given: Given) -> Array:
    """Return the parameters (members, parameters) that a state is run under in a minute, without flows."""
    base = np.tile(adult(), (len(state), 1))
    for symbol, value in fitted.items():
        base[:, INDEX[symbol]] = value
    made = scaled(base, state[:, PLACE["surface"]])
    made[:, INDEX["MAP_set"]] = state[:, PLACE["set-pressure"]]
    made[:, INDEX["RAP_set"]] = state[:, PLACE["set-filling"]]
    made[:, _GAINS] *= state[:, PLACE["gains"], None]
    valve = state[:, PLACE["valve-area"]]
    made[:, INDEX["A_av"]] = np.where(valve > 0.0, valve, made[:, INDEX["A_av"]])
    made = under(made, {drug.name: state[:, _FIRST_EFFECT + place] for place, drug in enumerate(DRUGS)})
    pump, balloon, pacing, airway = given.levels
    made[:, INDEX["pump"]] = float(pump > 0.0)
    made[:, INDEX["w_pump"]] = pump
    made[:, INDEX["balloon"]] = balloon
    made[:, INDEX["Pth"]] += _REACHES * _CM_H2O * airway
    slow = made[:, INDEX["HR0"]] < pacing  # a pacemaker on demand: who beats faster keeps their rhythm
    made[slow, INDEX["HR0"]] = pacing
    made[np.ix_(slow, _RATE_GAINS)] = 0.0
    return made


def settled(state: Array, fitted: Mapping[str, Array], given: Given) -> Array:
    """Mark states as settled under what is given: (members, columns). They are changed in place and returned."""
    state[:, PLACE["print"]] = _print(state, fitted, given)
    state[:, PLACE["drift"]] = 0.0
    return state


def minute(state: Array, fitted: Mapping[str, Array], given: Given, step: float) -> None:
    """Move states (members, columns) on by a minute, in place.

    A member whose mean pressure falls below 30 mmHg has collapsed: its flow and pressures are zero from then on.
    """
    flow = _flows(state, given)
    if given.valve > 0.0:
        state[:, PLACE["valve-area"]] = given.valve
    mark = _print(state, fitted, given)
    alive = state[:, PLACE["collapsed"]] <= 0.0
    moves = alive & ((mark != state[:, PLACE["print"]]) | (state[:, PLACE["drift"]] > 1.0))
    still = alive & ~moves
    state[still, 5] += flow[still]
    if moves.any():
        made = circulation_of(state, fitted, given)[moves]
        made[:, INDEX["Q_ext"]] = flow[moves] / 60.0
        heart = np.ascontiguousarray(state[moves, :STATES])
        beats = np.nan_to_num(told(run(heart, made, 60.0, window=_WINDOW, step=step)), nan=0.0)
        before = state[np.ix_(moves, _SAME_AT)]
        state[moves, :STATES] = heart
        state[moves, _FIRST_TOLD : _FIRST_TOLD + len(TOLD)] = beats
        apart = (np.abs(state[np.ix_(moves, _SAME_AT)] - before) / _SAME_BY).max(axis=1)
        state[moves, PLACE["drift"]] = np.where(apart < 1.0, 0.0, 2.0)
        state[moves, PLACE["print"]] = mark[moves]
    low = alive & ~(state[:, PLACE["mean-pressure"]] >= ALIVE)
    state[low, _FIRST_TOLD : _FIRST_TOLD + len(TOLD)] = 0.0
    state[low | ~alive, PLACE["collapsed"]] += 1.0


def _flows(state: Array, given: Given) -> Array:
    """Move the effects of drugs and what leaks by a minute; returns the blood that comes in (mL), and counts it."""
    at = slice(_FIRST_EFFECT, _FIRST_EFFECT + len(DRUGS))
    flow = np.full(len(state), given.crystalloid - given.blood)
    before = state[:, at].copy()
    for place, drug in enumerate(DRUGS):
        column = _FIRST_EFFECT + place
        share = -np.expm1(-1.0 / drug.onset_minutes)
        state[:, column] += share * (effect(drug, given.doses[place]) - state[:, column])
        flow += drug.volume * (state[:, column] - before[:, place])
    leaking = state[:, PLACE["leaking"]]
    lost = leaking * (1.0 - 0.5 ** (1.0 / _LEAK_HALF))
    state[:, PLACE["leaking"]] = leaking - lost + _LEAK_SHARE * given.crystalloid
    flow -= lost
    changed = np.abs(state[:, at] - before).sum(axis=1) / _EFFECT + np.abs(flow) / _BLOOD
    state[:, PLACE["drift"]] += changed
    return flow


def _print(state: Array, fitted: Mapping[str, Array], given: Given) -> Array:
    """Sum up what a heart settles under, so that no other answers to it: not by chance, nor after a filter's step."""
    parts = [*fitted.values(), state[:, PLACE["valve-area"]], state[:, PLACE["set-pressure"]]]
    total = np.full(len(state), float(np.sin(given.levels * np.array([1.3, 7.1, 3.7, 9.2])).sum()))
    for place, part in enumerate(parts):
        total += np.sin(part * 1e3 * (place + 1.7))
    return total
