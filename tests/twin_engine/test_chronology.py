"""When facts were true: a partial date stays partial."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mappers.facts import Coding, Fact, Kind, Origin, Value
from mappers.when import read_when
from twin_engine.chronology import sort_facts

JUNE = datetime(2020, 6, 15, 12, tzinfo=UTC)


def fact(time: str = "", kind: Kind = "condition", name: str = "diabetes", value: Value = None) -> Fact:
    when = read_when(time) if time else None
    return Fact(kind, name, Coding("", ""), value, when, "active", Origin("north", "Condition", "1"), "1")


@pytest.mark.parametrize(
    ("time", "where"),
    [
        ("2019", "before"),
        ("2020", "undecided"),
        ("2021", "later"),
        ("2020-05", "before"),
        ("2020-06", "undecided"),
        ("2020-06-13", "before"),
        ("2020-06-15", "undecided"),
        ("2020-06-17", "later"),
        ("2020-06-15T12:00:00Z", "before"),
        ("2020-06-15T12:00:01Z", "later"),
        ("2020-06-15T14:00:00+02:00", "before"),
        ("", "undecided"),
    ],
)
def test_a_fact_is_before_an_instant_only_if_all_that_its_date_may_mean_is(time, where):
    seen = sort_facts([fact(time)], JUNE)
    counts = {"before": len(seen.before), "undecided": len(seen.undecided), "later": len(seen.later)}
    assert counts == {"before": 0, "undecided": 0, "later": 0} | {where: 1}


def test_sex_and_birth_date_are_true_at_any_time_and_a_death_is_not():
    sex = fact(kind="demographic", name="sex", value="female")
    born = fact("1960-01-01", kind="demographic", name="birth-date", value="1960-01-01")
    died = fact(kind="demographic", name="deceased", value="2020-09-01T10:00:00Z")
    seen = sort_facts([sex, born, died], JUNE)
    assert seen.before == (sex, born)
    assert seen.later == (died,)
    assert sort_facts([died], datetime(2021, 1, 1, tzinfo=UTC)).before == (died,)
