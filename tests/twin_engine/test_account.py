"""What is known of a patient: how old, how sure, on which ground; what is missing; what a population stands in for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from mappers.facts import Coding, Fact, Origin, Quantity
from mappers.when import read_when
from twin_engine import Profile, example_profile, model, models
from twin_engine.account import Account, Known, account_of
from twin_engine.answer import Age
from twin_engine.dynamic import DynamicModel

KIDNEY, PREVENT, GLUCOSE = model("kidney"), model("prevent"), model("glucose")
AT = datetime(2024, 6, 15, 12, tzinfo=UTC)


def measured(name: str, value: str, unit: str, time: str = "2024-06-10T12:00:00Z", number: int = 1) -> Fact:
    quantity = Quantity(Decimal(value), unit)
    origin = Origin("north", "Observation", f"{name}-{number}")
    return Fact("measurement", name, Coding("", ""), quantity, read_when(time), "final", origin, "1")


def one(account: Account, name: str) -> Known:
    [found] = [each for each in (*account.known, *account.imputed) if each.name == name]
    return found


@pytest.mark.parametrize("name", models())
def test_every_need_of_every_model_is_known_imputed_or_missing(name):
    asked = model(name)
    for facts in ((), example_profile(asked).facts):
        account = account_of([asked], Profile(facts, AT, frozenset({"condition", "medication"})))
        told = {each.name for each in (*account.known, *account.imputed, *account.missing)}
        waiting = {
            need.name for need in asked.needs if need.at and need.at not in told - {e.name for e in account.missing}
        }
        assert {need.name for need in asked.needs} == told | waiting
        for each in (*account.known, *account.imputed):
            assert each.uncertainty is None or each.uncertainty.sd > 0.0
            assert (each.sure == "unknown") <= (each.uncertainty is None)


def test_an_answer_is_told_once_with_all_that_ask_for_it():
    account = account_of([KIDNEY, PREVENT], example_profile(PREVENT, creatinine=1.2))
    creatinine = one(account, "creatinine")
    assert creatinine.models == ("kidney", "prevent")
    assert (creatinine.said, creatinine.unit, creatinine.how, creatinine.sure) == (
        "1.2",
        "mg/dL",
        "measured",
        "declared",
    )
    assert [fact.name for fact in creatinine.facts] == ["creatinine"]


@pytest.mark.parametrize(
    ("time", "age"),
    [
        ("2024-06-10T12:00:00Z", Age(5.0, 5.0)),
        ("2024-06-15T06:00:00Z", Age(0.25, 0.25)),
        # a calendar day somewhere on Earth: UTC+14 to UTC-12
        ("2024-06-10", Age(4.0 + 1e-6 / 86400, 5.0 + 2.0 / 24 + 1.0)),
        ("2024-02", Age(106.0 + 1e-6 / 86400, 135.5 + 14.0 / 24)),
    ],
)
def test_an_age_is_a_range_where_the_date_is_partial(time, age):
    found = one(account_of([GLUCOSE], Profile([measured("body-weight", "80", "kg", time)], AT)), "body-weight")
    assert found.age is not None
    assert found.when == time
    assert found.age.most == pytest.approx(age.most)
    assert found.age.least == pytest.approx(age.least)


def test_what_no_source_declares_is_unknown_and_a_word_has_no_spread():
    account = account_of(
        [PREVENT, GLUCOSE], Profile([*example_profile(PREVENT).facts, measured("body-weight", "80", "kg")], AT)
    )
    assert (one(account, "body-weight").sure, one(account, "body-weight").uncertainty) == ("unknown", None)
    assert one(account, "sex").sure == "not a measurement"
    assert one(account, "systolic-pressure").sure == "declared in part"


def test_a_population_stands_apart_and_says_what_it_stands_for():
    old = measured("body-weight", "80", "kg", "2019-01-01T08:00:00Z")
    account = account_of([GLUCOSE], Profile([old], AT))
    assert account.known == ()
    [weight] = account.imputed
    assert (weight.how, weight.facts, weight.age) == ("imputed", (), None)
    assert weight.uncertainty is not None
    assert [part.of for part in weight.uncertainty.parts] == ["population"]
    assert weight.instead_of is not None
    assert (weight.instead_of.why, weight.instead_of.nearest) == ("too-old", (old,))


def test_what_is_missing_says_what_came_nearest_and_what_it_holds_back():
    near = measured("cystatin-c", "1.1", "mg/L")
    account = account_of([KIDNEY, PREVENT], Profile([near], AT, frozenset({"condition", "medication"})))
    creatinine = next(gap for gap in account.missing if gap.name == "creatinine")
    assert (creatinine.why, creatinine.nearest, creatinine.models) == ("never-measured", (near,), ("kidney", "prevent"))
    assert "kidney: egfr" in creatinine.holds_back
    assert "prevent: ascvd-10y" in creatinine.holds_back
    [cholesterol] = [gap for gap in account.missing if gap.name == "total-cholesterol"]
    assert not any("heart-failure" in held for held in cholesterol.holds_back)


def test_facts_after_the_instant_are_not_known_at_it():
    profile = Profile(
        [measured("body-weight", "80", "kg"), measured("body-weight", "90", "kg", "2024-06-12T12:00:00Z", 2)], AT
    )
    assert one(account_of([GLUCOSE], profile), "body-weight").value == 90.0
    earlier = replace(profile, at=AT - timedelta(days=4))
    assert one(account_of([GLUCOSE], earlier), "body-weight").value == 80.0


def test_a_sensor_tells_its_last_reading_with_the_error_that_the_model_counts_with():
    assert isinstance(GLUCOSE, DynamicModel)
    readings = [
        measured("interstitial-glucose", str(100 + n), "mg/dL", f"2024-06-15T11:{5 * n:02}:00Z", n) for n in range(12)
    ]
    [stream] = account_of([GLUCOSE], Profile(readings, AT)).streams
    assert (stream.value, stream.last_day, stream.bound) == (111.0, 12, "")
    assert stream.age.least == stream.age.most == pytest.approx(5 / 1440)
    assert stream.uncertainty.sd == GLUCOSE.channels[0].sd
