"""Vendors' habits as data: what a file may say, how a server is known by it, and that ours are cited and documented."""

from __future__ import annotations

import json
from datetime import date

import pytest

from gateway.pull.habits import load_habits, vendor_of, with_habits
from gateway.pull.metadata import Capability, read_capability, without_statement
from gateway.pull.profile import Profile
from security.errors import BadSettings, UnknownName
from tests.gateway.pull import habit_table

NEEDED = {"epic", "oracle", "athena", "veradigm", "meditech", "hapi", "microsoft", "google", "medplum", "aidbox"}
HABIT = {
    "sets": "last_updated",
    "value": "no",
    "says": "It has none.",
    "cite": "example/ehr#1",
    "seen": date(2026, 1, 1),
}


def text(habits=(HABIT,), **known_by) -> str:
    """Write a vendor's file."""
    lines = ['name = "Example EHR"', "[known_by]", *(f"{name} = {json.dumps(told)}" for name, told in known_by.items())]
    for habit in habits:
        lines += ["[[habit]]", *(f"{name} = {_toml(value)}" for name, value in habit.items())]
    return "\n".join(lines)


def _toml(value) -> str:
    return value.isoformat() if isinstance(value, date) else json.dumps(value)


def statement(headers=None, **changes) -> Capability:
    told = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server"}], **changes}
    return read_capability(json.dumps(told).encode(), headers)


def test_the_vendors_that_matter_are_there():
    assert set(load_habits()) >= NEEDED


def test_every_habit_of_ours_says_who_says_so_and_when_we_looked():
    habits = [(key, habit) for key, vendor in load_habits().items() for habit in vendor.habits]
    assert len(habits) > 60
    for key, habit in habits:
        is_page = habit.cite.startswith("https://")
        is_thread = "#" in habit.cite and "/" in habit.cite.partition("#")[0]
        is_file = ": " in habit.cite and "/" in habit.cite.partition(": ")[0]
        assert is_page or is_thread or is_file, f"{key}: {habit.cite}"
        assert date(2026, 1, 1) <= habit.seen
        assert habit.says.endswith(".")


def test_the_document_has_the_habits_as_they_are():
    assert habit_table.table() == habit_table.written(), "write them anew: python -m tests.gateway.pull.habit_table"


def test_a_new_vendor_is_one_file(tmp_path):
    (tmp_path / "example.toml").write_text(text(publisher=["Example Systems"]), "utf-8")
    vendors = load_habits(tmp_path)
    found = vendor_of(vendors, statement(publisher="Example Systems Ltd"), "https://ehr.example.org/fhir")
    assert found is not None
    assert found.key == "example"
    profile = with_habits(Profile(), found, "r4")
    assert (profile.vendor, profile.last_updated) == ("example", "no")
    assert profile.because["last_updated"] == "habit: example"


def test_a_file_of_ones_own_stands_in_the_place_of_ours(tmp_path):
    (tmp_path / "epic.toml").write_text(text(), "utf-8")
    assert [habit.cite for habit in load_habits(tmp_path)["epic"].habits] == ["example/ehr#1"]
    assert load_habits(tmp_path / "none")["epic"].name == "Epic"


