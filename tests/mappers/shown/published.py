"""The table of what R4 demands of the types that we show, read out of HL7's own package of definitions.

`python -m tests.mappers.shown.published PACKAGE mappers/tables` writes the tables anew.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

__all__ = ["Package", "tables"]

SHOWN: Final = (
    *("AdverseEvent", "AllergyIntolerance", "Appointment", "BodyStructure", "CarePlan", "CareTeam", "Claim"),
    *("ClinicalImpression", "Communication", "Condition", "Consent", "Coverage", "DetectedIssue", "Device"),
    *("DeviceRequest", "DeviceUseStatement", "DiagnosticReport", "DocumentReference", "Encounter", "Endpoint"),
    *("EpisodeOfCare", "ExplanationOfBenefit", "FamilyMemberHistory", "Flag", "Goal", "Group", "HealthcareService"),
    *("ImagingStudy", "Immunization", "Location", "Media", "Medication", "MedicationAdministration"),
    *("MedicationDispense", "MedicationRequest", "MedicationStatement", "MolecularSequence", "NutritionOrder"),
    *("Observation", "Organization", "Patient", "Practitioner", "PractitionerRole", "Procedure", "Provenance"),
    *("QuestionnaireResponse", "RelatedPerson", "ResearchSubject", "RiskAssessment", "ServiceRequest", "Specimen"),
)
_HEAD: Final = """\
# What FHIR R4 demands of the types that we show. Written by tests/mappers/shown/published.py from the package
# hl7.fhir.r4.core 4.0.1 (CC0), and compared with it by a test: do not edit.
#
# A part, then its elements: NAME[*][!][+]:TYPE[,TYPE...][=code,code...][@Target,Target...]. "*": it repeats; "!": it
# changes the meaning of what holds it; "+": it has to be there; the codes are those of a required binding (of a
# CodeableConcept or a Coding with their system: SYSTEM|CODE); the targets are those that a Reference may lead to.

"""
_CODES_HEAD: Final = """\
# The codes of HL7's own systems that the types we show use: a code that is not in them is none. Written by
# tests/mappers/shown/published.py from the package hl7.fhir.r4.core 4.0.1 (CC0): do not edit.

"""
_EXTENSIONS_HEAD: Final = """\
# The extensions of one value that HL7 defines for R4: TYPE[,TYPE...]=[CODE,...]@WHERE[,WHERE...]. Written by
# tests/mappers/shown/published.py from the package hl7.fhir.r4.core 4.0.1 (CC0): do not edit.

"""
_OWN: Final = ("http://terminology.hl7.org/", "http://hl7.org/fhir/")
_OF_CORE: Final = 5  # slashes of http://hl7.org/fhir/StructureDefinition/NAME
_ANYWHERE: Final = frozenset({"id", "extension", "modifierExtension"})
_OF_RESOURCES: Final = frozenset({"meta", "implicitRules", "language", "text", "contained"})
_PRIMITIVES: Final = "http://hl7.org/fhirpath/System."
_ENDLESS: Final = frozenset({"mimetypes", "languages", "currencies", "all-languages", "resource-types", "ucum-units"})


class Package:
    """The definitions of a FHIR version, by name."""

    def __init__(self, path: Path) -> None:
        self._files: dict[str, bytes] = {}
        with tarfile.open(path) as opened:
            for member in opened:
                name = member.name.rsplit("/", 1)[-1]
                if name.startswith(("StructureDefinition-", "ValueSet-", "CodeSystem-")):
                    found = opened.extractfile(member)
                    assert found is not None
                    self._files[name] = found.read()

    def structure(self, name: str) -> Mapping[str, Any]:
        told: Mapping[str, Any] = msgspec.json.decode(self._files[f"StructureDefinition-{name}.json"])
        return told

    @cached_property
    def _by_url(self) -> Mapping[str, Mapping[str, Any]]:
        read = (msgspec.json.decode(raw) for name, raw in self._files.items() if not name.startswith("Struct"))
        return {told["url"]: told for told in read if "url" in told}

    def names(self, prefix: str) -> list[str]:
        """List the names of the files of a kind."""
        return sorted(each[len(prefix) : -5] for each in self._files if each.startswith(prefix))

    def systems(self, url: str) -> set[str]:
        """List the code systems that a value set takes codes of."""
        found = self._by_url.get(url.partition("|")[0], {})
        listed: set[str] = set()
        for each in found.get("compose", {}).get("include", []):
            listed |= {each["system"]} if "system" in each else set()
            listed = listed.union(*(self.systems(other) for other in each.get("valueSet", [])))
        return listed

    def all_codes(self, system: str) -> list[str]:
        """List the codes of a code system that is whole; none where it is not."""
        found = self._by_url.get(system)
        if found is None or found.get("content") != "complete" or not system.startswith(_OWN):
            return []
        return list(dict.fromkeys(each["code"] for each in _concepts(found.get("concept", []))))

    def codes(self, url: str) -> list[str]:
        """List the codes of a value set as SYSTEM|CODE; none where it is endless, or chosen by rules."""
        found = self._by_url.get(url.partition("|")[0])
        if found is None or found["id"] in _ENDLESS or found["resourceType"] != "ValueSet":
            return []
        compose = found.get("compose", {})
        listed: list[str] = []
        for each in compose.get("include", []):
            for other in each.get("valueSet", []):
                listed += self.codes(other)
            if "system" not in each:
                continue
            system = self._by_url.get(each["system"])
            if "filter" in each or ("concept" not in each and (system is None or system.get("content") != "complete")):
                return []
            concepts = each.get("concept") or list(_concepts(system.get("concept", []) if system else []))
            listed += [f"{each['system']}|{concept['code']}" for concept in concepts]
        out = {f"{each['system']}|{c['code']}" for each in compose.get("exclude", []) for c in each.get("concept", [])}
        return [code for code in dict.fromkeys(listed) if code not in out]


def _concepts(concepts: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for concept in concepts:
        yield concept
        yield from _concepts(concept.get("concept", []))


def tables(package: Package) -> dict[str, str]:
    """Write all tables, by name."""
    return {
        "shown_r4": write_table(package),
        "shown_codes": write_codes(package),
        "shown_extensions": write_extensions(package),
    }


def write_table(package: Package) -> str:
    """Write the table: the resources, then the data types that they use."""
    done = {kind: "\n".join(_parts(package, kind)[0]) for kind in _kinds(package)}
    ordered = [*SHOWN, *sorted(set(done) - set(SHOWN))]
    return _HEAD + "\n".join(f'{kind} = """\n{done[kind]}\n"""\n' for kind in ordered)


def _kinds(package: Package) -> list[str]:
    """List the resources, and the data types that they use."""
    wanted = [*SHOWN, "Meta", "Extension", "Narrative"]
    for kind in wanted:
        wanted += [each for each in _parts(package, kind)[1] if each not in wanted]
    return wanted


def write_codes(package: Package) -> str:
    """Write the codes of HL7's own systems that some element of these types is bound to, however strongly."""
    systems: dict[str, list[str]] = {}
    for kind in _kinds(package):
        for element in package.structure(kind)["snapshot"]["element"]:
            for system in package.systems(element.get("binding", {}).get("valueSet", "")):
                if system not in systems and (codes := package.all_codes(system)):
                    systems[system] = codes
    return _CODES_HEAD + "".join(f'"{system}" = """{"|".join(codes)}"""\n' for system, codes in sorted(systems.items()))


