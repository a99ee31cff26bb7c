"""An ensemble is operated on: before and after side by side, luck shared by plans, collapse stated, nothing lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from security.errors import Misuse
from twin_engine import Array
from twin_engine.circulation.body import INDEX, adult
from twin_engine.circulation.heart import TOLD, at_rest, volume
from twin_engine.circulation.model import Circulation
from twin_engine.circulation.operated import QUANTITIES, Operated, beside
from twin_engine.circulation.operating import operate
from twin_engine.circulation.operation_table import GRADES, LEAKS, REPAIR, RISKS, SEGMENT
from twin_engine.circulation.operation_text import read_operations
from twin_engine.circulation.prostheses import prosthesis
from twin_engine.circulation.regions import read_regions, recovering
from twin_engine.circulation.resting import Resting, resting_of

NAMES = list(QUANTITIES)


def rested(parameters: Array, surface: float = 1.9) -> Resting:
    hearts, resting, beats = at_rest(parameters)
    return Resting(hearts, resting, beats, surface)


def many(resting: Resting, members: int) -> Resting:
    """One heart, so that members differ by the luck of their operation only."""
    parts = (resting.hearts, resting.parameters, resting.beats)
    hearts, parameters, beats = (np.repeat(each[:1], members, axis=0) for each in parts)
    return Resting(hearts, parameters, beats, resting.surface)


@pytest.fixture(scope="module")
def weak() -> Resting:
    """Twelve weak hearts, each a bit stronger than the one before."""
    hearts = [adult(Ees_lv=force, TBV=5300.0, lam_lv=0.022, Vp0=620.0) for force in np.linspace(0.8, 1.6, 12)]
    return rested(np.stack(hearts))


@pytest.fixture(scope="module")
def narrow() -> Resting:
    """Three stenosed hearts."""
    return rested(np.stack([adult(A_av=area) for area in (0.6, 0.7, 0.8)]))


def done(resting: Resting, plan: str, **how: object) -> Operated:
    return operate(resting, read_operations(plan), **how)  # type: ignore[arg-type] # keywords of the test


def column(rows: Array, name: str) -> Array:
    return np.asarray(rows[:, NAMES.index(name)])


def changed(result: Operated, name: str) -> Array:
    return column(result.after, name) - column(result.before, name)


def test_a_persons_ensemble_is_operated_on() -> None:
    model, person = Circulation(), {"age": 60.0, "body-height": 175.0, "body-weight": 75.0}
    natural = np.tile([parameter.value for parameter in model.fitted], (4, 1))
    natural[:, 1] *= np.linspace(0.3, 0.9, 4)
    scaled = np.log(natural)
    ensemble = model.join(model.rest(person, model.natural(scaled)), scaled)
    result = done(resting_of(model, ensemble), "aortic valve: Edwards Magna Ease 23 mm and revascularisation: anterior")
    assert result.surface == pytest.approx(1.909, abs=0.001)  # Mosteller
    index = [wanted.name for wanted in model.yields].index("ejection-fraction")
    assert column(result.before, "ejection-fraction") == pytest.approx(model.observe(ensemble)[:, index])
    assert result.lives.all()
    assert len(result.compared()) == len(QUANTITIES)


def test_a_pacemaker_that_has_nothing_to_do_changes_nothing(weak: Resting) -> None:
    result = done(weak, "pacing 50 /min")
    assert np.array_equal(result.before[:, : len(TOLD)], weak.beats)
    for name, within in {
        "heart-rate": 0.3,
        "mean-pressure": 0.3,
        "cardiac-output": 0.05,
        "wedge-pressure": 0.3,
    }.items():
        assert np.abs(changed(result, name)).max() < within, name
    paced = done(weak, "pacing 95 /min")
    assert column(paced.after, "heart-rate") == pytest.approx(np.full(12, 95.0), abs=0.5)
    assert (changed(paced, "stroke-volume") < 0.0).all()


def test_a_new_valve_takes_the_gradient_away_in_every_member(narrow: Resting) -> None:
    result = done(narrow, "aortic valve 1.9 cm2, leak 0 cm2")
    assert (column(result.before, "aortic-mean-gradient") > 30.0).all()
    assert (column(result.after, "aortic-mean-gradient") < 12.0).all()
    assert (column(result.after, "aortic-regurgitant-volume") < 0.1).all()
    assert (changed(result, "ejection-fraction") > 0.0).all()
    assert column(result.after, "cardiac-index") == pytest.approx(column(result.after, "cardiac-output") / 1.9)
    [gradient] = [each for each in result.compared() if each.name == "aortic-mean-gradient"]
    assert gradient.after is not None
    assert gradient.change is not None
    assert gradient.before.low <= gradient.before.median <= gradient.before.high
    assert gradient.change.high < -20.0
    assert np.array_equal(result.orifices["aortic"], np.full(3, 1.9))
    assert volume(result.hearts) == pytest.approx(volume(narrow.hearts), abs=1e-6)


def test_each_member_draws_its_orifice_and_leak_as_published(narrow: Resting) -> None:
    people = many(narrow, 160)
    result = done(people, "aortic valve: Edwards SAPIEN 3 23 mm", seed=3)
    _, size = prosthesis("aortic", "Edwards SAPIEN 3", 23)
    assert size.sd is not None
    assert result.orifices["aortic"].mean() == pytest.approx(size.area, abs=3.0 * size.sd / np.sqrt(160))
    assert result.orifices["aortic"].std() == pytest.approx(size.sd, rel=0.15)
    leaks = result.parameters[:, INDEX["EROA_av"]]
    rates, grade = LEAKS["transcatheter"], GRADES["aortic"]
    assert (leaks > 0.0).mean() == pytest.approx(rates.mild + rates.more, abs=0.1)
    assert leaks.max() <= grade.more[1]
    [mismatch] = result.mismatch()
    indexed = result.orifices["aortic"] / 1.9
    assert mismatch.shares["severe"] == pytest.approx((indexed <= 0.65).mean())
    assert mismatch.shares["moderate"] == pytest.approx(((indexed > 0.65) & (indexed <= 0.85)).mean())
    assert sum(mismatch.shares.values()) == pytest.approx(1.0)
    counted = {risk.name: risk for risk in result.risks()}
    assert counted["severe-mismatch"].after == mismatch.shares["severe"] > 0.0
    large = replace(result, obese=True).mismatch()[0]
    assert large.shares["severe"] == pytest.approx((indexed <= 0.55).mean())


def test_luck_is_the_same_under_every_plan_of_a_seed(weak: Resting) -> None:
    small, large = (done(weak, f"aortic valve: Edwards SAPIEN 3 {size} mm", seed=5) for size in (23, 29))
    assert (np.argsort(small.orifices["aortic"]) == np.argsort(large.orifices["aortic"])).all()
    assert np.array_equal(done(weak, "aortic valve: Edwards SAPIEN 3 23 mm", seed=5).after, small.after)
    assert not np.array_equal(done(weak, "aortic valve: Edwards SAPIEN 3 23 mm", seed=6).after, small.after)
    less = done(weak, "revascularisation: anterior", seed=5).recovered
    assert (done(weak, "revascularisation: anterior, septal", seed=5).recovered >= less).all()
    gradient = next(each for each in beside(small, large) if each.name == "aortic-mean-gradient")
    assert gradient.difference is not None
    assert gradient.difference.high < 0.0
    with pytest.raises(Misuse, match="one ensemble and with one seed"):
        beside(small, done(weak, "balloon 40 mL", seed=6))


def test_a_member_alone_gives_the_bits_of_one_among_many(weak: Resting) -> None:
    alone = Resting(weak.hearts[:1], weak.parameters[:1], weak.beats[:1], weak.surface)
    plan = "aortic valve: Abbott St Jude Regent 23 mm and balloon 40 mL"
    assert np.array_equal(done(alone, plan).after[0], done(weak, plan).after[0])


def test_a_finer_step_prints_the_same(weak: Resting) -> None:
    plan = "mitral repair and pump 9000 /min"
    coarse, fine = (done(weak, plan, step=step).after for step in (0.002, 0.001))
    for name, within in {"mean-pressure": 0.5, "wedge-pressure": 0.5, "cardiac-output": 0.05}.items():
        assert np.abs(column(coarse, name) - column(fine, name)).max() < within, name


def test_each_segment_that_recovers_adds_its_share_of_the_ejection_fraction(weak: Resting) -> None:
    result = done(weak, "revascularisation: LAD akinetic viable", seed=2)
    assert 0.0 < result.recovered.mean() < 7.0
    share = (SEGMENT.normal - SEGMENT.hypokinetic) / 17
    assert changed(result, "ejection-fraction") == pytest.approx(share * result.recovered, abs=0.6)
    assert (result.parameters[:, INDEX["Ees_lv"]] >= weak.parameters[:, INDEX["Ees_lv"]]).all()
    assert any("REVIVED" in said for said in result.assumptions)


def test_segments_recover_as_often_as_published_and_alike_in_one_patient() -> None:
    rng = np.random.default_rng(1)
    shared, own = rng.standard_normal(20_000), rng.standard_normal((20_000, 17))
    for told, rate in {"akinetic viable": 0.55, "hypokinetic viable": 0.41, "viable": 0.51, "scar": 0.0}.items():
        recovered = recovering(read_regions(f"anterior {told}, 3 {told} segments"), shared, own)
        assert recovered.mean() / 6.0 == pytest.approx(rate, abs=0.01), told
        apart = 6.0 * rate * (1.0 - rate)  # the variance, were they independent
        assert recovered.var() >= 1.4 * apart, told


def test_scar_stays(weak: Resting) -> None:
    scar = done(weak, "revascularisation: anterior scar")
    assert np.array_equal(scar.parameters[:, INDEX["Ees_lv"]], weak.parameters[:, INDEX["Ees_lv"]])


def test_a_ventricle_whose_segments_all_move_normally_is_as_good_as_it_gets() -> None:
    fair = rested(np.stack([adult(Ees_lv=2.2), adult(Ees_lv=2.6)]))
    after = column(done(fair, "revascularisation: 7 viable segments").after, "ejection-fraction")
    assert (after <= SEGMENT.normal + 0.6).all()


def test_segments_that_contradict_the_ejection_fraction_are_refused(narrow: Resting) -> None:
    with pytest.raises(Misuse, match="contradict the ejection fraction"):
        done(narrow, "revascularisation: 14 akinetic viable segments")


def test_a_pump_unloads_until_it_sucks(weak: Resting) -> None:
    slow, fast = (done(weak, f"pump {speed} /min") for speed in (8000, 15000))
    for result in (slow, fast):
        assert (changed(result, "wedge-pressure") < 0.0).all()
        assert (changed(result, "cardiac-output") > 0.0).all()
        assert any("Simaan" in said for said in result.assumptions)
    sucked = [next(risk for risk in each.risks() if risk.name == "suction") for each in (slow, fast)]
    assert sucked[0].after < sucked[1].after == (column(fast.after, "end-diastolic-pressure") < 1.0).mean()
    assert sucked[0].before is None
    assert "suction" not in {risk.name for risk in done(weak, "balloon 40 mL").risks()}


def test_a_repair_ends_the_leak_and_leaves_a_gradient() -> None:
    leaking = many(rested(adult(EROA_mv=0.4)[None]), 64)
    result = done(leaking, "mitral repair")
    areas = result.parameters[:, INDEX["A_mv"]]
    assert areas.mean() == pytest.approx(REPAIR.orifice, abs=0.2)
    assert (result.parameters[:, INDEX["EROA_mv"]] == 0.0).mean() == pytest.approx(1.0 - LEAKS["repair"].mild, abs=0.15)
    assert np.median(changed(result, "ejection-fraction")) < -8.0
    assert np.median(changed(result, "mitral-regurgitant-volume")) < -30.0
    assert result.mismatch() == ()
    assert {"mitral-gradient", "congestion"} <= {risk.name for risk in result.risks()}
    obese = done(leaking, "mitral valve: Medtronic Hancock II 27 mm", obese=True)
    assert obese.mismatch() == ()
    assert "severe-mismatch" not in {risk.name for risk in obese.risks()}


NO_WAY = "aortic valve: orifice 0.3 cm2, leak 0.6 cm2 and mitral valve 0.5 cm2, leak 0.6 cm2"


def test_a_plan_that_kills_is_a_stated_collapse_and_no_interval() -> None:
    people = many(rested(adult()[None]), 5)
    result = done(people, NO_WAY)
    assert result.dead == 1.0
    assert result.collapse.startswith("5 of 5 members collapse, the first 1 min")
    assert all(each.after is None and each.change is None for each in result.compared())
    counted = {risk.name: risk.after for risk in result.risks()}
    assert counted["collapse"] == counted["low-pressure"] == counted["low-output"] == 1.0
    assert np.isfinite(result.after).all()
    assert (result.after == 0.0).all()
    alive = done(people, "balloon 40 mL")
    assert all(each.difference is None and each.one is not None for each in beside(alive, result))


def test_who_collapses_is_counted_beside_the_intervals_of_those_who_live() -> None:
    hearts = [adult(), adult(Ees_lv=1.0, V0_lv=40.0, TBV=6400.0, Vp0=900.0, lam_lv=0.018)]
    result = done(rested(np.stack(hearts)), NO_WAY)
    assert result.lives.tolist() == [False, True]
    assert result.dead == 0.5
    assert "1 of 2 members" in result.collapse
    mean = next(each for each in result.compared() if each.name == "mean-pressure")
    assert mean.living == 1
    assert mean.after is not None
    assert mean.after.low == mean.after.high > 30.0
    assert next(risk for risk in result.risks() if risk.name == "collapse").after == 0.5


def test_risks_are_what_their_bounds_say(weak: Resting) -> None:
    result = done(weak, "aortic valve 0.9 cm2")
    for risk in result.risks():
        told = RISKS[risk.name]
        assert 0.0 <= risk.after <= 1.0
        assert risk.definition
        assert risk.source
        if told.quantity is None:
            continue
        for rows, share in ((result.before, risk.before), (result.after, risk.after)):
            values = column(rows, told.quantity)
            beyond = values < told.below if told.below is not None else values > (told.above or told.least or 0.0)
            assert share == pytest.approx(beyond.mean()), risk.name


def test_who_has_no_circulation_and_no_plan_is_not_operated_on(weak: Resting) -> None:
    with pytest.raises(Misuse, match="no operation"):
        operate(weak, ())
    with pytest.raises(Misuse, match="done to the same"):
        operate(weak, read_operations("balloon 40 mL") * 2)
    for value in (np.nan, 20.0):
        beats = weak.beats.copy()
        beats[3, list(TOLD).index("mean-pressure")] = value
        with pytest.raises(Misuse, match="no circulation before"):
            done(Resting(weak.hearts, weak.parameters, beats, 1.9), "balloon 40 mL")
