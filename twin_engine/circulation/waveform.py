"""Waveforms: volumes and pressures of hearts within their beats, and the heart that stands for an ensemble.

The kernel moves the hearts, a step at a time; pressures are worked out from each state by the formulas of its `_slopes`
and `_see`, from its own tables. So a waveform tells of its beats what `heart.told` tells of them (tests).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from security.errors import Misuse
from twin_engine.circulation import kernel as inner
from twin_engine.circulation.body import INDEX
from twin_engine.circulation.heart import ALIVE, STEP, TOLD, run
from twin_engine.circulation.kernel import CLOCK, F_E, STATES, V_LV, V_RV
from twin_engine.model import Array

__all__ = ["Portrait", "Waveform", "portrait", "stand_in", "waveforms"]

_LONGEST = 2.0  # s: of a beat, at the lowest rate that the kernel knows
_PHASE, _PERIOD, _COSINE = range(STATES - CLOCK, STATES - 1)
_NEAREST = ("mean-pressure", "ejection-fraction", "end-diastolic-volume", "cardiac-output")
_NORMAL = 1.4826  # standard deviations in a median absolute deviation, of a normal distribution
_CURVE = 60  # points of the end-systolic and end-diastolic relations


@dataclass(frozen=True, slots=True)
class Waveform:
    """Some whole beats of one heart, sample by sample. A collapsed heart has no samples.

    Parameters
    ----------
    seconds
        Since the state that it was run from, s; the first sample is the first of a beat.
    left_volume, right_volume
        Of the ventricles, mL.
    left_pressure, right_pressure, left_atrial_pressure, root_pressure, pulmonary_pressure
        Of the ventricles, the left atrium, the aortic root and the pulmonary artery, mmHg.
    begins
        The first sample of each beat, and the number of samples.
    end_diastole, end_systole
        Of each beat, the last sample before the ventricle contracts, and the one at which it is stiffest.
    relation
        (points, 3): a volume of the left ventricle (mL), and its pressures (mmHg) where it is stiffest and where it is
        slack, under what lies on the heart at those two moments of the first beat.
    """

    seconds: Array
    left_volume: Array
    left_pressure: Array
    root_pressure: Array
    left_atrial_pressure: Array
    right_volume: Array
    right_pressure: Array
    pulmonary_pressure: Array
    begins: tuple[int, ...]
    end_diastole: tuple[int, ...]
    end_systole: tuple[int, ...]
    relation: Array

    @property
    def collapsed(self) -> bool:
        """Say whether there is nothing to draw: no whole beats, no numbers, or a mean pressure below `ALIVE`."""
        return not (len(self.seconds) and float(self.root_pressure.mean()) >= ALIVE)

    def told(self) -> Mapping[str, float]:
        """Return means over the beats, by the names and in the units of `heart.TOLD`; none of a collapsed heart."""
        beats = [slice(*ends) for ends in pairwise(self.begins)]

        def of(extreme: Callable[[Array], Array], curve: Array) -> float:
            return float(np.mean([extreme(curve[beat]) for beat in beats]))

        if not beats:
            return {}
        large, small = of(np.max, self.left_volume), of(np.min, self.left_volume)
        return {
            "systolic-pressure": of(np.max, self.root_pressure),
            "diastolic-pressure": of(np.min, self.root_pressure),
            "mean-pressure": of(np.mean, self.root_pressure),
            "end-diastolic-volume": large,
            "end-systolic-volume": small,
            "ejection-fraction": 100.0 * (1.0 - small / large),
            "wedge-pressure": of(np.mean, self.left_atrial_pressure),
            "end-diastolic-pressure": float(self.left_pressure[list(self.end_diastole)].mean()),
        }


@dataclass(frozen=True, slots=True)
class Portrait:
    """What a picture of an ensemble shows: the heart that stands for it, some others, and how many there are."""

    stands: Waveform
    behind: tuple[Waveform, ...]
    members: int
    collapsed: int


def waveforms(hearts: Array, parameters: Array, *, beats: int = 2) -> tuple[Waveform, ...]:
    """Follow hearts (members, `STATES`) from their next beat on for so many whole ones, a sample each `heart.STEP`.

    `parameters` (members, `PARAMETERS`) as `heart.run` takes them. Nothing is changed; a heart in company gives what it
    gives alone.
    """
    state = np.array(hearts, dtype=float, order="C")
    rows = np.ascontiguousarray(parameters, dtype=float)
    seen, ended = [state.copy()], np.zeros(len(state), dtype=int)
    for _ in range(round(_LONGEST * (beats + 1) / STEP)):
        if (ended > beats).all():
            break
        run(state, rows, STEP)
        ended += state[:, _PHASE] < seen[-1][:, _PHASE]
        seen.append(state.copy())
    return tuple(_cut(each, row, beats) for each, row in zip(np.stack(seen, axis=1), rows, strict=True))


def stand_in(beats: Array) -> int:
    """Choose the member that stands for an ensemble, by what its beats tell (members, `heart.TOLD`).

    It is the one nearest the medians of mean pressure, ejection fraction, end-diastolic volume and output, each in
    median absolute deviations of its own; the first of equals. Who has collapsed is left out. Raises `Misuse` where all
    have.
    """
    alive = np.flatnonzero(_alive(beats))
    if not len(alive):
        raise Misuse("All hearts of this ensemble have collapsed; none can stand for it.", hint="Say so instead.")
    columns = beats[alive][:, [_PLACE[name] for name in _NEAREST]]
    off = columns - np.median(columns, axis=0)
    unit = _NORMAL * np.median(np.abs(off), axis=0)
    return int(alive[np.square(off / np.where(unit > 0.0, unit, 1.0)).sum(axis=1).argmin()])


def portrait(
    hearts: Array, parameters: Array, beats: Array, *, member: int | None = None, behind: int = 20
) -> Portrait:
    """Run the heart that stands for an ensemble, and some others spread evenly over it, for two beats.

    Parameters
    ----------
    hearts, parameters, beats
        As in `resting.Resting`; `beats` (members, `heart.TOLD`) tell who has collapsed. Nothing is changed.
    member
        Who stands for it; by default `stand_in`. Before and after, it is best the same one.
    behind
        How many others, at most.
    """
    alive = np.flatnonzero(_alive(beats))
    stands = (stand_in(beats) if len(alive) else 0) if member is None else member
    others = alive[alive != stands]
    spread = others[np.linspace(0, len(others) - 1, min(behind, len(others))).round().astype(int)]
    chosen = [stands, *spread.tolist()]
    state, rows = np.array(hearts[chosen], order="C"), np.ascontiguousarray(parameters[chosen])
    state[~np.isin(chosen, alive)] = np.nan  # who has collapsed is not followed, whatever a minute more would bring
    first, *rest = waveforms(state, rows)
    return Portrait(
        stands=first,
        behind=tuple(each for each in rest if not each.collapsed),
        members=len(hearts),
        collapsed=len(hearts) - len(alive),
    )


_PLACE: Final[Mapping[str, int]] = {name: place for place, name in enumerate(TOLD)}


def _alive(beats: Array) -> Array:
    return np.asarray((beats[:, _PLACE["mean-pressure"]] >= ALIVE) & np.isfinite(beats).all(axis=1))


def _cut(states: Array, row: Array, beats: int) -> Waveform:
    """Cut whole beats out of one heart's states (samples, `STATES`), and work out their pressures."""
    starts = np.flatnonzero(np.diff(states[:, _PHASE]) < 0.0) + 1
    if len(starts) <= beats or not np.isfinite(states).all():
        starts = np.zeros(1, dtype=int)  # nothing is left
    first, last = int(starts[0]), int(starts[min(beats, len(starts) - 1)])
    begins = tuple((starts[: beats + 1] - first).tolist())
    cut = states[first:last]
    stiff, pressures, relation = _pressures(cut, dict(zip(INDEX, row.tolist(), strict=True)))
    slack = np.flatnonzero(cut[:, _PHASE] < row[INDEX["avd"]])
    filled = tuple(int(slack[slack < end][-1]) for end in begins[1:])
    tight = tuple(start + int(stiff[start:end].argmax()) for start, end in pairwise(begins))
    return Waveform(
        seconds=np.asarray(np.arange(first, last) * STEP, dtype=float),
        left_volume=cut[:, V_LV],
        right_volume=cut[:, V_RV],
        **pressures,
        begins=begins,
        end_diastole=filled,
        end_systole=tight,
        relation=relation(tight[0], filled[0]) if filled else np.empty((0, 3)),
    )


