"""The inner loop of the UVA/Padova model: many virtual patients side by side, one minute after the other.

Patients are laid out in blocks of `LANES`, one row a number, so that the compiler works on several at once; a few
patients go one by one through the same code with blocks of one. All rows of a block lie in one array at offsets that
the compiler knows, which is what lets it see that no row is another.

The seven states of insulin are linear in the insulin given: they move by a matrix exponential, exactly. The six of
glucose move by Runge-Kutta steps of fourth order, with insulin action known at both ends and in the middle.

No multiply-add is fused: one patient alone and one among many take differently compiled code, and get the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from twin_engine.kernel import kernel
from twin_engine.model import Array

__all__ = ["FEW", "LANES", "MEAL", "PARAMETERS", "PUBLISHED", "STATES", "Schedule", "follow", "insulin_step"]

LANES = 32
FEW = 5  # so many patients are faster one by one than as one block

# Columns of a patient's parameters: the symbols of the papers.
PARAMETERS = (
    *("weight", "ib", "kabs", "kmax", "kmin", "b", "d", "vg", "vi", "vmx", "km0", "k1", "k2", "p2u", "m1", "m2"),
    *("ki", "kp1", "kp2", "kp3", "f", "ke1", "ke2", "fsnc", "vm0", "kd", "ksc", "ka1", "ka2"),
)
WEIGHT, IB, KABS, KMAX, KMIN, B, D, VG, VI, VMX, KM0, K1, K2, P2U, M1, M2 = range(16)
KI, KP1, KP2, KP3, F, KE1, KE2, FSNC, VM0, KD, KSC, KA1, KA2 = range(16, 29)

# Columns of a patient's state: the thirteen published ones, and what is known of the meal.
PUBLISHED = 13
X1, X2, X3, X4, X5, X6, X7, X8, X9, X10, X11, X12, X13 = range(13)
PLATE, BEFORE, MEAL, BITE = range(13, 17)  # g to be eaten; mg in the stomach before; g of this meal; g a minute ago
STATES = 17

BITE_MOST = 5.0  # g in a minute (simglucose)
_M4, _M30 = 0.4, 1.5  # m4 = 0.4 m2, m30 = m1 HEb / (1 - HEb) with HEb = 0.6

# Rows of a block behind the states: what is worked out once for a block, once for a minute, and the exponential.
_FEED, _OVER, _RATE, _BOLUS, _PER_UNIT, _RISE, _FALL, _RA = range(17, 25)
_P = 25  # parameters
_U = _P + len(PARAMETERS)  # what insulin given adds in half a sub-step, seven rows (with the constant)
_C = _U + 7  # what one pmol/kg/min adds, seven rows
_A = _C + 7  # the exponential without its zeros, 27 rows
_K = _A + 27  # what insulin action falls by in half a sub-step
_ROWS = _K + 1
# Where the exponential is not zero, over (x11, x12, x6, x10, x7, x8, x9).
_REACH = ((0,), (0, 1), (0, 1, 2, 3), (0, 1, 2, 3), (0, 1, 2, 3, 4), (0, 1, 2, 3, 5), (0, 1, 2, 3, 5, 6))
_FILLED = np.array([(row, column) for row, columns in enumerate(_REACH) for column in columns])

_TERMS = 14  # of the series of the exponential, for a matrix of norm below 1/2: leaves less than 1e-16


class Schedule(NamedTuple):
    """What happens to patients, as lists: those of patient i lie from `first[i]` to before `last[i]`, by minute.

    In minute `minute`, `grams` are put on the plate and `units` are injected; from it on `rate` units an hour flow.
    """

    first: np.ndarray[tuple[int], np.dtype[np.int64]]
    last: np.ndarray[tuple[int], np.dtype[np.int64]]
    minute: np.ndarray[tuple[int], np.dtype[np.int64]]
    grams: Array
    units: Array
    rate: Array


@kernel(inline=True)
def _exp(x: float) -> float:
    """Return e^x for -20 to 20, and the ends beyond, without a branch: (e^(x/16))^16 by a polynomial.

    1 / (1 + e^x) is off by less than 1e-9.
    """
    x = x if x < 20.0 else 20.0
    x = x if x > -20.0 else -20.0
    r = x * 0.0625
    r2 = r * r
    low = (1.0 + r) + r2 * (1.0 / 2.0 + r * (1.0 / 6.0))
    high = (1.0 / 24.0 + r * (1.0 / 120.0)) + r2 * (1.0 / 720.0 + r * (1.0 / 5040.0))
    e = low + r2 * r2 * high
    e = e * e
    e = e * e
    e = e * e
    return e * e


@kernel(inline=True)
def _insulin(
    w: Array, lane: int, lanes: int, x6: float, x7: float, x8: float, x9: float, x10: float, x11: float, x12: float
) -> tuple[float, float, float, float, float, float, float]:
    """Return x11, x12, x6, x10, x7, x8 and x9 half a sub-step later, exactly."""
    return (
        w[(_A + 0) * lanes + lane] * x11 + w[(_U + 0) * lanes + lane],
        w[(_A + 1) * lanes + lane] * x11 + w[(_A + 2) * lanes + lane] * x12 + w[(_U + 1) * lanes + lane],
        w[(_A + 3) * lanes + lane] * x11
        + w[(_A + 4) * lanes + lane] * x12
        + w[(_A + 5) * lanes + lane] * x6
        + w[(_A + 6) * lanes + lane] * x10
        + w[(_U + 2) * lanes + lane],
        w[(_A + 7) * lanes + lane] * x11
        + w[(_A + 8) * lanes + lane] * x12
        + w[(_A + 9) * lanes + lane] * x6
        + w[(_A + 10) * lanes + lane] * x10
        + w[(_U + 3) * lanes + lane],
        w[(_A + 11) * lanes + lane] * x11
        + w[(_A + 12) * lanes + lane] * x12
        + w[(_A + 13) * lanes + lane] * x6
        + w[(_A + 14) * lanes + lane] * x10
        + w[(_A + 15) * lanes + lane] * x7
        + w[(_U + 4) * lanes + lane],
        w[(_A + 16) * lanes + lane] * x11
        + w[(_A + 17) * lanes + lane] * x12
        + w[(_A + 18) * lanes + lane] * x6
        + w[(_A + 19) * lanes + lane] * x10
        + w[(_A + 20) * lanes + lane] * x8
        + w[(_U + 5) * lanes + lane],
        w[(_A + 21) * lanes + lane] * x11
        + w[(_A + 22) * lanes + lane] * x12
        + w[(_A + 23) * lanes + lane] * x6
        + w[(_A + 24) * lanes + lane] * x10
        + w[(_A + 25) * lanes + lane] * x8
        + w[(_A + 26) * lanes + lane] * x9
        + w[(_U + 6) * lanes + lane],
    )


@kernel(inline=True)
def _slopes(
    w: Array,
    lane: int,
    lanes: int,
    x1: float,
    x2: float,
    x3: float,
    x4: float,
    x5: float,
    x13: float,
    x7: float,
    x9: float,
) -> tuple[float, float, float, float, float, float]:
    """Return the changes of x1, x2, x3, x4, x5 and x13 in a minute."""
    over, kmin, kmax = w[_OVER * lanes + lane], w[(_P + KMIN) * lanes + lane], w[(_P + KMAX) * lanes + lane]
    full = (x1 + x2) * over
    e1 = _exp(w[_RISE * lanes + lane] * (full - w[(_P + B) * lanes + lane]))
    e2 = _exp(w[_FALL * lanes + lane] * (full - w[(_P + D) * lanes + lane]))
    share = 1.0 + (e1 - e2) / ((e1 + 1.0) * (e2 + 1.0))  # (tanh z1 - tanh z2 + 2) / 2 with one division
    kgut = kmin + (kmax - kmin) * (share if over > 0.0 else 1.0)
    made = w[(_P + KP1) * lanes + lane] - w[(_P + KP2) * lanes + lane] * x4 - w[(_P + KP3) * lanes + lane] * x9
    made = made if made > 0.0 else 0.0
    lost = w[(_P + KE1) * lanes + lane] * (x4 - w[(_P + KE2) * lanes + lane])
    lost = lost if lost > 0.0 else 0.0
    swap = w[(_P + K1) * lanes + lane] * x4 - w[(_P + K2) * lanes + lane] * x5
    used = w[(_P + VM0) * lanes + lane] + w[(_P + VMX) * lanes + lane] * x7
    d4 = made + w[_RA * lanes + lane] * x3 - w[(_P + FSNC) * lanes + lane] - lost - swap
    d5 = swap - used * x5 / (w[(_P + KM0) * lanes + lane] + x5)
    d13 = w[(_P + KSC) * lanes + lane] * (x4 - x13)
    return (
        w[_FEED * lanes + lane] - kmax * x1,
        kmax * x1 - kgut * x2,
        kgut * x2 - w[(_P + KABS) * lanes + lane] * x3,
        0.0 if x4 < 0.0 else d4,
        0.0 if x5 < 0.0 else d5,
        0.0 if x13 < 0.0 else d13,
    )


@kernel(inline=True)
def _move(w: Array, lane: int, lanes: int, h: float) -> None:
    """Move one patient by one sub-step of `h` minutes."""
    x1, x2, x3 = w[X1 * lanes + lane], w[X2 * lanes + lane], w[X3 * lanes + lane]
    x4, x5, x13 = w[X4 * lanes + lane], w[X5 * lanes + lane], w[X13 * lanes + lane]
    x7, x9 = w[X7 * lanes + lane], w[X9 * lanes + lane]
    x6, x8, x10 = w[X6 * lanes + lane], w[X8 * lanes + lane], w[X10 * lanes + lane]
    x11, x12 = w[X11 * lanes + lane], w[X12 * lanes + lane]
    m11, m12, m6, m10, m7, m8, m9 = _insulin(w, lane, lanes, x6, x7, x8, x9, x10, x11, x12)
    e11, e12, e6, e10, e7, e8, e9 = _insulin(w, lane, lanes, m6, m7, m8, m9, m10, m11, m12)
    h2, h6 = h * 0.5, h / 6.0
    p1, p2, p3, p4, p5, p13 = _slopes(w, lane, lanes, x1, x2, x3, x4, x5, x13, x7, x9)
    y1, y2, y3, y4, y5, y13 = x1 + h2 * p1, x2 + h2 * p2, x3 + h2 * p3, x4 + h2 * p4, x5 + h2 * p5, x13 + h2 * p13
    q1, q2, q3, q4, q5, q13 = _slopes(w, lane, lanes, y1, y2, y3, y4, y5, y13, m7, m9)
    y1, y2, y3, y4, y5, y13 = x1 + h2 * q1, x2 + h2 * q2, x3 + h2 * q3, x4 + h2 * q4, x5 + h2 * q5, x13 + h2 * q13
    r1, r2, r3, r4, r5, r13 = _slopes(w, lane, lanes, y1, y2, y3, y4, y5, y13, m7, m9)
    y1, y2, y3, y4, y5, y13 = x1 + h * r1, x2 + h * r2, x3 + h * r3, x4 + h * r4, x5 + h * r5, x13 + h * r13
    s1, s2, s3, s4, s5, s13 = _slopes(w, lane, lanes, y1, y2, y3, y4, y5, y13, e7, e9)
    w[X1 * lanes + lane] = x1 + h6 * (p1 + 2.0 * (q1 + r1) + s1)
    w[X2 * lanes + lane] = x2 + h6 * (p2 + 2.0 * (q2 + r2) + s2)
    w[X3 * lanes + lane] = x3 + h6 * (p3 + 2.0 * (q3 + r3) + s3)
    w[X4 * lanes + lane] = x4 + h6 * (p4 + 2.0 * (q4 + r4) + s4)
    w[X5 * lanes + lane] = x5 + h6 * (p5 + 2.0 * (q5 + r5) + s5)
    w[X13 * lanes + lane] = x13 + h6 * (p13 + 2.0 * (q13 + r13) + s13)
    w[X6 * lanes + lane] = e6
    w[X7 * lanes + lane] = e7
    w[X8 * lanes + lane] = e8
    w[X9 * lanes + lane] = e9
    w[X10 * lanes + lane] = e10
    w[X11 * lanes + lane] = e11
    w[X12 * lanes + lane] = e12


@kernel(inline=True)
def _eat(w: Array, lane: int, lanes: int) -> None:
    """Take what is eaten in this minute from the plate, and lay out what holds in this minute."""
    plate = w[PLATE * lanes + lane]
    bite = BITE_MOST if plate > BITE_MOST else plate
    starts = bite > 0.0 and w[BITE * lanes + lane] <= 0.0
    before = w[X1 * lanes + lane] + w[X2 * lanes + lane] if starts else w[BEFORE * lanes + lane]
    meal = (0.0 if starts else w[MEAL * lanes + lane]) + bite
    size = before + 1000.0 * meal
    given = (w[_RATE * lanes + lane] / 60.0 + w[_BOLUS * lanes + lane]) * w[_PER_UNIT * lanes + lane]
    w[PLATE * lanes + lane] = plate - bite
    w[BITE * lanes + lane] = bite
    w[BEFORE * lanes + lane] = before
    w[MEAL * lanes + lane] = meal
    w[_FEED * lanes + lane] = 1000.0 * bite
    w[_OVER * lanes + lane] = 1.0 / size if size > 0.0 else 0.0
    for row in range(7):
        w[(_U + row) * lanes + lane] = w[(_C + row) * lanes + lane] * given
    w[(_U + 4) * lanes + lane] += w[_K * lanes + lane]


@kernel(fused=False)
def _exponential(m: Array, out: Array) -> None:
    """Fill `out` with the exponential of a square matrix: halved until its norm is below 1/2, then squared back."""
    size = len(m)
    norm = 0.0
    for i in range(size):
        total = 0.0
        for j in range(size):
            total += abs(m[i, j])
        norm = max(norm, total)
    halvings = 0
    while norm > 0.5 and halvings < 64:
        norm *= 0.5
        halvings += 1
    scale = 0.5**halvings
    term, new = np.eye(size), np.empty((size, size))
    for i in range(size):
        for j in range(size):
            out[i, j] = term[i, j]
    for power in range(1, _TERMS + 1 + halvings):
        squaring = power > _TERMS
        for i in range(size):
            for j in range(size):
                total = 0.0
                for k in range(size):
                    total += (out[i, k] * out[k, j]) if squaring else (term[i, k] * m[k, j])
                new[i, j] = total if squaring else total * scale / power
        for i in range(size):
            for j in range(size):
                if squaring:
                    out[i, j] = new[i, j]
                else:
                    term[i, j] = new[i, j]
                    out[i, j] += new[i, j]


@kernel(fused=False)
def insulin_step(p: Array, minutes: float) -> Array:
    """Return the matrix that moves (x11, x12, x6, x10, x7, x8, x9, insulin given, 1) over so many minutes."""
    m, out = np.zeros((9, 9)), np.empty((9, 9))
    m[0, 0], m[0, 7] = -(p[KA1] + p[KD]), 1.0
    m[1, 0], m[1, 1] = p[KD], -p[KA2]
    m[2, 0], m[2, 1], m[2, 2], m[2, 3] = p[KA1], p[KA2], -(1.0 + _M4) * p[M2], p[M1]
    m[3, 2], m[3, 3] = p[M2], -(1.0 + _M30) * p[M1]
    m[4, 2], m[4, 4], m[4, 8] = p[P2U] / p[VI], -p[P2U], -p[P2U] * p[IB]
    m[5, 2], m[5, 5] = p[KI] / p[VI], -p[KI]
    m[6, 5], m[6, 6] = p[KI], -p[KI]
    for i in range(9):
        for j in range(9):
            m[i, j] *= minutes
    _exponential(m, out)
    return out


@kernel(fused=False)
def _lay(w: Array, lane: int, lanes: int, p: Array, state: Array, minutes: float) -> None:
    """Fill the rows of one patient, whose half sub-step is so many minutes."""
    for row in range(STATES):
        w[row * lanes + lane] = state[row]
    for row in range(len(p)):
        w[(_P + row) * lanes + lane] = p[row]
    w[_RATE * lanes + lane] = 0.0
    w[_PER_UNIT * lanes + lane] = 6000.0 / p[WEIGHT]
    w[_RISE * lanes + lane] = 5.0 / (1.0 - p[B])
    w[_FALL * lanes + lane] = 5.0 / p[D]
    w[_RA * lanes + lane] = p[F] * p[KABS] / p[WEIGHT]
    step = insulin_step(p, minutes)
    for at in range(len(_FILLED)):
        w[(_A + at) * lanes + lane] = step[_FILLED[at, 0], _FILLED[at, 1]]
    for row in range(7):
        w[(_C + row) * lanes + lane] = step[row, 7]
    w[_K * lanes + lane] = step[4, 8]


def _block_of(lanes: int) -> Callable[[Array, Array, int, int, int, int, int, Schedule, Array], None]:
    """Compile the loop over the minutes for blocks of so many patients."""

    @kernel(fused=False)
    def block(
        parameters: Array,
        states: Array,
        begin: int,
        count: int,
        minutes: int,
        every: int,
        substeps: int,
        schedule: Schedule,
        seen: Array,
    ) -> None:
        """Follow `count` patients from `begin` on; `states` are moved on in place, `seen` is filled."""
        h = 1.0 / substeps
        w = np.empty(_ROWS * lanes)
        event, due = np.empty(lanes, np.int64), 0
        for lane in range(lanes):  # behind the last patient stand copies
            mine = begin + min(lane, count - 1)
            event[lane] = schedule.first[mine]
            _lay(w, lane, lanes, parameters[mine], states[mine], h * 0.5)
        for minute in range(minutes):
            for lane in range(lanes):
                w[_BOLUS * lanes + lane] = 0.0
            if due <= minute:
                due = minutes
                for lane in range(lanes):
                    mine = begin + min(lane, count - 1)
                    while event[lane] < schedule.last[mine] and schedule.minute[event[lane]] <= minute:
                        at = event[lane]
                        w[PLATE * lanes + lane] += schedule.grams[at]
                        w[_RATE * lanes + lane] = schedule.rate[at]
                        w[_BOLUS * lanes + lane] += schedule.units[at]
                        event[lane] += 1
                    if event[lane] < schedule.last[mine]:
                        due = min(due, schedule.minute[event[lane]])
            for lane in range(lanes):
                _eat(w, lane, lanes)
            for _ in range(substeps):
                for lane in range(lanes):
                    _move(w, lane, lanes, h)
            if (minute + 1) % every == 0:
                for lane in range(count):
                    for channel in range(seen.shape[2]):
                        glucose = w[(X4 if channel else X13) * lanes + lane]
                        seen[begin + lane, minute // every, channel] = glucose / w[(_P + VG) * lanes + lane]
        for lane in range(count):
            for row in range(STATES):
                states[begin + lane, row] = w[row * lanes + lane]

    return block


_many, _one = _block_of(LANES), _block_of(1)


def follow(
    parameters: Array, states: Array, schedule: Schedule, minutes: int, every: int, substeps: int, channels: int
) -> tuple[Array, Array]:
    """Follow patients through what happens to them.

    Parameters
    ----------
    parameters, states
        (patients, 29) and (patients, 17), in the order of `PARAMETERS` and of the columns above.
    channels
        1: glucose under the skin; 2: and in plasma.

    Returns
    -------
    tuple
        States at the end, and what was observed, (patients, minutes // every, channels), mg/dL.
    """
    after = np.array(states, dtype=np.float64)
    seen = np.empty((len(after), minutes // every, channels))
    lanes = 1 if len(after) <= FEW else LANES
    work = _one if lanes == 1 else _many
    for begin in range(0, len(after), lanes):
        count = min(lanes, len(after) - begin)
        work(parameters, after, begin, count, minutes, every, substeps, schedule, seen)
    return after, seen
