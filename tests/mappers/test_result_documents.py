"""A result as a document, and as the sentences that a person reads before agreeing to it."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode
from hashlib import sha1
from typing import Final, get_args

import pytest

from mappers.outbound import check, render, steps, summary, to_json
from mappers.outbound.us_core import PROFILES
from mappers.versions import FhirVersion
from security.errors import NotFhir
from tests.hapi.samples import VALVE, heart, kidney, prevent, used, valve
from tests.mappers.rungs import content, one, rendered, resources, spoilt

VERSIONS: Final[tuple[FhirVersion, ...]] = get_args(FhirVersion)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_document_says_whole_what_the_resources_would_have_said(version: FhirVersion) -> None:
    document = one(
        rendered(prevent(), version, ("RiskAssessment", "Observation"), document="text"), "DocumentReference"
    )
    told = content(document).decode()
    assert told.startswith("Simulated, not measured: Cardiovascular risk (PREVENT base)\n")
    for part in (
        "Simulated by prevent sample, not measured.",
        "Patient/7",
        "Heart failure, 10 years: 8.2 % (http://snomed.info/sct 84114007)",
        "Speaks of 2024-02-29\n",
        "Age 61 a (2024-02-29T08:30:00+01:00, north, Patient/7/_history/1)",
        "https://lakeside.example/fhir/Observation/9/_history/2",
        "Creatinine is at a steady state.",
        "not for acute kidney injury",
        "doi:10.1161/CIRCULATIONAHA.123.067626",
        "A clinician reviews this before anything is done about it.",
    ):
        assert part in told
    assert document["type"] == {"text": "Simulation result (not measured)"}  # no code by which notes are filed
    assert document["status"] == "current"
    assert "preliminary" in json.dumps(document["docStatus"])


@pytest.mark.parametrize("version", VERSIONS)
def test_an_attachment_can_be_checked_by_its_size_and_hash(version: FhirVersion) -> None:
    for paper, kind in (("pdf", "application/pdf"), ("text", "text/plain; charset=UTF-8")):
        document = one(rendered(valve(), version, ("RiskAssessment",), document=paper), "DocumentReference")
        attachment, told = document["content"][0]["attachment"], content(document)
        assert attachment["contentType"] == kind
        assert attachment["size"] == (str(len(told)) if version == "r5" else len(told))
        assert b64decode(attachment["hash"]) == sha1(told, usedforsecurity=False).digest()
        assert attachment["creation"] == "2026-11-24T02:03:04Z"


def test_a_pdf_is_one_and_depends_on_nothing_but_the_result() -> None:
    assert to_json(rendered(valve(), "r4", ("RiskAssessment",))) == to_json(
        rendered(valve(), "r4", ("RiskAssessment",))
    )
    document = one(rendered(valve(), "r4", ("RiskAssessment",)), "DocumentReference")
    told = content(document)
    assert told.startswith(b"%PDF-1.")
    assert b"D:20261124020304" in told  # the time of the run, and no other
    assert told.count(b"D:2026") == told.count(b"D:20261124020304")


def test_each_page_of_a_pdf_says_that_nobody_measured_it() -> None:
    many = kidney(inputs=tuple(used(name=f"creatinine-{number}") for number in range(60)))
    told = content(one(rendered(many, "r4", ("RiskAssessment", "Observation")), "DocumentReference"))
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", told, re.DOTALL)
    pages = [page for page in (zlib.decompress(each) for each in streams if each[:1] == b"x") if b"Tj" in page]
    assert len(pages) > 1
    assert all(b"(SIMULATED, NOT MEASURED) Tj" in page for page in pages)
    assert b"(Creatinine-59 1.20 mg/dL" in pages[-1]


def test_a_name_that_the_font_of_a_pdf_has_not_goes_as_text_with_each_letter() -> None:
    for title, kind in (("Créatinine ≥ 1 µmol/l", "application/pdf"), ("肌酐", "text/plain; charset=UTF-8")):
        document = one(rendered(kidney(title=title), "r4", ("RiskAssessment", "Observation")), "DocumentReference")
        assert document["content"][0]["attachment"]["contentType"] == kind
    assert "肌酐" in content(document).decode()


def test_an_ehr_that_takes_documents_alone_still_gets_all() -> None:
    for version in VERSIONS:
        [document] = resources(render(kidney(), version, patient="Patient/7", sender="x", takes={"DocumentReference"}))
        assert document["resourceType"] == "DocumentReference"
    assert [(step.what, step.to) for step in steps(kidney(), {"DocumentReference"})] == [
        ("risks", "DocumentReference"),
        ("values", "DocumentReference"),
        ("device", "contained"),
        ("provenance", "words"),
    ]


def test_a_document_in_the_shape_of_us_core_is_no_note_of_a_clinician() -> None:
    lacks = ("RiskAssessment", "Observation")
    document = one(rendered(kidney(), "r4", lacks, profiles=PROFILES), "DocumentReference")
    assert [each.rpartition("/")[2] for each in document["meta"]["profile"]] == ["us-core-documentreference"]
    assert document["category"][0]["coding"] == [{"system": "urn:fhirtwin:category", "code": "simulated"}]
    assert document["type"]["coding"][0]["code"] == "UNK"
    assert document["type"]["text"] == "Simulation result (not measured)"
    bundle = rendered(kidney(), "r4", lacks, profiles=PROFILES)
    with pytest.raises(NotFhir, match=r"resource\.type\.coding"):
        check(spoilt(bundle, 1, type={"text": "none"}), "r4")


def test_a_summary_tells_the_numbers_the_time_the_model_and_the_versions_of_what_it_stands_on() -> None:
    told = summary(heart())
    for part in (
        "Simulated by circulation sample, not measured.",
        "Cardiac output: 4.8 L/min. Middle 95 % of the simulated ensemble: 4.1 to 5.7 L/min.",
        "It speaks of 2024-02-29T08:30:00+01:00; the run was made at 2026-11-24T02:03:04Z.",
        "Creatinine 1.20 mg/dL (2024-02-29T08:30:00+01:00, north, Observation/12/_history/3)",
    ):
        assert part in told
    assert VALVE in summary(valve())
    assert "is not an order" in summary(valve())
    assert used().reference in summary(kidney(inputs=(used(when="", source=""),)))
