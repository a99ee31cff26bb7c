"""The inner loop of the circulation: many hearts side by side, two milliseconds after two milliseconds.

Hearts are laid out in blocks of `LANES`, one row a number, so that the compiler works on several at once; a single one
goes through the same code with a block of one. All rows of a block lie in one array at offsets that the compiler
knows, which is what lets it see that no row is another.

Steps are midpoint Runge-Kutta of second order. Activation is read from a table, since of all terms it alone has powers.
"""

from __future__ import annotations

import math

import numpy as np

from twin_engine.circulation.body import INDEX, PARAMETERS
from twin_engine.kernel import kernel
from twin_engine.model import Array

__all__ = ["BEAT", "CLOCK", "FLOWS", "LANES", "STATES", "SUMS", "follow"]

LANES = 16

# Rows of the states that move by slopes: volumes (mL), filtered pressures (mmHg), effectors of the reflexes, a pump
# (mL/s).
V_LA, V_LV, V_RA, V_RV, V_SA, V_SV, V_PA, V_PV, MAP_F, N_S, N_V, F_R, F_E, D_V0, RAP_F, Q_PUMP = range(16)
FLOWS = 16
# Rows of the clock: time since the beat began (s), length of the beat (s), and the breath as cosine and sine.
_PHASE, _PERIOD, _COS, _SIN, _TURN_COS, _TURN_SIN, _PACE = range(FLOWS, FLOWS + 7)
CLOCK = 4  # of which so many are kept between calls
STATES = FLOWS + CLOCK

# Rows of a running beat: integrals over time, and extremes.
_T, _P, _SV, _W, _LA, _RA, _PA, _GRAD_T, _GRAD, _MV_T, _MV, _BACK_AV, _BACK_MV = range(13)
_P_MAX, _P_MIN, _V_MAX, _V_MIN, _RV_MAX, _RV_MIN, _PA_MAX, _PA_MIN, _DPDT, _EDP, _LAST = range(13, 24)
_BEAT = 24
# What is added up over beats, in this order, and divided by their number in the last row.
BEAT = (
    *("seconds", "mean-pressure", "stroke-volume", "stroke-work", "left-atrial-pressure", "right-atrial-pressure"),
    *("mean-pulmonary-pressure", "aortic-gradient", "mitral-gradient", "aortic-regurgitation", "mitral-regurgitation"),
    *("systolic-pressure", "diastolic-pressure", "end-diastolic-volume", "end-systolic-volume"),
    *("right-end-diastolic-volume", "right-end-systolic-volume", "systolic-pulmonary-pressure"),
    *("diastolic-pulmonary-pressure", "rise-of-pressure", "end-diastolic-pressure", "beats"),
)
SUMS = len(BEAT)

_ROOM = FLOWS + 7  # where the parameters begin
_N = len(PARAMETERS)
_SLOPE = _ROOM + _N
_HALF = _SLOPE + FLOWS
_ACT_A = _HALF + FLOWS
_ACT_V = _ACT_A + 1
_BREATH = _ACT_V + 1
_SEEN = _BREATH + 1  # pressures and flows at the beginning of a step, for what is observed
_RUN = _SEEN + 10
_OUT = _RUN + _BEAT
_ROWS = _OUT + SUMS

