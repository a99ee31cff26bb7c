from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from security.audit import (
    Access,
    System,
    certificate_event,
    delivery_event,
    fetch_event,
    import_event,
    key_event,
    log_event,
    merge_event,
    proposal_event,
    query_event,
    read_event,
    remap_event,
    retraction_event,
    run_event,
    token_event,
)
from security.audit.canonical import canonical

Event = dict[str, Any]

TWIN = "0f4be5f5-8a1c-4f0e-9d9b-0d3c4a7f2b11"
WHEN = datetime(2026, 11, 24, 9, 30, 15, 123456, tzinfo=timezone(timedelta(hours=1)))
US = System("fhirtwin", "workstation-7", "0.1.0")
EHR = System("north", "https://ehr.example.org/fhir")
REQUEST = b"GET https://ehr.example.org/fhir/Observation?patient=123\nAccept: application/fhir+json"
FORM = {
    "grant_type": "client_credentials",
    "scope": "system/Observation.rs",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "client_assertion": "ZZTESTCANARY.assertion.signature",
    "client_secret": "ZZTESTCANARY-secret",
    "code": "ZZTESTCANARY-code",
    "code_verifier": "ZZTESTCANARY-verifier",
    "refresh_token": "ZZTESTCANARY-refresh",
}

BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"


def access(**changes: Any) -> Access:
    made: dict[str, Any] = {
        "when": WHEN,
        "actor": "alice",
        "purpose": "TREAT",
        "system": US,
        "peer": EHR,
        "patient": TWIN,
        "what": ("Observation/12/_history/3", "Condition/4"),
        "query": REQUEST,
        "request_id": "3f2c",
        "basis": "system/Observation.rs system/Condition.rs",
    }
    return Access(**made | changes)


