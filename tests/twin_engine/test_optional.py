"""Needs that a model can do without, the ages it takes, readings of one time, and what it remarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import ClassVar

import numpy as np
import pytest

from mappers.facts import Coding, Fact, Origin, Quantity
from mappers.when import read_when
from security.errors import Misuse
from twin_engine import Equation, Missing, Need, Profile, Run, Yield, check_model, example_profile, model, simulate
from twin_engine.model import Array, Card
from twin_engine.outcome import Measure, measures_of, outcome_of, read_utility

AT = datetime(2024, 6, 15, 12, tzinfo=UTC)


class Sum(Equation):
    """A weight, and a lactate where there is one. It assumes that both add up, which nobody does."""

    name: ClassVar[str] = "sum"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Sum"
    citation: ClassVar[str] = "ours"
    population: ClassVar[str] = "Nobody."
    needs: ClassVar[tuple[Need, ...]] = (
        Need("weight", "Weight", "kg", "measurement", (1.0, 300.0), "Policy.", of=("body-weight",)),
        Need(
            *("lactate", "Lactate", "mmol/L", "measurement", (0.1, 30.0), "Policy.", 30, "policy"),
            optional=True,
            dated=True,
            within=1.0,
        ),
    )
    yields: ClassVar[tuple[Yield, ...]] = (Yield("sum", "Sum", "observation", "kg", ("weight",), 1, "ours"),)
    card: ClassVar[Card] = Card("None.", "By hand.", "None.", "None.", "All.")

    def compute(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return {"sum": inputs["weight"] + np.nan_to_num(inputs["lactate"] + inputs["lactate-days"], nan=0.0)}

    def remarks(self, inputs: Mapping[str, float], state: Array) -> tuple[str, ...]:
        return () if "lactate" in inputs else ("Lactate is not known.",)


def fact(name: str, value: str, unit: str, *, days: float = 0.0, id_: str = "1") -> Fact:
    when = read_when((AT - timedelta(days=days, hours=1)).isoformat())
    origin = Origin("ward", "Observation", f"{name}-{id_}")
    return Fact("measurement", name, Coding("", ""), Quantity(Decimal(value), unit), when, "final", origin, "test")


WEIGHT = fact("body-weight", "70", "kg")


def asked(*facts: Fact) -> Run | Missing:
    return simulate(Sum(), Profile([WEIGHT, *facts], AT))


def total(result: Run | Missing) -> float:
    assert isinstance(result, Run)
    return result.outputs[0].value


def test_the_contract_is_kept():
    assert check_model(Sum()) == ()


def test_what_is_optional_holds_nothing_back_and_counts_where_it_is_there():
    without = asked()
    assert total(without) == 70.0
    assert isinstance(without, Run)
    assert without.remarks == ("Lactate is not known.",)
    assert [lack.need for lack in without.lacks] == ["lactate"]
    with_it = asked(fact("lactate", "2", "mmol/L"))
    assert total(with_it) == 72.0
    assert isinstance(with_it, Run)
    assert {each.name for each in with_it.inputs} == {"weight", "lactate"}
    assert with_it.remarks == ()


def test_the_age_of_an_answer_is_handed_over_where_it_is_asked_for():
    assert total(asked(fact("lactate", "2", "mmol/L", days=10.0))) == 70.0 + 2.0 + 10.0
    assert total(asked(fact("lactate", "2", "mmol/L", days=31.0))) == 70.0  # too old to count


def test_readings_of_one_time_that_are_near_count_as_their_mean_and_far_ones_as_neither():
    near = asked(fact("lactate", "2.0", "mmol/L"), fact("lactate", "3.0", "mmol/L", id_="2"))
    assert total(near) == 72.5
    assert isinstance(near, Run)
    assert any("mean of 2 readings" in text for text in near.assumptions)
    assert len(near.inputs[1].facts) == 2
    far = asked(fact("lactate", "2.0", "mmol/L"), fact("lactate", "3.1", "mmol/L", id_="2"))
    assert total(far) == 70.0
    assert isinstance(far, Run)
    assert [lack.why for lack in far.lacks] == ["conflict"]


def test_other_needs_still_have_to_agree_to_their_digits():
    kidney = model("kidney")
    profile = example_profile(kidney, creatinine=1.2)
    [creatinine] = [each for each in profile.facts if each.name == "creatinine"]
    assert isinstance(creatinine.value, Quantity)
    other = replace_value(creatinine, Decimal("1.3"))
    assert isinstance(simulate(kidney, replace(profile, facts=[*profile.facts, other])), Missing)


def replace_value(one: Fact, value: Decimal) -> Fact:
    assert isinstance(one.value, Quantity)
    origin = Origin("ward", "Observation", "other")
    return Fact(one.kind, one.name, one.code, Quantity(value, one.value.unit), one.when, one.status, origin, "test")


def test_nobody_is_better_for_a_collapse():
    measures = measures_of(model("circulation"))  # type: ignore[arg-type]  # it moves
    for name in ("wedge", "collapse-at"):
        with pytest.raises(Misuse, match="not measured"):
            read_utility(f'title = "Dry"\ndeclared_by = "Dr A."\n[weights]\n{name} = -1.0', measures)
    assert read_utility('title = "Alive"\ndeclared_by = "Dr A."\n[weights]\ncollapse = -1.0', measures).weights


def test_an_onset_is_told_for_those_who_have_one():
    onset = Measure("fall", "Fall", "pressure", "onset", high=30.0)
    values = np.array([[90.0, 90.0, 20.0], [90.0, 25.0, 20.0], [90.0, 90.0, 20.0]])  # (points, members)
    answers = onset.of(values, every=5)
    assert np.isnan(answers[0])
    assert answers[1:].tolist() == [10.0, 5.0]
    told = outcome_of(onset, answers, "mm[Hg]")
    assert told is not None
    assert (told.value, told.unit) == (5.0, "min")
    assert outcome_of(onset, answers[:1], "mm[Hg]") is None