HR0, EES_LV, V0_LV, P0_LV, LAM_LV = (_ROOM + INDEX[s] for s in ("HR0", "Ees_lv", "V0_lv", "P0_lv", "lam_lv"))
EES_RV, V0_RV, P0_RV, LAM_RV = (_ROOM + INDEX[s] for s in ("Ees_rv", "V0_rv", "P0_rv", "lam_rv"))
EMIN_LA, DE_LA, V0_LA = (_ROOM + INDEX[s] for s in ("Emin_la", "dE_la", "V0_la"))
EMIN_RA, DE_RA, V0_RA = (_ROOM + INDEX[s] for s in ("Emin_ra", "dE_ra", "V0_ra"))
A_AV, RL_AV, EROA_AV = (_ROOM + INDEX[s] for s in ("A_av", "Rl_av", "EROA_av"))
A_MV, RL_MV, EROA_MV = (_ROOM + INDEX[s] for s in ("A_mv", "Rl_mv", "EROA_mv"))
A_PV, RL_PV, EROA_PV = (_ROOM + INDEX[s] for s in ("A_pv", "Rl_pv", "EROA_pv"))
A_TV, RL_TV, EROA_TV = (_ROOM + INDEX[s] for s in ("A_tv", "Rl_tv", "EROA_tv"))
ZC, C_SA, V0_SA, R_SYS = (_ROOM + INDEX[s] for s in ("Zc", "C_sa", "V0_sa", "R_sys"))
C_SV, V0_SV, R_VEN = (_ROOM + INDEX[s] for s in ("C_sv", "V0_sv", "R_ven"))
C_PA, V0_PA, R_PUL = (_ROOM + INDEX[s] for s in ("C_pa", "V0_pa", "R_pul"))
C_PV, V0_PV, R_PVN = (_ROOM + INDEX[s] for s in ("C_pv", "V0_pv", "R_pvn"))
PTH, DPTH, BREATHS = (_ROOM + INDEX[s] for s in ("Pth", "dPth", "breaths"))
VP0, PHI_P, V_EFF = (_ROOM + INDEX[s] for s in ("Vp0", "phi_p", "V_eff"))
C2, AVD = (_ROOM + INDEX[s] for s in ("c2", "avd"))
MAP_SET, K_BR, RAP_SET, K_CP = (_ROOM + INDEX[s] for s in ("MAP_set", "k_br", "RAP_set", "k_cp"))
G_HR_S, G_HR_V, G_R, G_RCP, G_E = (_ROOM + INDEX[s] for s in ("G_hr_s", "G_hr_v", "G_R", "G_Rcp", "G_E"))
G_V0, G_V0CP, REFLEX = (_ROOM + INDEX[s] for s in ("G_V0", "G_V0cp", "reflex"))
T_AFF, T_HRS, T_HRV, T_R, T_E, T_V0 = (_ROOM + INDEX[s] for s in ("t_aff", "t_hrs", "t_hrv", "t_R", "t_E", "t_V0"))
Q_EXT, PUMP, W_PUMP, BALLOON = (_ROOM + INDEX[s] for s in ("Q_ext", "pump", "w_pump", "balloon"))

_T_RAP = 10.0  # s: how fast the cardiopulmonary receptors follow
_LOW, _HIGH = 30.0, 190.0  # /min: of heart rate
_BERNOULLI = 16e-4  # 4 B A2, with B = 4e-4 / A2 mmHg s2/mL2: 4 v2 (Hatle 1980)
_LEAK = 1e-3  # mmHg s/mL: of a regurgitant orifice
# Pump (Simaan, Ferreira, Chen, Antaki, Galati. IEEE Trans Control Syst Technol 2009;17:115-125).
_PUMP_R, _PUMP_L, _PUMP_W = 2.0 * 0.0677 + 0.1707, 2.0 * 0.0127 + 0.02177, 9.9025e-7
_SUCTION = -3.5


def _hill(time: Array, rise: float, fall: float, steep_rise: float, steep_fall: float) -> Array:
    up = (time / rise) ** steep_rise
    return np.asarray(up / (1.0 + up) / (1.0 + (time / fall) ** steep_fall))


# Double Hill activation (Stergiopulos, Meister, Westerhof. Am J Physiol 1996;270:H2050-H2059; form of Mynard, Davidson,
# Penny, Smolich. Int J Numer Method Biomed Eng 2012;28:626-641): of the ventricles over time / t2, of the atria over s.
_POINTS = 4096
_SPAN_V, _SPAN_A = 4.0, 1.0
_T1_OVER_T2 = 0.262 / 0.405
_raw_v = _hill(np.linspace(0.0, _SPAN_V, _POINTS + 1), _T1_OVER_T2, 1.0, 1.32, 21.9)
_raw_a = _hill(np.linspace(0.0, _SPAN_A, _POINTS + 1), 0.0943, 0.1543, 1.32, 13.1)
_VENTRICLE = np.append(_raw_v / _raw_v.max(), 0.0)
_ATRIUM = np.append(_raw_a / _raw_a.max(), 0.0)
_PER_V, _PER_A = _POINTS / _SPAN_V, _POINTS / _SPAN_A