def _pressures(states: Array, p: Mapping[str, float]) -> tuple[Array, dict[str, Array], Callable[[int, int], Array]]:
    """Return the ventricles' activation, pressures by name, and what tells the relations at two samples."""
    v_la, v_lv, v_ra, v_rv, v_sa, _, v_pa = states[:, :7].T
    force = 1.0 + p["reflex"] * (states[:, F_E] - 1.0)
    phase, period = states[:, _PHASE], states[:, _PERIOD]
    since = np.where(phase < p["avd"], phase - p["avd"] + period, phase - p["avd"])
    e = _curve(inner._VENTRICLE, since * inner._PER_V / (p["c2"] * np.sqrt(period)))
    a = _curve(inner._ATRIUM, phase * inner._PER_A)
    pleura = p["Pth"] - p["dPth"] * states[:, _COSINE]
    outside = pleura + _exp((v_la + v_lv + v_ra + v_rv + p["V_eff"] - p["Vp0"]) / p["phi_p"])

    def ventricle(side: str, stiff: Array | float, force: Array | float, volume: Array) -> Array:
        over = volume - p[f"V0_{side}"]
        slack = p[f"P0_{side}"] * (_exp(p[f"lam_{side}"] * over) - 1.0)
        return np.asarray(stiff * force * p[f"Ees_{side}"] * over + (1.0 - stiff) * slack)

    def relation(tight: int, filled: int) -> Array:
        volume = np.linspace(p["V0_lv"], v_lv.max(), _CURVE)
        systolic = ventricle("lv", 1.0, float(force[tight]), volume) + outside[tight]
        return np.stack([volume, systolic, ventricle("lv", 0.0, 1.0, volume) + outside[filled]], axis=1)

    left = ventricle("lv", e, force, v_lv) + outside
    arteries = (v_sa - p["V0_sa"] + np.square(1.0 - e) * p["balloon"]) / p["C_sa"]
    pressures = {
        "left_pressure": left,
        "right_pressure": ventricle("rv", e, force, v_rv) + outside,
        "left_atrial_pressure": (p["Emin_la"] + p["dE_la"] * a) * (v_la - p["V0_la"]) + outside,
        "root_pressure": arteries + p["Zc"] * _aortic_flow(left - arteries, p),
        "pulmonary_pressure": (v_pa - p["V0_pa"]) / p["C_pa"] + pleura,
    }
    return e, pressures, relation


def _aortic_flow(drop: Array, p: Mapping[str, float]) -> Array:
    """Return the flow through the aortic valve, mL/s, by the drop over it (mmHg): the kernel's `_flow`."""
    area = np.square(np.where(drop > 0.0, p["A_av"], p["EROA_av"]))
    linear = np.where(drop > 0.0, p["Rl_av"] + p["Zc"], inner._LEAK) * area
    root = np.sqrt(np.square(linear) + inner._BERNOULLI * area * np.abs(drop))
    return np.asarray(2.0 * drop * area / (linear + root + 1e-300))


def _curve(table: Array, place: Array) -> Array:
    """Read a table of the kernel between its points, as the kernel does."""
    at = np.minimum(place, inner._POINTS)
    point = at.astype(int)
    return np.asarray(table[point] + (at - point) * (table[point + 1] - table[point]))


def _exp(power: Array) -> Array:
    return np.exp(np.clip(power, -40.0, 40.0))
