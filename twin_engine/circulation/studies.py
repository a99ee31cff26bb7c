"""Groups of patients as hearts: circulations that tell what a paper measured at baseline (`tables/studies.toml`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from twin_engine.circulation.body import INDEX, adult
from twin_engine.circulation.fitting import fit_rest
from twin_engine.circulation.rows import read_table
from twin_engine.model import Array

__all__ = ["GAINS", "Study", "heart_of", "made", "studies"]

GAINS: Final = ("G_hr_s", "G_hr_v", "G_R", "G_Rcp", "G_E", "G_V0", "G_V0cp")
_FREE = ("HR0", "R_sys", "Ees_lv", "TBV", "lam_lv", "R_pul", "Ees_rv", "V0_lv", "C_sa")


@dataclass(frozen=True, slots=True)
class Study:
    """One group at baseline: what its paper tells, and what is assumed besides (names of `heart.TOLD`)."""

    name: str
    kind: str
    source: str
    told: Mapping[str, float]
    assumed: Mapping[str, float]


@cache
def studies() -> Mapping[str, Study]:
    """Return all groups by name."""
    return {row["name"]: Study(**row) for row in read_table("studies")["study"]}


@cache
def heart_of(name: str) -> Array:
    """Return the parameters (parameters,) at which a heart at rest tells what a group's paper tells."""
    found = made(studies()[name])
    found.setflags(write=False)
    return found


def made(study: Study) -> Array:
    """Find the parameters (parameters,) of a heart that tells what is told and assumed of a group."""
    kind = read_table("studies")["kinds"][study.kind]
    base = adult(**kind["changes"])
    for symbol in GAINS:
        base[INDEX[symbol]] *= kind["gains"]
    return fit_rest(base, _FREE, {**study.told, **study.assumed})[0]
