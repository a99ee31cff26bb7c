"""Whatever happens at the EHR between two pulls, or in the middle of the second: nothing counts twice, nothing is lost.

The first pull is a good one, the second meets the fault, the third finds a server that is well again.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from conformance.hostile import Misbehaviour
from gateway.home import Home
from tests.gateway.warding import Ward, ward_in

FAULTS = {
    "merged-patient": "Patient",
    "merged-patient-deleted": "Patient",
    "unmerged-patient": "Patient",
    "subject-changed": "Observation",
    "id-reused": "Observation",
    "deleted-resource": "Patient",
    "vanished-resource": "Observation",
    "deleted-in-mid-crawl": "Observation",
    "search-misses-rows": "Patient",
    "row-without-id": "Observation",
    "search-capped": "Patient",
    "small-total": "Observation",
}


def stated(ward: Ward) -> dict[str, str]:
    """Say whom each Observation of the EHR is about now, where the EHR has that patient."""
    patients = {held.reference for held in ward.ehr.store.live("Patient")}
    found = {each["id"]: each["subject"]["reference"] for each in ward.ehr.store.all("Observation")}
    return {name: patient for name, patient in found.items() if patient in patients}


def standing(home: Home) -> Counter[tuple[str, str]]:
    """Count the facts, by Observation and twin."""
    return Counter(
        (fact.origin.id, twin.id)
        for twin in home.store.twins()
        for fact in home.store.twin_record(twin.id).facts
        if fact.name == "body-weight"
    )


@pytest.mark.parametrize("name", FAULTS)
def test_after_any_fault_each_fact_stands_once_and_with_its_patient(tmp_path: Path, name: str):
    with ward_in(tmp_path) as ward:
        ward.pull()
        ward.ehr.misbehaviours.add(Misbehaviour(name, type=FAULTS[name], times=1))
        ward.pull()
        with ward.home() as home:
            during = standing(home)
        assert stated(ward).keys() <= {observation for observation, _ in during}
        assert {*Counter(observation for observation, _ in during.elements()).values()} <= {1}
        ward.ehr.misbehaviours.clear()
        assert ward.pull().certificate.verdict == "complete"
        with ward.home() as home:
            due = {(seen, home.store.twin_of("ward", patient)) for seen, patient in stated(ward).items()}
            assert standing(home) == Counter(due)