@kernel(inline=True, fused=False)
def _exp(x: float) -> float:
    """Return e^x for -40 to 40, and the ends beyond, without a branch: (e^(x/64))^64 by a polynomial."""
    x = x if x < 40.0 else 40.0
    x = x if x > -40.0 else -40.0
    r = x * (1.0 / 64.0)
    r2 = r * r
    low = (1.0 + r) + r2 * (1.0 / 2.0 + r * (1.0 / 6.0))
    high = (1.0 / 24.0 + r * (1.0 / 120.0)) + r2 * ((1.0 / 720.0 + r * (1.0 / 5040.0)) + r2 * (1.0 / 40320.0))
    e = low + r2 * r2 * high
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    return e * e


@kernel(inline=True, fused=False)
def _flow(drop: float, area: float, linear: float, leak: float) -> float:
    """Return the flow through a valve, mL/s, by the drop over it: forward through its area, back through its leak.

    The positive root of `linear Q + 4e-4 (Q / area)2 = drop`.
    """
    forward = drop > 0.0
    size = abs(drop)
    a = area if forward else leak
    a2 = a * a
    r = (linear if forward else _LEAK) * a2
    q = 2.0 * size * a2 / (r + math.sqrt(r * r + _BERNOULLI * a2 * size) + 1e-300)
    return q if forward else -q


@kernel(inline=True, fused=False)
def _activate(w: Array, ahead: float, lanes: int) -> None:
    for i in range(lanes):
        phase = w[_PHASE * lanes + i] + ahead
        x = phase * _PER_A
        x = x if x < _POINTS else float(_POINTS)
        j = int(x)
        w[_ACT_A * lanes + i] = _ATRIUM[j] + (x - j) * (_ATRIUM[j + 1] - _ATRIUM[j])
        since = phase - w[AVD * lanes + i]
        since = since if since >= 0.0 else since + w[_PERIOD * lanes + i]
        x = since * w[_PACE * lanes + i]
        x = x if x < _POINTS else float(_POINTS)
        j = int(x)
        w[_ACT_V * lanes + i] = _VENTRICLE[j] + (x - j) * (_VENTRICLE[j + 1] - _VENTRICLE[j])