def write_extensions(package: Package) -> str:
    """Write the extensions of one value that HL7 defines for R4: its types, its codes, and where it stands."""
    lines = []
    for name in package.names("StructureDefinition-"):
        told = package.structure(name)
        if told.get("type") != "Extension" or told["url"].count("/") != _OF_CORE:
            continue
        elements = {each["id"]: each for each in told["snapshot"]["element"]}
        value = elements.get("Extension.value[x]")
        if value is None or value["max"] == "0" or elements.get("Extension", {}).get("isModifier"):
            continue
        types = ",".join(dict.fromkeys(each["code"] for each in value.get("type", [])))
        binding = value.get("binding", {})
        codes = package.codes(binding.get("valueSet", "")) if binding.get("strength") == "required" else []
        if binding.get("strength") == "required" and not codes:
            continue
        plain = ",".join(dict.fromkeys(each.partition("|")[2] for each in codes))
        where = ",".join(
            dict.fromkeys(each["expression"] for each in told.get("context", []) if each["type"] == "element")
        )
        lines.append(f'{told["url"].rsplit("/", 1)[-1]} = "{types}={plain}@{where}"\n')
    return _EXTENSIONS_HEAD + "".join(sorted(lines))


def _parts(package: Package, kind: str) -> tuple[list[str], list[str]]:
    parts: dict[str, list[str]] = {kind: []}
    types: list[str] = []
    structure = package.structure(kind)
    is_resource = structure["kind"] == "resource"
    for element in structure["snapshot"]["element"][1:]:
        part, _, name = element["path"].rpartition(".")
        if name in _ANYWHERE or (name in _OF_RESOURCES and part == kind and is_resource):
            continue
        told, used = _element(package, element, name)
        parts.setdefault(part, []).append(told)
        types += [each for each in used if each[:1].isupper() and "." not in each and each not in types]
    return [_wrapped(part, told) for part, told in parts.items()], types


def _element(package: Package, element: Mapping[str, Any], name: str) -> tuple[str, list[str]]:
    used, targets = list[str](), list[str]()
    if "contentReference" in element:
        used = [element["contentReference"].removeprefix("#")]
    for type_ in element.get("type", []):
        code = type_["code"]
        if code.startswith(_PRIMITIVES):
            code = "string"
        if code in ("BackboneElement", "Element"):
            code = element["path"]
        if code not in used:
            used.append(code)
        if code == "Reference":
            targets += [each.rsplit("/", 1)[-1] for each in type_.get("targetProfile", [])]
    if "Reference" in used and "Resource" in targets:
        targets = []
    told = name
    told += "*" if element["max"] not in ("0", "1") else ""
    told += "!" if element.get("isModifier") else ""
    told += "+" if element["min"] else ""
    told += f":{'any' if len(used) > 30 else ','.join(used)}"
    binding = element.get("binding", {})
    if binding.get("strength") == "required":
        codes = package.codes(binding.get("valueSet", ""))
        if used == ["code"]:
            codes = list(dict.fromkeys(each.partition("|")[2] for each in codes))
        elif used not in (["CodeableConcept"], ["Coding"]):
            codes = []
        told += f"={','.join(codes)}" if codes and not any(set(" ,@") & set(each) for each in codes) else ""
    told += f"@{','.join(targets)}" if targets else ""
    return told, used if len(used) <= 30 else []


def _wrapped(part: str, told: list[str]) -> str:
    lines, line = [], part
    for each in told:
        if len(line) + len(each) + 1 > 128 and line.strip():
            lines.append(line)
            line = " "
        line += f" {each}"
    return "\n".join([*lines, line])


if __name__ == "__main__":
    for _name, _text in tables(Package(Path(sys.argv[1]))).items():
        (Path(sys.argv[2]) / f"{_name}.toml").write_text(_text, "utf-8")