KINDS: dict[str, Callable[[Access], Event]] = {
    "query": query_event,
    "fetch": fetch_event,
    "read": read_event,
    "import": import_event,
    "run": lambda a: run_event(a, run="run-1", model="kidney 1"),
    "retraction": lambda a: retraction_event(a, why="deleted"),
    "merge": lambda a: merge_event(a, twin="7d0c"),
    "remap": lambda a: remap_event(a, mapping="4+1a2b3c4d5e"),
    "unmerge": lambda a: merge_event(a, twin="7d0c", parted=True),
    "certificate": lambda a: certificate_event(a, pull="pull-1", verdict="complete"),
    "proposal": lambda a: proposal_event(a, proposal="proposal-1"),
    "delivery": lambda a: delivery_event(a, delivery="delivery-1"),
    "token": lambda a: token_event(a, client_id="twin-client", form=FORM),
    "key": lambda a: key_event(a, key=TWIN),
    "log": log_event,
}
PROFILED = {  # kind: BALP profile without and with a patient
    "query": ("IHE.BasicAudit.Query", "IHE.BasicAudit.PatientQuery"),
    "fetch": ("IHE.BasicAudit.Read", "IHE.BasicAudit.PatientRead"),
    "read": ("IHE.BasicAudit.Read", "IHE.BasicAudit.PatientRead"),
    "delivery": ("IHE.BasicAudit.Create", "IHE.BasicAudit.PatientCreate"),
    "token": ("IHE.IUA.71", "IHE.IUA.71"),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def agent(event: Event, code: str) -> Event:
    [found] = [a for a in event["agent"] if a["type"]["coding"][0]["code"] == code]
    return found


def entities(event: Event, code: str) -> list[Event]:
    return [e for e in event["entity"] if e["type"]["code"] == code]


@every_kind
@pytest.mark.parametrize("changes", [{}, {"patient": ""}, {"outcome": "8", "reason": "denied"}, {"request_id": ""}])
def test_every_kind_is_a_valid_r4_audit_event_with_one_spelling(kind, changes):
    event = KINDS[kind](access(**changes))
    AuditEvent.model_validate(event)
    assert json.loads(canonical(event)) == event


@every_kind
def test_every_event_says_who_when_why_and_by_which_software(kind):
    event = KINDS[kind](access())
    assert event["recorded"] == "2026-11-24T08:30:15.123Z"
    [user] = [a for a in event["agent"] if a["requestor"]]
    assert user["who"]["identifier"]["value"] == "alice"
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    assert user["policy"] == ["system/Observation.rs", "system/Condition.rs"]
    assert not {"network", "media"} & user.keys()  # BALP: users are not network devices
    assert event["source"]["observer"]["display"] == "fhirtwin 0.1.0"


# BALP's table of who plays which part; the HL7 validator misses swapped parts, so it is written out again here.
@pytest.mark.parametrize(
    ("kind", "ours", "theirs", "person", "what"),
    [
        ("query", "110153", "110152", "IRCP", ("E", "search-type")),
        ("fetch", "110152", "110153", "IRCP", ("R", "read")),
        ("delivery", "110153", "110152", "AUT", ("C", "create")),
        ("token", "110150", "AuthzOauthService", "IRCP", ("E", "ITI-71")),
        ("import", "110152", "110155", "AUT", ("C", "receive")),
    ],
)
def test_as_a_client_we_play_the_part_that_balp_gives_a_client(kind, ours, theirs, person, what):
    event = KINDS[kind](access())
    assert agent(event, ours)["network"] == {"address": "workstation-7", "type": "1"}
    assert agent(event, theirs)["network"] == {"address": "https://ehr.example.org/fhir", "type": "5"}
    assert agent(event, theirs)["who"]["identifier"]["value"] == "north"
    assert agent(event, person)["requestor"] is True
    assert (event["action"], event["subtype"][0]["code"]) == what


def test_as_a_server_we_are_the_source_and_the_reader_is_the_destination():
    event = read_event(access(peer=System("browser", "192.0.2.7")))
    assert agent(event, "110153")["who"]["identifier"]["value"] == "fhirtwin"
    assert agent(event, "110152")["network"] == {"address": "192.0.2.7", "type": "2"}
    at_the_terminal = read_event(access(peer=None))
    assert agent(at_the_terminal, "110152")["who"] == agent(at_the_terminal, "110153")["who"]


@every_kind
def test_the_patient_is_a_reference_to_the_twin_and_nothing_else(kind):
    people = entities(KINDS[kind](access()), "1")
    if kind == "token":
        assert not people  # the profile is closed
    else:
        [person] = people
        assert person["what"] == {"reference": f"Patient/{TWIN}", "type": "Patient"}
        assert person["role"]["code"] == "1"
    assert not entities(KINDS[kind](access(patient="")), "1")


@every_kind
def test_every_event_has_one_main_entity_and_names_the_other_resources_beside_it(kind):
    event = KINDS[kind](access())
    assert len(entities(event, "2")) == 1  # BALP slices by type: 0..1 data or query
    named = [e["what"].get("reference") for e in entities(event, "2") + entities(event, "4") if "what" in e]
    expected = set() if kind == "token" else {"Observation/12/_history/3", "Condition/4"}
    assert set(named) - {None} == expected


def test_a_query_is_kept_as_sent():
    [asked] = entities(query_event(access()), "2")
    assert base64.b64decode(asked["query"]) == REQUEST
    assert asked["role"]["code"] == "24"
    assert not {"what", "lifecycle", "detail", "name"} & asked.keys()


def test_a_token_event_holds_no_credential():
    event = token_event(access(), client_id="twin-client", form=FORM)
    [asked] = event["entity"]
    request = base64.b64decode(asked["query"]).decode()
    assert "ZZTESTCANARY" not in json.dumps(event) + request
    assert "grant_type=client_credentials" in request
    assert agent(event, "110150")["who"]["identifier"]["value"] == "twin-client"
    assert 2 <= len(event["agent"]) <= 3


def test_the_request_id_joins_our_event_to_that_of_the_ehr():
    [join] = entities(query_event(access()), "XrequestId")
    assert join["what"]["identifier"]["value"] == "3f2c"


def test_a_run_names_model_and_inputs_but_no_value():
    event = KINDS["run"](access())
    [job] = entities(event, "2")
    assert job["role"]["code"] == "20"
    assert job["detail"] == [{"type": "model", "valueString": "kidney 1"}]
    assert len(entities(event, "4")) == 2


@every_kind
@pytest.mark.parametrize("outcome", ["4", "8", "12"])
def test_a_failure_is_recorded_like_a_success_but_claims_no_profile(kind, outcome):
    good = KINDS[kind](access())
    bad = KINDS[kind](access(outcome=outcome, reason="denied"))
    assert "meta" not in bad
    assert (bad["outcome"], bad["outcomeDesc"]) == (outcome, "denied")
    assert {k: v for k, v in bad.items() if k not in ("outcome", "outcomeDesc")} == {
        k: v for k, v in good.items() if k not in ("outcome", "meta")
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"when": datetime(2026, 11, 24)},  # noqa: DTZ001 - that it has no zone is the point
        {"outcome": "8"},
        {"reason": "denied"},
        {"outcome": "8", "reason": "Patient Anna Muster has no consent"},
        {"what": ("Observation: creatinine 1.1",)},
        {"what": ("Patient/1\nPatient/2",)},
        {"patient": "Anna Muster"},
        {"actor": "alice\u202e"},
        {"actor": ""},
        {"purpose": "to see"},
        {"request_id": "a\r\nb"},
        {"basis": "system/*.rs\x1b[31m"},
    ],
)
def test_free_text_and_half_told_events_are_refused(changes):
    with pytest.raises(ValueError, match=r"audit event|failure"):
        access(**changes)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("query", {"peer": None}),
        ("query", {"query": b""}),
        ("fetch", {"peer": None}),
        ("delivery", {"peer": None}),
        ("import", {"peer": None}),
        ("token", {"peer": None}),
        ("read", {"patient": "", "what": ()}),
    ],
)
def test_an_event_without_its_essentials_is_not_made(kind, changes):
    with pytest.raises(ValueError, match=r"\w"):
        KINDS[kind](access(**changes))