@kernel(inline=True, fused=False)
def _slopes(w: Array, at: int, lanes: int) -> None:
    """Work out the slopes of the volumes from the rows that begin at `at`, and keep pressures and flows."""
    for i in range(lanes):
        v_la, v_lv = w[(at + V_LA) * lanes + i], w[(at + V_LV) * lanes + i]
        v_ra, v_rv = w[(at + V_RA) * lanes + i], w[(at + V_RV) * lanes + i]
        on = w[REFLEX * lanes + i]
        f_r = 1.0 + on * (w[(at + F_R) * lanes + i] - 1.0)
        f_e = 1.0 + on * (w[(at + F_E) * lanes + i] - 1.0)
        e, a = w[_ACT_V * lanes + i], w[_ACT_A * lanes + i]

        pth = w[_BREATH * lanes + i]
        swell = (v_la + v_lv + v_ra + v_rv + w[V_EFF * lanes + i] - w[VP0 * lanes + i]) / w[PHI_P * lanes + i]
        outside = pth + _exp(swell)
        p_lv = (
            e * f_e * w[EES_LV * lanes + i] * (v_lv - w[V0_LV * lanes + i])
            + (1.0 - e) * w[P0_LV * lanes + i] * (_exp(w[LAM_LV * lanes + i] * (v_lv - w[V0_LV * lanes + i])) - 1.0)
            + outside
        )
        p_rv = (
            e * f_e * w[EES_RV * lanes + i] * (v_rv - w[V0_RV * lanes + i])
            + (1.0 - e) * w[P0_RV * lanes + i] * (_exp(w[LAM_RV * lanes + i] * (v_rv - w[V0_RV * lanes + i])) - 1.0)
            + outside
        )
        p_la = (w[EMIN_LA * lanes + i] + w[DE_LA * lanes + i] * a) * (v_la - w[V0_LA * lanes + i]) + outside
        p_ra = (w[EMIN_RA * lanes + i] + w[DE_RA * lanes + i] * a) * (v_ra - w[V0_RA * lanes + i]) + outside
        filled = (1.0 - e) * (1.0 - e) * w[BALLOON * lanes + i]
        p_sa = (w[(at + V_SA) * lanes + i] - w[V0_SA * lanes + i] + filled) / w[C_SA * lanes + i]
        v0_sv = w[V0_SV * lanes + i] + on * w[(at + D_V0) * lanes + i]
        p_sv = (w[(at + V_SV) * lanes + i] - v0_sv) / w[C_SV * lanes + i]
        p_pa = (w[(at + V_PA) * lanes + i] - w[V0_PA * lanes + i]) / w[C_PA * lanes + i] + pth
        p_pv = (w[(at + V_PV) * lanes + i] - w[V0_PV * lanes + i]) / w[C_PV * lanes + i] + pth

        q_av = _flow(p_lv - p_sa, w[A_AV * lanes + i], w[RL_AV * lanes + i] + w[ZC * lanes + i], w[EROA_AV * lanes + i])
        q_mv = _flow(p_la - p_lv, w[A_MV * lanes + i], w[RL_MV * lanes + i], w[EROA_MV * lanes + i])
        q_pv = _flow(p_rv - p_pa, w[A_PV * lanes + i], w[RL_PV * lanes + i], w[EROA_PV * lanes + i])
        q_tv = _flow(p_ra - p_rv, w[A_TV * lanes + i], w[RL_TV * lanes + i], w[EROA_TV * lanes + i])
        q_sys = (p_sa - p_sv) / (w[R_SYS * lanes + i] * f_r)
        behind = p_ra if p_ra > pth else pth  # the great veins collapse where they enter the chest
        q_ven = (p_sv - behind) / w[R_VEN * lanes + i]
        q_pul = (p_pa - p_pv) / w[R_PUL * lanes + i]
        q_pvn = (p_pv - p_la) / w[R_PVN * lanes + i]
        q_pump = w[PUMP * lanes + i] * w[(at + Q_PUMP) * lanes + i]

        w[(_SLOPE + V_LA) * lanes + i] = q_pvn - q_mv
        w[(_SLOPE + V_LV) * lanes + i] = q_mv - q_av - q_pump
        w[(_SLOPE + V_RA) * lanes + i] = q_ven - q_tv
        w[(_SLOPE + V_RV) * lanes + i] = q_tv - q_pv
        w[(_SLOPE + V_SA) * lanes + i] = q_av + q_pump - q_sys
        w[(_SLOPE + V_SV) * lanes + i] = q_sys - q_ven + w[Q_EXT * lanes + i]
        w[(_SLOPE + V_PA) * lanes + i] = q_pv - q_pul
        w[(_SLOPE + V_PV) * lanes + i] = q_pul - q_pvn

        w[(_SEEN + 0) * lanes + i] = p_sa + w[ZC * lanes + i] * q_av
        w[(_SEEN + 1) * lanes + i] = q_av + q_pump
        w[(_SEEN + 2) * lanes + i] = p_lv
        w[(_SEEN + 3) * lanes + i] = p_la
        w[(_SEEN + 4) * lanes + i] = p_ra
        w[(_SEEN + 5) * lanes + i] = p_pa
        w[(_SEEN + 6) * lanes + i] = q_av
        w[(_SEEN + 7) * lanes + i] = q_mv
        w[(_SEEN + 8) * lanes + i] = pth
        w[(_SEEN + 9) * lanes + i] = p_sa


