"""A long series is thinned, and its extremes survive: each kept sample is one that was told."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappers import map_resource
from mappers.facts import Fact, Origin, Refusal
from mappers.ledger import FLAGS
from mappers.waveform import count_samples, stretch_of, thin

MDC = "urn:iso:std:iso:11073:10101"
UCUM = "http://unitsofmeasure.org"


def ecg(data: str, **changes: Any) -> list[Any]:
    """What is made of an Observation as FHIR R4's example of an electrocardiogram has it: micro-volts at 500 Hz."""
    sampled = {
        "origin": {"value": Decimal(0), "unit": "uV", "system": UCUM, "code": "uV"},
        "period": Decimal(2),
        "factor": Decimal("2.5"),
        "dimensions": 1,
        "data": data,
    }
    resource = {
        "resourceType": "Observation",
        "id": "ecg",
        "status": "final",
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2024-03-01T08:00:00Z",
        "code": {"coding": [{"system": MDC, "code": "131328", "display": "MDC_ECG_ELEC_POTL"}]},
        "component": [
            {"code": {"coding": [{"system": MDC, "code": "131330"}]}, "valueSampledData": sampled | changes},
        ],
    }
    return map_resource(resource, "r4", Origin("ward", "Observation", "ecg"), {})


def one(outcomes: list[Any]) -> Fact:
    [fact] = [each for each in outcomes if isinstance(each, Fact)]
    return fact


def test_a_lead_of_ten_seconds_is_kept_whole_in_millivolts() -> None:
    fact = one(ecg(" ".join(str(n % 400 - 200) for n in range(5000))))
    assert (fact.name, fact.period_ms, fact.flags, fact.text) == ("ecg-lead-ii", 2, (), "")
    assert len(fact.value) == 5000
    assert fact.value[:2] == (Decimal("-0.5000"), Decimal("-0.4975"))  # -200 * 2.5 uV


def test_a_long_lead_keeps_its_spike_and_says_how_it_was_thinned() -> None:
    """Ten minutes at 500 Hz, with one sample of 2 mV and one of -2 mV that any mean would swallow."""
    samples = [n % 100 for n in range(300_000)]
    samples[123_456], samples[234_567] = 800, -800
    fact = one(ecg(" ".join(map(str, samples))))
    assert (max(fact.value), min(fact.value)) == (Decimal("2.0000"), Decimal("-2.0000"))
    assert len(fact.value) == 10_000
    assert fact.flags == ("thinned",)
    assert fact.text == "Thinned: of each 60 samples, 2 ms apart, the least and the greatest are kept."
    assert fact.period_ms == 60  # two of 60 samples, 2 ms apart
    spike = fact.value.index(Decimal("2.0000")) * fact.period_ms
    assert abs(spike - 123_456 * 2) <= 120  # its time is true to one stretch


def test_what_cannot_be_does_not_hide_the_greatest_that_was() -> None:
    samples = ["1"] * 20_000
    samples[7], samples[8], samples[11] = "900000", "1e60", "500"  # 2.25 V is no heart
    fact, refusal = ecg(" ".join(samples))
    assert max(value for value in fact.value if value is not None) == Decimal("1.2500")
    assert (refusal.reason, refusal.origin.path) == ("implausible", "component[0].valueSampledData")


def test_what_cannot_be_does_not_hide_the_least_that_was() -> None:
    samples = ["1"] * 20_000
    samples[1], samples[2] = "-900000", "-500"  # of one stretch, in which nothing is too high
    fact, refusal = ecg(" ".join(samples))
    assert min(value for value in fact.value if value is not None) == Decimal("-1.2500")
    assert (refusal.reason, refusal.origin.path) == ("implausible", "component[0].valueSampledData")


def test_samples_beyond_detection_are_gaps_and_the_fact_says_so() -> None:
    fact = one(ecg("1 L 2 U 3", lowerLimit=Decimal(-3000), upperLimit=Decimal(3000)))
    assert [value is None for value in fact.value] == [False, True, False, True, False]
    assert fact.flags == ("beyond-detection",)
    assert set(fact.flags) <= FLAGS.keys()


@pytest.mark.parametrize(
    "changes",
    [
        {"factor": Decimal(0)},
        {"period": Decimal(0)},
        {"dimensions": 2},
        {"origin": {"value": Decimal(0)}},
        {"data": ""},
        {"data": "1 NaN 2"},
        {"data": "1 1_000 2"},
        {"data": "1 e5 2"},
        {"data": "1 1e999 " * 20_000},
    ],
)
def test_a_series_that_cannot_be_read_is_refused_whole(changes: dict[str, Any]) -> None:
    [refusal] = ecg(**({"data": "1 2 3"} | changes))
    assert isinstance(refusal, Refusal)
    assert refusal.reason in ("bad-value", "no-unit")


def test_a_factor_below_nought_keeps_both_extremes() -> None:
    samples = ["0"] * 20_000
    samples[5], samples[9] = "400", "-300"
    fact = one(ecg(" ".join(samples), factor=Decimal("-2.5")))
    kept = [value for value in fact.value if value is not None]
    assert (max(kept), min(kept)) == (Decimal("0.7500"), Decimal("-1.0000"))


def test_a_day_of_one_a_second_is_no_waveform_and_stays_whole() -> None:
    assert stretch_of(86_400, 1000.0) == 0
    assert stretch_of(86_400, 4.0) == 18


SAMPLES = st.lists(st.integers(-999, 999).map(str) | st.sampled_from(["E", "L", "U"]), min_size=1, max_size=200)


@given(SAMPLES, st.integers(2, 20), st.sampled_from([" ", "\n", "  "]))
def test_thinning_keeps_extremes_and_order_and_invents_nothing(words: list[str], stretch: int, space: str) -> None:
    data = space.join(words)
    assert count_samples(data) == len(words)
    kept = thin(data, stretch, fits=lambda word: True)
    assert kept is not None
    assert len(kept) == 2 * -(-len(words) // stretch)
    told, left = [int(w) for w in words if w not in "ELU"], [int(w) for w in kept if w != "E"]
    if told:
        assert (min(left), max(left)) == (min(told), max(told))
    rest = iter(words)
    assert all(any(word == each for each in rest) for word in kept if word != "E")  # a subsequence of what was told


def test_memory_is_bounded_by_what_is_kept_and_not_by_what_came() -> None:
    def peak(samples: int) -> int:
        data = "123 -456 " * (samples // 2)
        tracemalloc.start()
        kept = thin(data, stretch_of(samples, 2.0), fits=lambda word: True)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert kept is not None
        assert len(kept) == 10_000
        return most

    assert peak(200_000) < 1.25 * peak(50_000)
