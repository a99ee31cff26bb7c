"""Whether a resource is R4: the places of what is wrong, FHIR's words for it, and nothing of what was sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappers import Unreadable, read_json
from mappers.incoming import structure_issues

Json = dict[str, Any]
CODE = {"text": "weight"}
OBSERVATION: Json = {"resourceType": "Observation", "status": "final", "code": CODE}
ANSWERS: Json = {"resourceType": "QuestionnaireResponse", "status": "completed"}
CONSENT: Json = {
    "resourceType": "Consent",
    "status": "active",
    "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
    "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
    "patient": {"reference": "Patient/1"},
    "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]},
}


def issues(resource: Json) -> list[tuple[str, str]]:
    return [(each.code, each.place) for each in structure_issues(read_json(json.dumps(resource).encode()))]


@pytest.mark.parametrize("resource", [OBSERVATION, ANSWERS, CONSENT])
def test_what_is_valid_has_no_issue(resource: Json) -> None:
    assert issues(resource) == []


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        ({"resourceType": "Weight"}, ("structure", "")),
        (OBSERVATION | {"status": "nonsense"}, ("code-invalid", "Observation.status")),
        (OBSERVATION | {"id": "a" * 65}, ("value", "Observation.id")),
        (OBSERVATION | {"id": "a/../b"}, ("value", "Observation.id")),
        (OBSERVATION | {"id": "a\r\nSet-Cookie: b"}, ("value", "Observation.id")),
        (OBSERVATION | {"weight": 70}, ("structure", "Observation")),
        (OBSERVATION | {"valueString": "a", "valueBoolean": True}, ("structure", "Observation.value")),
        (OBSERVATION | {"category": CODE}, ("structure", "Observation.category")),
        (OBSERVATION | {"category": []}, ("structure", "Observation.category")),
        (OBSERVATION | {"code": [CODE]}, ("structure", "Observation.code")),
        (OBSERVATION | {"code": {"coding": [{}]}}, ("structure", "Observation.code.coding[0]")),
        (OBSERVATION | {"effectiveDateTime": "2026-02-30"}, ("value", "Observation.effective.ofType(dateTime)")),
        (
            OBSERVATION | {"effectiveDateTime": "2026-02-03T10:00:00"},
            ("value", "Observation.effective.ofType(dateTime)"),
        ),
        (OBSERVATION | {"effectiveDateTime": "0000-01-01"}, ("value", "Observation.effective.ofType(dateTime)")),
        (OBSERVATION | {"valueInteger": 2**31}, ("value", "Observation.value.ofType(integer)")),
        (OBSERVATION | {"valueQuantity": {"value": "70"}}, ("value", "Observation.value.ofType(Quantity).value")),
        (OBSERVATION | {"valueString": "\u0000"}, ("value", "Observation.value.ofType(string)")),
        (OBSERVATION | {"valueString": " "}, ("value", "Observation.value.ofType(string)")),
        (OBSERVATION | {"component": [{"valueInteger": 1}]}, ("required", "Observation.component[0].code")),
        (
            OBSERVATION | {"contained": [{"resourceType": "Weight", "id": "a"}]},
            ("structure", "Observation.contained[0]"),
        ),
        (OBSERVATION | {"contained": [{"resourceType": "Patient"}]}, ("structure", "Observation.contained[0]")),
        (OBSERVATION | {"extension": [{"url": "http://a.example/x"}]}, ("invariant", "Observation.extension[0]")),
        (OBSERVATION | {"valueQuantity": {"value": 1, "code": "kg"}}, ("invariant", "Observation.valueQuantity")),
        (OBSERVATION | {"valueInteger": 1, "dataAbsentReason": CODE}, ("invariant", "Observation")),
        (OBSERVATION | {"implicitRules": "http://a.example/rules"}, ("not-supported", "Observation.implicitRules")),
        (
            OBSERVATION | {"effectivePeriod": {"start": "2026-02-01", "end": "2026-01-01"}},
            ("invariant", "Observation.effectivePeriod"),
        ),
        ({"resourceType": "Observation", "code": CODE}, ("required", "Observation.status")),
        ({key: value for key, value in CONSENT.items() if key != "policyRule"}, ("invariant", "Consent")),
        ({key: value for key, value in CONSENT.items() if key != "patient"}, ("invariant", "Consent.patient")),
        (CONSENT | {"provision": {"type": "maybe"}}, ("code-invalid", "Consent.provision.type")),
        (ANSWERS | {"item": [{"text": "Pain?"}]}, ("required", "QuestionnaireResponse.item[0].linkId")),
        (
            ANSWERS | {"item": [{"linkId": "1", "answer": [{"valueInteger": 1}], "item": [{"linkId": "2"}]}]},
            ("invariant", "QuestionnaireResponse.item[0]"),
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_is(resource: Json, found: tuple[str, str]) -> None:
    assert found in issues(resource)


def test_what_is_contained_contains_nothing() -> None:
    inner = {"resourceType": "Observation", "id": "b", "status": "final", "code": CODE}
    outer = inner | {"id": "a", "contained": [inner]}
    assert ("structure", "Observation.contained[0].contained[0]") in issues(OBSERVATION | {"contained": [outer]})


def test_a_text_may_stand_beside_what_is_not_told() -> None:
    reason = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    assert issues(OBSERVATION | {"_effectiveDateTime": reason}) == []
    assert ("structure", "Observation.effective.ofType(dateTime)") in issues(
        OBSERVATION | {"_effectiveDateTime": [reason]}
    )


def test_nothing_that_was_sent_is_repeated() -> None:
    secret = "Huber-1950"
    sent = OBSERVATION | {secret: 1, "status": secret, "valueQuantity": {secret: 2, "value": secret}}
    told = [text for each in structure_issues(sent) for text in (each.text, each.place)]
    assert told
    assert not any("huber" in text.lower() for text in told)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "status",
                    "code",
                    "coding",
                    "subject",
                    "reference",
                    "contained",
                    "resourceType",
                    "id",
                    "item",
                    "answer",
                    "valueQuantity",
                    "value",
                    "extension",
                    "url",
                    "_status",
                    "provision",
                    "component",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["Observation", "Consent", "QuestionnaireResponse"]),
    st.dictionaries(
        st.sampled_from(
            ["status", "code", "subject", "contained", "item", "component", "provision", "extension", "text", "meta"]
        ),
        anything,
    ),
)
def test_no_json_makes_it_raise(kind: str, told: Json) -> None:
    assert isinstance(structure_issues({**told, "resourceType": kind}), list)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"resourceType":"Observation","status":"final","status":"amended"}',
        b'{"resourceType":"Observation","valueQuantity":{"value":NaN}}',
        b'{"resourceType":"Observation","note":[{"text":"\\ud800"}]}',
        b'\xef\xbb\xbf{"resourceType":"Observation"}',
        b'{"resourceType":"Observation","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"resourceType":"Observation","a":' + b'{"a":' * 65 + b"1" + b"}" * 65 + b"}",
        b'{"resourceType":"Observation","a":1' + b"0" * 10_000 + b"}",
        b'{"resourceType":"Observation","a":1e99999999999999999999}',
        b"[]",
        b"",
    ],
)
def test_what_two_readers_could_read_in_two_ways_is_not_read(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read_json(raw)