@kernel(inline=True, fused=False)
def _answers(w: Array, at: int, lanes: int) -> None:
    """Work out the slopes of the reflexes and of the pump, from the pressures that `_slopes` found."""
    for i in range(lanes):
        p_sa, p_lv, p_ra = w[(_SEEN + 9) * lanes + i], w[(_SEEN + 2) * lanes + i], w[(_SEEN + 4) * lanes + i]
        pumped = w[(at + Q_PUMP) * lanes + i]
        s = 1.0 / (1.0 + _exp((w[(at + MAP_F) * lanes + i] - w[MAP_SET * lanes + i]) / w[K_BR * lanes + i]))
        c = 1.0 / (1.0 + _exp((w[(at + RAP_F) * lanes + i] - w[RAP_SET * lanes + i]) / w[K_CP * lanes + i]))
        s, c = s - 0.5, c - 0.5
        suction = _SUCTION * (p_lv - 1.0) if p_lv < 1.0 else 0.0
        speed = w[W_PUMP * lanes + i]

        w[(_SLOPE + MAP_F) * lanes + i] = (p_sa - w[(at + MAP_F) * lanes + i]) / w[T_AFF * lanes + i]
        w[(_SLOPE + N_S) * lanes + i] = (s + 0.5 - w[(at + N_S) * lanes + i]) / w[T_HRS * lanes + i]
        w[(_SLOPE + N_V) * lanes + i] = (s + 0.5 - w[(at + N_V) * lanes + i]) / w[T_HRV * lanes + i]
        tone = 1.0 + w[G_R * lanes + i] * s + w[G_RCP * lanes + i] * c
        w[(_SLOPE + F_R) * lanes + i] = (tone - w[(at + F_R) * lanes + i]) / w[T_R * lanes + i]
        force = 1.0 + w[G_E * lanes + i] * s
        w[(_SLOPE + F_E) * lanes + i] = (force - w[(at + F_E) * lanes + i]) / w[T_E * lanes + i]
        store = -w[G_V0 * lanes + i] * s - w[G_V0CP * lanes + i] * c
        w[(_SLOPE + D_V0) * lanes + i] = (store - w[(at + D_V0) * lanes + i]) / w[T_V0 * lanes + i]
        w[(_SLOPE + RAP_F) * lanes + i] = (p_ra - w[(at + RAP_F) * lanes + i]) / _T_RAP
        w[(_SLOPE + Q_PUMP) * lanes + i] = (
            p_lv - p_sa - (_PUMP_R + suction) * pumped + _PUMP_W * speed * speed
        ) / _PUMP_L


