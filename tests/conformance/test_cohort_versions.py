"""Summit in R4B and R5: the same record, nothing lost on the way, in the names of that version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest
from fhir.resources import get_fhir_model_class as r5

from conformance.cohort import Cohort, build, to_json
from conformance.cohort.concept import term
from conformance.cohort.event import Medication
from conformance.cohort.render import r5 as template
from conformance.hostile import Ehr, EhrSettings, wire
from security.errors import UnknownName


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return build(7, date(2026, 11, 24))


def summit(cohort: Cohort, version: str) -> dict[str, dict[str, Any]]:
    held = [entry["resource"] for bundle in cohort.bundles("summit", version) for entry in bundle["entry"]]
    return {f"{resource['resourceType']}/{resource['id']}": resource for resource in held}


def words(value: Any) -> Iterator[str]:
    """All that is said, without how it is called."""
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from words(one)
    else:
        yield str(value)


def test_r4b_is_what_r4_is(cohort: Cohort):
    assert [to_json(one) for one in cohort.bundles("summit", "r4b")] == [
        to_json(one) for one in cohort.bundles("summit")
    ]


def test_r5_says_nothing_else_and_leaves_nothing_out(cohort: Cohort):
    """What differs are words of FHIR (a status, a code system), and none of the person."""
    before, after = summit(cohort, "r4"), summit(cohort, "r5")
    assert before.keys() == after.keys()
    lost: Counter[str] = Counter()
    for key, resource in before.items():
        lost += Counter(words(resource)) - Counter(words(after[key]))
    kinds = "http://terminology.hl7.org/CodeSystem"
    assert set(lost) == {"finished", f"{kinds}/medicationrequest-category"}


@pytest.mark.parametrize(
    ("kind", "gone", "here"),
    [
        ("Encounter", {"period", "reasonCode"}, {"actualPeriod", "reason"}),
        ("Procedure", {"performedDateTime", "performedPeriod"}, {"occurrenceDateTime", "occurrencePeriod"}),
        ("MedicationRequest", {"medicationCodeableConcept", "reportedBoolean"}, {"medication", "reported"}),
        ("MedicationAdministration", {"context", "effectiveDateTime"}, {"encounter", "occurenceDateTime"}),
        ("Condition", {"recorder"}, {"participant"}),
        ("Coverage", {"payor"}, {"insurer", "kind"}),
    ],
)
def test_elements_have_the_names_of_r5(cohort: Cohort, kind: str, gone: set[str], here: set[str]):
    names = {name for key, one in summit(cohort, "r5").items() if key.startswith(f"{kind}/") for name in one}
    assert not gone & names
    assert here <= names


def test_a_statement_is_recorded_and_says_apart_whether_the_medicine_is_taken(cohort: Cohort):
    person = cohort.person("p01")
    taken = Medication("0001", ("summit",), "statement", term("medicine", "metformin"), date(2026, 1, 2))
    *_, statement = template.render(person, person.faces["summit"], [taken])
    r5("MedicationStatement").model_validate(wire.decode(to_json(statement)))
    assert statement["status"] == "recorded"
    assert statement["adherence"]["code"]["coding"][0]["code"] == "taking"


@pytest.mark.parametrize(
    ("query", "type_"),
    [
        ("date=ge2020", "Encounter"),
        ("date=ge2020", "Procedure"),
        ("date=ge2020", "MedicationAdministration"),
        ("code=http://www.nlm.nih.gov/research/umls/rxnorm|", "MedicationRequest"),
        ("class=AMB", "Encounter"),
    ],
)
async def test_an_r5_server_finds_by_the_parameters_of_r5(cohort: Cohort, query: str, type_: str):
    ehr = Ehr(EhrSettings(fhir_version="r5", require_auth=False))
    ehr.load(*map(to_json, cohort.bundles("summit", "r5")))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=ehr.app), base_url=f"{ehr.base_url}/") as http:
        every = (await http.get(f"{type_}?_summary=count")).json()["total"]
        found = (await http.get(f"{type_}?_summary=count&{query}")).json()["total"]
    assert 0 < found <= every
    if type_ == "MedicationRequest":
        assert found == every


@pytest.mark.parametrize(("ehr", "version"), [("lakeside", "r5"), ("harbor", "r4"), ("summit", "dstu2")])
def test_an_ehr_speaks_only_what_it_speaks(cohort: Cohort, ehr: Any, version: str):
    with pytest.raises(UnknownName):
        cohort.bundles(ehr, version)
