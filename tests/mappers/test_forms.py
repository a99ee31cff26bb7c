"""Mapping by forms gives what mapping resource by resource gives, to the last field, or leaves it to that."""

from __future__ import annotations

import json
import random
from collections import Counter
from decimal import Decimal
from functools import partial
from itertools import permutations, product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappers import Unreadable, map_resource, read_json, subject_of
from mappers.facts import Origin, Outcome, Quantity
from mappers.forms import Filled, Forms, meaning_of

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def origin_of(resource: dict[str, Any]) -> Origin:
    """Say where a resource stands, as a pull does."""
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    identity = resource.get("id")
    return Origin(
        "north",
        str(resource["resourceType"]),
        identity if isinstance(identity, str) else "",
        version if isinstance(version, str) else "",
    )


def slowly(raw: bytes) -> tuple[list[Outcome], str]:
    """Map a resource without forms: its outcomes, and whom it is about."""
    resource = read_json(raw)
    return map_resource(resource, "r4", origin_of(resource), {}), subject_of(resource) or ""


def check(forms: Forms, raw: bytes) -> Filled | None:
    """Read a resource by a form, and compare with the other way where it is of one."""
    filled = forms.read(raw, "r4")
    if filled is None:
        return None
    outcomes, subject = slowly(raw)
    assert filled.outcomes() == outcomes
    assert filled.meaning() == meaning_of(outcomes)
    assert (filled.subject, filled.key) == (subject, outcomes[0].origin.resource)
    return filled


def written(resource: dict[str, Any]) -> bytes:
    """Write JSON as servers export it."""
    return json.dumps(resource, separators=(",", ":"), ensure_ascii=False).encode()


def observation(number: str = "7.10", **changes: Any) -> bytes:
    """Write a potassium; what `changes` gives no value is left out."""
    body = {
        "resourceType": "Observation",
        "id": "o1",
        "meta": {"versionId": "3", "lastUpdated": "2026-01-02T03:04:05.678Z", "source": "#a1b2"},
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "2823-3", "display": "Potassium"}]},
        "subject": {"reference": "Patient/p1", "display": "Somebody"},
        "encounter": {"reference": "Encounter/e1"},
        "effectiveDateTime": "2026-01-02T03:04:05Z",
        "valueQuantity": {"value": "NUMBER", "unit": "mmol/L", "system": UCUM, "code": "mmol/L"},
    }
    left = {name: value for name, value in {**body, **changes}.items() if value is not None}
    return written(left).replace(b'"NUMBER"', number.encode())


@pytest.fixture(scope="module")
def lines(shared_data: Path) -> list[bytes]:
    """The resources of real patients, as a server exports them."""
    files = sorted((shared_data / "patients" / "r4").glob("*.json"))
    return [written(entry["resource"]) for file in files for entry in json.loads(file.read_bytes())["entry"]]


def test_real_patients_are_mapped_by_forms_just_as_without(lines: list[bytes]):
    forms, left = Forms("north"), Counter[str]()
    for raw in lines:
        if check(forms, raw) is None:
            left[json.loads(raw)["resourceType"]] += 1
    assert left.total() < 0.03 * len(lines), left


def test_a_byte_that_is_changed_anywhere_changes_both_ways_alike(lines: list[bytes]):
    chance = random.Random(7)  # noqa: S311 - a test that repeats itself
    forms, by_form = Forms("north"), 0
    some = [raw for raw in lines if len(raw) < 1500][::9]
    for raw in some:
        forms.read(raw, "r4")
    for _ in range(1000):
        raw = bytearray(chance.choice(some))
        place = chance.randrange(len(raw))
        if chance.random() < 0.5:
            raw[place] = chance.choice(b'"{}[],:0123456789.-abcTZ\\ \x00\xff')
        elif chance.random() < 0.5:
            del raw[place : place + chance.randrange(1, 9)]
        else:
            raw[place:place] = raw[place : place + chance.randrange(1, 40)]
        changed = bytes(raw)
        try:
            slowly(changed)
        except Unreadable:
            assert _is_unread(forms.read(changed, "r4"))
        else:
            by_form += check(forms, changed) is not None
    assert by_form > 30


