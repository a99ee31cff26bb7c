"""No JSON makes mapping raise, and every resource has an outcome: real shapes, broken at random."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from mappers import detect_version, map_resource, references_of, subject_of
from mappers.facts import Fact, Link, Origin, Refusal
from mappers.identity import lookup_tokens, read_person, same_person
from mappers.ledger import REASONS, Ledger
from mappers.resources import MAPPERS
from mappers.versions import VERSIONS

UCUM = "http://unitsofmeasure.org"
CODE = {"coding": [{"system": "http://loinc.org", "code": "8480-6", "display": "x"}], "text": "x"}
SAMPLE = {"value": Decimal("120.0"), "unit": "mmHg", "system": UCUM, "code": "mm[Hg]", "comparator": "<"}
REFERENCE = {"reference": "Patient/1"}
PERIOD = {"start": "2024-01-01", "end": "2024-02-01T00:00:00Z"}

ELEMENTS = {
    "id": "1",
    "meta": {"security": [{"system": "x", "code": "AIAST"}], "tag": [{}]},
    "status": "final",
    "intent": "order",
    "code": CODE,
    "substance": CODE,
    "vaccineCode": CODE,
    "medicationCodeableConcept": CODE,
    "medicationReference": {"reference": "#m"},
    "subject": REFERENCE,
    "patient": REFERENCE,
    "clinicalStatus": CODE,
    "verificationStatus": "confirmed",
    "category": [CODE],
    "class": {"system": "x", "code": "AMB"},
    "type": [CODE],
    "period": PERIOD,
    "effectiveDateTime": "2024-02",
    "effectivePeriod": PERIOD,
    "effectiveTiming": {"event": ["2024"]},
    "onsetDateTime": "2020",
    "performedPeriod": PERIOD,
    "occurrenceDateTime": "2024",
    "date": "2024",
    "authoredOn": "2024",
    "dateWritten": "2024",
    "dateEnded": "2024",
    "issued": "2024-01-01T00:00:00Z",
    "valueQuantity": SAMPLE,
    "valueCodeableConcept": CODE,
    "valueString": "x",
    "valueBoolean": True,
    "valueInteger": 3,
    "valueSampledData": {"origin": SAMPLE, "interval": 1, "intervalUnit": "s", "dimensions": 1, "data": "1 E 2"},
    "component": [
        {"code": CODE, "valueQuantity": SAMPLE},
        {"code": CODE, "valueSampledData": {"origin": SAMPLE, "period": 1, "dimensions": 1, "data": "1 E 2"}},
        {"code": CODE},
    ],
    "hasMember": [{"reference": "Observation/2"}],
    "related": [{"type": "has-member", "target": REFERENCE}],
    "focus": [REFERENCE],
    "contained": [{"resourceType": "Observation", "id": "m", "code": CODE, "status": "final"}],
    "name": [{"family": ["A"], "given": ["B"]}],
    "identifier": [{"system": "urn:x", "value": "1", "type": CODE}],
    "gender": "male",
    "birthDate": "1970-01-01",
    "deceasedBoolean": False,
    "extension": [{"url": "x", "valueBoolean": True}],
    "modifierExtension": [{"url": "x", "extension": [{"valueBoolean": True}]}],
    "wasNotGiven": False,
    "notGiven": True,
    "requester": {"agent": REFERENCE},
    "criticality": "CRITH",
    "dataAbsentReason": CODE,
    "medication": {"concept": CODE, "reference": {"reference": "Medication/1"}},
    "adherence": {"code": CODE, "reason": CODE},
    "actualPeriod": PERIOD,
    "occurencePeriod": PERIOD,
    "occurrenceTiming": {"event": ["2024"]},
    "participant": [{"function": CODE, "actor": REFERENCE}],
    "reason": [{"value": [{"concept": CODE}]}, {"reference": REFERENCE}],
    "evidence": [{"concept": CODE}],
    "reaction": [{"manifestation": [{"concept": CODE}]}],
    "dosage": [{"asNeeded": True, "dose": SAMPLE}],
    "isSubpotent": True,
    "relationship": CODE,
    "condition": [{"code": CODE, "onsetAge": SAMPLE}, {"code": CODE, "onsetRange": {"low": SAMPLE}}],
    "activity": [{"detail": {"code": CODE, "status": "in-progress", "scheduledTiming": {"repeat": {}}}}],
    "lifecycleStatus": "active",
    "description": CODE,
    "target": [{"measure": CODE, "detailQuantity": SAMPLE, "dueDate": "2024"}, {"detailCodeableConcept": CODE}],
    "prediction": [{"outcome": CODE, "probabilityDecimal": Decimal("12.5")}, {"qualitativeRisk": CODE}],
    "performer": {"reference": "#m", "type": "Device"},
    "questionnaire": "#m",
    "authored": "2024-01-01T00:00:00Z",
    "item": [
        {"linkId": "1", "code": [CODE], "answer": [{"valueDecimal": 3, "item": [{"answer": [{}]}]}], "item": [{}]}
    ],
    "study": REFERENCE,
    "device": {"concept": CODE, "reference": REFERENCE},
    "started": "2024",
    "series": [{"modality": {"system": "x", "code": "CT"}, "started": "2024"}],
    "oralDiet": {"type": [CODE]},
    "supplement": [{"type": CODE}],
    "quantity": SAMPLE,
    "whenHandedOver": "2024",
    "actuality": "actual",
    "event": CODE,
    "content": [{"attachment": {"creation": "2024"}}],
    "context": {"period": PERIOD},
    "createdPeriod": PERIOD,
    "modality": CODE,
    "valueRatio": {"numerator": SAMPLE, "denominator": SAMPLE},
    "valueDateTime": "2024-02",
    "valueRange": {"low": SAMPLE, "high": SAMPLE},
    "entry": [
        {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Composition", "subject": {"reference": "urn:uuid:2"}}},
        {"fullUrl": "urn:uuid:2", "resource": {"resourceType": "Patient", "id": "1", "gender": "male"}},
        {"fullUrl": "urn:uuid:3", "resource": {"resourceType": "Condition", "subject": REFERENCE, "code": CODE}},
    ],
}
TYPES = [
    "Patient", "Observation", "Condition", "MedicationOrder", "MedicationRequest", "MedicationStatement", "Medication",
    "MedicationAdministration", "Procedure", "AllergyIntolerance", "Immunization", "Encounter", "DiagnosticReport",
    "Claim", "Bundle", "x", "", *sorted(MAPPERS),
]  # fmt: skip

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(10**9), max_value=10**9),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "final", "completed", "2024-02-30", "http://loinc.org", "8480-6", "<", "#m", "\ud800"]),
    st.text(max_size=8),
)
junk = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from([*ELEMENTS, "coding", "system", "value", "unit", "reference", "concept", "start"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)


def _places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _places(item, (*path, index))


def _put(value, path, new):
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = _put(copied[path[0]], path[1:], new)
    return copied


@st.composite
def broken(draw):
    """Draw a resource of real shape, with up to three places replaced by anything."""
    kept = draw(st.lists(st.sampled_from(sorted(ELEMENTS)), unique=True, max_size=25))
    resource = {"resourceType": draw(st.sampled_from(TYPES)), **{name: ELEMENTS[name] for name in kept}}
    if resource["resourceType"] == "Bundle":
        resource["type"] = "document"
    for _ in range(draw(st.integers(min_value=0, max_value=3))):
        path = draw(st.sampled_from([path for path in _places(resource) if path]))
        resource = _put(resource, path, draw(junk))
    return resource


@settings(max_examples=600, deadline=None)
@given(broken(), st.sampled_from(VERSIONS))
def test_no_resource_makes_mapping_raise_and_each_has_an_outcome(resource, version):
    origin = Origin("north", "Observation", "1")
    outcomes = map_resource(resource, version, origin, {"Medication/1": resource})
    assert outcomes
    assert all(isinstance(outcome, Fact | Link | Refusal) for outcome in outcomes)
    assert all(outcome.reason in REASONS for outcome in outcomes if isinstance(outcome, Refusal))
    assert outcomes == map_resource(resource, version, origin, {"Medication/1": resource})
    ledger = Ledger()
    ledger.add("Observation", outcomes)
    assert ledger.resources == ledger.understood + ledger.refused == 1


@settings(max_examples=200, deadline=None)
@given(broken())
def test_no_resource_makes_the_other_doors_raise(resource):
    assert detect_version([resource]) in {*VERSIONS, None}
    assert isinstance(subject_of(resource), str | None)
    assert all(isinstance(reference, str) for reference in references_of(resource))
    one = read_person(resource, "north")
    assert same_person(one, one).verdict in {"same", "different", "conflict"}
    assert isinstance(lookup_tokens(one), frozenset)
