"""Who a person is opens in a handful of places, each of which says what for (search for `Reidentify(`)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store import Store, StoredResource
from security.reidentification import Reidentify

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("gateway", "mappers", "twin_engine", "security", "conformance")

PLACES = {
    "gateway/api/charts.py": ["show a twin's record to a caller of the API, as far as scopes and consents allow"],
    "gateway/audit_anomalies.py": ["compare the surname of a patient with that of the account that used the twin"],
    "gateway/export/gathering.py": ["hand a person all that is held about them"],
    "gateway/lineage/opening.py": ["follow a result back to the bytes that it stands on"],
    "gateway/store/enrolling.py": ["compare who came with who is known"],
    "gateway/store/history.py": ["map again what belonged to no twin, once it can be told whose it is"],
    "gateway/merges.py": ["check that those whom a source merged can be one person"],
    "gateway/identities.py": [
        "show who both are to the person who decides whether they are one",
        "tell whose those are who came since it was decided",
    ],
    "gateway/belongings.py": ["move a patient as received to the twin that they are"],
    "gateway/retractions.py": ["move or end what is about a patient whom a source no longer has, as received"],
    "gateway/replay.py": ["map patients again as they were received"],
    "gateway/smart/people/patients.py": ["find the patient whom the person at the page names"],
    "gateway/explain.py": ["show the place of a Patient, as received, that a person asked to have explained"],
}
"""Every place that may open who a person is. A new one needs a reason that a reviewer accepts, here and there."""

OPENERS = {"gateway/store/people.py"}
"""Who opens the sealed column `person.sealed`."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            yield file.relative_to(ROOT).as_posix(), ast.parse(file.read_text("utf-8"))


def calls(tree: ast.Module, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
            yield node


def test_these_are_all_places_that_open_who_a_person_is_and_they_say_what_for():
    found = {file: [ast.literal_eval(call.args[0]) for call in calls(tree, "Reidentify")] for file, tree in trees()}
    assert {file: said for file, said in found.items() if said} == PLACES


def test_nobody_gives_the_leave_another_name():
    """So that a search for the name finds all: it is imported as it is called, and made by its name only."""
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.alias) and node.name == "Reidentify":
                assert node.asname is None, file
            if isinstance(node, ast.Import):
                assert not any("reidentification" in alias.name for alias in node.names), file


def test_what_is_sealed_of_a_person_is_read_by_one_function():
    readers = {
        file
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and "Decoder" in ast.unparse(node.func) and "Person" in ast.unparse(node)
    }
    assert readers == OPENERS


def test_without_leave_who_a_person_is_does_not_open(store: Store, at):
    with pytest.raises(TypeError, match="Reidentify only"):
        store.persons(store.new_twin(at(0)), None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="what for"):
        Reidentify(" ")


def test_without_leave_a_twin_opens_with_all_facts_and_without_the_bytes_of_its_patients(store, at, take, measured):
    twin = store.new_twin(at(0))
    who = StoredResource(
        "north", "Patient/p1", "r4", b'{"resourceType": "Patient", "name": [{"family": "Okafor"}]}', ()
    )
    take({twin: [who, measured(1)]})
    for leave, bytes_of_patient in ((None, b""), (Reidentify("see the control"), who.raw)):
        record, [version] = store.twin_record(twin, leave=leave), store.twin_versions(twin, leave=leave)
        for resources in (record.resources, version.resources):
            assert {each.key: each.raw for each in resources} == {
                "Patient/p1": bytes_of_patient,
                measured(1).key: measured(1).raw,
            }
    assert [each.raw for each in store.twin_news(twin, 0).resources if each.key == "Patient/p1"] == [b""]
    with pytest.raises(TypeError, match="Reidentify only"):
        store.twin_record(twin, leave="please")


def test_what_was_opened_without_leave_is_never_written_back_over_the_bytes(store, at, take):
    twin = store.new_twin(at(0))
    take({twin: [StoredResource("north", "Patient/p1", "r4", b'{"resourceType": "Patient"}', ())]})
    [withheld] = store.twin_record(twin).resources
    with pytest.raises(ValueError, match="withheld"):
        take({twin: [withheld]})
    [kept] = store.twin_record(twin, leave=Reidentify("see the control")).resources
    assert kept.raw == b'{"resourceType": "Patient"}'
