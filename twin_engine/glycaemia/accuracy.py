"""How near a sensor or a meter comes to the reference it was compared with."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from security.errors import Misuse
from twin_engine.glycaemia.grids import parkes
from twin_engine.glycaemia.trace import Numbers, glucose_of
from twin_engine.model import Array

__all__ = ["Iso15197", "Rate", "agrees", "bias", "icgm_rates", "iso_15197", "mard", "paired"]

_ONE_SIDED = 1.6448536269514722  # standard normal quantile of 95 %


class Iso15197(msgspec.Struct, frozen=True):
    """Accuracy by ISO 15197:2013, 6.3.3: shares in percent of the pairs.

    `within` is within 15 mg/dL of a reference below 100 mg/dL, or within 15 % of one from there on (at least 95 % is
    asked); `zones_a_b` is in zones A and B of the consensus grid for type 1 diabetes (at least 99 %).
    """

    pairs: int
    within: float
    zones_a_b: float
    met: bool


class Rate(msgspec.Struct, frozen=True):
    """One rate of the FDA's special controls for integrated sensors, in percent of `pairs`; all 0 where there is none.

    `lower` is the one-sided lower 95 % bound (Wilson), as if pairs were independent: pairs of one sensor are not, so
    that a true bound is lower. `met` where it exceeds `limit`.
    """

    name: str
    pairs: int
    rate: float
    lower: float
    limit: float
    met: bool


def paired(reference: Numbers, measured: Numbers) -> tuple[Array, Array]:
    """Check pairs (n,) of reference and measured, mg/dL. Raises `Misuse` where they are not as many, or cannot be."""
    ref, got = glucose_of(reference), glucose_of(measured)
    if len(ref) != len(got):
        raise Misuse("There are not as many references as measurements.", detail=(len(ref), len(got)))
    return ref, got


def mard(reference: Numbers, measured: Numbers) -> float:
    """Return the mean absolute relative difference from the reference, in percent."""
    ref, got = paired(reference, measured)
    return 100.0 * float(np.mean(np.abs(got - ref) / ref))


def bias(reference: Numbers, measured: Numbers) -> float:
    """Return the mean difference, measured minus reference, mg/dL."""
    ref, got = paired(reference, measured)
    return float(np.mean(got - ref))


def agrees(
    reference: Numbers, measured: Numbers, *, mg_dl: float, percent: float, from_: float = 100.0
) -> npt.NDArray[np.bool_]:
    """Tell for each pair whether it agrees: within `mg_dl` where the reference is below `from_`, else within `percent`.

    20/20 agreement is `mg_dl=20, percent=20`. Both bounds are inclusive.
    """
    ref, got = paired(reference, measured)
    allowed = np.where(ref < from_, mg_dl, ref * percent / 100.0)
    # What is exactly on the bound is inside: 115 of 100 is 15 %, in whatever bits the computer has it.
    return np.asarray(np.abs(got - ref) <= allowed * (1.0 + 1e-12))


def iso_15197(reference: Numbers, measured: Numbers) -> Iso15197:
    """Judge a meter by the accuracy criteria of ISO 15197:2013 (of one lot: the standard asks for three)."""
    ref, got = paired(reference, measured)
    within = 100.0 * float(np.mean(agrees(ref, got, mg_dl=15.0, percent=15.0)))
    shares = parkes(ref, got).percent
    zones = shares["A"] + shares["B"]
    return Iso15197(len(ref), within, zones, within >= 95.0 and zones >= 99.0)


def icgm_rates(reference: Numbers, measured: Numbers) -> tuple[Rate, ...]:
    """Compute the point accuracy rates of 21 CFR 862.1355 (b)(1)(v) A to G for an integrated sensor.

    Pairs are sorted by what the sensor told. The rule's other conditions (nothing above 180 where the sensor tells
    below 70 and the reverse, rates of change, by day of wear) are not judged here.
    """
    ref, got = paired(reference, measured)
    off, relative = np.abs(got - ref), np.abs(got - ref) / ref
    low, high = got < 70.0, got > 180.0
    middle = ~(low | high)
    rows = (
        ("below 70 mg/dL, within 15 mg/dL", low, off <= 15.0, 85.0),
        ("70 to 180 mg/dL, within 15 %", middle, relative <= 0.15, 70.0),
        ("above 180 mg/dL, within 15 %", high, relative <= 0.15, 80.0),
        ("below 70 mg/dL, within 40 mg/dL", low, off <= 40.0, 98.0),
        ("70 to 180 mg/dL, within 40 %", middle, relative <= 0.4, 99.0),
        ("above 180 mg/dL, within 40 %", high, relative <= 0.4, 99.0),
        ("all, within 20 %", np.ones(len(ref), dtype=bool), relative <= 0.2, 87.0),
    )
    return tuple(_rate(name, int(of.sum()), int((of & good).sum()), limit) for name, of, good, limit in rows)


def _rate(name: str, pairs: int, good: int, limit: float) -> Rate:
    if not pairs:
        return Rate(name, 0, 0.0, 0.0, limit, False)
    share, z2 = good / pairs, _ONE_SIDED**2
    middle = share + z2 / (2.0 * pairs)
    width = _ONE_SIDED * math.sqrt(share * (1.0 - share) / pairs + z2 / (4.0 * pairs**2))
    lower = 100.0 * (middle - width) / (1.0 + z2 / pairs)
    return Rate(name, pairs, 100.0 * share, lower, limit, lower > limit)
