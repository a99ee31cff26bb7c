"""Virtual patients of the UVA/Padova model: one body's parameters, its rest, and many of them simulated at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from security.errors import Misuse
from twin_engine.model import Array
from twin_engine.physiology.uva_padova_kernel import PARAMETERS, STATES, Schedule, follow
from twin_engine.refusal import refuse_diverged

__all__ = ["VirtualPatient", "at_rest", "basal_of", "schedule_of", "simulate_patients", "tissue_at"]

_ENOUGH = 2e4  # mg/kg: no glucose in plasma is that high; there is less made than lost


@dataclass(frozen=True, slots=True)
class VirtualPatient:
    """The parameters of one body, in the units of the papers; by default the mean of the 30 published ones.

    `weight` is in kg, `ib` (insulin in plasma at rest) in pmol/L. `uva_padova.UvaPadova.parameters` tells title, unit
    and range of each. m4 is 0.4 m2 and m30 is 1.5 m1 (hepatic extraction of 0.6 at rest), as in each published subject.
    """

    weight: float = 56.544
    ib: float = 106.60
    kabs: float = 0.22691
    kmax: float = 0.039617
    kmin: float = 0.0095738
    b: float = 0.77106
    d: float = 0.16803
    vg: float = 1.8519
    vi: float = 0.053086
    vmx: float = 0.068882
    km0: float = 232.47
    k1: float = 0.065676
    k2: float = 0.12159
    p2u: float = 0.040340
    m1: float = 0.20357
    m2: float = 0.26625
    ki: float = 0.0098761
    kp1: float = 5.5631
    kp2: float = 0.0058339
    kp3: float = 0.011267
    f: float = 0.9
    ke1: float = 0.0005
    ke2: float = 339.0
    fsnc: float = 1.0
    vm0: float = 5.7255
    kd: float = 0.016233
    ksc: float = 0.090073
    ka1: float = 0.0037600
    ka2: float = 0.017433

    def __post_init__(self) -> None:
        wrong = [name for name, value in zip(PARAMETERS, astuple(self), strict=True) if not 0.0 < value < np.inf]
        if wrong or not self.b < 1.0:
            raise Misuse(
                f"A virtual patient has parameters above zero, and b below 1; not so: {', '.join(wrong) or 'b'}.",
                hint="Take them from a published patient.",
            )

    @classmethod
    def published(cls, row: Mapping[str, float]) -> VirtualPatient:
        """Make a patient of a row under the published names (BW, Ib, Km0, ...); what else stands there is left."""
        known = {"weight" if name == "BW" else name.lower(): float(row[name]) for name in row if _is_ours(name)}
        return cls(**known)

    @property
    def vector(self) -> Array:
        """The parameters in the order of `PARAMETERS`."""
        return np.array(astuple(self), dtype=np.float64)

    @property
    def basal(self) -> float:
        """The basal rate that keeps insulin in plasma at `ib`, in [iU]/h."""
        return float(basal_of(self.vector[None, :])[0])


def _is_ours(name: str) -> bool:
    return name == "BW" or (name.lower() in PARAMETERS and name != "weight")


def _by_name(parameters: Array) -> dict[str, Array]:
    return dict(zip(PARAMETERS, np.asarray(parameters, dtype=np.float64).T, strict=True))


def basal_of(parameters: Array) -> Array:
    """Return for each patient the basal rate that keeps insulin in plasma at `ib`, (patients,), in [iU]/h.

    What flows in at rest is what the periphery clears: (m2 + m4) Ipb - m1 m2 / (m1 + m30) Ipb, which is m2 Ib Vi.
    """
    p = _by_name(parameters)
    return np.asarray(p["m2"] * p["ib"] * p["vi"] * p["weight"] * (60.0 / 6000.0))


def tissue_at(parameters: Array, plasma: Array, action: Array) -> Array:
    """Return the glucose in tissue (mg/kg) that stands in balance with one in plasma, under an insulin action."""
    p = _by_name(parameters)
    linear = p["k2"] * p["km0"] + p["vm0"] + p["vmx"] * action - p["k1"] * plasma
    root = np.sqrt(np.square(linear) + 4.0 * p["k1"] * p["k2"] * p["km0"] * plasma)
    return np.asarray((root - linear) / (2.0 * p["k2"]))


def at_rest(parameters: Array, rates: Array) -> Array:
    """Return the states (patients, 17) of patients who have been on a basal rate ([iU]/h) for long and ate nothing.

    The steady state is computed: insulin in closed form, glucose by halving. Where the rate is so high that no glucose
    above zero is at rest, it is 0.
    """
    p = _by_name(parameters)
    given = np.asarray(rates) * 6000.0 / 60.0 / p["weight"]
    state = np.zeros((len(parameters), STATES))
    insulin = given / p["m2"] / p["vi"]
    state[:, 5], state[:, 9] = insulin * p["vi"], p["m2"] * insulin * p["vi"] / (2.5 * p["m1"])
    state[:, 6] = insulin - p["ib"]
    state[:, 7] = state[:, 8] = insulin
    state[:, 10] = given / (p["ka1"] + p["kd"])
    state[:, 11] = p["kd"] * state[:, 10] / p["ka2"]
    low, high = np.zeros(len(parameters)), np.full(len(parameters), _ENOUGH)
    for _ in range(80):
        plasma = (low + high) / 2.0
        tissue = tissue_at(parameters, plasma, state[:, 6])
        made = np.maximum(0.0, p["kp1"] - p["kp2"] * plasma - p["kp3"] * insulin)
        lost = p["fsnc"] + p["ke1"] * np.maximum(0.0, plasma - p["ke2"]) + p["k1"] * plasma - p["k2"] * tissue
        rises = made > lost
        low, high = np.where(rises, plasma, low), np.where(rises, high, plasma)
    plasma = np.where(low > 0.0, (low + high) / 2.0, 0.0)
    state[:, 3] = state[:, 12] = plasma
    state[:, 4] = tissue_at(parameters, plasma, state[:, 6])
    return state


def schedule_of(events: Sequence[Iterable[tuple[int, float, float]]], rates: Array) -> Schedule:
    """Lay out what happens to patients: for each a list of (minute, grams announced, units injected), and a basal rate.

    What is announced is put on the plate and eaten at 5 g a minute at most, from that minute on. A list need not be in
    order; a minute before 0 is refused.
    """
    first, minutes, grams, units = [0], [], [], []
    for mine in events:
        for minute, eaten, injected in ((0, 0.0, 0.0), *sorted(mine)):
            if not (minute >= 0 and 0.0 <= eaten < np.inf and 0.0 <= injected < np.inf):
                raise Misuse(
                    "What happens to a virtual patient has a minute from 0 on and amounts of 0 or more.",
                    detail=(minute, eaten, injected),
                )
            minutes.append(minute)
            grams.append(float(eaten))
            units.append(float(injected))
        first.append(len(minutes))
    bounds = np.array(first, dtype=np.int64)
    return Schedule(
        bounds[:-1],
        bounds[1:],
        np.array(minutes, dtype=np.int64),
        np.array(grams),
        np.array(units),
        np.repeat(np.asarray(rates, dtype=np.float64), np.diff(bounds)),
    )


def simulate_patients(
    parameters: Array, states: Array, schedule: Schedule, minutes: int, *, every: int = 1, substeps: int = 2
) -> tuple[Array, Array]:
    """Simulate many virtual patients: their states at the end, and glucose under the skin in mg/dL.

    Parameters
    ----------
    parameters
        (patients, 29), rows as `VirtualPatient.vector`. They hold for the whole call: where a day has other ones,
        simulate day by day and hand on the states.
    states
        (patients, 17), of `at_rest` or of an earlier call; not changed.

    Returns
    -------
    tuple
        (patients, 17), and (patients, minutes // every): column i is at the end of minute (i + 1) * every.

    Raises
    ------
    Diverged
        Where a state or a parameter is no number.
    """
    after, seen = follow(parameters, states, schedule, minutes, every, substeps, 1)
    refuse_diverged("uva-padova", after, seen.swapaxes(0, 1), every, detail=parameters)
    return after, seen[:, :, 0]
