"""Operating on an ensemble at rest: every member before and after a plan of operations.

What is uncertain of an operation is drawn member by member: the orifice of a labelled size, the leak left behind, the
segments that recover. A member has the same luck under every plan of the same seed, so that two plans differ by what
they are and not by chance.

After is the state in which the reflexes have answered: they defend the pressures that the person lived with before, as
the slower regulation by the kidneys does, and nothing has healed, grown or shrunk. The heart-lung machine, stunned
muscle and drugs of the first day are not in it, nor the remodelling of months.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from security.errors import Misuse
from twin_engine.circulation.body import INDEX
from twin_engine.circulation.heart import ALIVE, STEP, TOLD, run, told
from twin_engine.circulation.operated import Operated
from twin_engine.circulation.operation import Device, NewValve, Operation, Repair, Revascularisation, planned
from twin_engine.circulation.operation_table import GRADES, LEAKS, REPAIR, SEGMENT, SPREAD
from twin_engine.circulation.prostheses import Position, prosthesis
from twin_engine.circulation.regions import SEGMENTS, contracting, recovering
from twin_engine.circulation.resting import Resting
from twin_engine.model import Array

__all__ = ["operate"]

_PARTS, _PART = 20, 0.5  # what is done is done in so many parts, of so many seconds
_MINUTES, _WINDOW = 5, 20.0  # until the reflexes have answered (the slowest has 25 s); s over which beats are averaged
_MEAN, _RATE, _EJECTION = (list(TOLD).index(name) for name in ("mean-pressure", "heart-rate", "ejection-fraction"))
_VALVE: Final[dict[Position, str]] = {"aortic": "av", "mitral": "mv"}
_AFTER = (
    "After: the reflexes have answered, and defend the pressures of before. The heart-lung machine, stunned muscle and "
    "drugs of the first day are not in it, nor the remodelling of months."
)
_REVIVED = (
    "What revascularisation gives back is contradictory: series of chosen patients gained six points of ejection "
    "fraction (Bax 1999), the randomised trial of stents none over medicines (REVIVED-BCIS2 2022: -1.6 points, 95 % "
    "interval -3.7 to 0.5). Recovery takes months."
)
_ELSEWHERE = "Segments that are not told of are taken to stay as they are."
_PUMP = "The pump is that of Simaan 2009; its speeds are of no other pump."
_PACED = "The pacemaker beats on demand, atrium before ventricle; members that beat faster keep their rhythm."
_AS_TOLD = "An orifice that was told is taken as it is, without spread."


def operate(
    resting: Resting,
    plan: Sequence[Operation],
    *,
    seed: int = 0,
    obese: bool = False,
    step: float = STEP,
) -> Operated:
    """Do a plan of operations on every member of an ensemble at rest.

    Parameters
    ----------
    obese
        Body mass index of 30 kg/m2 or more: mismatch has its own grades.

    Raises
    ------
    Misuse
        No operation, or two on one site; a member has no circulation before; or the segments told contradict the
        ejection fraction.
    """
    operations = planned(plan)
    if not (np.isfinite(resting.beats).all() and (resting.beats[:, _MEAN] >= ALIVE).all()):
        raise Misuse("Some members have no circulation before the operation.", hint="Calibrate again.")
    luck = _Luck(seed, resting.members)
    parameters = resting.parameters.copy()
    orifices: dict[Position, Array] = {}
    recovered = np.zeros(resting.members)
    says = [_AFTER]
    for each in sorted(
        operations, key=lambda each: not isinstance(each, Revascularisation)
    ):  # the heart that is at rest
        match each:
            case Revascularisation():
                _check(each, resting)
                recovered = recovering(each.regions, luck.normal("segments"), luck.normals("each segment"))
                parameters[:, INDEX["Ees_lv"]] = contracting(resting.hearts, parameters, recovered, step=step)
                says += [_REVIVED, _ELSEWHERE]
            case NewValve() | Repair():
                position: Position = "mitral" if isinstance(each, Repair) else each.position
                area, leak, why = _valve(each, position, luck)
                if isinstance(each, NewValve):
                    orifices[position] = area
                parameters[:, INDEX[f"A_{_VALVE[position]}"]] = area
                parameters[:, INDEX[f"EROA_{_VALVE[position]}"]] = leak
                says += why
            case Device():
                says += _device(each, parameters, resting)
    hearts, beats, collapsed = _followed(resting, parameters, step)
    return Operated(
        plan=operations,
        surface=resting.surface,
        before=_quantities(resting.beats, resting.surface),
        after=_quantities(beats, resting.surface),
        hearts=hearts,
        parameters=parameters,
        collapsed=collapsed,
        orifices=orifices,
        recovered=recovered,
        obese=obese,
        seed=seed,
        assumptions=tuple(dict.fromkeys(says)),
    )


class _Luck:
    """What chance gives each member, the same under every plan of a seed."""

    _STREAMS: Final = (
        *("aortic orifice", "mitral orifice", "aortic leak", "mitral leak", "aortic size of leak"),
        *("mitral size of leak", "segments", "each segment"),
    )

    def __init__(self, seed: int, members: int) -> None:
        self.seed, self.members = seed, members

    def _from(self, what: str) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[self.seed, self._STREAMS.index(what)]))

    def normal(self, what: str) -> Array:
        return self._from(what).standard_normal(self.members)

    def normals(self, what: str) -> Array:
        return self._from(what).standard_normal((self.members, len(SEGMENTS)))

    def share(self, what: str) -> Array:
        return self._from(what).random(self.members)


def _valve(each: NewValve | Repair, position: Position, luck: _Luck) -> tuple[Array, Array, list[str]]:
    """Return orifice and leak of each member, cm2, and what is taken for granted."""
    why: list[str] = []
    kind: Literal["surgical", "transcatheter", "repair"] | None = "repair"
    if isinstance(each, Repair):
        mean, sd = REPAIR.orifice, REPAIR.sd
        if each.orifice is None:
            why.append("The orifice of the repaired valve was not told: drawn about 2.4 cm2 (Hiraoka 2020).")
    elif each.prosthesis:
        found, size = prosthesis(position, each.prosthesis, each.size)
        mean, sd = size.area, size.sd if size.sd is not None else SPREAD * size.area
        kind = "transcatheter" if found.kind == "transcatheter" else "surgical"
        if size.sd is None:
            why.append(f"The spread of this size is not published: {100 * SPREAD:.0f} % of its orifice is taken.")
    else:
        mean, sd, kind = 0.0, 0.0, None
    area = np.full(luck.members, each.orifice or 0.0)
    if each.orifice is None:
        spread = np.log(1.0 + (sd / mean) ** 2)  # lognormal of this mean and standard deviation
        area = mean * np.exp(np.sqrt(spread) * luck.normal(f"{position} orifice") - 0.5 * spread)
    else:
        why.append(_AS_TOLD)
    if each.leak is not None:
        return area, np.full(luck.members, each.leak), why
    if kind is None:
        return area, np.zeros(luck.members), [*why, "No leak was told, and none is taken."]
    rates, grade = LEAKS[kind], GRADES[position]
    drawn, size_of = luck.share(f"{position} leak"), luck.share(f"{position} size of leak")
    low, high = (
        np.where(drawn < rates.more, grade.more[end], np.where(drawn < rates.more + rates.mild, grade.mild[end], 0.0))
        for end in (0, 1)
    )
    shares = f"{100 * rates.mild:.0f} % mild, {100 * rates.more:.1f} % more"
    other = ", as at aortic ones" if kind == "surgical" and position == "mitral" else ""
    return area, low + size_of * (high - low), [*why, f"Leak left at the {position} valve: {shares}{other}."]


def _device(each: Device, parameters: Array, resting: Resting) -> list[str]:
    """Set a device in `parameters`, in place."""
    if each.name == "pump":
        parameters[:, INDEX["pump"]], parameters[:, INDEX["w_pump"]] = 1.0, each.level
        return [_PUMP]
    if each.name == "balloon":
        parameters[:, INDEX["balloon"]] = each.level
        return ["The balloon fills in every diastole, in time."]
    slow = resting.beats[:, _RATE] < each.level
    parameters[slow, INDEX["HR0"]] = each.level
    for gain in ("G_hr_s", "G_hr_v"):
        parameters[slow, INDEX[gain]] = 0.0
    return [_PACED]


def _check(each: Revascularisation, resting: Resting) -> None:
    """Refuse segments that no ventricle with this ejection fraction has: beyond twice what the two were apart by."""
    ejected = float(np.median(resting.beats[:, _EJECTION]))
    if ejected > each.regions.highest + 2.0 * SEGMENT.sd:
        raise Misuse(
            "The segments that are told to move too little contradict the ejection fraction.",
            hint="Fewer of them, or another ejection fraction: both are of one ventricle.",
            detail=(ejected, each.regions.highest),
        )


def _followed(resting: Resting, parameters: Array, step: float) -> tuple[Array, Array, Array]:
    """Return hearts, beats and the minute of collapse of each member; beats are zero where it collapsed."""
    hearts, beats = resting.hearts.copy(), np.zeros_like(resting.beats)
    collapsed, alive = np.zeros(resting.members), np.ones(resting.members, dtype=np.bool_)
    for share in np.linspace(0.0, 1.0, _PARTS + 1)[1:]:
        run(hearts, resting.parameters + share * (parameters - resting.parameters), _PART, step=step)
    for minute in range(1, _MINUTES + 1):
        now = np.ascontiguousarray(hearts[alive])
        beats[alive] = told(run(now, np.ascontiguousarray(parameters[alive]), 60.0, window=_WINDOW, step=step))
        hearts[alive] = now
        sound = np.isfinite(beats).all(axis=1) & np.isfinite(hearts).all(axis=1) & (beats[:, _MEAN] >= ALIVE)
        collapsed[alive & ~sound] = float(minute)
        alive &= sound
        if not alive.any():
            break
    beats[~alive], hearts[~alive] = 0.0, resting.hearts[~alive]
    return hearts, beats, collapsed


def _quantities(beats: Array, surface: float) -> Array:
    index = beats[:, list(TOLD).index("cardiac-output")] / surface
    return np.concatenate([beats, index[:, None]], axis=1)