@kernel(inline=True, fused=False)
def _see(w: Array, dt: float, lanes: int) -> None:
    """Add a step to the running beat."""
    for i in range(lanes):
        root, out, p_lv = w[(_SEEN + 0) * lanes + i], w[(_SEEN + 1) * lanes + i], w[(_SEEN + 2) * lanes + i]
        p_la, p_pa = w[(_SEEN + 3) * lanes + i], w[(_SEEN + 5) * lanes + i]
        q_av, q_mv = w[(_SEEN + 6) * lanes + i], w[(_SEEN + 7) * lanes + i]
        v_lv, v_rv = w[V_LV * lanes + i], w[V_RV * lanes + i]
        run = _RUN * lanes + i
        w[run + _T * lanes] += dt
        w[run + _P * lanes] += dt * root
        w[run + _SV * lanes] += dt * out
        w[run + _W * lanes] -= dt * p_lv * w[(_SLOPE + V_LV) * lanes + i]
        w[run + _LA * lanes] += dt * p_la
        w[run + _RA * lanes] += dt * w[(_SEEN + 4) * lanes + i]
        w[run + _PA * lanes] += dt * p_pa
        opened = dt if q_av > 0.0 else 0.0
        w[run + _GRAD_T * lanes] += opened
        w[run + _GRAD * lanes] += opened * (p_lv - root)
        filling = dt if q_mv > 0.0 else 0.0
        w[run + _MV_T * lanes] += filling
        w[run + _MV * lanes] += filling * (p_la - p_lv)
        w[run + _BACK_AV * lanes] -= dt * (q_av if q_av < 0.0 else 0.0)
        w[run + _BACK_MV * lanes] -= dt * (q_mv if q_mv < 0.0 else 0.0)
        w[run + _P_MAX * lanes] = max(w[run + _P_MAX * lanes], root)
        w[run + _P_MIN * lanes] = min(w[run + _P_MIN * lanes], root)
        w[run + _V_MAX * lanes] = max(w[run + _V_MAX * lanes], v_lv)
        w[run + _V_MIN * lanes] = min(w[run + _V_MIN * lanes], v_lv)
        w[run + _RV_MAX * lanes] = max(w[run + _RV_MAX * lanes], v_rv)
        w[run + _RV_MIN * lanes] = min(w[run + _RV_MIN * lanes], v_rv)
        w[run + _PA_MAX * lanes] = max(w[run + _PA_MAX * lanes], p_pa)
        w[run + _PA_MIN * lanes] = min(w[run + _PA_MIN * lanes], p_pa)
        rise = (p_lv - w[run + _LAST * lanes]) / dt
        w[run + _DPDT * lanes] = max(w[run + _DPDT * lanes], rise)
        w[run + _LAST * lanes] = p_lv
        begins = w[_PHASE * lanes + i] < w[AVD * lanes + i]
        w[run + _EDP * lanes] = p_lv if begins else w[run + _EDP * lanes]


@kernel(fused=False)
def _beat(w: Array, i: int, lanes: int, seen: bool) -> None:
    """End a beat: add what it was to the sums, and find how long the next one is."""
    run, out = _RUN * lanes + i, _OUT * lanes + i
    if seen and w[run + _T * lanes] > 0.9 * w[_PERIOD * lanes + i]:  # a whole one
        seconds = w[run + _T * lanes]
        told = (
            *(seconds, w[run + _P * lanes] / seconds, w[run + _SV * lanes], w[run + _W * lanes]),
            *(w[run + _LA * lanes] / seconds, w[run + _RA * lanes] / seconds, w[run + _PA * lanes] / seconds),
            w[run + _GRAD * lanes] / max(w[run + _GRAD_T * lanes], 1e-9),
            w[run + _MV * lanes] / max(w[run + _MV_T * lanes], 1e-9),
            *(w[run + _BACK_AV * lanes], w[run + _BACK_MV * lanes]),
            *(w[run + _P_MAX * lanes], w[run + _P_MIN * lanes], w[run + _V_MAX * lanes], w[run + _V_MIN * lanes]),
            *(w[run + _RV_MAX * lanes], w[run + _RV_MIN * lanes], w[run + _PA_MAX * lanes], w[run + _PA_MIN * lanes]),
            *(w[run + _DPDT * lanes], w[run + _EDP * lanes], 1.0),
        )
        for k in range(SUMS):
            w[out + k * lanes] += told[k]
    for k in range(_BEAT):
        w[run + k * lanes] = 0.0
    for k in (_P_MAX, _V_MAX, _RV_MAX, _PA_MAX, _DPDT):
        w[run + k * lanes] = -1e30
    for k in (_P_MIN, _V_MIN, _RV_MIN, _PA_MIN):
        w[run + k * lanes] = 1e30
    w[run + _LAST * lanes] = 1e30
    w[_PHASE * lanes + i] -= w[_PERIOD * lanes + i]
    by_nerve = w[G_HR_S * lanes + i] * (w[N_S * lanes + i] - 0.5) + w[G_HR_V * lanes + i] * (w[N_V * lanes + i] - 0.5)
    rate = w[HR0 * lanes + i] + w[REFLEX * lanes + i] * by_nerve
    period = 60.0 / min(max(rate, _LOW), _HIGH)
    w[_PERIOD * lanes + i] = period
    w[_PACE * lanes + i] = _PER_V / (w[C2 * lanes + i] * math.sqrt(period))


