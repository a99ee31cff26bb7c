"""Doses, meals, procedures, exercise, fluids and ventilation: each as data, from a text to a comparison."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.errors import Misuse
from tests.twin_engine.bedside import NARROW, Bedside, gradient_of, oxygen_of
from twin_engine import check_model
from twin_engine.branch import Branch
from twin_engine.forecast import Course
from twin_engine.physiology.exercise import GlucoseExercise
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.plan import Plan, check_plan, inputs_over, inputs_under
from twin_engine.plan_text import read_plan, write_plan
from twin_engine.rehearsal import Rehearsal
from twin_engine.scenario import Comparison, what_if
from twin_engine.series import Dose, Reading, Series
from twin_engine.track import Track, begin

START = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
NOW = START + timedelta(hours=1)
MODEL, GLUCOSE, ACTIVE = Bedside(), MinimalGlucose(), GlucoseExercise()

DAY = """
title = "A day"

[[give]]
input = "furosemide"
amount = 40
unit = "mg"
at = "+30min"

[[meal]]
amount = 300
unit = "mL"
at = "+1h"
minutes = 20

[[procedure]]
input = "aortic-valve-replacement"
amount = 1.8
unit = "cm2"
at = "+1h"

[[procedure]]
input = "pacing"
amount = 90
unit = "/min"
at = "+2h"

[[exercise]]
amount = 50
unit = "W"
at = "+2h"
minutes = 30

[[fluid]]
input = "crystalloid"
amount = 0.5
unit = "L"
at = "+1h"
minutes = 30

[[fluid]]
input = "infusion"
amount = 120
unit = "mL/h"
at = "+2h"

[[ventilation]]
input = "fio2"
amount = 60
unit = "%"

