"""What our API shows of a resource: R4 that is valid, and never another thing than what was said."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cohort import build, to_json
from mappers.shown import REASONS, SHARED, Made, Naming, Withheld, kind_in_r4, resources, show
from security.blind import BlindIndex

TWIN = "3fa90c12-0000-4000-8000-00000000abcd"
BASE = "https://ehr.example.org/fhir"
BLIND = BlindIndex(bytes(32)).of
LOINC = "http://loinc.org"


def naming(version: Any = "r4", twin: str = TWIN, **changes: Any) -> Naming:
    return Naming("north", BASE, version, twin, BLIND, **{"patients": frozenset({"Patient/1"}), **changes})


def observation(**changes: Any) -> dict[str, Any]:
    told = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "2345-7"}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2026-03-04T05:06:07Z",
        "valueQuantity": {
            "value": Decimal("7.10"),
            "unit": "mmol/L",
            "code": "mmol/L",
            "system": "http://unitsofmeasure.org",
        },
        **changes,
    }
    return {name: value for name, value in told.items() if value is not None}


def shown(told: dict[str, Any], version: Any = "r4", names: Naming | None = None) -> Made | Withheld:
    key = f"{told['resourceType']}/{told.get('id')}"
    return show(to_json(told), version, names or naming(version), key, number=3, updated="2026-01-01T00:00:00.000Z")


def body(told: dict[str, Any], version: Any = "r4", names: Naming | None = None) -> dict[str, Any]:
    made = shown(told, version, names)
    assert isinstance(made, Made), made
    return made.body


def why(told: dict[str, Any], version: Any = "r4") -> tuple[str, str]:
    made = shown(told, version)
    assert isinstance(made, Withheld), made
    assert made.reason in REASONS
    return made.reason, made.path


def test_an_observation_has_our_id_our_meta_our_references_and_its_digits():
    told = body(observation(encounter={"reference": f"{BASE}/Encounter/e1/_history/4"}))
    assert told["id"].startswith(f"{TWIN}-")
    assert len(told["id"]) == 63
    assert told["meta"] == {
        "versionId": "3",
        "lastUpdated": "2026-01-01T00:00:00.000Z",
        "source": "urn:fhirtwin:source:north",
    }
    assert told["subject"] == {"reference": f"Patient/{TWIN}"}
    assert told["encounter"] == {"reference": f"Encounter/{naming().id_of('Encounter/e1', 'Encounter')}"}
    assert b'"value":7.10' in to_json(told)


def test_the_same_bytes_are_shown_as_the_same_text():
    assert shown(observation()) == shown(observation())


def test_an_older_version_is_shown_as_r4():
    order = {
        "resourceType": "MedicationOrder",
        "id": "m",
        "status": "active",
        "patient": {"reference": "Patient/1"},
        "medicationReference": {"reference": "Medication/a"},
        "prescriber": {"reference": "Practitioner/p"},
    }
    told = body(order, "dstu2")
    assert (told["resourceType"], told["intent"]) == ("MedicationRequest", "order")
    assert told["subject"] == {"reference": f"Patient/{TWIN}"}
    assert told["medicationReference"]["reference"].startswith("Medication/s-")
    assert told["requester"]["reference"].startswith("Practitioner/s-")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"status": "finall"}, ("code", "status")),
        ({"status": None}, ("missing", "status")),
        ({"effectiveDateTime": "2026-02-30"}, ("bad-value", "effectiveDateTime")),
        ({"valueQuantity": {"value": "7.1", "unit": "mmol/L"}}, ("bad-value", "valueQuantity.value")),
        ({"valueQuantity": {"value": 7, "comparator": "~"}}, ("code", "valueQuantity.comparator")),
        ({"valueString": "seven"}, ("two-values", "valueString")),
        ({"dataAbsentReason": {"text": "?"}}, ("invariant", "obs-6")),
        ({"modifierExtension": [{"url": "not"}]}, ("unknown-modifier", "modifierExtension[0]")),
        ({"implicitRules": "https://x.example/rules"}, ("implicit-rules", "implicitRules")),
        ({"subject": {"reference": "Patient/1"}, "specimen": {"reference": "Patient/1"}}, None),
        ({"meta": {"security": [{"system": "x", "code": "R"}]}}, ("security-label", "meta.security")),
        ({"text": {"status": "additional", "div": "<div>more</div>"}}, ("narrative", "text")),
        (
            {"component": [{"code": {"text": "a"}, "valueQuantity": {"value": "x"}}]},
            ("bad-value", "component.[0].valueQuantity.value"),
        ),
    ],
)
def test_what_matters_and_is_broken_costs_the_resource(change: dict[str, Any], expected: tuple[str, str] | None):
    if expected is None:  # a reference that nothing demands, to a type that it must not lead to, is left out
        assert "specimen" not in body(observation(**change))
    else:
        assert why(observation(**change)) == expected


@pytest.mark.parametrize(
    ("change", "element"),
    [
        ({"issued": "yesterday"}, "issued"),
        ({"performer": [{"reference": "Observation/1"}]}, "performer"),
        ({"colour": "red"}, "colour"),
        ({"identifier": [{"system": "local", "value": "1"}]}, "identifier"),
        ({"text": {"status": "generated", "div": "<div>what the elements say"}}, "text"),
        ({"extension": [{"url": "relative", "valueString": "x"}]}, "extension"),
        (
            {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueString": "x"}]},
            "extension",
        ),
    ],
)
def test_what_says_nothing_else_is_left_out_alone(change: dict[str, Any], element: str):
    told = body(observation(**change))
    assert element not in told
    assert "valueQuantity" in told


def test_a_code_that_its_system_does_not_have_is_kept_as_words():
    bad = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "lab"}]}
    assert body(observation(category=[bad]))["category"] == [{"text": "lab"}]


def test_another_patient_is_a_name_that_leads_nowhere_and_says_nothing():
    focus = [{"reference": "Patient/2", "display": "Somebody Else"}]
    [told] = body(observation(focus=focus))["focus"]
    assert told["type"] == "Patient"
    assert told["identifier"]["system"] == "urn:fhirtwin:source:north"
    assert told.keys() == {"type", "identifier"}
    by_number = {"type": "Patient", "identifier": {"value": "MRN-9"}, "display": "Somebody Else"}
    assert body(observation(focus=[by_number]))["focus"] == [{"type": "Patient"}]
    assert "Else" not in json.dumps(body(observation(focus=focus)), default=str)


def test_a_reference_tells_not_whether_its_target_is_there():
    one = naming().reach("Encounter/held")
    assert one == naming().reach("Encounter/held")
    assert one.written["reference"] == f"Encounter/{naming().id_of('Encounter/held', 'Encounter')}"


def test_names_within_bundles_are_followed_and_searches_are_told_as_identifiers():
    urls = {"urn:uuid:6f1": "Encounter/e1"}
    told = body(
        observation(
            encounter={"reference": "urn:uuid:6f1"},
            performer=[{"reference": "Practitioner?identifier=http://npi.example|77", "display": "Dr. A"}],
        ),
        names=naming(full_urls=urls),
    )
    assert told["encounter"]["reference"] == f"Encounter/{naming().id_of('Encounter/e1', 'Encounter')}"
    assert told["performer"] == [
        {"type": "Practitioner", "identifier": {"system": "http://npi.example", "value": "77"}, "display": "Dr. A"}
    ]


def test_what_is_contained_stays_and_what_nobody_refers_to_goes():
    inside = [{"resourceType": "Practitioner", "id": "p"}, {"resourceType": "Practitioner", "id": "q"}]
    told = body(observation(contained=[{**each, "active": True} for each in inside], performer=[{"reference": "#q"}]))
    assert [each["id"] for each in told["contained"]] == ["q"]
    assert "performer" not in body(observation(performer=[{"reference": "#gone"}]))


def test_an_attachment_is_told_and_its_address_is_not():
    told = {
        "resourceType": "DocumentReference",
        "id": "d",
        "status": "current",
        "subject": {"reference": "Patient/1"},
        "content": [{"attachment": {"contentType": "text/plain", "url": f"{BASE}/Binary/1", "data": "aGk="}}],
    }
    assert body(told)["content"] == [{"attachment": {"contentType": "text/plain"}}]
    told["content"] = [{"attachment": {"url": f"{BASE}/Binary/1"}}]
    [content] = body(told)["content"]
    assert content["attachment"]["extension"][0]["valueCode"] == "masked"
    assert BASE not in json.dumps(body(told), default=str)


def test_what_r4_cannot_say_is_not_said_by_half():
    told = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"text": "scan"},
        "subject": {"reference": "Patient/1"},
        "valueAttachment": {"title": "scan"},
    }
    assert why(told, "r5") == ("meaning-lost", "valueAttachment.title")
    assert why({"resourceType": "Account", "id": "a", "status": "active"})[0] == "no-type"
    assert why({"resourceType": "Bundle", "id": "b", "type": "document"})[0] == "document"


def test_no_name_of_the_source_is_in_what_is_shown():
    told = body(
        observation(
            id="MRN-4711",
            encounter={"reference": "Encounter/MRN-4711"},
            basedOn=[{"reference": f"{BASE}/ServiceRequest/MRN-4711"}],
        )
    )
    assert "MRN-4711" not in json.dumps(told, default=str)
    assert "ehr.example.org" not in json.dumps(told, default=str)


@pytest.mark.parametrize(
    ("ehr", "version"),
    [("lakeside", "dstu2"), ("harbor", "stu3"), ("summit", "r4"), ("summit", "r4b"), ("summit", "r5")],
)
def test_the_cohort_is_shown_but_for_what_r4_demands_and_the_version_does_not_have(ehr: Any, version: Any):
    hidden = []
    for bundle in build(7).bundles(ehr, version):
        for entry in bundle["entry"]:
            told = entry["resource"]
            kind = kind_in_r4(told["resourceType"], version)
            patients = frozenset({f"Patient/{told['id']}"})
            names = naming(version, "" if kind in SHARED else TWIN, patients=patients)
            made = shown(told, version, names)
            if isinstance(made, Withheld):
                hidden.append((kind, made.reason, made.path))
            elif kind not in SHARED and kind != "Patient":
                assert f'"Patient/{TWIN}"' in json.dumps(made.body, default=str)
    allowed = {
        ("Coverage", "missing", "status"),
        ("CarePlan", "missing", "intent"),
        ("Condition", "code", "clinicalStatus"),
    }
    assert set(hidden) <= allowed


ELEMENTS = (
    *("status", "code", "subject", "patient", "contained", "meta", "text", "extension", "modifierExtension", "value"),
    *("valueQuantity", "item", "content", "_status"),
)
PARTS = ("reference", "coding", "value", "url", "code", "system", "extension", "id")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text(max_size=6)
    | st.sampled_from(["Patient/1", "#a", "final"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(PARTS), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(sorted(resources())),
    st.dictionaries(st.sampled_from(ELEMENTS), JSON, max_size=5),
    st.sampled_from(["dstu2", "stu3", "r4", "r5"]),
)
def test_whatever_comes_is_shown_or_has_a_reason(kind: str, told: dict[str, Any], version: Any):
    raw = json.dumps({"resourceType": kind, "id": "x", **told}).encode()
    made = show(raw, version, naming(version), f"{kind}/x", number=1, updated="2026-01-01T00:00:00Z")
    assert isinstance(made, Made) or made.reason in REASONS
    if isinstance(made, Made):
        assert all(each.reason in REASONS for each in made.lost)


def test_many_things_that_are_left_out_cost_no_other():
    bad = [{"system": "relative", "value": str(number)} for number in range(60)]
    told = body(observation(identifier=[*bad, {"system": "urn:lab", "value": "good"}], note=[{"time": "?"}] * 60))
    assert told["identifier"] == [{"system": "urn:lab", "value": "good"}]
    assert "valueQuantity" in told


def test_a_logical_reference_stays_one():
    by = {"system": "urn:npi", "value": "7"}
    told = body(observation(performer=[{"type": "Practitioner", "identifier": by, "display": "Dr. A"}]))
    assert told["performer"] == [{"type": "Practitioner", "identifier": by, "display": "Dr. A"}]
    assert "performer" not in body(observation(performer=[{"identifier": {"system": "relative", "value": "7"}}]))
