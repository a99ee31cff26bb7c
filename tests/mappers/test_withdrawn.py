"""A result that no longer stands says so to the server, to machines and to people, and is otherwise as it was."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final, get_args

import pytest

from mappers.outbound import Form, render, to_json
from mappers.outbound.withdrawn import Standing, withdraw
from mappers.versions import FhirVersion
from tests.hapi.samples import falling, heart, valve, warning

VERSIONS: Final[tuple[FhirVersion, ...]] = get_args(FhirVersion)
FRAME: Final[dict[str, Any]] = {"patient": "Patient/7", "sender": "fhirtwin 0.1.0"}
FORMS: Final[tuple[Form, ...]] = get_args(Form)
KINDS: Final = ("Observation", "RiskAssessment", "DocumentReference", *FORMS)
WHY: Final = "A corrected potassium < 3 & a new creatinine have overtaken it."


def at_the_ehr(kind: str, version: FhirVersion) -> dict[str, Any]:
    """A resource of ours as an EHR returns it: with what the EHR added, and each digit."""
    if form := next((each for each in FORMS if each == kind), None):
        bundle = render(falling(), version, **FRAME, attention=warning(), form=form)
    else:
        takes = {"DocumentReference"} if kind == "DocumentReference" else None
        bundle = render(heart(), version, **FRAME, takes=takes)
    resource = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind)
    added = {"id": "9", "meta": {"versionId": "3", "lastUpdated": "2026-11-25T00:00:00.123Z", **resource["meta"]}}
    read: dict[str, Any] = json.loads(to_json(resource | added), parse_float=Decimal)
    return read


# Of published definitions: the statuses that a type has in a version. "" where it has none that says it.
AMENDED: Final = {
    **{("Observation", version): "amended" for version in VERSIONS},
    **{("RiskAssessment", version): "amended" for version in VERSIONS[1:]},
    **{("DocumentReference", version): "superseded" for version in VERSIONS},
    **{("DetectedIssue", version): "amended" for version in VERSIONS[1:4]},
    ("DetectedIssue", "r5"): "preliminary",
    **{("Flag", version): "inactive" for version in VERSIONS},
    **{("Communication", version): "completed" for version in VERSIONS},
}
IN_ERROR: Final = {
    **{(kind, version): "entered-in-error" for kind in KINDS for version in VERSIONS},
    ("RiskAssessment", "dstu2"): None,
    ("DetectedIssue", "dstu2"): None,
    ("Communication", "dstu2"): "completed",
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_status_is_one_that_the_version_has(kind: str, version: FhirVersion) -> None:
    resource = at_the_ehr(kind, version)
    assert withdraw(resource, version, "amended", WHY).get("status") == AMENDED.get((kind, version))
    assert withdraw(resource, version, "entered-in-error", WHY).get("status") == IN_ERROR[kind, version]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("to", "code"), [("amended", "superseded"), ("entered-in-error", "withdrawn")])
def test_whatever_a_person_or_a_machine_reads_says_it_before_all_else(
    kind: str, version: FhirVersion, to: Standing, code: str
) -> None:
    done = withdraw(at_the_ehr(kind, version), version, to, WHY, f"{kind}/12")
    said = f"{WHY} In its place: {kind}/12."
    assert {"system": "urn:fhirtwin:tag", "code": code} in done["meta"]["tag"]
    first = done["text"]["div"].partition("<p>")[2]
    assert first.startswith("A corrected potassium &lt; 3 &amp; a new creatinine have overtaken it. In its place:")
    words = [
        done.get("note", [{}])[0].get("text", ""),
        *(str(done.get(name, "")) for name in ("comment", "comments", "description", "detail", "mitigation")),
        done["code"].get("text", "") if kind == "Flag" else "",
        done["payload"][0].get("contentString", "") if kind == "Communication" else "",
    ]
    assert any(part.startswith(said) for part in words)
    if (kind, version) == ("RiskAssessment", "dstu2"):  # no status: who reads the percentage alone reads it, too
        assert all(each["rationale"].startswith(said) for each in done["prediction"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("to", get_args(Standing))
def test_done_twice_it_is_done_once_and_nothing_else_is_touched(kind: str, version: FhirVersion, to: Standing) -> None:
    before = at_the_ehr(kind, version) | {"extension": [{"url": "https://ehr.example/seen", "valueBoolean": True}]}
    kept = to_json(before)
    done = withdraw(before, version, to, WHY, "Observation/12")
    assert withdraw(done, version, to, WHY, "Observation/12") == done
    assert to_json(before) == kept  # what was handed in is left as it was
    changed = {name for name in done if done[name] != before.get(name)}
    may = {"meta", "text", "status", "docStatus", "note", "comment", "comments", "description", "detail", "code"}
    assert changed <= may | {"mitigation", "prediction", "payload"}
    assert {name: done["meta"][name] for name in ("versionId", "lastUpdated", "security")} == {
        name: before["meta"][name] for name in ("versionId", "lastUpdated", "security")
    }
    if kind == "Observation":
        assert b'"value":4.8,' in to_json(done)
        assert b'"high":{"value":5.7,' in to_json(done)


def test_digits_that_an_ehr_returned_leave_as_they_came() -> None:
    read = json.loads(b'{"resourceType":"Observation","valueQuantity":{"value":4.80}}', parse_float=Decimal)
    assert b'"value":4.80}' in to_json(withdraw(read, "r4", "amended", WHY))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_document_that_no_longer_stands_says_it_twice(version: FhirVersion) -> None:
    status: dict[Standing, str] = {"amended": "superseded", "entered-in-error": "entered-in-error"}
    for to, expected in status.items():
        done = withdraw(at_the_ehr("DocumentReference", version), version, to, WHY)
        told = done["docStatus"]["coding"][0]["code"] if version == "dstu2" else done["docStatus"]
        assert (done["status"], told) == (expected, to)


def test_a_size_that_a_server_of_r5_returns_as_a_number_leaves_as_text() -> None:
    """HAPI 8.6 does, and refuses it on update: "the primitive value must be a string"."""
    resource = at_the_ehr("DocumentReference", "r5")
    attachment = resource["content"][0]["attachment"]
    size = attachment["size"]
    attachment["size"] = int(size)
    done = withdraw(resource, "r5", "amended", WHY)
    assert done["content"] == [{"attachment": attachment | {"size": size}}]
    [part] = withdraw(at_the_ehr("DocumentReference", "r4"), "r4", "amended", WHY)["content"]
    assert part["attachment"]["size"] == int(size)


def test_what_was_entered_in_error_never_stands_again() -> None:
    wrong = withdraw(at_the_ehr("Observation", "r4"), "r4", "entered-in-error", WHY)
    assert withdraw(wrong, "r4", "amended", "A newer one is there.") == wrong
    overtaken = withdraw(at_the_ehr("Observation", "r4"), "r4", "amended", "A newer one is there.")
    assert withdraw(overtaken, "r4", "entered-in-error", WHY)["status"] == "entered-in-error"
    by_a_person = at_the_ehr("Observation", "r4") | {"status": "entered-in-error"}
    assert withdraw(by_a_person, "r4", "amended", "A newer one is there.")["status"] == "entered-in-error"


@pytest.mark.parametrize("version", VERSIONS)
def test_model_and_provenance_stay_true(version: FhirVersion) -> None:
    for entry in render(valve(), version, **FRAME)["entry"]:
        if entry["resource"]["resourceType"] in ("Device", "Provenance"):
            assert withdraw(entry["resource"], version, "entered-in-error", WHY) == entry["resource"]


@pytest.mark.parametrize(
    ("narrative", "becomes"),
    [
        (None, '<div xmlns="http://www.w3.org/1999/xhtml"><p>Gone.</p></div>'),
        ({"status": "empty"}, '<div xmlns="http://www.w3.org/1999/xhtml"><p>Gone.</p></div>'),
        ({"status": "generated", "div": "<div/>"}, '<div xmlns="http://www.w3.org/1999/xhtml"><p>Gone.</p></div>'),
        ({"status": "additional", "div": '\n<div lang="de">Alt</div>'}, '\n<div lang="de"><p>Gone.</p>Alt</div>'),
        ({"status": "generated", "div": "no markup"}, "no markup"),
    ],
)
def test_whatever_an_ehr_made_of_the_narrative_is_kept(narrative: dict[str, str] | None, becomes: str) -> None:
    resource = at_the_ehr("Observation", "r4") | ({} if narrative is None else {"text": narrative})
    if narrative is None:
        del resource["text"]
    done = withdraw(resource, "r4", "amended", "Gone.")
    assert done["text"]["div"] == becomes
    assert done["note"][0] == {"text": "Gone."}


def test_a_hypothesis_that_no_longer_stands_is_withdrawn_like_any_other() -> None:
    tried = render(valve(), "r4", **FRAME)["entry"][1]["resource"]
    done = withdraw(tried, "r4", "entered-in-error", WHY)
    assert done["status"] == "entered-in-error"
    assert done["prediction"] == tried["prediction"]
