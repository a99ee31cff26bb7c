"""Waveforms tell of their beats what the kernel tells of the same ones, and one heart stands for many."""

from __future__ import annotations

import numpy as np
import pytest

from security.errors import Misuse
from twin_engine.circulation.body import adult
from twin_engine.circulation.heart import STEP, TOLD, at_rest, run, told, volume
from twin_engine.circulation.kernel import FLOWS
from twin_engine.circulation.waveform import ALIVE, portrait, stand_in, waveforms

NAMES = list(TOLD)
KINDS = {
    "healthy": adult(),
    "failing": adult(Ees_lv=1.0, TBV=5600.0),
    "leaking aortic valve": adult(EROA_av=0.25),
    "leaking mitral valve": adult(EROA_mv=0.4),
    "narrow aortic valve": adult(A_av=0.8),
    "pump": adult(Ees_lv=0.9, TBV=5700.0, pump=1.0, w_pump=10000.0),
    "balloon": adult(Ees_lv=0.9, TBV=5700.0, balloon=40.0),
}


@pytest.fixture(scope="module")
def rested():
    state, parameters, _ = at_rest(np.stack(list(KINDS.values())))
    run(state, parameters, 60.0)
    return state, parameters


@pytest.fixture(scope="module")
def waves(rested):
    return dict(zip(KINDS, waveforms(*rested), strict=True))