@pytest.mark.parametrize(
    ("habit", "said"),
    [
        ({**HABIT, "cites": "x"}, "habit.0.cites"),
        ({name: value for name, value in HABIT.items() if name != "cite"}, "habit.0.cite"),
        ({**HABIT, "cite": ""}, "habit.0.cite"),
        ({name: value for name, value in HABIT.items() if name != "seen"}, "habit.0.seen"),
        ({**HABIT, "sets": "last_update"}, "last_update"),
        ({**HABIT, "sets": "bulk.comma"}, "bulk.comma"),
        ({**HABIT, "sets": "vendor"}, "vendor"),
        ({**HABIT, "sets": "because.x"}, "because.x"),
        ({**HABIT, "value": "maybe"}, "does not fit last_updated"),
        ({**HABIT, "sets": "largest_page", "value": "many"}, "does not fit largest_page"),
        ({**HABIT, "sets": "slices.Observation", "value": ["laboratory"]}, "does not fit slices.Observation"),
        ({**HABIT, "sets": "slices.Observation", "value": 7}, "does not fit slices.Observation"),
        ({**HABIT, "sets": "slices", "value": ["category=a"]}, "slices"),
        ({**HABIT, "whole": True}, "whole"),
        ({**HABIT, "sets": ""}, "without sets"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_the_file_and_the_key(tmp_path, habit, said):
    (tmp_path / "example.toml").write_text(text([habit]), "utf-8")
    with pytest.raises(BadSettings) as raised:
        load_habits(tmp_path)
    assert "vendors/example.toml" in str(raised.value)
    assert said in str(raised.value)


@pytest.mark.parametrize("content", ["name = ", 'name = "a"\n[known_by]\nmaker = ["a"]\n', 'name = "a"\n'])
def test_a_file_that_is_no_vendor_is_named(tmp_path, content):
    (tmp_path / "example.toml").write_text(content, "utf-8")
    with pytest.raises(BadSettings, match=r"vendors/example\.toml"):
        load_habits(tmp_path)


@pytest.mark.parametrize(
    ("told", "headers", "url", "key"),
    [
        ({"software": {"name": "Epic", "version": "May 2026"}}, {}, "https://ehr.example.org/api/FHIR/R4", "epic"),
        ({}, {}, "https://ehr.example.org/interconnect-prd/api/FHIR/R4", "epic"),
        ({"publisher": "Cerner"}, {}, "https://ehr.example.org/r4/tenant", "oracle"),
        ({"publisher": "Oracle Health"}, {}, "https://ehr.example.org/r4/tenant", "oracle"),
        ({"software": {"name": "HAPI FHIR Server"}}, {}, "https://ehr.example.org/fhir", "hapi"),
        ({}, {"x-powered-by": "HAPI FHIR 8.2.0 REST Server"}, "https://ehr.example.org/fhir", "hapi"),
        ({"publisher": "Microsoft"}, {}, "https://ehr.example.org/", "microsoft"),
        ({}, {}, "https://w-s.fhir.azurehealthcareapis.com/", "microsoft"),
        ({}, {}, "https://healthcare.googleapis.com/v1/projects/p/fhir", "google"),
        ({"software": {"name": "Medplum Server"}}, {}, "https://ehr.example.org/fhir/R4", "medplum"),
        # Servers of many vendors are made of HAPI, and say so.
        ({"publisher": "athenahealth"}, {"x-powered-by": "HAPI FHIR"}, "https://ehr.example.org/fhir/r4", "athena"),
        ({"publisher": "Epicentre Hospital"}, {}, "https://ehr.example.org/fhir", None),
        ({}, {}, "https://ehr.example.org/fhir", None),
    ],
)
def test_a_server_is_known_by_what_it_says_and_where_it_is(told, headers, url, key):
    found = vendor_of(load_habits(), statement(headers, **told), url)
    assert (found.key if found else None) == key


def test_a_told_vendor_wins_and_one_that_there_is_not_is_refused():
    epic = statement(software={"name": "Epic"})
    found = vendor_of(load_habits(), epic, "https://ehr.example.org/", "hapi")
    assert found is not None
    assert found.key == "hapi"
    with pytest.raises(UnknownName) as raised:
        vendor_of(load_habits(), without_statement("r4"), "https://ehr.example.org/", "epik")
    assert "epic" in raised.value.hint


@pytest.mark.parametrize("sets", ["headers.Authorization", "headers.host", "headers.X Y", "headers.Prefer"])
def test_a_habit_sets_no_header_that_is_ours_to_say(tmp_path, sets):
    (tmp_path / "example.toml").write_text(text([{**HABIT, "sets": sets, "value": "x"}]))
    with pytest.raises(BadSettings, match="no header that a habit may set"):
        load_habits(tmp_path)
    (tmp_path / "example.toml").write_text(text([{**HABIT, "sets": "headers.X-Client", "value": "x\r\nHost: y"}]))
    with pytest.raises(BadSettings, match="does not fit"):
        load_habits(tmp_path)


def test_what_is_not_confirmed_sets_nothing(tmp_path):
    (tmp_path / "example.toml").write_text(text([{**HABIT, "confirmed": False}]), "utf-8")
    profile = with_habits(Profile(), load_habits(tmp_path)["example"], "r4")
    assert profile == Profile(vendor="example")


def test_a_habit_of_one_version_says_nothing_of_another(tmp_path):
    (tmp_path / "example.toml").write_text(text([{**HABIT, "fhir": ["dstu2"]}]), "utf-8")
    example = load_habits(tmp_path)["example"]
    assert with_habits(Profile(), example, "dstu2").last_updated == "no"
    assert with_habits(Profile(), example, "r4").last_updated == "unknown"


def test_epic_is_asked_category_by_category_and_patient_by_patient_and_nobody_says_that_it_is_all():
    profile = with_habits(Profile(), load_habits()["epic"], "r4")
    categories = [dict(each.parameters)["category"] for each in profile.slices["Observation"]]
    assert {"laboratory", "vital-signs"} <= set(categories)
    assert not any(each.whole for each in profile.slices["Observation"])
    assert profile.per_patient == ("*",)
    assert profile.headers == {"Epic-Client-ID": "{client_id}"}
    assert (profile.bulk.levels, profile.bulk.one_at_a_time) == (("group",), "yes")


def test_two_intents_of_one_question_are_one_slice():
    [whole] = with_habits(Profile(), load_habits()["athena"], "r4").slices["MedicationRequest"]
    assert whole.parameters == (("intent", "order,plan"),)
    assert whole.whole
