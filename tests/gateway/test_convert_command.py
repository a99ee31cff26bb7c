"""`twin convert`: a file in, the resource in the other version and what became of its elements out."""

from __future__ import annotations

import json

import pytest

from gateway.cli import main

ORDER = """{"resourceType": "MedicationOrder", "id": "o1", "status": "active", "dateEnded": "2015-03",
 "patient": {"reference": "Patient/1"}, "dosageInstruction": [{"doseQuantity": {"value": 7.10, "unit": "mg"}}]}"""


@pytest.fixture
def order(tmp_path):
    path = tmp_path / "order.json"
    path.write_text(ORDER)
    return str(path)


def run(capsys, *arguments, status=0):
    capsys.readouterr()
    assert main(["convert", *arguments]) == status
    return capsys.readouterr()


def test_a_resource_goes_out_in_the_other_version_with_its_digits_and_its_ledger(order, capsys):
    out = run(capsys, order, "--from", "dstu2", "--to", "r4").out
    made, end = json.JSONDecoder().raw_decode(out)
    assert (made["resourceType"], made["intent"], made["subject"]) == (
        "MedicationRequest",
        "order",
        {"reference": "Patient/1"},
    )
    assert '"value": 7.10' in out
    assert "dstu2 to r4: of 7 elements" in out[end:]
    assert "MedicationOrder.dateEnded" in out[end:]


def test_scripts_get_the_resource_the_counts_and_the_steps(order, capsys):
    told = json.loads(run(capsys, order, "--to", "r4", "--format", "json").out)  # DSTU2 is seen by the elements
    assert (told["from"], told["to"]) == ("dstu2", "r4")
    assert told["counts"] == {"translated": 1, "kept": 2, "moved": 3, "extension": 1}
    assert {
        "path": "MedicationOrder.dateEnded",
        "what": "extension",
        "to": "MedicationRequest.extension",
        "why": "no-element",
    } in told["steps"]


def test_what_is_lost_shows_in_the_exit_status(tmp_path, capsys):
    path = tmp_path / "o.json"
    path.write_text('{"resourceType": "Observation", "status": "final", "colour": "red"}')
    said = run(capsys, str(path), "--from", "r4", "--to", "r5", status=5)
    assert "Observation.colour" in said.out
    assert "Lost: 1 of 3 elements." in said.err


@pytest.mark.parametrize(
    ("body", "arguments", "status", "said"),
    [
        ("{", ["--from", "r4"], 1, "no FHIR resource"),
        ('{"resourceType": "Basic"}', [], 2, "cannot be seen"),
        ('{"resourceType": "Account"}', ["--from", "r4", "--to", "r5"], 1, "no such type"),
        ('{"resourceType": "Basic"}', ["--from", "r6"], 2, ""),
        (None, ["--from", "r4"], 2, "cannot be read"),
    ],
)
def test_what_cannot_be_converted_is_said(tmp_path, capsys, body, arguments, status, said):
    path = tmp_path / "x.json"
    if body is not None:
        path.write_text(body)
    assert said in run(capsys, str(path), *arguments, status=status).err
