"""R5 into R4 shape: every row, an example of each type, and servers that mix the two."""

from __future__ import annotations

import copy
import importlib
import json

import pytest

from mappers.rows import read_table
from mappers.versions.moves import to_r4
from tests.mappers.definitions import PACKAGES, shape_of
from tests.mappers.r5_examples import CODE, CONDITION, PATIENT, R5

# R4 has no such times; we read the one event of a Timing all the same.
READ_ANYWAY = {("MedicationAdministration", "effectiveTiming"), ("Procedure", "performedTiming")}


def test_every_row_names_an_element_of_r5_and_puts_it_where_r4_has_one():
    table = read_table("r5")
    for row in table["move"]:
        within, dot, source = row["from"].rpartition(".")
        to = row.get("to", source)
        assert shape_of("r5", row["type"], row["from"]), row
        first = {"admission": "hospitalization"}.get(within, within)
        assert shape_of("r4", row["type"], first + dot + to) or (row["type"], to) in READ_ANYWAY, row


def test_no_row_moves_what_r4_has_in_the_same_shape():
    """What both write alike stays, but for the words or the unit in it, and for what R5 made a CodeableReference."""
    for row in read_table("r5")["move"]:
        if row.get("how") not in ("translate", "sampled", "told", "each", "part"):
            assert shape_of("r4", row["type"], row["from"]) != shape_of("r5", row["type"], row["from"]), row


@pytest.mark.parametrize("kind", R5)
def test_r5_becomes_r4_and_what_has_no_place_there_stays(kind):
    before, after = R5[kind]
    resource = {"resourceType": kind, **before}
    kept = copy.deepcopy(resource)
    assert to_r4(resource, "r5") == {"resourceType": kind, **after}
    assert resource == kept


@pytest.mark.parametrize("kind", R5)
def test_an_r5_server_that_still_sends_r4_loses_nothing(kind):
    old = {element: value for element, value in R5[kind][1].items() if shape_of("r4", kind, element.lstrip("_"))}
    resource = {"resourceType": kind, **old}
    assert to_r4(resource, "r5") == resource


@pytest.mark.parametrize("kind", R5)
def test_the_examples_are_r5_to_fhir_resources(kind):
    cls = getattr(importlib.import_module(f"{PACKAGES['r5']}.{kind.lower()}"), kind)
    needed = {
        "Observation": {"code": CODE, "triggeredBy": [{"type": "reflex", "observation": CONDITION}]},
        "Condition": {"subject": PATIENT, "clinicalStatus": CODE},
        "MedicationRequest": {"subject": PATIENT, "intent": "order"},
        "MedicationStatement": {"subject": PATIENT},
        "MedicationAdministration": {"subject": PATIENT, "status": "completed"},
        "Medication": {},
        "Procedure": {"subject": PATIENT, "status": "completed"},
        "AllergyIntolerance": {"patient": PATIENT},
        "Immunization": {"patient": PATIENT, "status": "completed", "vaccineCode": CODE},
        "Encounter": {"location": [{"form": CODE, "location": {"reference": "Location/1"}}]},
        "DiagnosticReport": {"code": CODE, "note": [{"text": "x"}]},
    }
    cls.model_validate_json(json.dumps(R5[kind][0] | needed[kind], default=float))
