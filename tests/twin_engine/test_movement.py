"""Why a number moved: the shares of the changed inputs add up to the movement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from typing import ClassVar

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin_engine import Card, Equation, Need, Profile, Run, Yield, example_profile, model, simulate
from twin_engine.model import Array
from twin_engine.movement import Moves, explain, one_at_a_time, shapley

KIDNEY, PREVENT = model("kidney"), model("prevent")
NAMES = tuple(f"x{number}" for number in range(10))


def later(profile: Profile, **days: float) -> Profile:
    return replace(profile, at=profile.at + timedelta(**days))


def shares(moves: Moves, name: str) -> dict[str, float]:
    [found] = [result for result in moves.results if result.name == name]
    return {share.name: share.amount for share in found.shares}


def adds_up(moves: Moves) -> None:
    for result in moves.results:
        if result.before is not None and result.after is not None:
            total = sum((Fraction(share.amount) for share in result.shares), Fraction(0))
            coarsest = max((abs(share.amount) for share in result.shares), default=0.0)
            assert abs(total - (Fraction(result.after) - Fraction(result.before))) <= len(result.shares) * math.ulp(
                coarsest
            )


@given(st.integers(1, 6), st.lists(st.floats(-1e6, 1e6), min_size=64, max_size=64))
def test_shapley_values_add_up_exactly_whatever_the_function(count, table):
    def value(chosen: frozenset[str]) -> Fraction:
        return Fraction(table[sum(1 << NAMES.index(name) for name in chosen)])

    names = NAMES[:count]
    for parts in (shapley(names, value), one_at_a_time(names, value)):
        assert sum(parts.values()) == value(frozenset(names)) - value(frozenset())


def test_shapley_values_of_a_product_are_those_of_the_textbook():
    # (1 + a)(1 + b)(1 + c), swapped from 0 to 1, 2 and 3. By hand, a: 1/3 + 3/6 + 4/6 + 12/3, and so on; 23 together
    worth = {"a": 1, "b": 2, "c": 3}

    def value(chosen: frozenset[str]) -> Fraction:
        return Fraction(math.prod(1 + worth[name] for name in chosen))

    assert shapley(("a", "b", "c"), value) == {"a": Fraction(11, 2), "b": 8, "c": Fraction(19, 2)}
    assert one_at_a_time(("a", "b", "c"), value) == {"a": 1, "b": 4, "c": 18}


inputs = st.fixed_dictionaries(
    {
        "creatinine": st.floats(0.6, 3.0),
        "age": st.integers(35, 55),
        "sex": st.sampled_from([0, 1]),
        "systolic_pressure": st.floats(100, 180),
        "total_cholesterol": st.floats(140, 300),
        "hdl_cholesterol": st.floats(25, 90),
        "bmi": st.floats(19, 39),
        "diabetes": st.sampled_from([0, 1]),
    }
)


@settings(max_examples=8, deadline=None)
@given(inputs, inputs)
def test_the_shares_add_up_to_the_movement_of_every_result(one, other):
    before, after = (example_profile(PREVENT, **values) for values in (one, other))
    moves = explain(PREVENT, before, after)
    then, now = (simulate(PREVENT, profile) for profile in (before, after))
    if isinstance(then, Run) and isinstance(now, Run):
        assert {r.name: r.before for r in moves.results if r.before is not None} == {
            o.name: o.value for o in then.outputs
        }
        assert {r.name: r.after for r in moves.results if r.after is not None} == {o.name: o.value for o in now.outputs}
    adds_up(moves)


def test_one_changed_input_explains_all_of_it():
    moves = explain(KIDNEY, example_profile(KIDNEY, creatinine=1.2), example_profile(KIDNEY, creatinine=1.0))
    [result] = [r for r in moves.results if r.name == "egfr"]
    assert result.method == "exact"
    assert shares(moves, "egfr") == {"creatinine": result.after - result.before}
    assert [(c.name, c.cause, c.moved) for c in moves.changes] == [("creatinine", "facts", True)]


def test_what_only_time_moved_is_told_as_time():
    before = example_profile(PREVENT, age=50)
    moves = explain(PREVENT, before, later(before, days=400))
    by_name = {change.name: change for change in moves.changes}
    assert (by_name["age"].cause, by_name["age"].moved) == ("time", True)
    # the pressure of before is too old after 400 days: lost by time, so the risks are not computed any more
    assert (by_name["systolic-pressure"].cause, by_name["systolic-pressure"].after) == ("time", None)
    assert all("days old" in result.say for result in moves.results)


def test_time_and_facts_are_kept_apart():
    before = example_profile(PREVENT, age=50, systolic_pressure=150)
    fresh = later(example_profile(PREVENT, age=50, systolic_pressure=130), days=200)
    after = replace(fresh, facts=[*fresh.facts])
    moves = explain(PREVENT, before, after)
    causes = {c.name: c.cause for c in moves.changes if c.moved}
    assert causes == {"systolic-pressure": "facts"} | ({"age": "time"} if "age" in causes else {})
    assert shares(moves, "ascvd-10y")["systolic-pressure"] < 0.0
    adds_up(moves)


def test_a_newer_measurement_of_the_same_value_moves_nothing_and_is_told():
    before = example_profile(KIDNEY, creatinine=1.0)
    facts = [
        msgspec.structs.replace(f, origin=msgspec.structs.replace(f.origin, source="south"))
        if f.name == "creatinine"
        else f
        for f in before.facts
    ]
    moves = explain(KIDNEY, before, replace(before, facts=facts))
    assert [(c.name, c.moved) for c in moves.changes] == [("creatinine", False)]
    assert {result.method for result in moves.results if result.before is not None} == {"unmoved"}


def test_another_setting_of_the_model_has_its_own_share():
    elsewhere = replace(KIDNEY, region="elsewhere")
    before, after = example_profile(KIDNEY, creatinine=2.0, age=63), example_profile(KIDNEY, creatinine=2.2, age=63)
    kept = simulate(elsewhere, before)
    assert isinstance(kept, Run)
    moves = explain(KIDNEY, before, after, kept)
    assert (moves.settings_before["region"], moves.settings["region"]) == ("elsewhere", "north-america")
    found = shares(moves, "kidney-failure-5y")
    today = simulate(KIDNEY, before)
    assert isinstance(today, Run)
    by_name = [{o.name: o.value for o in run.outputs}["kidney-failure-5y"] for run in (kept, today)]
    assert found["model"] == pytest.approx(by_name[1] - by_name[0])
    assert found.keys() == {"creatinine", "model"}
    assert shares(moves, "egfr")["model"] == 0.0  # no setting of it
    adds_up(moves)


def test_a_result_on_one_side_only_says_why():
    before = example_profile(KIDNEY, creatinine=1.6)
    moves = explain(KIDNEY, replace(before, facts=[f for f in before.facts if f.name != "uacr"]), before)
    [risk] = [r for r in moves.results if r.name == "kidney-failure-5y"]
    assert (risk.before, risk.method, risk.shares) == (None, "", ())
    assert risk.after is not None
    assert risk.say == "Albumin-to-creatinine ratio in urine was never measured."


@dataclass(frozen=True)
class Product(Equation):
    """A product of ten numbers. Assumes nothing; for tests of many changed inputs."""

    name: ClassVar[str] = "product"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Product"
    citation: ClassVar[str] = "None."
    population: ClassVar[str] = "Nobody."
    needs: ClassVar[tuple[Need, ...]] = tuple(Need(n, n, "1", "measurement", (0.1, 10.0), "Policy.") for n in NAMES)
    yields: ClassVar[tuple[Yield, ...]] = (Yield("product", "Product", "observation", "1", NAMES, 2, "None."),)
    card: ClassVar[Card] = Card("Tests.", "Tests.", "Not assessed.", "None.", "All.")

    def compute(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return {"product": np.asarray(np.prod([inputs[name] for name in NAMES], axis=0))}


def test_many_changed_inputs_are_swapped_one_at_a_time_and_that_is_said():
    product = Product()
    low, high = (example_profile(product, **dict.fromkeys(NAMES, value)) for value in (1.0, 1.5))
    [result] = explain(product, low, high).results
    assert result.method == "one at a time"
    assert len(result.shares) == 10
    adds_up(explain(product, low, high))
    some = {**dict.fromkeys(NAMES, 1.0), **dict.fromkeys(NAMES[:8], 1.5)}
    [exact] = explain(product, low, example_profile(product, **some)).results
    assert exact.method == "exact"
    assert len({round(share.amount, 12) for share in exact.shares}) == 1  # alike, so alike shares


def test_moves_survive_json():
    moves = explain(KIDNEY, example_profile(KIDNEY, creatinine=1.2), example_profile(KIDNEY, creatinine=1.0))
    assert msgspec.json.decode(msgspec.json.encode(moves), type=Moves) == moves
