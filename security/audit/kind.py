"""A kind of event: how it is typed, and which part we, the other side and the person play in it.

Who is "source" and who "destination" follows the table of IHE Basic Audit Log Patterns (BALP 1.1.4, ITI TF-2 3:5.7.3):
in Create, Update and Query the client is the source (DCM 110153) and the server the destination (110152); in Read the
data flow the other way, and so do the codes; in Delete they are application (110150) and custodian.

What BALP has no profile for takes its type from the R4 value set audit-event-type, which is DICOM PS3.16 CID 400 and
the ISO 21089 record lifecycle events; where no code fits a subtype (the binding is extensible), it is one of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "APPLICATION",
    "AUTHOR",
    "BALP",
    "CUSTODIAN",
    "DESTINATION",
    "RECIPIENT",
    "REST",
    "SOURCE",
    "SOURCE_MEDIA",
    "Coding",
    "Kind",
    "dicom",
    "interaction",
    "lifecycle",
    "ours",
    "user_agent",
]

BALP = "https://profiles.ihe.net/ITI/BALP/"


@dataclass(frozen=True, slots=True)
class Coding:
    """One code in one code system."""

    system: str
    code: str

    def json(self) -> dict[str, str]:
        """Write it as FHIR does."""
        return {"system": self.system, "code": self.code}


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table. `us`, `peer` and `user` are agent types; a kind without a `peer` has no other side.

    Parameters
    ----------
    name
        What we call it, in documents and on screens.
    said
        What happened, for the patient whom it concerns: "Somebody ...".
    action
        R4 audit-event-action: create, read, update, delete, execute.
    profile, patient_profile
        The BALP profile, and that for events with a patient; "" where there is none.
    of_failures
        Whether the profile leaves the outcome open; the others fix it to success.
    """

    name: str
    said: str
    type: Coding
    subtype: Coding
    action: Literal["C", "R", "U", "D", "E"]
    us: Coding
    user: Coding
    peer: Coding | None = None
    profile: str = ""
    patient_profile: str = ""
    of_failures: bool = False


def dicom(code: str) -> Coding:
    """Name a code of DICOM."""
    return Coding("http://dicom.nema.org/resources/ontology/DCM", code)


def lifecycle(code: str) -> Coding:
    """Name a record lifecycle event of ISO 21089."""
    return Coding("http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", code)


def interaction(code: str) -> Coding:
    """Name an interaction of FHIR's REST."""
    return Coding("http://hl7.org/fhir/restful-interaction", code)


def user_agent(code: str) -> Coding:
    """Name one of BALP's own kinds of agent."""
    return Coding(f"{BALP}CodeSystem/UserAgentTypes", code)


def ours(code: str) -> Coding:
    """Name a kind of event for which no published code fits."""
    return Coding("urn:fhirtwin:audit", code)


REST = Coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest")
APPLICATION, DESTINATION, SOURCE, SOURCE_MEDIA = map(dicom, ("110150", "110152", "110153", "110155"))
CUSTODIAN = Coding("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian")
AUTHOR, RECIPIENT = (
    Coding("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", code) for code in ("AUT", "IRCP")
)
