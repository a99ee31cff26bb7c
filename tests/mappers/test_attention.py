"""Warnings as they leave for an EHR: in the form that its server takes, for as long as they mean anything."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest

from mappers.outbound import Form, check, choose_form, render
from mappers.versions import FhirVersion
from security.errors import NotFhir
from tests.hapi.samples import falling, warning

VERSIONS = get_args(FhirVersion)
FORMS = get_args(Form)


def rendered(version: FhirVersion, form: Form | None, **changes: Any) -> dict[str, dict[str, Any]]:
    bundle = render(
        falling(), version, patient="Patient/7", sender="fhirtwin 0.1.0", attention=warning(), form=form, **changes
    )
    return {entry["resource"]["resourceType"]: entry for entry in bundle["entry"]}


@pytest.mark.parametrize(
    ("creatable", "form"),
    [
        ({"Flag", "Communication", "DetectedIssue"}, "DetectedIssue"),
        ({"Flag", "Communication"}, "Flag"),
        ({"Communication", "Observation"}, "Communication"),
        ({"Observation"}, None),
    ],
)
def test_the_form_is_the_first_that_the_server_creates(creatable: set[str], form: Form | None) -> None:
    assert choose_form(creatable) == form


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("form", FORMS)
def test_a_warning_says_what_when_and_that_it_is_simulated(version: FhirVersion, form: Form) -> None:
    entries = rendered(version, form)
    assert entries.keys() == {"Device", "RiskAssessment", form, "Provenance"}
    written = entries[form]["resource"]
    said = str(written)
    assert "62 % within 60 minutes." in said
    assert "2026-11-24T02:28:04Z" in said
    assert "Simulated by glucose sample, not measured." in said
    assert [label["code"] for label in written["meta"]["security"]] == ["AIAST"]
    assert entries[form]["fullUrl"] in str(entries["Provenance"]["resource"]["target"])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_flag_ends_with_what_it_warns_of(version: FhirVersion) -> None:
    assert rendered(version, "Flag")["Flag"]["resource"]["period"]["end"] == "2026-11-24T03:03:04Z"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_risk_over_minutes_has_its_period(version: FhirVersion) -> None:
    [prediction] = rendered(version, None)["RiskAssessment"]["resource"]["prediction"]
    assert prediction["probabilityDecimal"] == Decimal(62)
    assert prediction["whenPeriod"] == {"start": "2026-11-24T03:03:00+01:00", "end": "2026-11-24T03:03:00Z"}


def test_a_server_without_risk_assessments_gets_the_warning_alone() -> None:
    assert rendered("r4", "Flag", with_risks=False).keys() == {"Device", "Flag", "Provenance"}


def test_the_same_warning_has_the_same_name_and_another_one_another() -> None:
    first, again = rendered("r4", "Flag")["Flag"], rendered("r4", "Flag")["Flag"]
    assert first["request"] == again["request"]
    later = msgspec.structs.replace(warning(), name="low-2026-11-24T09:00:00Z")
    bundle = render(falling(), "r4", patient="Patient/7", sender="x", attention=later, form="Flag")
    assert first["request"] not in [entry["request"] for entry in bundle["entry"]]


def test_a_window_without_a_zone_or_backwards_is_refused() -> None:
    for changes in ({"begins": warning().begins.replace(tzinfo=None)}, {"ends": warning().begins.replace(year=2000)}):
        with pytest.raises(ValueError, match="window"):
            msgspec.structs.replace(warning(), **changes)


def test_r5_renamed_whom_an_issue_is_about_and_how_words_are_told() -> None:
    issue = {version: rendered(version, "DetectedIssue")["DetectedIssue"]["resource"] for version in VERSIONS}
    assert {version for version in VERSIONS if "patient" not in issue[version]} == {"r5"}
    assert issue["r5"]["subject"] == issue["r4"]["patient"] == {"reference": "Patient/7"}
    words = {v: rendered(v, "Communication")["Communication"]["resource"]["payload"] for v in VERSIONS}
    assert words["r5"] == [{"contentCodeableConcept": {"text": words["r4"][0]["contentString"]}}]


@pytest.mark.parametrize(("made_for", "sent_to"), [("r4", "r5"), ("r5", "r4"), ("r5", "r4b"), ("r4b", "r5")])
@pytest.mark.parametrize("form", ["DetectedIssue", "Communication"])
def test_the_gate_stops_a_warning_in_the_shape_of_another_version(
    form: Form, made_for: FhirVersion, sent_to: FhirVersion
) -> None:
    entry = rendered(made_for, form)[form]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    with pytest.raises(NotFhir, match=r"patient|subject|content"):
        check(bundle, sent_to)


def test_what_dstu2_does_not_know_does_not_leave() -> None:
    bundle = render(falling(), "dstu2", patient="Patient/7", sender="x", attention=warning(), form="Flag")
    bundle["entry"][2]["resource"]["priority"] = "high"
    with pytest.raises(NotFhir, match="priority"):
        check(bundle, "dstu2")
