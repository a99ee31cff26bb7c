"""What our API shows of what EHRs sent, in all versions, well and badly, before HL7's validator: not one error."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from conformance.cohort import build, to_json
from gateway.api.charts import StoreCharts
from gateway.simulation import answering_models, open_twin, run_model
from mappers.shown import SHARED, Made, Naming, kind_in_r4, show
from security.blind import BlindIndex
from tests.gateway.erasing import ADA, GRACE, lay, opened, pull
from tests.hapi.fixture import HapiServer
from tests.mappers.oracle.samples import samples

pytestmark = pytest.mark.jvm

Json = dict[str, Any]
TWIN = "3fa90c12-0000-4000-8000-00000000abcd"
BLIND = BlindIndex(bytes(32)).of
# What the validator cannot judge without the value sets of VSAC, which no package of HL7's brings.
UNJUDGED = re.compile(r"value set '(Birth Sex|OMB Race Categories|OMB Ethnicity Categories)'")


def shown(told: Json, version: Any, urls: dict[str, str] | None = None, patients: Iterable[str] = ()) -> Json | None:
    kind = kind_in_r4(str(told.get("resourceType")), version)
    twin = "" if kind in SHARED else TWIN
    naming = Naming("north", "https://ehr.example.org/fhir", version, twin, BLIND, frozenset(patients), urls or {})
    key = f"{told.get('resourceType')}/{told.get('id')}"
    made = show(to_json(told), version, naming, key, number=1, updated="2026-01-01T00:00:00.000Z")
    return made.body if isinstance(made, Made) else None


def wrong(hapi_server: HapiServer, resources: Iterable[Json]) -> set[tuple[str, str]]:
    """Tell the errors in one resource of each shape."""
    shapes = {(each["resourceType"], frozenset(_shape(each, ""))): each for each in resources}
    return {
        (f"{kind} {issue.place}", issue.said)
        for (kind, _), each in shapes.items()
        for issue in hapi_server.judge(to_json(each))
        if issue.severity in ("error", "fatal") and not UNJUDGED.search(issue.said)
    }


def _shape(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _shape(each, f"{at}.{name}")
        for name in ("system", "url", "status"):
            if isinstance(value.get(name), str):
                yield f"{at}={value[name]}"
        if str(value.get("system", "")).startswith(("http://terminology.hl7.org", "http://hl7.org")):
            yield f"{at}|{value.get('code')}"
    elif isinstance(value, list):
        for each in value:
            yield from _shape(each, at)
    else:
        yield at


def cohort(ehr: Any, version: str) -> list[Json]:
    return [entry["resource"] for bundle in build(7).bundles(ehr, version) for entry in bundle["entry"]]


@pytest.mark.parametrize(
    ("ehr", "version"),
    [("lakeside", "dstu2"), ("harbor", "stu3"), ("summit", "r4"), ("summit", "r4b"), ("summit", "r5")],
)
def test_the_cohort_as_it_is_shown(hapi_server: HapiServer, shared_data: Path, ehr: str, version: str):
    told = cohort(ehr, version)
    patients = [f"Patient/{each['id']}" for each in told if each["resourceType"] == "Patient"]
    made = [body for each in told if (body := shown(each, version, patients=patients)) is not None]
    assert len(made) > 0.99 * len(told)
    assert wrong(hapi_server, made) == set()


@pytest.mark.parametrize("version", ["dstu2", "stu3", "r4"])
def test_real_patients_as_they_are_shown(hapi_server: HapiServer, shared_data: Path, version: str):
    made, count = [], 0
    for file in sorted((shared_data / "patients" / version).glob("*.json")):
        entries = json.loads(file.read_bytes(), parse_float=Decimal)["entry"]
        names = {
            e["fullUrl"]: f"{e['resource']['resourceType']}/{e['resource'].get('id')}"
            for e in entries
            if "fullUrl" in e
        }
        patients = [name for name in names.values() if name.startswith("Patient/")]
        made += [body for e in entries if (body := shown(e["resource"], version, names, patients)) is not None]
        count += len(entries)
    assert len(made) > 0.9 * count
    assert wrong(hapi_server, made) == set()


def test_a_whole_twin_with_its_results_and_its_provenance(hapi_server: HapiServer, shared_data: Path, tmp_path: Path):
    with opened(tmp_path / "home") as home:
        pull(home, lay(tmp_path / "in", *ADA, *GRACE))
        charts = StoreCharts(home)
        for twin in charts.twins(""):
            for model in answering_models(home):
                run_model(home, open_twin(home, twin), model)
        every = [charts.shared(""), *map(charts.chart, charts.twins(""))]
        made = [dict(each.body) for chart in every for type_ in chart.types() for each in chart.of_type(type_)]
    kinds = {each["resourceType"] for each in made}
    assert kinds >= {"Device", "Group", "Observation", "Organization", "Patient", "Provenance"}
    known = re.compile(r"AIAST")  # a code that is younger than R4
    assert {each for each in wrong(hapi_server, made) if not known.search(each[1])} == set()


JUNK: tuple[Any, ...] = (
    *(None, "", " ", "x", "2024-13-45", "2024-02-30", "2024-05", "true", True, 0, -1, Decimal("1.50"), 10**12, [], {}),
    *(["a"], [{}], [None], {"a": 1}, {"reference": "Patient/9"}, {"reference": "#nope"}, {"reference": "urn:uuid:1"}),
    *({"coding": [{"system": "x", "code": "y"}]}, {"value": 5, "code": "mg"}, {"start": "2024-02", "end": "2023"}),
    *({"value": 5, "system": "http://unitsofmeasure.org", "code": "nonsense"}, "urn:oid:9.9", "http://x y", "a\x00b"),
    {"status": "generated", "div": "<div>x</div>"},
    {"status": "additional", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p onclick="a">x</p></div>'},
    {"status": "additional", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>x</p></div>'},
    [{"url": "x", "valueString": "a"}],
    [{"url": "http://e.org/x", "valueString": "a", "extension": [{"url": "y", "valueString": "b"}]}],
    [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueString": "a"}],
    [{"resourceType": "Practitioner", "id": "p"}],
    [{"resourceType": "Practitioner"}],
)
NAMES = (
    *("status", "value", "valueString", "valueBoolean", "extension", "modifierExtension", "contained", "_status"),
    *("text", "component", "code", "subject", "meta", "language", "implicitRules", "identifier", "note", "performer"),
    *("period", "effectivePeriod", "onsetString", "abatementDateTime", "dataAbsentReason", "referenceRange"),
)


def mutated(told: Json, chance: random.Random) -> Json:
    """Spoil one to three places of a resource."""
    told = copy.deepcopy(told)
    for _ in range(chance.choice((1, 1, 2, 3))):
        places = [*_places(told)]
        holder, name = chance.choice(places)
        what = chance.random()
        if name == "resourceType":
            continue
        if what < 0.2:
            del holder[name]
        elif what < 0.65:
            holder[name] = copy.deepcopy(chance.choice(JUNK))
        elif what < 0.75:
            holder[name] = [holder[name], holder[name]] if not isinstance(holder[name], list) else {}
        elif what < 0.9:
            objects = [each for each, _ in places if isinstance(each, dict)]
            chance.choice(objects)[chance.choice(NAMES)] = copy.deepcopy(chance.choice(JUNK))
        else:
            other, key = chance.choice(places)
            holder[name] = copy.deepcopy(other[key])
    return told


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield value, name
            yield from _places(each)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield value, number
            yield from _places(each)


def test_what_is_broken_is_shown_as_valid_or_not_at_all(hapi_server: HapiServer, shared_data: Path):
    chance = random.Random(20)  # noqa: S311 - a seed that can be replayed
    shapes = {(each["resourceType"], *sorted(each)): each for each in cohort("summit", "r4")}
    pool = [*samples(), *shapes.values()]
    made = []
    for _ in range(800):
        told = mutated(chance.choice(pool), chance)
        body = shown(told, "r4", patients=["Patient/1"])
        made += [body] if body is not None else []
    assert 200 < len(made) < 750  # some are refused, and some are not
    assert wrong(hapi_server, made) == set()
    assert wrong(hapi_server, [{**made[0], "status": "finall"}]) != set()  # it can say no
