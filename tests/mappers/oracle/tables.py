"""Writes the tables of elements (mappers/tables/elements_*.toml) from HL7's classes.

python -m tests.mappers.oracle.tables
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from tests.mappers.oracle.converter import convert_lines

__all__ = ["KINDS", "VERSIONS", "elements_of", "table_of", "write_tables"]

VERSIONS: Final = ("dstu2", "stu3", "r4", "r4b", "r5")
TABLES: Final = Path(__file__).resolve().parents[3] / "mappers" / "tables"

_CLINICAL: Final = (
    "AllergyIntolerance CarePlan Condition DetectedIssue DiagnosticReport Encounter EpisodeOfCare FamilyMemberHistory "
    "Flag Goal ImagingStudy Immunization Medication MedicationAdministration MedicationDispense MedicationStatement "
    "NutritionOrder Observation Procedure QuestionnaireResponse RiskAssessment Specimen"
)
_OTHERS: Final = (
    "Basic Binary Bundle Communication Composition Coverage Device DeviceMetric DocumentReference Group List Location "
    "OperationOutcome Organization Patient Practitioner Provenance RelatedPerson"
)
_SINCE_STU3: Final = "AdverseEvent CareTeam Consent MedicationRequest PractitionerRole ResearchStudy ResearchSubject"
_SINCE_R4: Final = f"{_SINCE_STU3} BodyStructure Claim ExplanationOfBenefit MolecularSequence ServiceRequest"
KINDS: Final = {
    "dstu2": "BodySite DiagnosticOrder MedicationOrder ProcedureRequest ReferralRequest",
    "stu3": f"{_SINCE_STU3} BodySite ProcedureRequest ReferralRequest Sequence",
    "r4": _SINCE_R4,
    "r4b": _SINCE_R4,
    "r5": f"{_SINCE_R4} GenomicStudy",
}

_HEAD: Final = """\
# The elements of the types that mappers.versions converts, in {name}. Written by tests/mappers/oracle/tables.py from
# the classes of org.hl7.fhir.{name} 6.6.7 (Apache 2.0), and compared with them by a test: do not edit.
#
# A part, then its elements: NAME[*][!]:TYPE[,TYPE...][=code,code...]. "*": it repeats; "!": it changes the meaning of
# what holds it; the codes are those of a required binding. What every type has (id, meta, text ...) is left out.
"""
Ask = Callable[[str, Iterable[bytes]], list[bytes]]


def elements_of(version: str, ask: Ask) -> dict[str, dict[str, str]]:
    """List the parts of each type of a version, resources first, then the data types that they use."""
    found: dict[str, dict[str, str]] = {}
    missing = [*f"{_CLINICAL} {_OTHERS} {KINDS[version]} Extension Meta Narrative".split()]
    while missing:
        answers = ask("table", [f"{version} {kind}".encode() for kind in missing])
        for kind, answer in zip(missing, answers, strict=True):
            parts = [part.partition(" ") for part in answer.decode().split("\t")]
            found[kind] = {path: elements for path, _, elements in parts}
        told = {
            each
            for parts in found.values()
            for elements in parts.values()
            for element in elements.split()
            for each in element.partition(":")[2].partition("=")[0].split(",")
        }
        missing = sorted(
            each for each in told if each[0].isupper() and "." not in each and each not in found and each != "Resource"
        )
    return found


def table_of(version: str, ask: Ask) -> str:
    """Write the table of a version."""
    lines = [_HEAD.format(name={"stu3": "dstu3"}.get(version, version))]
    for kind, parts in elements_of(version, ask).items():
        lines.append(f'{kind} = """')
        for path, elements in parts.items():
            lines += textwrap.wrap(
                f"{path} {elements}", 130, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
            )
        lines.append('"""\n')
    return "\n".join(lines)


def write_tables() -> None:
    """Write the tables of all versions."""
    for version in VERSIONS:
        (TABLES / f"elements_{version}.toml").write_text(table_of(version, convert_lines), encoding="utf-8")


if __name__ == "__main__":
    write_tables()
