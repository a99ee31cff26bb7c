"""What an event is found by (I8): whatever a criterion means, the index leads to, and it hides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.audit import (
    Access,
    System,
    certificate_event,
    delivery_event,
    fetch_event,
    key_event,
    log_event,
    merge_event,
    query_event,
    run_event,
    search_event,
    token_event,
)
from security.audit.search import ASPECTS, Criterion, Span, is_meant, recorded
from security.audit.traits import TRAITS, traits, unversioned

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ACCESS = Access(
    when=NOON,
    actor="os-user:ada",
    purpose="TREAT",
    system=System("fhirtwin", "127.0.0.1", "0.1"),
    peer=System("north", "https://north.example.org/fhir"),
    patient="t1",
    what=("Observation/12/_history/3", "Patient/t2"),
    query=b"GET /Observation",
    request_id="r-1",
    basis="system/*.rs",
)
EVENTS = (
    fetch_event(ACCESS),
    query_event(ACCESS),
    run_event(ACCESS, run="run-1", model="kidney"),
    merge_event(ACCESS, twin="t9"),
    delivery_event(ACCESS, delivery="d-1"),
    key_event(ACCESS, key="k-1"),
    log_event(ACCESS),
    search_event(ACCESS, found=3),
    certificate_event(ACCESS, pull="p-1", verdict="complete"),
    token_event(ACCESS, client_id="us", form={"scope": "system/*.rs"}),
)


def values(event: Mapping[str, Any]) -> Iterator[str]:
    """Walk all texts of an event, and what a search could make of them."""
    met: list[Any] = [event]
    for value in met:
        if isinstance(value, dict):
            met += value.values()
            for system, name in (("system", "code"), ("system", "value")):
                if name in value:
                    yield f"{value.get(system, '')}|{value[name]}"
                    yield f"http://elsewhere.example.org|{value[name]}"
        elif isinstance(value, list):
            met += value
        elif isinstance(value, str):
            yield value
            yield unversioned(value)
            yield value.rpartition("/")[2]


ASKED = sorted({value for event in EVENTS for value in values(event) if value.strip("|")})


@pytest.mark.parametrize("aspect", ASPECTS)
def test_whoever_is_meant_is_led_to_by_the_index(aspect):
    """The law on which searches stand: of an event that is meant, the index has a trait that the criterion names."""
    met = 0
    for value in ASKED:
        criterion = Criterion(aspect, (value,))
        led = criterion.traits()
        for event in EVENTS:
            if criterion.holds(event):
                met += 1
                assert led is None or set(led) & traits(event), (aspect, value)
    assert met  # of each aspect something is found


def test_each_trait_is_of_a_known_kind_and_has_a_value():
    found = {trait for event in EVENTS for trait in traits(event)}
    assert {kind for kind, _ in found} == set(TRAITS)
    assert all(value for _, value in found)


def test_an_event_of_another_shape_gives_what_it_has():
    assert traits({"resourceType": "AuditEvent", "by": "me", "n": 3}) == set()
    assert traits({"outcome": "0", "agent": [{}], "entity": [{"what": {}}]}) == {("outcome", "0")}


@given(st.integers(-5000, 5000), st.integers(-5000, 5000), st.integers(-5000, 5000))
def test_a_span_holds_its_beginning_and_not_its_end(when, since, until):
    span = Span(NOON + timedelta(milliseconds=since), NOON + timedelta(milliseconds=until))
    event = {"recorded": (NOON + timedelta(milliseconds=when)).isoformat(timespec="milliseconds")}
    assert is_meant(event, (), span) is (since <= when < until)


@pytest.mark.parametrize("told", [{}, {"recorded": ""}, {"recorded": "2026-11-24T12:00:00"}, {"recorded": 3}])
def test_what_does_not_say_when_is_in_no_span(told):
    assert recorded(told) is None
    assert is_meant(told, (), Span())
    assert not is_meant(told, (), Span(since=NOON - timedelta(days=9999)))


@pytest.mark.parametrize("values", [(), ("",), ("|",), ("a", "")])
def test_a_criterion_without_a_value_is_refused(values):
    with pytest.raises(ValueError, match="values"):
        Criterion("type", values)