@kernel(inline=True, fused=False)
def _block(w: Array, steps: int, dt: float, unseen: int, lanes: int) -> None:
    """Move a block on by so many steps; beats that begin after `unseen` of them are added up."""
    for i in range(lanes):
        turn = 2.0 * math.pi * w[BREATHS * lanes + i] / 60.0 * dt
        w[_TURN_COS * lanes + i], w[_TURN_SIN * lanes + i] = math.cos(turn), math.sin(turn)
        w[_PACE * lanes + i] = _PER_V / (w[C2 * lanes + i] * math.sqrt(w[_PERIOD * lanes + i]))
        w[(_RUN + _T) * lanes + i] = -1e30  # the beat that runs is not whole
    for step in range(steps):
        for i in range(lanes):
            w[_BREATH * lanes + i] = w[PTH * lanes + i] - w[DPTH * lanes + i] * w[_COS * lanes + i]
        _activate(w, 0.0, lanes)
        _slopes(w, 0, lanes)
        _answers(w, 0, lanes)
        if step >= unseen:
            _see(w, dt, lanes)
        for k in range(FLOWS * lanes):
            w[_HALF * lanes + k] = w[k] + 0.5 * dt * w[_SLOPE * lanes + k]
        _activate(w, 0.5 * dt, lanes)
        _slopes(w, _HALF, lanes)
        _answers(w, _HALF, lanes)
        for k in range(FLOWS * lanes):
            w[k] += dt * w[_SLOPE * lanes + k]
        ends = 0
        for i in range(lanes):
            w[_PHASE * lanes + i] += dt
            c, s = w[_COS * lanes + i], w[_SIN * lanes + i]
            tc, ts = w[_TURN_COS * lanes + i], w[_TURN_SIN * lanes + i]
            w[_COS * lanes + i], w[_SIN * lanes + i] = c * tc - s * ts, c * ts + s * tc
            ends += 1 if w[_PHASE * lanes + i] >= w[_PERIOD * lanes + i] else 0
        if ends:
            for i in range(lanes):
                if w[_PHASE * lanes + i] >= w[_PERIOD * lanes + i]:
                    _beat(w, i, lanes, step >= unseen)


@kernel(fused=False)
def follow(state: Array, parameters: Array, steps: int, dt: float, unseen: int, one: bool) -> Array:
    """Move hearts on and return what their beats were: (members, sums), of those that begin after `unseen` steps.

    Parameters
    ----------
    state
        (members, `STATES`): the sixteen that move, time since the beat began, its length, the breath. It is changed.
    parameters
        (members, parameters), as `body.PARAMETERS` names them.
    one
        Go one by one, in blocks of one.
    """
    members = len(state)
    seen = np.empty((members, SUMS))
    if one:
        w = np.zeros(_ROWS)
        for member in range(members):
            for k in range(STATES):
                w[k] = state[member, k]
            for k in range(_N):
                w[_ROOM + k] = parameters[member, k]
            for k in range(SUMS):
                w[_OUT + k] = 0.0
            _block(w, steps, dt, unseen, 1)
            for k in range(STATES):
                state[member, k] = w[k]
            for k in range(SUMS):
                seen[member, k] = w[_OUT + k]
        return seen
    w = np.zeros(_ROWS * LANES)
    for first in range(0, members, LANES):
        for i in range(LANES):
            member = min(first + i, members - 1)
            for k in range(STATES):
                w[k * LANES + i] = state[member, k]
            for k in range(_N):
                w[(_ROOM + k) * LANES + i] = parameters[member, k]
            for k in range(SUMS):
                w[(_OUT + k) * LANES + i] = 0.0
        _block(w, steps, dt, unseen, LANES)
        for i in range(min(LANES, members - first)):
            for k in range(STATES):
                state[first + i, k] = w[k * LANES + i]
            for k in range(SUMS):
                seen[first + i, k] = w[(_OUT + k) * LANES + i]
    return seen