def test_where_no_basis_is_told_none_is_claimed():
    [user] = [a for a in read_event(access(basis=""))["agent"] if a["requestor"]]
    assert "policy" not in user


def test_an_instant_is_written_in_utc():
    assert log_event(access(when=WHEN.astimezone(UTC)))["recorded"] == log_event(access())["recorded"]


@pytest.mark.parametrize("patient", ["", TWIN])
@pytest.mark.parametrize("kind", PROFILED)
def test_what_claims_a_balp_profile_keeps_its_rules(kind, patient, broken_rules):
    event = KINDS[kind](access(patient=patient))
    name = PROFILED[kind][bool(patient)]
    assert event["meta"]["profile"] == [BALP + name]
    assert broken_rules(event, name) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda e: e.update(action="R"),
        lambda e: e.update(outcome="8"),
        lambda e: e["type"].update(code="110112"),
        lambda e: e["subtype"][0].update(code="read"),
        lambda e: e["agent"].pop(0),
        lambda e: e["agent"][0].pop("network"),
        lambda e: e["agent"][0].pop("who"),
        lambda e: e["agent"][2].update(requestor=False),
        lambda e: entities(e, "2")[0].pop("query"),
        lambda e: entities(e, "2")[0].update(what={"reference": "Observation/1"}),
        lambda e: entities(e, "1")[0].pop("what"),
        lambda e: e["entity"].remove(entities(e, "1")[0]),
    ],
)
def test_the_judge_of_the_profiles_finds_what_is_wrong(spoil, broken_rules):
    event = query_event(access())
    spoil(event)
    assert broken_rules(event, "IHE.BasicAudit.PatientQuery")