def _is_unread(filled: Filled | None) -> bool:
    """Say whether a resource was left alone, or is of a type of which nothing but its name is read."""
    return filled is None or {getattr(each, "reason", "") for each in filled.outcomes()} == {"unsupported-type"}


numbers = st.decimals(-1000, 1000, places=None, allow_nan=False, allow_infinity=False).map(lambda d: f"{d:f}"[:18])
times = st.sampled_from(
    [
        "2026-01-02T03:04:05Z",
        "2026-02-29",
        "2024-02-29",
        "2026-01",
        "2026",
        "2026-01-02T03:04:05+14:00",
        "soon",
        "",
        None,
    ]
)
units = st.sampled_from(["mmol/L", "mg/dL", "g/L", "[degF]", "bottles", "", None])
quantities = st.fixed_dictionaries(
    {"value": st.just("NUMBER")},
    optional={
        "comparator": st.sampled_from(["<", "about"]),
        "unit": units,
        "system": st.sampled_from([UCUM, "urn:own"]),
        "code": units,
        "extension": st.just([{"url": "urn:x", "valueQuantity": {"value": 5}}]),
    },
)
concepts = st.sampled_from(
    [
        {"coding": [{"system": LOINC, "code": code, "display": code}], "text": text}
        for code, text in (
            ("2823-3", "K"),
            ("2345-7", "Glucose"),
            ("8310-5", 'a "quoted" text'),
            ("85354-9", "BP"),
            ("x", "é"),
        )
    ]
)
components = st.lists(st.fixed_dictionaries({"code": concepts, "valueQuantity": quantities}), max_size=3)
observations = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["o1", "o2", "é", "", 5, None]),
        "status": st.sampled_from(["final", "cancelled", "amended"]),
        "code": concepts,
        "subject": st.sampled_from(
            [{"reference": r} for r in ("Patient/1", "Patient/2", "Group/1", "#in", "urn:uuid:1")]
        ),
        "focus": st.sampled_from([[{"reference": "Patient/1"}], [{"reference": "Device/1"}]]),
        "effectiveDateTime": times,
        "effectivePeriod": st.fixed_dictionaries({}, optional={"start": times, "end": times}),
        "issued": times,
        "valueQuantity": quantities,
        "valueString": st.sampled_from(["yes", "NUMBER"]),
        "component": components,
        "referenceRange": st.just([{"low": {"value": 3}, "high": {"value": 4}}]),
        "note": st.just([{"text": 'it says "value":5 here'}]),
        "modifierExtension": st.just([{"url": "urn:not", "valueBoolean": True}]),
        "meta": st.sampled_from([{"versionId": "1"}, {"security": [{"code": "AIAST"}]}, {"tag": []}, {"versionId": 5}]),
    },
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(observations, numbers, numbers, st.booleans()), min_size=2, max_size=6))
def test_whatever_came_before_a_resource_means_the_same(told: list[tuple[dict[str, Any], str, str, bool]]):
    forms = Forms("north")
    for changes, one, other, is_doubled in told:
        raw = observation(one, **changes)
        for whole in (raw, observation(other, **changes), raw):
            each = whole[:-1] + b',"status":"final"}' if is_doubled else whole
            try:
                slowly(each)
            except Unreadable:
                assert forms.read(each, "r4") is None
            else:
                check(forms, each)


def test_limits_hold_between_numbers_that_were_read_alike():
    usual = ("4.0", "3.9", "5.0", "4.5", "4.50", "7.9", "2.1", "20", "0.2", "100", "4.1", "-0", "0.0000041", "1e1")
    for numbers in (usual, ("12", "1.2", "4.0", "1.1", "13", "4.1")):
        forms = Forms("north")
        flags = [check(forms, observation(number)) for number in numbers]
        assert check(forms, observation("4.2")) is not None
        assert check(forms, observation("99")) is None
    assert {len(getattr(f.outcomes()[0], "flags", ())) for f in flags if f} == {0, 1}, "both usual and unusual ones"


def coded(system: str, code: str) -> dict[str, Any]:
    """Write a concept."""
    return {"coding": [{"system": system, "code": code}]}


HL7 = "http://terminology.hl7.org/CodeSystem"
SNOMED = "http://snomed.info/sct"