def same_beats(rested, place, wave):
    """What the kernel tells of the very beats of a waveform."""
    state, parameters = (each[place : place + 1].copy() for each in rested)
    before, samples = round(wave.seconds[0] / STEP) - 1, len(wave.seconds)
    run(state, parameters, before * STEP)
    return dict(
        zip(NAMES, told(run(state, parameters, (samples + 1) * STEP, window=(samples + 1) * STEP))[0], strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_waveform_tells_what_the_kernel_tells_of_the_same_beats(rested, waves, kind):
    wave = waves[kind]
    beats = same_beats(rested, list(KINDS).index(kind), wave)
    found = wave.told()
    assert len(found) == 8
    for name, value in found.items():
        assert value == pytest.approx(beats[name], rel=1e-9, abs=1e-9), name
    assert wave.right_volume.max() >= beats["right-end-diastolic-volume"]
    ends = slice(*wave.begins[:2])
    first, second = wave.pulmonary_pressure[ends], wave.pulmonary_pressure[wave.begins[1] :]
    assert (first.max() + second.max()) / 2.0 == pytest.approx(beats["systolic-pulmonary-pressure"], rel=1e-9)
    assert (first.mean() + second.mean()) / 2.0 == pytest.approx(beats["mean-pulmonary-pressure"], rel=1e-9)
    assert 60.0 / beats["heart-rate"] == pytest.approx(len(wave.seconds) * STEP / 2.0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_area_of_the_loop_is_the_stroke_work(rested, waves, kind):
    wave = waves[kind]
    v, p = wave.left_volume, wave.left_pressure
    area = 0.5 * abs(float((v * np.roll(p, -1) - np.roll(v, -1) * p).sum()))
    work = same_beats(rested, list(KINDS).index(kind), wave)["stroke-work"]
    assert area / 2.0 == pytest.approx(work, rel=0.01)  # two beats


def test_the_right_ventricle_drives_the_pulmonary_artery(waves):
    """Its own pressure is not told of beats: it is over the artery's while it ejects, and under it while it fills."""
    for wave in waves.values():
        ejects = np.diff(wave.right_volume) < -0.2
        over = (wave.right_pressure - wave.pulmonary_pressure)[:-1]
        assert (over[ejects] > 0.0).mean() > 0.9
        assert (over[np.diff(wave.right_volume) > 0.2] < 0.0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_loop_touches_its_relations(waves, kind):
    wave = waves[kind]
    at, stiff, slack = wave.relation.T
    for moment, pressure, within in (
        (wave.end_systole[0], np.interp(wave.left_volume, at, stiff), 0.5),
        (wave.end_diastole[0], np.interp(wave.left_volume, at, slack), 0.5),
    ):
        assert wave.left_pressure[moment] == pytest.approx(pressure[moment], abs=within)
    assert wave.left_volume[wave.end_diastole[0]] > wave.left_volume[wave.end_systole[0]]


def test_samples_begin_with_a_beat_and_no_blood_is_lost(rested, waves):
    state, parameters = rested
    for place, wave in enumerate(waves.values()):
        mine, row = state[place : place + 1].copy(), parameters[place : place + 1]
        run(mine, row, float(wave.seconds[0]))
        assert 0.0 <= mine[0, FLOWS] < STEP  # since the beat began
        assert mine[0, 1] == wave.left_volume[0]
        assert volume(mine) == pytest.approx(volume(state[place : place + 1]), abs=1e-9)
        assert wave.begins[0] == 0
        assert wave.begins[-1] == len(wave.seconds)
        assert np.allclose(np.diff(wave.seconds), STEP)


def test_many_hearts_are_one_alone_and_nothing_is_changed(rested, waves):
    state, parameters = (each.copy() for each in rested)
    for place, wave in enumerate(waves.values()):
        [alone] = waveforms(state[place : place + 1], parameters[place : place + 1])
        assert np.array_equal(alone.left_pressure, wave.left_pressure)
        assert np.array_equal(alone.root_pressure, wave.root_pressure)
    assert np.array_equal(state, rested[0])
    assert np.array_equal(parameters, rested[1])
    assert waveforms(state[:1], parameters[:1], beats=4)[0].begins[:3] == next(iter(waves.values())).begins


@pytest.mark.parametrize("what", ["no number", "no blood"])
def test_a_collapsed_heart_has_nothing_to_draw(rested, what):
    state, parameters = (each[:2].copy() for each in rested)
    if what == "no number":
        state[1, 3] = np.nan
    else:
        state[1, :8] *= 0.4
    sound, collapsed = waveforms(state, parameters)
    assert not sound.collapsed
    assert collapsed.collapsed
    if what == "no number":
        assert collapsed.told() == {}
        assert collapsed.relation.shape == (0, 3)
    else:
        assert collapsed.told()["mean-pressure"] < ALIVE


def ensemble():
    """Nine people whose arteries are ever tighter; the last has collapsed."""
    beats = np.tile(at_rest(adult()[None])[2], (9, 1))
    for name in ("mean-pressure", "end-diastolic-volume"):
        beats[:, NAMES.index(name)] *= np.linspace(0.8, 1.2, 9)
    beats[8] = 0.0
    return beats


def test_the_heart_nearest_the_medians_stands_for_an_ensemble():
    beats = ensemble()
    assert stand_in(beats) in (3, 4)  # of the eight that live
    beats[3, NAMES.index("ejection-fraction")] = 20.0
    beats[4, NAMES.index("ejection-fraction")] = 21.0
    assert stand_in(beats) in (2, 5)
    odd = ensemble()
    odd[7, NAMES.index("mean-pressure")] = 1e4  # one wild member moves nothing
    assert stand_in(odd) in (3, 4)
    with pytest.raises(Misuse):
        stand_in(np.full_like(beats, np.nan))


def test_a_portrait_counts_who_collapsed_and_shows_the_rest():
    made = np.stack([adult(R_sys=r) for r in np.linspace(0.7, 1.1, 30)])
    state, parameters, beats = at_rest(made)
    beats[5] = 0.0
    shown = portrait(state, parameters, beats)
    assert (shown.members, shown.collapsed, len(shown.behind)) == (30, 1, 20)
    place = stand_in(beats)
    for name, value in shown.stands.told().items():
        assert value == pytest.approx(beats[place, NAMES.index(name)], abs=1.5), name  # the breath moves it
    assert portrait(state, parameters, beats, member=7, behind=3).stands.told() != shown.stands.told()
    assert len(portrait(state[:4], parameters[:4], beats[:4]).behind) == 3
    beats[:] = np.nan
    none = portrait(state, parameters, beats)
    assert (none.collapsed, none.behind, none.stands.collapsed) == (30, (), True)
