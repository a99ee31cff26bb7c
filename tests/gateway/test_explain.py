"""Each fact explains itself: from what the source sent, step by step; and a refusal says why, and what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.explain import Explanation, explain
from gateway.handles import handle
from gateway.home import Home
from gateway.settings import load_settings
from mappers.facts import Origin
from security.errors import Misuse, UnknownName
from tests.gateway.telling import AT, PATIENT, pull, result

MEDICATION: dict[str, Any] = {
    "resourceType": "Medication",
    "id": "m",
    "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "860975"}]},
}
ORDER: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "o",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/1"},
    "medicationReference": {"reference": "Medication/m"},
    "authoredOn": AT,
}


@pytest.fixture
def home(tmp_path: Path):
    with Home.open(load_settings(tmp_path / "home")) as opened:
        yield opened


def told(home: Home, resource: str, path: str = "", source: str = "north") -> Explanation:
    """Explain a place, by the handle that is printed beside it."""
    kind, _, identity = resource.partition("/")
    [twin] = home.store.twins()
    return explain(home, handle(home, twin.id, Origin(source, kind, identity, path=path)))


def test_a_converted_value_tells_each_step_from_the_raw(home, tmp_path):
    local = {"coding": [{"system": "urn:lab", "code": "GLU"}, {"system": "http://loinc.org", "code": "2345-7"}]}
    pull(home, tmp_path / "in", "north", {**result("g", 5.5, "mmol/L", note=[{"text": "Zznote"}]), "code": local})
    found = told(home, "Observation/g")
    [account] = found.facts
    assert (str(account.told.value.value), account.holds) == ("99.1", True)
    assert (str(account.unit.told.value), account.unit.told.unit, account.unit.factor) == ("5.5", "mmol/L", "18.016")
    assert [str(coding) for coding in account.code.told] == ["urn:lab|GLU", "http://loinc.org|2345-7"]
    assert (str(account.code.code), account.code.name) == ("http://loinc.org|2345-7", "glucose")
    assert account.time.elements == ("effectiveDateTime",)
    assert set(found.raw) == {"resourceType", "status", "code", "subject", "effectiveDateTime", "valueQuantity"}


def test_only_the_component_that_is_asked_for_is_shown(home, tmp_path):
    panel = result("p", code="85354-9")
    pressures = [result("s", 120, "mm[Hg]", "8480-6"), result("d", 80, "mm[Hg]", "8462-4")]
    panel["component"] = [{"code": part["code"], "valueQuantity": part["valueQuantity"]} for part in pressures]
    del panel["valueQuantity"]
    pull(home, tmp_path / "in", "north", panel)
    found = told(home, "Observation/p", "component[1]")
    assert [account.told.name for account in found.facts] == ["diastolic-pressure"]
    assert [part["valueQuantity"]["value"] for part in found.raw["component"]] == [80]


def test_an_older_version_tells_what_was_moved(home, tmp_path):
    given = {
        "resourceType": "Encounter",
        "id": "e",
        "status": "finished",
        "patient": {"reference": "Patient/1"},
        "class": "inpatient",
        "period": {"start": AT},
    }
    pull(home, tmp_path / "in", "north", given, version="dstu2")
    found = told(home, "Encounter/e")
    [account] = found.facts
    assert (account.told.kind, account.holds) == ("encounter", True)
    assert {step.path.split(".")[1] for step in found.version_steps} >= {"class"}
    assert all(step.what != "kept" for step in found.version_steps)


def test_an_order_is_explained_with_the_medicine_that_it_refers_to(home, tmp_path):
    pull(home, tmp_path / "in", "north", MEDICATION, ORDER)
    [account] = told(home, "MedicationRequest/o").facts
    assert (account.told.code.code, account.holds) == ("860975", True)


def test_a_code_of_the_ehrs_own_tells_the_row_that_says_what_it_is(home, tmp_path):
    table = home.settings.home / "codes" / "lab.toml"
    table.parent.mkdir()
    row = 'from = "urn:lab|GLU"\nto = "http://loinc.org|2345-7"\nis = "equal"\ncite = "the laboratory, 2026"\n'
    table.write_text(f'title = "Laboratory"\n[[code]]\n{row}', "utf-8")
    own = {"coding": [{"system": "urn:lab", "code": "GLU"}]}
    pull(home, tmp_path / "in", "north", {**result("g"), "code": own})
    [account] = told(home, "Observation/g").facts
    assert (str(account.code.code), account.code.cite) == ("http://loinc.org|2345-7", "the laboratory, 2026")
    assert "urn:lab|GLU is equal" in account.code.row
    assert (account.holds, account.told.mapping.partition("+")[1]) == (True, "+")
    table.unlink()
    assert told(home, "Observation/g").facts[0].holds is False


def test_a_copy_names_all_the_places_where_the_same_is_told(home, tmp_path):
    pull(home, tmp_path / "north", "north", result("a", 5.5, "mmol/L"))
    pull(home, tmp_path / "south", "south", result("b", 99))
    [account] = told(home, "Observation/a").facts
    assert (account.fact.origin.source, str(account.fact.value.value)) == ("south", "99")
    assert [(copy.source, copy.resource) for copy in account.also] == [("south", "Observation/b")]
    other = explain(home, account.also[0].handle)
    assert (other.source, other.facts[0].also[0].source) == ("south", "north")


def test_what_is_not_used_says_why_and_by_which_statement(home, tmp_path):
    pull(home, tmp_path / "north", "north", result("a", 99, status="corrected"))
    pull(home, tmp_path / "south", "south", result("b", 990))
    [account] = told(home, "Observation/b", source="south").facts
    assert "corrected" in account.overruled
    assert (account.overruled_by.source, account.overruled_by.resource) == ("north", "Observation/a")


def test_a_refusal_tells_why_what_to_do_and_which_elements_are_to_blame(home, tmp_path):
    bad = result("g")
    bad["valueQuantity"] = {"value": 99}
    pull(home, tmp_path / "in", "north", bad)
    found = told(home, "Observation/g")
    [(refusal, meaning)] = found.refusals
    assert (refusal.reason, meaning) == (
        "no-unit",
        "The number has no unit, and none is assumed. The source has to send it.",
    )
    assert found.raw["valueQuantity"] == {"value": 99}


def test_the_handle_that_is_printed_leads_to_the_explanation_and_reading_is_recorded(home, tmp_path, capsysbinary):
    bad = result("x")
    bad["valueQuantity"] = {"value": 99}
    stray = result("s", subject={"reference": "Patient/9"})
    pull(home, tmp_path / "in", "north", result("g"), bad, stray)
    [twin] = home.store.twins()
    folder = ["--home", str(home.settings.home)]
    home.store.close()

    def run(*words: str) -> str:
        assert main([*words, *folder]) == 0
        return capsysbinary.readouterr().out.decode()

    shown = json.loads(run("show", twin.id[:8], "--format", "json"))
    handles = [fact["handle"] for fact in shown["facts"]] + [each["handle"] for each in shown["refusals"]]
    listed = json.loads(run("refusals", "--format", "json"))["refusals"]
    handles += [each["handle"] for each in listed]
    assert len({*handles}) == len(shown["facts"]) + 2  # the two refusals, one of which the twin has, too
    for name in handles:
        assert name in run("explain", name)
    assert re.search(r"\b" + re.escape(handles[0]), run("show", twin.id))
    assert "unknown-patient" in run("explain", next(each["handle"] for each in listed if not each["twin"]))
    with Home.open(load_settings(home.settings.home)) as again:
        told_of = [
            entry.event for entry in again.store.audit_events(10_000) if "rest" in json.dumps(entry.event["type"])
        ]
        assert sum(twin.id in json.dumps(event) for event in told_of) >= len(shown["facts"])


def test_a_handle_stays_the_same_when_the_resource_changes_and_says_nothing(home, tmp_path):
    pull(home, tmp_path / "one", "north", result("g", 99))
    [twin] = home.store.twins()
    name = handle(home, twin.id, Origin("north", "Observation", "g"))
    pull(home, tmp_path / "two", "north", result("g", 101, status="corrected"))
    assert str(explain(home, name).facts[0].told.value.value) == "101"
    assert re.fullmatch(r"[0-9a-f]{8}\.[0-9a-f]{10}", name)


def test_what_is_no_handle_or_names_nothing_is_told_so(home, tmp_path):
    pull(home, tmp_path / "in", "north", result("g"))
    [twin] = home.store.twins()
    for wrong in ("", "g", "Observation/g", f"{twin.id[:8]}.xyz", ".0123456789"):
        with pytest.raises(Misuse):
            explain(home, wrong)
    with pytest.raises(UnknownName):
        explain(home, f"{twin.id[:8]}.0123456789")
    with pytest.raises(UnknownName):
        explain(home, "00000000.0123456789")


def test_all_facts_of_a_patient_resource_are_explained_by_their_elements(home, tmp_path):
    pull(home, tmp_path / "in", "north")
    found = told(home, "Patient/1", "birthDate")
    assert found.raw == {"resourceType": "Patient", "birthDate": PATIENT["birthDate"]}
    assert "Zzcanary" not in json.dumps(found.raw)
