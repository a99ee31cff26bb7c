"""What the search for anomalies finds in made-up hospitals, with planted ones and without."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.audit.anomalies import RULES, History, Known, find_anomalies
from security.audit.anomalies.chance import tail
from security.audit.anomalies.counting import CHANCE
from security.audit.anomalies.hours import LEAST_DAYS
from tests.security.audit.hospital import BEGIN, entry, make

JUDGED = BEGIN + timedelta(days=75)
STATISTICAL = {"volume", "volume-of-others", "patients", "refusals", "hours", "no-work"}
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SINCE = NOW - timedelta(days=10)


def find(entries, known=Known(), since=SINCE):  # noqa: B008 - a frozen value
    return find_anomalies(History(entries, since.date()), known, since=since, now=NOW)


def day_by_day(counts, actor="huber", hour=9, **more):
    """Uses of always other records: so many on each of the days before now, the last number for today."""
    begin = NOW.replace(hour=0) - timedelta(days=len(counts) - 1)
    return [
        entry(n * 1000 + i, begin + timedelta(days=n, hours=hour), actor, f"p{i % 3}", "read", **more)
        for n, count in enumerate(counts)
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def hospitals():
    return [make(seed) for seed in range(3)]


def test_all_that_was_planted_is_found_and_each_says_why_with_numbers(hospitals):
    for hospital in hospitals:
        found = find_anomalies(History(hospital.entries, JUDGED.date()), hospital.known, since=JUDGED, now=hospital.now)
        assert hospital.planted - {(a.rule, a.actor) for a in found} == set()
        numbers = {e.number for e in hospital.entries}
        for anomaly in found:
            assert set(anomaly.events) <= numbers
            if anomaly.rule in STATISTICAL:
                assert any(letter.isdigit() for letter in anomaly.why)
                assert "told" in anomaly.why  # the threshold


def test_where_nothing_is_planted_there_is_less_than_one_false_alarm_in_ten_thousand_events():
    alarms, events = Counter(), 0
    for seed in range(100, 103):
        hospital = make(seed, plant=False)
        history = History(hospital.entries, JUDGED.date())
        alarms.update(a.rule for a in find_anomalies(history, Known(), since=JUDGED, now=hospital.now))
        events += sum(e.when >= JUDGED for e in hospital.entries)
    assert events > 50_000
    assert alarms.total() / events < 1e-4, alarms


def test_every_rule_is_planted_or_tested_here(hospitals):
    assert set(RULES) - {rule for rule, _ in hospitals[0].planted} == {"volume-of-others"}


def test_a_day_like_the_others_is_not_told_and_one_of_five_times_as_many_is():
    usual = [8, 12, 9, 11, 10, 7, 13, 9, 10, 11, 8, 12]
    assert find(day_by_day([*usual, 14])) == []
    [told] = find(day_by_day([*usual, 50]))
    assert told.rule == "volume"
    assert "50 uses of records" in told.why
    assert "on 12 earlier days 10.0 a day, at most 13" in told.why
    assert told.chance < CHANCE
    assert len(told.events) == 50


def test_few_are_never_told_however_unusual():
    assert find(day_by_day([1] * 30 + [19])) == []


def test_somebody_new_is_compared_with_others():
    others = [e for n in range(6) for e in day_by_day([5, 6, 7, 5, 6, 7, 5, 6, 7, 5, 6], actor=f"u{n}")]
    [told] = find([*others, *day_by_day([60], actor="new")])
    assert (told.rule, told.actor) == ("volume-of-others", "new")
    assert "6 others had 5.9 a day on 60 of their days, at most 7" in told.why


def test_a_day_that_was_told_does_not_make_the_next_one_usual():
    found = find(day_by_day([10] * 20 + [80, 80, 80]))
    assert Counter(a.rule for a in found)["volume"] == 3


def test_the_hour_is_told_only_where_enough_days_say_what_is_usual():
    night = entry(1, NOW.replace(hour=2), "huber", "p1", "read")
    assert find([*day_by_day([5] * LEAST_DAYS), night]) == []  # today is one of them
    [told] = find([*day_by_day([5] * (LEAST_DAYS + 1)), night])
    assert told.rule == "hours"
    assert "in the hours 02 (UTC)" in told.why
    assert f"none of {LEAST_DAYS} earlier days" in told.why


def test_an_hour_beside_a_usual_one_is_usual_round_the_clock():
    late = [*day_by_day([5] * 40, hour=23), entry(1, NOW.replace(hour=0), "huber", "p1", "read")]
    assert find(late) == []


def test_what_was_reviewed_is_not_told_again():
    glass = entry(7, NOW - timedelta(days=4), "huber", "p1", "break-glass", purpose="BTG")
    [told] = find([glass])
    assert told.rule == "unreviewed"
    assert "twin audit review 7" in told.why
    assert find([glass, entry(8, NOW, "auditor", "p1", "review", thing="7")]) == []


def test_an_emergency_is_given_its_time_to_be_reviewed():
    assert find([entry(7, NOW - timedelta(hours=71), "huber", "p1", "break-glass", purpose="BTG")]) == []


def test_a_broken_glass_is_for_one_person_one_record_and_a_day():
    glass = entry(7, NOW - timedelta(days=2), "huber", "p1", "break-glass", purpose="BTG")

    def use(hours, actor="huber", patient="p1"):
        return entry(8, glass.when + timedelta(hours=hours), actor, patient, "read", purpose="BTG")

    assert find([glass, use(1)]) == []
    for bare in (use(25), use(1, actor="meier"), use(1, patient="p2"), use(-1)):
        assert [a.rule for a in find([glass, bare])] == ["no-glass"]


def test_a_namesakes_record_is_told_for_that_account_alone():
    uses = [entry(1, NOW, "huber", "p1", "read"), entry(2, NOW, "meier", "p1", "read")]
    [told] = find(uses, Known(namesakes={"huber": {"p1"}}))
    assert (told.rule, told.actor, told.events) == ("same-surname", "huber", (1,))


def test_a_month_after_death_a_record_is_still_written_in():
    died = {"p1": (NOW - timedelta(days=33)).date()}
    uses = [entry(1, NOW - timedelta(days=5), "huber", "p1", "read"), entry(2, NOW, "huber", "p1", "read")]
    [told] = find(uses, Known(deaths=died))
    assert (told.rule, told.events) == ("died", (2,))


def test_what_a_pull_does_by_itself_is_no_use_of_a_record():
    pulls = [entry(n, NOW, "job", f"p{n}", "import") for n in range(5000)]
    assert find([*day_by_day([1] * 40, actor="job"), *pulls]) == []


@given(st.lists(st.integers(0, 200), min_size=1, max_size=60), st.integers(0, 400))
def test_more_is_never_likelier(earlier, count):
    assert 0 <= tail(count + 1, earlier) <= tail(count, earlier) <= 1


def test_the_chance_holds_what_it_says_for_days_that_vary():
    """Of counts of the assumed kind, at most a few times CHANCE are below it, though mean and variance are guessed."""
    rng = np.random.default_rng(3)
    told = tried = 0
    for _ in range(1500):
        mean = rng.uniform(3, 40)
        counts = rng.poisson(mean * rng.gamma(1 / 0.3**2, 0.3**2, size=40))
        for day in range(20, 40):
            tried += 1
            told += counts[day] >= 20 and tail(int(counts[day]), counts[:day].tolist()) < CHANCE
    assert tried == 30_000
    assert told / tried <= 3 * CHANCE


def test_a_twin_is_nowhere_named_in_the_reason():
    found = find([entry(1, NOW, "huber", "p-secret", "read")], Known(marked={"p-secret"}))
    assert [a.patient for a in found] == ["p-secret"]
    assert "secret" not in found[0].why
    assert date(2026, 11, 29) == found[0].when.date()
