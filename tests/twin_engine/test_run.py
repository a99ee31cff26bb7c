"""A run: reproducible, complete in what it rests on, and an answer where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import msgspec
import numpy as np
import pytest

from mappers.facts import Coding, Fact, Origin, Quantity
from mappers.when import read_when
from twin_engine import Missing, Need, Profile, Run, TwinModel, example_profile, model, models, simulate
from twin_engine.model import Array, Card, Yield

KIDNEY = model("kidney")
PREVENT = model("prevent")


def run(model: TwinModel, profile: Profile, members: int = 1, seed: int = 0) -> Run:
    result = simulate(model, profile, members, seed)
    assert isinstance(result, Run), result.say
    return result


def without(profile: Profile, *names: str) -> Profile:
    return replace(profile, facts=[fact for fact in profile.facts if fact.name not in names])


@pytest.mark.parametrize("name", models())
def test_a_run_is_the_same_to_the_bit(name: str):
    profile = example_profile(model(name))
    assert msgspec.json.encode(run(model(name), profile)) == msgspec.json.encode(run(model(name), profile))


@pytest.mark.parametrize("name", models())
def test_a_run_and_a_missing_answer_survive_json(name: str):
    for profile in (example_profile(model(name)), Profile([], example_profile(model(name)).at)):
        result = simulate(model(name), profile)
        assert msgspec.json.decode(msgspec.json.encode(result), type=Run | Missing) == result


@pytest.mark.parametrize("name", models())
def test_every_output_is_computed_or_has_a_reason(name: str):
    profile = example_profile(model(name))
    for dropped in profile.facts:
        result = simulate(model(name), without(profile, dropped.name), members=1)
        computed = [output.name for output in result.outputs] if isinstance(result, Run) else []
        assert sorted([*computed, *result.not_computed]) == sorted(wanted.name for wanted in model(name).yields)


def test_the_order_of_facts_does_not_matter():
    profile = example_profile(PREVENT)
    assert run(PREVENT, profile) == run(PREVENT, replace(profile, facts=profile.facts[::-1]))


def test_a_run_lists_each_input_with_its_grounds():
    inputs = {one.name: one for one in run(PREVENT, example_profile(PREVENT, age=50, sex=1)).inputs}
    assert set(inputs) == {need.name for need in PREVENT.needs} | {"egfr"}
    assert (inputs["sex"].said, inputs["sex"].basis) == ("female", "recorded")
    assert (inputs["diabetes"].said, inputs["diabetes"].basis) == ("no", "none recorded")
    assert inputs["egfr"].unit == "mL/min/{1.73_m2}"
    assert inputs["systolic-pressure"].facts[0].name == "systolic-pressure"
    assert inputs["systolic-pressure"].when == "2024-06-15T11:00:00+00:00"


def test_an_egfr_needs_no_urine_and_the_risk_says_what_it_lacks():
    result = run(KIDNEY, without(example_profile(KIDNEY), "uacr"))
    assert [output.name for output in result.outputs] == ["egfr"]
    assert result.not_computed["kidney-failure-2y"] == "Albumin-to-creatinine ratio in urine was never measured."
    assert "uacr" not in {one.name for one in result.inputs}
    assert [lack.need for lack in result.lacks] == ["uacr"]


def test_an_egfr_of_60_or_more_has_no_risk_of_kidney_failure():
    result = run(KIDNEY, example_profile(KIDNEY, creatinine=0.8))
    assert [output.name for output in result.outputs] == ["egfr"]
    assert "eGFR from 10 to 59" in result.not_computed["kidney-failure-5y"]


def test_nothing_at_all_is_an_answer_with_a_sentence_for_each_reason():
    result = simulate(PREVENT, Profile([], example_profile(PREVENT).at))
    assert isinstance(result, Missing)
    assert result.say[:3] == (
        "The birth date is not known.",
        "The sex is not recorded.",
        "Creatinine in serum or plasma was never measured.",
    )
    assert len(set(result.say)) == len(result.say)
    assert {lack.need for lack in result.lacks} >= {"age", "sex", "creatinine", "diabetes", "statin"}


def test_what_is_asked_at_the_time_of_a_missing_fact_lacks_that_fact():
    result = simulate(KIDNEY, without(example_profile(KIDNEY), "creatinine"))
    assert isinstance(result, Missing)
    assert [lack.need for lack in result.lacks] == ["creatinine"]
    assert result.not_computed["egfr"] == "Creatinine in serum or plasma was never measured."


def test_an_assumed_absence_stands_in_the_result():
    profile = replace(example_profile(PREVENT), closed=frozenset())
    assert isinstance(simulate(PREVENT, profile), Missing)
    result = run(PREVENT, replace(profile, assume_absent=True))
    assert sum("assumed absent on request" in said for said in result.assumptions) == 3


def test_there_is_no_forecast_for_the_dead_but_one_for_the_time_before():
    profile = example_profile(KIDNEY)
    origin = Origin("north", "Patient", "1")
    for told, dead in (("2024-06-15T08:00:00Z", True), ("2024-06-16T08:00:00Z", False)):
        death = Fact("demographic", "deceased", Coding("", ""), True, read_when(told), "", origin, "1")
        result = simulate(KIDNEY, replace(profile, facts=[*profile.facts, death]))
        assert isinstance(result, Missing) == dead
    alive = Fact("demographic", "deceased", Coding("", ""), False, None, "", origin, "1")
    assert isinstance(simulate(KIDNEY, replace(profile, facts=[*profile.facts, alive])), Run)


def test_settings_of_a_model_are_part_of_the_run():
    assert run(KIDNEY, example_profile(KIDNEY)).settings == {"region": "north-america"}


@dataclass(frozen=True)
class Drift(TwinModel):
    """A pulse that wanders. Assumes nothing worth having; for tests of chance."""

    name: ClassVar[str] = "drift"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Drift"
    citation: ClassVar[str] = "None."
    population: ClassVar[str] = "Nobody."
    needs: ClassVar[tuple[Need, ...]] = (Need("pulse", "Pulse", "/min", "measurement", (20.0, 300.0), "Policy."),)
    yields: ClassVar[tuple[Yield, ...]] = (
        Yield(
            "pulse-later", "Pulse", "observation", "/min", ("pulse",), 0, "None.", Coding("http://loinc.org", "8867-4")
        ),
    )
    valid_at: ClassVar[str] = "pulse"
    card: ClassVar[Card] = Card("Tests.", "Tests.", "Not assessed.", "Drawn.", "All.")

    def start(self, inputs: Mapping[str, float], members: int, rng: np.random.Generator) -> Array:
        return rng.normal(inputs["pulse"], 5.0, size=(members, 1))

    def observe(self, state: Array) -> Array:
        return state


def test_an_ensemble_gives_an_interval_and_its_seed_decides_the_bits():
    profile = example_profile(Drift(), pulse=80)
    result = run(Drift(), profile, members=4000, seed=7)
    [output] = result.outputs
    assert output.low is not None
    assert output.high is not None
    # Quantiles of the normal distribution: the middle 95 % lie within 1.96 standard deviations.
    assert output.value == pytest.approx(80.0, abs=0.5)
    assert (output.low, output.high) == pytest.approx((80 - 1.96 * 5, 80 + 1.96 * 5), abs=0.6)
    assert run(Drift(), profile, members=4000, seed=7) == result
    assert run(Drift(), profile, members=4000, seed=8).outputs != result.outputs


def test_an_equation_states_no_interval_however_many_members():
    [output, *_] = run(KIDNEY, example_profile(KIDNEY), members=50).outputs
    assert (output.low, output.high) == (None, None)


def test_results_refer_to_the_time_of_the_fact_that_the_model_names():
    profile = example_profile(KIDNEY)
    assert run(KIDNEY, profile).valid_at == "2024-06-15T11:00:00+00:00"
    assert run(PREVENT, example_profile(PREVENT)).valid_at == "2024-06-15T12:00:00+00:00"


def test_no_number_in_a_run_is_a_decimal_by_accident():
    assert all(isinstance(one.value, float) for one in run(PREVENT, example_profile(PREVENT)).inputs)
    assert any(isinstance(fact.value, Quantity) for fact in example_profile(PREVENT).facts)
