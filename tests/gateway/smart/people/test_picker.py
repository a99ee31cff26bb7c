"""Patients are found by name, number and birth date, over the real store, and never behind another tenant's wall."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from gateway.api.app import Views
from gateway.cli import main
from gateway.home import Home
from gateway.settings import load_settings
from gateway.smart.people.patients import Found, Patients
from gateway.smart.values import Account

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
PEOPLE = {
    "north": [
        ("João Miguel", "da Silva", "1961-02-03", "1032702"),
        ("Ana", "Silva", "1988-11-30", "1032703"),
        ("Ursula", "O'Brien-Smith", "1947-05-21", "A-77/1"),
    ],
    "south": [("Rui", "Silva", "1961-02-03", "1032702")],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("picker")
    lines = []
    for source, people in PEOPLE.items():
        place = folder / source
        place.mkdir()
        told = [
            {
                "resourceType": "Patient",
                "id": f"{source}{number}",
                "name": [{"family": family, "given": given.split()}],
                "birthDate": born,
                "identifier": [{"system": f"http://{source}.example.org/mrn", "value": value}],
            }
            for number, (given, family, born, value) in enumerate(people)
        ]
        (place / "a.ndjson").write_text("\n".join(map(json.dumps, told)), "utf-8")
        lines += [f"[sources.{source}]", f'folder = "{place}"', 'fhir_version = "r4"', f'tenant = "{source}"']
    (folder / "home").mkdir()
    (folder / "home" / "twin.toml").write_text("\n".join(lines), "utf-8")
    for source in PEOPLE:
        assert main(["pull", source, "--home", str(folder / "home")]) == 0
    with Home.open(load_settings(folder / "home"), create=False) as opened:
        yield opened


def search(home: Home, text: str = "", born: str = "", tenant: str = "north", role: str = "clinician") -> Found:
    account = Account(name="ana", display="Ana", roles=(role,), tenant=tenant, created=AT)
    patients = Patients(home, Views(home, "http://127.0.0.1/fhir"))
    return patients.search(account, None, text, born, AT)


@pytest.mark.parametrize(
    ("text", "born", "names"),
    [
        ("silva", "", ["Ana Silva", "João Miguel da Silva"]),
        ("SILVA joao", "", ["João Miguel da Silva"]),
        ("o'brien", "", ["Ursula O'Brien-Smith"]),
        ("smith", "", ["Ursula O'Brien-Smith"]),
        ("1032703", "", ["Ana Silva"]),
        ("A-77/1", "", ["Ursula O'Brien-Smith"]),
        ("", "1961-02-03", ["João Miguel da Silva"]),
        ("", "1961", ["João Miguel da Silva"]),
        ("silva", "1988-11", ["Ana Silva"]),
        ("silva", "1999", []),
        ("rui", "", []),
        ("%", "", []),
        (".*", "", []),
    ],
)
def test_whoever_fits_all_that_is_told_is_found(home, text, born, names):
    assert [each.name for each in search(home, text, born).patients] == names


def test_where_there_are_few_all_are_shown_before_anything_is_told(home):
    assert len(search(home).patients) == 3


def test_a_birth_date_that_is_none_finds_nobody(home):
    assert search(home, "", "03.02.1961").patients == ()


def test_each_tenant_sees_its_own_and_other_roles_see_none(home):
    assert [each.name for each in search(home, "silva", tenant="south").patients] == ["Rui Silva"]
    assert search(home, "silva", tenant="").patients == ()
    assert search(home, "silva", role="engineer").patients == ()


def test_one_patient_is_had_only_within_the_wall(home):
    patients = Patients(home, Views(home, "http://127.0.0.1/fhir"))
    twins = {twin.id: twin.sources[0] for twin in home.store.twins()}
    account = Account(name="ana", display="Ana", roles=("clinician",), tenant="south", created=AT)
    had = {twin: patients.get(account, None, twin, AT) for twin in twins}
    assert {twins[twin] for twin, shown in had.items() if shown} == {"south"}
