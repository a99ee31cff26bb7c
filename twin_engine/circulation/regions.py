"""Regions of the left ventricle: the seventeen segments, how each moves, and what blood gives back to them.

The ventricle of this circulation is one chamber, so a region acts through the whole. A segment that moves normally,
less, or not at all counts with an ejection fraction of 65, 40 or 15 %, and the mean of all is the ventricle's (Lebeau
2018): that relation was seen in people at rest, with all that their circulation did about it. So a segment that moves
better by a grade adds 25/17 points to the ejection fraction, and end-systolic elastance is inverted in each member's
own loop, reflexes included, until that is so. The dead volume stays: it carries the diastolic curve, too, and in
open-chest dogs the slope falls with the ischaemic region as well as the curve moves (Kass 1992, abstract).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal

import numpy as np

from security.errors import Misuse, UnknownName
from twin_engine.circulation.body import INDEX
from twin_engine.circulation.heart import STEP, TOLD, run, told
from twin_engine.circulation.operation_table import SEGMENT
from twin_engine.model import Array

__all__ = ["PLACES", "SEGMENTS", "Motion", "Regions", "contracting", "read_regions", "recovering"]

Motion = Literal["normal", "viable", "hypokinetic viable", "akinetic viable", "scar"]

SEGMENTS: Final = (
    *("basal anterior", "basal anteroseptal", "basal inferoseptal", "basal inferior", "basal inferolateral"),
    *("basal anterolateral", "mid anterior", "mid anteroseptal", "mid inferoseptal", "mid inferior"),
    *("mid inferolateral", "mid anterolateral", "apical anterior", "apical septal", "apical inferior"),
    *("apical lateral", "apex"),
)
"""The segments 1 to 17 (Cerqueira MD, et al. Circulation 2002;105:539-542)."""

PLACES: Final[Mapping[str, tuple[int, ...]]] = {
    **{name: (number,) for number, name in enumerate(SEGMENTS, 1)},
    "anterior": (1, 7, 13),
    "septal": (2, 3, 8, 9, 14),
    "inferior": (4, 10, 15),
    "lateral": (5, 6, 11, 12, 16),
    "lad": (1, 2, 7, 8, 13, 14, 17),
    "rca": (3, 4, 9, 10, 15),
    "lcx": (5, 6, 11, 12, 16),
}
"""Walls, and the usual territories of the coronary arteries, as segments."""

_RECOVERS: Final[Mapping[Motion, float]] = {
    "viable": SEGMENT.viable_recovers,
    "hypokinetic viable": SEGMENT.hypokinetic_recovers,
    "akinetic viable": SEGMENT.akinetic_recovers,
}
_LEAST: Final[Mapping[Motion, float]] = {  # what a segment contributes at most before, %
    "normal": SEGMENT.normal,
    "viable": SEGMENT.hypokinetic,
    "hypokinetic viable": SEGMENT.hypokinetic,
    "akinetic viable": SEGMENT.akinetic,
    "scar": SEGMENT.akinetic,
}
_GRADE: Final = (SEGMENT.normal - SEGMENT.hypokinetic) / len(SEGMENTS)  # points
_FACTORS: Final = np.array([1.0, 1.2, 1.5, 2.2, 4.0])
_SETTLING, _WINDOW = 120.0, 20.0  # s: until the reflexes have answered; and over which beats are averaged
_EJECTION: Final = list(TOLD).index("ejection-fraction")
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Regions:
    """Segments that get blood again, by number with how each moves; 0 is one of which only the number is told."""

    segments: tuple[tuple[int, Motion], ...]

    @property
    def words(self) -> str:
        """Write them as they are read."""
        known = [f"segment {number} {motion}" for number, motion in self.segments if number]
        counted = Counter(motion for number, motion in self.segments if not number)
        return ", ".join([*known, *(f"{count} {motion} segments" for motion, count in counted.items())])

    @property
    def viable(self) -> int:
        """How many may recover."""
        return sum(motion in _RECOVERS for _, motion in self.segments)

    @property
    def highest(self) -> float:
        """The highest ejection fraction, %, that goes with these segments, were all others normal."""
        told = sum(_LEAST[motion] for _, motion in self.segments)
        return (told + SEGMENT.normal * (len(SEGMENTS) - len(self.segments))) / len(SEGMENTS)


def read_regions(text: str) -> Regions:
    """Read regions: walls, territories, segments or their number, each with how it moves; "viable" where not told.

    "anterior, septal", "LAD akinetic viable, segment 4 scar", "6 viable segments".

    Raises
    ------
    UnknownName
        No such wall, territory or segment.
    Misuse
        Nothing told; a segment twice, or more than seventeen; one that does not move and may be viable or scar.
    """
    found: list[tuple[int, Motion]] = []
    for part in text.casefold().replace(" and ", ",").split(","):
        words = part.split()
        motion = _motion([word for word in words if word in _MOVES])
        place = [word for word in words if word not in _MOVES and word not in ("segment", "segments")]
        number = int(place[0]) if len(place) == 1 and place[0].isdecimal() else 0
        if number and words[0] == "segment" and number <= len(SEGMENTS):
            found.append((number, motion))
        elif number and words[-1] in ("segment", "segments"):
            found += [(0, motion)] * min(number, len(SEGMENTS) + 1)
        elif not place:
            raise Misuse("A part of the revascularisation names no region.", hint=_SAY, detail=part)
        elif (name := " ".join(place)) in PLACES:
            found += [(each, motion) for each in PLACES[name]]
        else:
            raise UnknownName("region of the left ventricle", name, PLACES)
    numbers = [number for number, _ in found if number]
    if len(set(numbers)) < len(numbers) or len(found) > len(SEGMENTS):
        raise Misuse("A segment is told twice, or more segments than there are (17).", hint=_SAY)
    return Regions(tuple(found))


_MOVES = ("normal", "viable", "hypokinetic", "akinetic", "scar")
_SAY = 'Say "anterior, septal", "LAD akinetic viable, segment 4 scar", or "6 viable segments".'


def _motion(words: list[str]) -> Motion:
    match sorted(set(words)):
        case [] | ["viable"]:
            return "viable"
        case ["hypokinetic", "viable"]:
            return "hypokinetic viable"
        case ["akinetic", "viable"]:
            return "akinetic viable"
        case ["scar"] | ["akinetic", "scar"]:
            return "scar"
        case ["normal"]:
            return "normal"
    raise Misuse(
        "How a region moves is not clear: a segment that moves too little is viable, or it is scar.",
        hint='Say "hypokinetic viable", "akinetic viable", "viable", "scar" or "normal".',
    )


def recovering(regions: Regions, shared: Array, own: Array) -> Array:
    """Return how many segments move better by a grade, (members,), by normal numbers that are drawn.

    `shared` is (members,), `own` (members, 17): a segment has the same luck in every plan. What they share makes
    viability a property of the patient as well as of the segment.
    """
    count = np.zeros(len(shared))
    places = iter(place for place in range(len(SEGMENTS)) if place + 1 not in dict(regions.segments))
    for number, motion in regions.segments:
        place = number - 1 if number else next(places)
        if motion in _RECOVERS:
            luck = np.sqrt(SEGMENT.alike) * shared + np.sqrt(1.0 - SEGMENT.alike) * own[:, place]
            count += luck < _NORMAL.inv_cdf(_RECOVERS[motion])
    return count


def contracting(hearts: Array, parameters: Array, recovered: Array, *, step: float = STEP) -> Array:
    """Return the elastance, mmHg/mL, at which each heart ejects more by its recovered segments, (members,).

    Never beyond the ejection fraction of a ventricle whose segments all move normally, nor beyond four times as strong.
    `hearts` (members, states) are at rest under `parameters`; the reflexes have answered when the ejection is seen.
    """
    members, base = len(parameters), parameters[:, INDEX["Ees_lv"]]
    tried = np.tile(parameters, (len(_FACTORS), 1))
    tried[:, INDEX["Ees_lv"]] *= np.repeat(_FACTORS, members)
    states = np.tile(hearts, (len(_FACTORS), 1))
    run(states, tried, _SETTLING, step=step)
    beats = told(run(states, tried, _WINDOW, window=_WINDOW, step=step))
    ejected = np.maximum.accumulate(np.nan_to_num(beats[:, _EJECTION]).reshape(-1, members))
    wanted = np.minimum(ejected[0] + _GRADE * recovered, np.maximum(ejected[0], SEGMENT.normal))
    steps = [float(np.interp(wanted[i], ejected[:, i], np.log(_FACTORS))) for i in range(members)]
    return np.asarray(base * np.exp(np.where(recovered > 0.0, steps, 0.0)))
