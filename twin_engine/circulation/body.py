"""The numbers of a circulation: its parameters with their units, the adult they describe, and how they scale.

Symbols as in the papers: `Ees` end-systolic elastance, `P0`, `lam` the end-diastolic curve `P0 (exp(lam (V - V0)) - 1)`
(Burkhoff, Mirsky, Suga. Am J Physiol Heart Circ Physiol 2005;289:H501-H512), `A` effective orifice area, `EROA`
effective regurgitant orifice area. An adult of 1.9 m2 body surface.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from twin_engine.model import Array

__all__ = ["ADULT", "INDEX", "PARAMETERS", "Number", "adult", "scaled"]


class Number(NamedTuple):
    """One parameter: symbol, unit (UCUM), value in the reference adult, the power of body surface it scales with."""

    symbol: str
    unit: str
    value: float
    power: int = 0


PARAMETERS: Final = (
    Number("HR0", "/min", 68.0),
    # Chambers: left and right ventricle, left and right atrium.
    Number("Ees_lv", "mm[Hg]/mL", 3.03, -1),
    Number("V0_lv", "mL", 11.8, 1),
    Number("P0_lv", "mm[Hg]", 0.56),
    Number("lam_lv", "/mL", 0.0278, -1),
    Number("Ees_rv", "mm[Hg]/mL", 0.552, -1),
    Number("V0_rv", "mL", 25.0, 1),
    Number("P0_rv", "mm[Hg]", 0.55),
    Number("lam_rv", "/mL", 0.0245, -1),
    Number("Emin_la", "mm[Hg]/mL", 0.22, -1),
    Number("dE_la", "mm[Hg]/mL", 0.14, -1),
    Number("V0_la", "mL", 8.0, 1),
    Number("Emin_ra", "mm[Hg]/mL", 0.18, -1),
    Number("dE_ra", "mm[Hg]/mL", 0.09, -1),
    Number("V0_ra", "mL", 8.0, 1),
    # Valves: effective orifice, linear resistance, effective regurgitant orifice.
    Number("A_av", "cm2", 3.5, 1),
    Number("Rl_av", "mm[Hg].s/mL", 0.004, -1),
    Number("EROA_av", "cm2", 0.0, 1),
    Number("A_mv", "cm2", 5.0, 1),
    Number("Rl_mv", "mm[Hg].s/mL", 0.003, -1),
    Number("EROA_mv", "cm2", 0.0, 1),
    Number("A_pv", "cm2", 3.5, 1),
    Number("Rl_pv", "mm[Hg].s/mL", 0.003, -1),
    Number("EROA_pv", "cm2", 0.0, 1),
    Number("A_tv", "cm2", 7.0, 1),
    Number("Rl_tv", "mm[Hg].s/mL", 0.003, -1),
    Number("EROA_tv", "cm2", 0.0, 1),
    # Vessels: compliance, unstressed volume, resistance.
    Number("Zc", "mm[Hg].s/mL", 0.049, -1),
    Number("C_sa", "mL/mm[Hg]", 1.65, 1),
    Number("V0_sa", "mL", 500.0, 1),
    Number("R_sys", "mm[Hg].s/mL", 0.88, -1),
    Number("C_sv", "mL/mm[Hg]", 90.0, 1),
    Number("V0_sv", "mL", 2790.0, 1),
    Number("R_ven", "mm[Hg].s/mL", 0.045, -1),
    Number("C_pa", "mL/mm[Hg]", 4.3, 1),
    Number("V0_pa", "mL", 80.0, 1),
    Number("R_pul", "mm[Hg].s/mL", 0.0556, -1),
    Number("C_pv", "mL/mm[Hg]", 9.0, 1),
    Number("V0_pv", "mL", 240.0, 1),
    Number("R_pvn", "mm[Hg].s/mL", 0.006, -1),
    Number("TBV", "mL", 5070.0, 1),
    # Chest: mean pressure in the pleura, its swing with the breath, breaths; the pericardium, and fluid in it.
    Number("Pth", "mm[Hg]", -4.0),
    Number("dPth", "mm[Hg]", 1.5),
    Number("breaths", "/min", 15.0),
    Number("Vp0", "mL", 480.0, 1),
    Number("phi_p", "mL", 45.0, 1),
    Number("V_eff", "mL", 0.0),
    # Timing of contraction: of the ventricles by the square root of the beat, and their delay behind the atria.
    Number("c2", "s", 0.405),
    Number("avd", "s", 0.12),
    # Reflexes: set points and widths of the two receptors, gains, and how fast each effector follows.
    Number("MAP_set", "mm[Hg]", 93.0),
    Number("k_br", "mm[Hg]", 12.0),
    Number("RAP_set", "mm[Hg]", 4.0),
    Number("k_cp", "mm[Hg]", 2.0),
    Number("G_hr_s", "/min", 45.0),
    Number("G_hr_v", "/min", 20.0),
    Number("G_R", "1", 0.75),
    Number("G_Rcp", "1", 0.50),
    Number("G_E", "1", 0.50),
    Number("G_V0", "mL", 820.0, 1),
    Number("G_V0cp", "mL", 200.0, 1),
    Number("t_aff", "s", 1.5),
    Number("t_hrs", "s", 6.0),
    Number("t_hrv", "s", 1.5),
    Number("t_R", "s", 8.0),
    Number("t_E", "s", 10.0),
    Number("t_V0", "s", 25.0),
    Number("reflex", "1", 1.0),
    # What is done: fluid that flows in, a pump from ventricle to aorta and its speed, a balloon in the aorta.
    Number("Q_ext", "mL/s", 0.0),
    Number("pump", "1", 0.0),
    Number("w_pump", "/min", 0.0),
    Number("balloon", "mL", 0.0),
)

INDEX: Final[Mapping[str, int]] = {number.symbol: place for place, number in enumerate(PARAMETERS)}
ADULT: Final[Array] = np.array([number.value for number in PARAMETERS])
_POWERS: Final = np.array([number.power for number in PARAMETERS])
_SURFACE = 1.9  # m2, of the reference adult


def adult(**changes: float) -> Array:
    """Return the reference adult's parameters, (parameters,), with some replaced by value."""
    told = ADULT.copy()
    for symbol, value in changes.items():
        told[INDEX[symbol]] = value
    return told


def scaled(parameters: Array, surface: Array | float) -> Array:
    """Scale parameters (members, parameters) of the reference adult to a body surface, m2: (members,) or one.

    Volumes, compliances and areas grow with it, resistances and elastances fall (allometry to the first power, as
    indexing to body surface assumes).
    """
    return np.asarray(parameters * (np.reshape(surface, (-1, 1)) / _SURFACE) ** _POWERS)
