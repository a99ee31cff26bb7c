"""Plans are data: read with their units and zones, laid exactly on minutes, refused where the model cannot answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.errors import Misuse
from tests.twin_engine.washout import Washout
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.plan import Plan, check_plan, inputs_over, inputs_under, rates_at
from twin_engine.plan_text import read_plan, write_plan
from twin_engine.series import Dose

START = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
MODEL = Washout()
GLUCOSE = MinimalGlucose()


def after(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def item(**changes: Any) -> str:
    told = {"input": "carbohydrate", "amount": 60, "unit": "g", "at": "+30min", **changes}
    return json.dumps({"title": "Dinner", "give": [{k: v for k, v in told.items() if v is not None}]})


def laid(*doses: Dose, minutes: int = 60, model: Washout = MODEL) -> np.ndarray[Any, np.dtype[np.float64]]:
    return inputs_over(model, doses, START, minutes)


class TestReading:
    def test_a_plan_in_toml_and_in_json_is_the_same_plan(self):
        text = 'title = "Dinner"\n[[give]]\ninput = "carbohydrate"\namount = 60\nunit = "g"\nat = "+30min"\n'
        assert read_plan(text, GLUCOSE, START) == read_plan(item(), GLUCOSE, START)
        assert read_plan(text, GLUCOSE, START).doses == (Dose(after(30), "carbohydrate", 60.0),)

    def test_a_time_with_a_zone_is_taken_as_it_is(self):
        plan = read_plan(item(at="2026-03-01T07:30:00+01:00"), GLUCOSE, START)
        assert plan.doses[0].when == after(30)
        plan = read_plan(item().replace('"+30min"', '"+2h"'), GLUCOSE, START)
        assert plan.doses[0].when == after(120)

    @pytest.mark.parametrize(("amount", "unit"), [(0.06, "kg"), (60000, "mg"), (60, "g")])
    def test_a_unit_is_converted_where_that_is_exact(self, amount, unit):
        assert read_plan(item(amount=amount, unit=unit), GLUCOSE, START).doses[0].amount == 60.0

    @pytest.mark.parametrize(
        "changes",
        [
            {"input": "exercise"},
            {"input": "ventilation"},
            {"input": "carbohydrates"},
            {"unit": None},
            {"unit": "[iU]"},
            {"unit": "%"},
            {"unit": 3},
            {"amount": "60"},
            {"amount": True},
            {"amount": None},
            {"amount": -1},
            {"amount": 301},
            {"amount": 10**400},
            {"amount": float("nan")},
            {"amount": float("inf")},
            {"at": "07:30"},
            {"at": "2026-03-01T07:30:00"},
            {"at": "2026-03-01"},
            {"at": "2026-03-01T05:59:00Z"},
            {"at": "-30min"},
            {"at": "+99999999999999h"},
            {"at": "+9999999h"},
            {"at": "soon"},
            {"minutes": -5},
            {"minutes": 1e9},
            {"minutes": float("nan")},
            {"minutes": "15"},
            {"dose": 3},
        ],
        ids=str,
    )
    def test_what_cannot_be_is_refused(self, changes):
        with pytest.raises(Misuse):
            read_plan(item(**changes), GLUCOSE, START)

    @pytest.mark.parametrize(
        "text",
        [
            *("{", "[", "[" * 5000, "{" * 100000, 'give = "much"', "[[give]]\n7 = 8", '{"give": [3]}', '{"doses": []}'),
            *('{"replaces": "carbohydrate"}', '{"replaces": ["exercise"]}', "give = [[1]]", "title = 1979-05-27\na"),
        ],
    )
    def test_what_is_no_plan_is_refused(self, text):
        with pytest.raises(Misuse):
            read_plan(text, GLUCOSE, START)

    def test_a_plan_may_do_nothing(self):
        assert read_plan("", GLUCOSE, START) == Plan("plan", START)

    def test_the_refusal_names_what_the_model_takes(self):
        with pytest.raises(Misuse) as refused:
            read_plan(item(input="exercise"), GLUCOSE, START)
        assert "carbohydrate (g)" in refused.value.hint
        assert "insulin-basal ([iU]/h)" in refused.value.hint

    def test_the_refusal_quotes_the_bound_and_why_but_not_the_amount(self):
        with pytest.raises(Misuse) as refused:
            read_plan(item(input="insulin-bolus", amount=77.7, unit="[iU]"), GLUCOSE, START)
        assert "60 [iU]" in refused.value.message
        assert "pumps and pens" in refused.value.hint
        assert "77.7" not in str(refused.value)

    def test_two_items_of_one_minute_are_bounded_together(self):
        twice = tuple(Dose(after(s / 60), "insulin-bolus", 40.0) for s in (0, 30))
        with pytest.raises(Misuse):
            check_plan(GLUCOSE, Plan("twice", START, twice))
        check_plan(GLUCOSE, Plan("one after the other", START, (twice[0], Dose(after(1), "insulin-bolus", 40.0))))

    def test_a_plan_without_a_zone_is_refused(self):
        with pytest.raises(Misuse):
            check_plan(GLUCOSE, Plan("no zone", START.replace(tzinfo=None)))

    @given(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 60), st.floats(0, 600)), max_size=4),
    )
    def test_a_plan_that_is_written_is_read_back(self, title, doses):
        given_ = tuple(Dose(after(7 * n + m), "insulin-bolus", a, d) for n, (m, a, d) in enumerate(doses))
        try:
            plan = check_plan(GLUCOSE, Plan(title, START, given_, ("carbohydrate",)))
        except Misuse:
            return
        assert read_plan(write_plan(plan, GLUCOSE), GLUCOSE, START) == plan


class TestLaying:
    def test_what_is_given_within_a_minute_counts_in_that_minute(self):
        column = laid(Dose(after(10.75), "dose", 100.0))[:, 0]
        assert column[10] == 100.0
        assert column.sum() == 100.0

    def test_a_dose_over_minutes_is_spread_evenly_and_adds_to_others(self):
        column = laid(Dose(after(10), "dose", 100.0, 20.0), Dose(after(20), "dose", 50.0))[:, 0]
        assert column[9] == 0.0
        assert column[10] == 5.0
        assert column[20] == 55.0
        assert column.sum() == pytest.approx(150.0)

    def test_what_was_given_before_the_start_has_been_given(self):
        column = laid(Dose(after(-10), "dose", 100.0, 20.0), minutes=30)[:, 0]
        assert column.sum() == pytest.approx(50.0)
        assert column[10:].sum() == 0.0

    def test_a_rate_holds_until_the_next_one(self):
        column = laid(Dose(after(-90), "pump", 3.0), Dose(after(30), "pump", 5.0))[:, 1]
        assert set(column[:30]) == {3.0}
        assert set(column[30:]) == {5.0}

    def test_a_delay_moves_what_the_model_feels(self):
        column = inputs_over(GLUCOSE, [Dose(after(10), "insulin-bolus", 4.0)], START, 60)[:, 1]
        assert column[18] == column.sum() == 4.0

    def test_a_rate_of_a_plan_stands_over_the_recorded_one_while_it_holds(self):
        recorded = [Dose(after(-60), "pump", 3.0), Dose(after(-60), "dose", 60.0, 90.0)]
        plan = Plan("off for a while", START, (Dose(after(10), "pump", 0.0, 20.0), Dose(after(10), "dose", 7.0)))
        found = inputs_under(MODEL, plan, recorded, START, 60)
        assert set(found[:10, 1]) == set(found[30:, 1]) == {3.0}
        assert set(found[10:30, 1]) == {0.0}
        assert found[:, 0].sum() == pytest.approx(60.0 * 30 / 90 + 7.0)

    def test_behind_a_passing_rate_that_of_the_plan_comes_back(self):
        plan = Plan("two steps", START, (Dose(after(0), "pump", 4.0), Dose(after(10), "pump", 9.0, 20.0)))
        column = inputs_under(MODEL, plan, [Dose(after(-60), "pump", 3.0)], START, 60)[:, 1]
        assert set(column[:10]) == set(column[30:]) == {4.0}
        assert set(column[10:30]) == {9.0}

    def test_what_a_plan_replaces_does_not_count_from_its_start_on(self):
        recorded = [Dose(after(-10), "dose", 5.0, 20.0), Dose(after(15), "dose", 100.0), Dose(after(-1), "pump", 2.0)]
        plan = Plan("another dose", START, (Dose(after(20), "dose", 30.0),), ("dose",))
        found = inputs_under(MODEL, plan, recorded, START, 60)
        assert found[:, 0].sum() == pytest.approx(2.5 + 30.0)
        assert set(found[:, 1]) == {2.0}

    def test_behind_a_passing_rate_on_record_the_one_before_comes_back(self):
        doses = (Dose(after(0), "pump", 3.0), Dose(after(2), "pump", 9.0, 10.0), Dose(after(4), "pump", 1.0, 3.0))
        assert (
            inputs_over(MODEL, doses, START, 14)[:, 1].tolist()
            == [3.0] * 2 + [9.0] * 2 + [1.0] * 3 + [9.0] * 5 + [3.0] * 2
        )
        assert [rates_at(MODEL, doses, after(m))["pump"] for m in (1, 3, 5, 8, 12)] == [3.0, 9.0, 1.0, 9.0, 3.0]
        later = (*doses, Dose(after(6), "pump", 5.0))
        assert inputs_over(MODEL, later, START, 14)[6:, 1].tolist() == [5.0] * 8

    def test_the_rates_in_force_are_told(self):
        doses = [Dose(after(-90), "pump", 3.0), Dose(after(-5), "pump", 5.0, 3.0)]
        assert rates_at(MODEL, doses, after(-10)) == {"pump": 3.0}
        assert rates_at(MODEL, doses, after(-4)) == {"pump": 5.0}
        assert rates_at(MODEL, (), START) == {"pump": 0.0}
