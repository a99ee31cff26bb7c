"""What lies under a stencil is read without being read as JSON, and means what it means to those who read it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from mappers import Unreadable, map_resource, read_json
from mappers.facts import Origin, Outcome
from mappers.forms import Filled, Forms
from mappers.forms.meaning import meaning_of
from mappers.forms.tracks import ARE_BUILT
from mappers.references import subject_of

pytestmark = pytest.mark.skipif(not ARE_BUILT, reason="there was no C compiler when this was installed")

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def slowly(raw: bytes) -> tuple[list[Outcome], str]:
    resource = read_json(raw)
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else ""
    origin = Origin("north", resource["resourceType"], resource.get("id", ""), version or "")
    return map_resource(resource, "r4", origin, {}), subject_of(resource) or ""


def written(resource: Any) -> bytes:
    return json.dumps(resource, separators=(",", ":"), ensure_ascii=False).encode()


def observation(number: str = "4.10", **changes: Any) -> bytes:
    body = {
        "resourceType": "Observation",
        "id": "o1",
        "meta": {
            "versionId": "3",
            "lastUpdated": "2026-01-02T03:04:05.678Z",
            "source": "#a1b2",
            "profile": ["http://p"],
        },
        "status": "final",
        "category": [{"coding": [{"code": "laboratory", "display": "Lab"}]}],
        "code": {"coding": [{"system": LOINC, "code": "2823-3", "display": "Potassium"}]},
        "subject": {"reference": "Patient/p1", "display": "Somebody"},
        "encounter": {"reference": "Encounter/e1"},
        "effectiveDateTime": "2026-01-02T03:04:05Z",
        "note": [{"text": "fasting", "time": "2026-01-02"}],
        "valueQuantity": {"value": "NUMBER", "unit": "mmol/L", "system": UCUM, "code": "mmol/L"},
    }
    left = {name: value for name, value in {**body, **changes}.items() if value is not None}
    return written(left).replace(b'"NUMBER"', number.encode())


def encounter(start: str, end: str) -> bytes:
    return written(
        {
            "resourceType": "Encounter",
            "id": f"e{start}",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": "Patient/p1"},
            "period": {"start": start, "end": end},
        }
    )


def known() -> Forms:
    """Forms that have a stencil of the plain observation."""
    forms = Forms("north")
    for number in ("4.1", "3.9", "4.5", "4.4"):
        assert forms.read(observation(number), "r4") is not None
    assert forms.stencils == 1
    return forms


def same(forms: Forms, raw: bytes) -> Filled | None:
    """Read by stencils, and compare with the way of one who reads all of it."""
    filled = forms.read(raw, "r4")
    if filled is not None:
        outcomes, subject = slowly(raw)
        assert (filled.outcomes(), filled.meaning(), filled.subject) == (outcomes, meaning_of(outcomes), subject)
    return filled


def test_only_what_is_filled_in_differs_under_a_stencil():
    forms = known()
    filled = same(
        forms,
        observation(
            "4.20",
            id="other-id",
            meta={"versionId": "9", "lastUpdated": "2027-01-02T03:04:05Z", "source": "#x", "profile": ["http://p"]},
            category=[{"coding": [{"code": "vital-signs", "display": "Vital"}]}],
            subject={"reference": "Patient/p2", "display": "Somebody else"},
            encounter={"reference": "Encounter/another"},
            effectiveDateTime="2025-12-31T23:59:59+01:00",
            note=[{"text": "not fasting", "time": "2027"}],
        ),
    )
    assert filled is not None
    assert (filled.id, filled.version, filled.subject) == ("other-id", "9", "Patient/p2")
    assert filled.blanks == ("2025-12-31T23:59:59+01:00", "4.20")
    assert forms.stencils == 1


@pytest.mark.parametrize(
    "raw",
    [
        observation(id="é"),
        observation(id=""),
        observation("4.1e0"),
        observation("-0"),
        observation("0.0000041"),
        observation("12"),  # unusual
        observation("99"),  # implausible
        observation("1234567890123456"),
        observation(effectiveDateTime="2026-01-02"),
        observation(effectiveDateTime="2026-13-02T03:04:05Z"),
        observation(effectiveDateTime="2026-01-02T03:04:05"),
        observation(effectiveDateTime=""),
        observation(subject={"reference": "Group/1", "display": "They"}),
        observation(subject={"reference": "#me", "display": "They"}),
        observation(subject={"reference": "", "display": "They"}),
        observation(status="preliminary"),
        observation(status="entered-in-error"),
        observation(note=[{"text": 'a "quoted" word', "time": "2026"}]),
        observation(note=[{"text": "Ä", "time": "2026"}]),
        observation().replace(b'"time":"2026-01-02"}]', b'"time":"2026-01-02","text":"twice"}]'),
        observation().replace(b'"fasting"', b'"fas\\u0074ing"'),
        observation().replace(b'"fasting"', b'"fas\x00ting"'),
        observation().replace(b'"fasting"', b"5e3"),
        observation().replace(b'"unit":"mmol/L"', b'"unit":"mg/dL"'),
        observation().replace(b'"id":"o1",', b'"id":"o1","id":"o2",'),
        observation()[:-1],
        observation() + b"}",
        observation().replace(b":", b": ", 1),
    ],
)
def test_what_differs_in_more_means_what_it_means_to_those_who_read_it(raw: bytes):
    forms = known()
    for _ in range(3):
        try:
            slowly(raw)
        except Unreadable:
            assert forms.read(raw, "r4") is None
        else:
            same(forms, raw)


def test_the_order_of_times_is_part_of_a_stencil():
    forms = Forms("north")
    for start, end in [(f"2026-01-0{n}", f"2026-02-0{n}") for n in range(1, 5)]:
        assert same(forms, encounter(start, end)) is not None
    drawn = forms.stencils
    for start, end in [("2026-03-01", "2026-01-01"), ("2026-03", "2026-04"), ("2026-05-01", "2026-05-01")] * 2:
        same(forms, encounter(start, end))
    assert drawn >= 1


def test_one_who_is_named_elsewhere_too_is_compared():
    forms, told = Forms("north"), []
    for patient in ("Patient/p1", "Patient/p2", "Patient/p1", "Patient/p3"):
        for focus in ("Patient/p1", "Patient/p2"):
            raw = observation(subject={"reference": patient}, focus=[{"reference": focus}])
            told.append(same(forms, raw))
    assert any(each is not None for each in told)


def test_real_patients_are_read_alike_with_stencils_and_without(shared_data: Path):
    files = sorted((shared_data / "patients" / "r4").glob("*.json"))
    lines = [written(e["resource"]) for file in files[::4] for e in json.loads(file.read_bytes())["entry"]]
    under, without = Forms("north"), Forms("north", stencils=False)
    for raw in lines:
        one, other = under.read(raw, "r4"), without.read(raw, "r4")
        assert (one is None) is (other is None)
        if one is not None and other is not None:
            assert (one.key, one.version, one.subject) == (other.key, other.version, other.subject)
            assert (one.meaning(), one.outcomes()) == (other.meaning(), other.outcomes())
    assert under.stencils > 50
    assert without.stencils == 0
    chance = random.Random(11)  # noqa: S311 - a test that repeats itself
    some, taken = [raw for raw in lines if len(raw) < 1500], 0
    for _ in range(1500):
        raw = bytearray(chance.choice(some))
        place = chance.randrange(len(raw))
        raw[place : place + chance.randrange(2)] = bytes([chance.choice(b'"{}[],:0123456789.-abcTZ\\ \x00\xff')])
        try:
            slowly(bytes(raw))
        except Unreadable:
            filled = under.read(bytes(raw), "r4")
            assert filled is None or all(getattr(e, "reason", "") == "unsupported-type" for e in filled.outcomes())
        else:
            taken += same(under, bytes(raw)) is not None
    assert taken > 100