[[ventilation]]
input = "peep"
amount = 8
unit = "cm[H2O]"
at = "+10min"
"""


def after(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


@cache
def track() -> Track:
    """A twin of an hour, of whom oxygen and carbon dioxide were measured."""
    rest = MODEL.measure(MODEL.rest({"body-weight": 70.0}, np.array([[200.0]])))[0]
    readings = [
        Reading(START + timedelta(minutes=5 * i), channel.name, float(value), channel.sd)
        for i in range(1, 13)
        for channel, value in zip(MODEL.channels, rest, strict=True)
    ]
    return begin(MODEL, {"body-weight": 70.0}, Series(tuple(sorted(readings))), members=40, seed=3)


@cache
def tried(*texts: str, minutes: int = 240) -> Comparison:
    plans = [Plan("nothing new", NOW), *(read_plan(text, MODEL, NOW) for text in texts)]
    return what_if(MODEL, track(), plans, at=NOW, minutes=minutes)


def course(branch: Branch, name: str) -> Course:
    return next(each for each in branch.courses if each.name == name)


def at(branch: Branch, name: str, minute: int) -> float:
    return course(branch, name).median[minute // 5]


def only(group: str, **item: object) -> str:
    return json.dumps({"title": f"{group} {item}", group: [item]})


def test_a_model_of_all_six_groups_keeps_the_contract():
    assert check_model(MODEL) == ()
    assert {each.group for each in MODEL.plan} == {"dose", "meal", "procedure", "exercise", "fluid", "ventilation"}


class TestADay:
    def test_a_text_with_all_six_groups_is_one_plan(self):
        plan = read_plan(DAY, MODEL, NOW)
        assert len(plan.doses) == 9
        assert Dose(after(60), "drink", 300.0, 20.0) in plan.doses
        assert Dose(after(60), "crystalloid", 500.0, 30.0) in plan.doses
        assert Dose(after(0), "fio2", 60.0) in plan.doses

    def test_it_is_written_with_each_group_under_its_name_and_read_back(self):
        plan = read_plan(DAY, MODEL, NOW)
        text = write_plan(plan, MODEL)
        assert {line for line in text.splitlines() if line.startswith("[[")} == {
            *("[[give]]", "[[meal]]", "[[procedure]]", "[[exercise]]", "[[fluid]]", "[[ventilation]]")
        }
        assert read_plan(text, MODEL, NOW) == plan

    def test_every_part_of_it_moves_what_it_should(self):
        nothing, day = tried(DAY).branches
        assert at(day, "oxygen", 60) > at(nothing, "oxygen", 60) + 200.0
        assert at(day, "gradient", 55) == at(nothing, "gradient", 55)
        assert at(day, "gradient", 240) < at(nothing, "gradient", 240) - 15.0
        assert at(day, "carbon-dioxide", 150) > at(nothing, "carbon-dioxide", 150) + 20.0
        assert at(day, "pulse", 130) > at(nothing, "pulse", 130) + 25.0
        assert at(day, "water", 60) < at(nothing, "water", 60)
        assert at(day, "water", 120) > at(nothing, "water", 120) + 0.5

    def test_the_first_is_told_as_different_from_the_second_by_paired_members(self):
        [difference] = [each for each in tried(DAY).branches[1].differences if each.name == "gradient"]
        assert difference.high[10] == 0.0
        assert difference.high[30] < -15.0


def test_the_plan_in_the_documentation_is_read_by_the_model_that_it_is_for():
    text = (Path(__file__).resolve().parents[2] / "docs" / "twins.md").read_text("utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    doses = read_plan(example, ACTIVE, NOW).doses
    assert [dose.input for dose in doses] == ["insulin-bolus", "carbohydrate", "exercise"]
    assert doses[2] == Dose(after(60), "exercise", 45.0, 40.0)


class TestEachGroup:
    def test_a_procedure_is_done_once_and_stays(self):
        text = only("procedure", input="aortic-valve-replacement", amount=1.8, unit="cm2", at="+1h")
        median = course(tried(text).branches[1], "gradient").median
        assert set(median[:13]) == {round(float(gradient_of(NARROW)), 3)}
        assert set(median[13:]) == {round(float(gradient_of(1.8)), 3)}

    def test_what_was_done_before_the_plan_is_in_the_patient(self):
        done = Dose(after(-20), "aortic-valve-replacement", 1.8)
        laid = inputs_over(MODEL, [done], START, 120)
        assert laid[:, 2].tolist() == [0.0] * 40 + [1.8] + [0.0] * 79
        state = MODEL.start({"body-weight": 70.0}, 3, np.random.default_rng(1))
        for part in (laid[:60], laid[60:]):
            state, _ = MODEL.trace(state, part, 60)
        assert set(state[:, 2]) == {1.8}

    def test_fluid_is_a_volume_over_a_time_or_a_rate(self):
        bag = only("fluid", input="crystalloid", amount=500, unit="mL", at="+1h", minutes=30)
        drip = only("fluid", input="infusion", amount=560, unit="mL/h", at="+1h", minutes=60)
        nothing, one, other = tried(bag, drip).branches
        for branch in (one, other):
            assert at(branch, "water", 240) - at(nothing, "water", 240) == pytest.approx(0.5, abs=0.002)
        assert at(one, "water", 75) - at(nothing, "water", 75) == pytest.approx(0.25, abs=0.002)
        assert at(other, "water", 90) - at(nothing, "water", 90) == pytest.approx(0.25, abs=0.002)

    def test_a_ventilator_s_setting_holds_until_it_is_changed(self):
        text = json.dumps(
            {
                "ventilation": [
                    {"input": "fio2", "amount": each, "unit": "%", "at": when}
                    for each, when in ((60, "+0min"), (40, "+2h"))
                ]
            }
        )
        _, set_ = tried(text).branches
        carbon = at(set_, "carbon-dioxide", 115)
        assert at(set_, "oxygen", 115) == pytest.approx(float(oxygen_of(60.0, 0.0, carbon)), abs=1.0)
        assert at(set_, "oxygen", 235) == pytest.approx(float(oxygen_of(40.0, 0.0, carbon)), abs=1.0)

    def test_exercise_ends(self):
        nothing, moved = tried(only("exercise", amount=50, unit="W", at="+1h", minutes=30)).branches
        raised = [at(moved, "carbon-dioxide", m) - at(nothing, "carbon-dioxide", m) for m in (60, 90, 240)]
        assert raised[0] == 0.0
        assert raised[1] > 30.0
        assert raised[2] == pytest.approx(0.0, abs=0.5)

    def test_two_things_at_once_are_both_done(self):
        plan = read_plan(DAY, MODEL, NOW)
        laid = inputs_under(MODEL, plan, (), NOW, 240)
        assert laid[60, [1, 2, 5]] == pytest.approx([15.0, 1.8, 500.0 / 30.0])
        assert set(laid[10:, 8]) == {8.0}
        assert set(laid[150:, 4]) == {0.0}


def test_a_rehearsal_takes_every_group_and_takes_it_back():
    begun = Rehearsal(MODEL, track(), NOW).wait(30)
    done = begun.give(Dose(after(30), "aortic-valve-replacement", 1.8), Dose(after(30), "fio2", 60.0)).wait(30)
    later = done.give(Dose(done.now, "effort", 40.0, 20.0)).wait(30)
    nothing, rehearsed = later.look(60).branches
    assert at(rehearsed, "gradient", 60) < 10.0 < at(nothing, "gradient", 60)
    assert at(rehearsed, "carbon-dioxide", 80) > at(nothing, "carbon-dioxide", 80) + 10.0
    assert later.undo().undo().undo().undo() == begun
    with pytest.raises(Misuse, match="does not say when it ends"):
        later.give(Dose(later.now, "effort", 40.0))


@given(
    st.lists(
        st.tuples(st.sampled_from(MODEL.plan), st.floats(0.0, 1.0), st.integers(0, 600), st.integers(1, 90)), max_size=6
    )
)
def test_any_plan_that_is_written_is_read_back(items):
    doses = tuple(
        Dose(
            after(m),
            each.name,
            each.bounds[0] + share * (each.bounds[1] - each.bounds[0]),
            0.0 if each.kind == "change" else n,
        )
        for each, share, m, n in items
    )
    try:
        plan = check_plan(MODEL, Plan("any", NOW, doses))
    except Misuse:
        return
    assert sorted(read_plan(write_plan(plan, MODEL), MODEL, NOW).doses) == sorted(plan.doses)