def visit(number: int, start: str, end: str, _: str) -> bytes:
    """Write a visit from one time to another."""
    kind = {"system": f"{HL7}/v3-ActCode", "code": "AMB"}
    body = {"resourceType": "Encounter", "id": f"e{number}", "status": "finished", "class": kind}
    about = {"type": [coded(SNOMED, "185349003")], "subject": {"reference": "Patient/p1"}}
    return written(body | about | {"period": {"start": start, "end": end}})


def diagnosis(number: int, onset: str, end: str, recorded: str, *, has_onset: bool = True) -> bytes:
    """Write a diagnosis that began, ended and was recorded."""
    statuses = {
        "clinicalStatus": coded(f"{HL7}/condition-clinical", "resolved"),
        "verificationStatus": coded(f"{HL7}/condition-ver-status", "confirmed"),
    }
    body = {"resourceType": "Condition", "id": f"c{number}", **statuses, "code": coded(SNOMED, "44054006")}
    times = {"onsetDateTime": onset} if has_onset else {}
    times |= {"abatementDateTime": end, "recordedDate": recorded}
    return written(body | {"subject": {"reference": "Patient/p1"}} | times)


@pytest.mark.parametrize("write", [visit, diagnosis, partial(diagnosis, has_onset=False)])
def test_what_ends_before_it_begins_is_of_no_form_of_what_does_not(write):
    forms = Forms("north")
    times = [
        *permutations(("2026-01-02", "2026-01-05", "2026-01-08")),
        *product(("2026-01-03", "2026-01-06"), repeat=3),
    ]
    made = [check(forms, write(number, *each)) for number, each in enumerate(2 * times)]
    assert sum(each is not None for each in made) > len(made) // 3


def test_what_one_resource_of_a_form_leaves_out_and_another_says_is_read():
    forms = Forms("north")
    for focus in ([{"reference": "Patient/p1"}], [{"reference": "Device/1"}], [{"reference": "Patient/p2"}]):
        for patient in ("Patient/p1", "Patient/p2", "Group/p1"):
            check(forms, observation(focus=focus, subject={"reference": patient}))


def test_a_form_holds_nothing_of_the_patient_that_it_was_learned_from():
    filled = check(Forms("north"), observation("4.321", id="first-id", effectiveDateTime="2026-03-04T05:06:07Z"))
    assert filled is not None
    form = msgspec.json.encode(filled.form)
    for told in (b"first-id", b"2026-03-04", b"4.321", b"Patient/p1", b"Somebody", b"Encounter/e1"):
        assert told not in form, told


def test_ids_times_numbers_and_patients_fill_the_blanks_of_one_form():
    forms = Forms("north")
    one = check(forms, observation("4.0"))
    other = check(
        forms,
        observation("4.1", id="o2", subject={"reference": "Patient/p2"}, effectiveDateTime="2026-01-02T00:00:00Z"),
    )
    assert one is not None
    assert other is not None
    assert one.form is other.form
    assert other.subject == "Patient/p2"
    [fact] = other.outcomes()
    assert getattr(fact, "value", None) == Quantity(Decimal("4.1"), "mmol/L")


@pytest.mark.parametrize(
    "raw",
    [
        observation().replace(b",", b", "),
        observation()[:-1] + b',"status":"final"}',
        observation().replace(b'"display":"Potassium"', b'"display":"Potassium","display":"Sodium"'),
        observation().replace(b'"Encounter/e1"', b'"Encounter/e1","reference":"Encounter/e2"'),
        observation().replace(b'"status"', b'"stat\\u0075s"'),
        observation().replace(b"Somebody", b"\xff"),
    ],
    ids=["padded", "key twice", "key twice in a code", "key twice in what nobody reads", "escaped", "no UTF-8"],
)
def test_what_could_be_read_in_two_ways_is_left_to_the_strict_reader(raw: bytes):
    forms = Forms("north")
    assert check(forms, observation()) is not None
    assert forms.read(raw, "r4") is None


def test_a_medicine_that_stands_elsewhere_is_of_no_form():
    order = {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "intent": "order",
        "medicationReference": {"reference": "Medication/1"},
        "subject": {"reference": "Patient/1"},
        "authoredOn": "2026-01-02",
    }
    forms = Forms("north")
    assert [forms.read(written({**order, "id": f"m{n}"}), "r4") for n in range(3)] == [None, None, None]
