"""Code systems under old URIs, compared with HL7's own definitions of DSTU2, STU3 and R4."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mappers.rows import read_table
from mappers.systems import SYSTEM, current_system

FHIR = "{http://hl7.org/fhir}"
THO = "http://terminology.hl7.org/CodeSystem"
RELEASE = "8.6.0"
# Of these R4 has most codes in other words: what reads them knows both, or nothing reads them (the v2 tables of
# appointments, 0277 to 0294).
OTHERS = {"data-absent-reason", "condition-category", "adverse-event-seriousness", "adverse-event-category"}
OTHERS |= {"0277", "0278", "0279", "0281", "0294"}


def definitions(version: str) -> dict[str, tuple[set[str], set[str]]]:
    """Return the code systems of a version: by URI, their identifiers and their codes."""
    name = f"hapi-fhir-validation-resources-{version}"
    jar = Path.home() / f".m2/repository/ca/uhn/hapi/fhir/{name}/{RELEASE}/{name}-{RELEASE}.jar"
    if not jar.exists():
        if shutil.which("mvn") is None:
            pytest.skip("Maven is not here")
        goal = ["mvn", "-q", "-B", "dependency:get", f"-Dartifact=ca.uhn.hapi.fhir:{name}:{RELEASE}"]
        subprocess.run(goal, check=True, capture_output=True)
    found: dict[str, tuple[set[str], set[str]]] = {}
    with zipfile.ZipFile(jar) as opened:
        for path in opened.namelist():
            if "/valueset/" in path and path.endswith(("valuesets.xml", "v2-tables.xml", "v3-codesystems.xml")):
                for node in ElementTree.fromstring(opened.read(path)).iter():  # noqa: S314 - HL7's own files
                    read = _read(node)
                    if read:
                        found[read[0]] = read[1:]
    return found


def _read(node: ElementTree.Element) -> tuple[str, set[str], set[str]] | None:
    system = node if node.tag == f"{FHIR}CodeSystem" else node.find(f"{FHIR}codeSystem")
    if system is None or node.tag not in (f"{FHIR}CodeSystem", f"{FHIR}ValueSet"):
        return None
    uri = system.find(f"{FHIR}url") if system is node else system.find(f"{FHIR}system")
    codes = {one.find(f"{FHIR}code") for one in system.iter(f"{FHIR}concept")}
    identifiers = (one.find(f"{FHIR}value") for one in system.findall(f"{FHIR}identifier"))
    return (
        _value(uri),
        {_value(each) for each in identifiers},
        {_value(each) for each in codes},
    )


def _value(node: ElementTree.Element | None) -> str:
    return "" if node is None else node.get("value", "")


@pytest.fixture(scope="module")
def r4():
    return definitions("r4")


@pytest.mark.jvm
@pytest.mark.parametrize("version", ["dstu2", "dstu3"])
def test_every_code_system_that_moved_is_found_under_its_new_uri(version, r4):
    moved, stays, others = 0, [], []
    for uri, (_, codes) in definitions(version).items():
        now, name = current_system(uri), uri.rsplit("/", 1)[-1]
        if uri in r4:  # it kept its URI
            assert now == uri
        elif now in r4:
            moved += 1
            if len(codes - r4[now][1]) * 4 > len(codes):
                others.append(name)
        elif f"{THO}/{name}" in r4:
            stays.append(name)
        else:
            assert now == uri or "/v2/" in uri or now in SYSTEM.values(), uri
    assert moved > 600
    assert len(stays) < 20  # of these one of the two versions has other codes under that name
    assert not set(stays) & set(read_table("moved_systems")["names"])
    assert set(others) <= OTHERS, "most of its codes are others now"


@pytest.mark.jvm
def test_the_oids_of_hl7_version_3_are_those_of_its_code_systems(r4):
    told = {
        identifier: uri
        for uri, (identifiers, _) in r4.items()
        for identifier in identifiers
        if identifier.startswith("urn:oid:2.16.840.1.113883.5.") and uri.startswith(f"{THO}/v3-")
    }
    assert len(told) == len(read_table("moved_systems")["oids"]) > 100
    assert {oid: current_system(oid) for oid in told} == told


@pytest.mark.parametrize(
    ("told", "now"),
    [
        ("http://hl7.org/fhir/v3/MaritalStatus", f"{THO}/v3-MaritalStatus"),
        ("http://hl7.org/fhir/v2/0203", f"{THO}/v2-0203"),
        ("urn:oid:2.16.840.1.113883.12.4", f"{THO}/v2-0004"),
        ("urn:oid:2.16.840.1.113883.12.292", SYSTEM["cvx"]),  # table 0292 is CVX, which has a URI of its own
        ("urn:oid:2.16.840.1.113883.5.1", f"{THO}/v3-AdministrativeGender"),
        ("http://snomed.info/sct/731000124108", SYSTEM["sct"]),
        ("http://snomed.info/sct/900000000000207008/version/20240101", SYSTEM["sct"]),
        ("http://snomed.info/sct/731000124108/id/73211009", "http://snomed.info/sct/731000124108/id/73211009"),
        ("http://hl7.org/fhir/v2/0360/2.7", "http://hl7.org/fhir/v2/0360/2.7"),
        ("http://hl7.org/fhir/missingtoothreason", "http://hl7.org/fhir/missingtoothreason"),
    ],
)
def test_an_old_uri_is_read_as_the_new_one(told, now):
    assert current_system(told) == now
