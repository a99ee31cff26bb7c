"""Who decides on insulin in a what-if: what a therapy sees, gives and is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from security.errors import Misuse, UnknownName
from tests.twin_engine.washout import Washout
from twin_engine.outcome import measures_of
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.plan import Plan
from twin_engine.plan_text import read_plan, write_plan
from twin_engine.scenario import Comparison, what_if
from twin_engine.sensitivity import of_parameters
from twin_engine.series import Dose, Reading, Series
from twin_engine.therapy import Therapy, read_therapy
from twin_engine.track import Track, begin

START = datetime(2026, 3, 1, tzinfo=UTC)
MODEL = MinimalGlucose()
LOOP = Therapy("closed-loop", 0.8, 12.0, 50.0)
PEN = Therapy("basal-bolus", 0.8, 12.0, 50.0)
LINE = "closed-loop, basal 0.8 [iU]/h, carb_ratio 12 g/[iU], correction 50 mg/dL/[iU]"


@cache
def track(level: float = 130.0) -> Track:
    readings = tuple(
        Reading(START + timedelta(minutes=5 * i), "interstitial-glucose", level + i % 3, 8.0) for i in range(13)
    )
    basal = Dose(START - timedelta(hours=1), "insulin-basal", 0.8)
    return begin(MODEL, {"body-weight": 70.0}, Series(readings, (basal,)), members=30, seed=3)


def ask(*plans: Plan, level: float = 130.0, doses: tuple[Dose, ...] = ()) -> Comparison:
    return what_if(MODEL, track(level), plans, at=track(level).at, minutes=360, doses=doses)


def plan(title: str, *doses: Dose, therapy: Therapy | None = None) -> Plan:
    return Plan(title, track().at, doses, therapy=therapy)


def dose(hours: float, name: str, amount: float) -> Dose:
    return Dose(track().at + timedelta(hours=hours), name, amount)


def outcomes(found: Comparison) -> list[dict[str, float]]:
    return [{each.name: each.value for each in branch.outcomes} for branch in found.branches]


def test_a_closed_loop_brings_a_high_down_and_gives_more_than_the_basal_rate_for_it():
    alone, led = outcomes(ask(plan("alone"), plan("loop", therapy=LOOP), level=260.0))
    assert led["mean"] < alone["mean"] - 10.0
    assert led["insulin"] > 1.2 * 0.8 * 6
    assert "insulin" not in alone


def test_a_closed_loop_stops_insulin_where_too_much_was_given():
    much = dose(0.1, "insulin-bolus", 6.0)
    alone, led = outcomes(ask(plan("alone", much), plan("loop", much, therapy=LOOP)))
    assert led["insulin"] < 0.8 * 6 - 1.0, "what it gives itself is less than the basal rate"
    assert led["very-low"] < alone["very-low"]


def test_basal_bolus_gives_the_rate_and_what_its_ratio_says_for_an_announced_meal():
    meal = dose(1.0, "carbohydrate", 36.0)
    [led] = outcomes(ask(plan("pen", meal, therapy=Therapy("basal-bolus", 0.8, 12.0, 1e6))))
    assert led["insulin"] == pytest.approx(0.8 * 6 + 36.0 / 12.0, abs=0.05)


def test_a_meal_on_record_is_announced_and_insulin_on_record_does_not_count():
    meal, shot = dose(1.0, "carbohydrate", 36.0), dose(1.0, "insulin-bolus", 9.0)
    one, other = (ask(plan("pen", therapy=PEN), doses=doses) for doses in ((meal,), (meal, shot)))
    assert one.branches == other.branches
    assert outcomes(one)[0]["insulin"] > 0.8 * 6 + 2.5


def test_under_the_same_therapy_the_same_happens_to_the_bit_and_a_plan_without_differs():
    meal = dose(1.0, "carbohydrate", 60.0)
    found = ask(plan("one", meal, therapy=LOOP), plan("two", meal, therapy=LOOP), plan("none", meal))
    assert set(found.branches[1].differences[0].high) == {0.0}
    assert found.branches[2].differences[0].high[-1] > 10.0
    assert any("sensor of its own" in told for told in found.assumptions)


def test_a_therapy_is_read_from_a_line_and_from_a_plan_and_written_back():
    assert read_therapy(LINE) == LOOP
    text = (
        'title = "x"\n[therapy]\nby = "basal-bolus"\nbasal = "0.8 [iU]/h"\n'
        'carb_ratio = "12 g/[iU]"\ncorrection = "50 mg/dL/[iU]"\ntarget = "110 mg/dL"\n'
    )
    one = read_plan(text, MODEL, START)
    assert one.therapy == Therapy("basal-bolus", 0.8, 12.0, 50.0, 110.0)
    assert read_plan(write_plan(one, MODEL), MODEL, START) == one


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("closed-loop", "lacks basal, carb_ratio, correction"),
        (LINE.replace("[iU]/h", "mU/min"), "basal is no number above zero with its unit"),
        (LINE.replace("12 g/[iU]", "12"), "carb_ratio is no number"),
        (LINE.replace("50 mg", "-50 mg"), "correction is no number"),
        (LINE.replace("50 mg", "nan mg"), "correction is no number"),
        (LINE.replace("closed-loop", "oracle"), "basal-bolus or closed-loop"),
        (LINE + ", mood 3", "parts that nobody knows"),
        (LINE + ", basal 2 [iU]/h", "cannot be read"),
    ],
)
def test_what_is_not_understood_of_a_therapy_is_refused(line, says):
    with pytest.raises(Misuse, match=says):
        read_therapy(line)


def test_what_cannot_be_led_is_refused_before_anything_is_simulated():
    with pytest.raises(Misuse, match="decides on the basal rate"):
        ask(plan("both", dose(0.5, "insulin-basal", 1.0), therapy=LOOP))
    with pytest.raises(Misuse, match="70 to 180"):
        ask(plan("low", therapy=Therapy("closed-loop", 0.8, 12.0, 50.0, target=50.0)))
    with pytest.raises(Misuse, match="0 to 15"):
        ask(plan("much", therapy=Therapy("closed-loop", 30.0, 12.0, 50.0)))
    with pytest.raises(UnknownName, match="pump"):
        ask(plan("pump", therapy=Therapy("closed-loop", 0.8, 12.0, 50.0, pump="none")))
    washout = Washout()
    known = begin(
        washout, {"body-weight": 70.0}, Series((Reading(START, "drug-level", 5.0, 0.5),), ()), members=5, seed=1
    )
    with pytest.raises(Misuse, match="cannot be led"):
        what_if(washout, known, [Plan("loop", known.at, therapy=LOOP)], at=known.at, minutes=60)
    with pytest.raises(Misuse, match="not computed under a therapy"):
        of_parameters(MODEL, track(), plan("loop", therapy=LOOP), measures_of(MODEL)[0], at=track().at, minutes=60)
