"""The kinds of event we record: how each is typed, and which part we, the other side and the person play in it.

Who is "source" and who "destination" follows the table of IHE Basic Audit Log Patterns (BALP 1.1.4, ITI TF-2 3:5.7.3):
in Create and Query the client is the source (DCM 110153) and the server the destination (110152); in Read the data flow
the other way, and so do the codes.

What BALP has no profile for takes its type from the R4 value set audit-event-type, which is DICOM PS3.16 CID 400 and
the ISO 21089 record lifecycle events; where no code fits a subtype (the binding is extensible), it is one of ours.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "CERTIFICATE",
    "CREATE",
    "FETCH",
    "IMPORT",
    "KEY",
    "LOG",
    "MERGE",
    "PROPOSAL",
    "QUERY",
    "READ",
    "REMAP",
    "RETRACTION",
    "RUN",
    "TOKEN",
    "UNMERGE",
    "Coding",
    "Kind",
]


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

    `profile` is the name of the BALP profile, `patient_profile` that for events with a patient; "" where there is none.
    """

    type: Coding
    subtype: Coding
    action: str  # C create, R read, U update, E execute
    us: Coding
    user: Coding
    peer: Coding | None = None
    profile: str = ""
    patient_profile: str = ""


def _dicom(code: str) -> Coding:
    return Coding("http://dicom.nema.org/resources/ontology/DCM", code)


def _lifecycle(code: str) -> Coding:
    return Coding("http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", code)


def _interaction(code: str) -> Coding:
    return Coding("http://hl7.org/fhir/restful-interaction", code)


def _participation(code: str) -> Coding:
    return Coding("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", code)


def _ours(code: str) -> Coding:
    return Coding("urn:fhirtwin:audit", code)


_REST = Coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest")
_APPLICATION, _DESTINATION, _SOURCE, _SOURCE_MEDIA = map(_dicom, ("110150", "110152", "110153", "110155"))
_OAUTH = Coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes", "AuthzOauthService")
_AUTHOR, _RECIPIENT = _participation("AUT"), _participation("IRCP")

QUERY = Kind(
    type=_REST,
    subtype=_interaction("search-type"),
    action="E",
    us=_SOURCE,
    peer=_DESTINATION,
    user=_RECIPIENT,
    profile="IHE.BasicAudit.Query",
    patient_profile="IHE.BasicAudit.PatientQuery",
)
FETCH = Kind(  # we are the client of an EHR
    type=_REST,
    subtype=_interaction("read"),
    action="R",
    us=_DESTINATION,
    peer=_SOURCE,
    user=_RECIPIENT,
    profile="IHE.BasicAudit.Read",
    patient_profile="IHE.BasicAudit.PatientRead",
)
READ = Kind(  # we are the server, and a terminal or a browser the client
    type=_REST,
    subtype=_interaction("read"),
    action="R",
    us=_SOURCE,
    peer=_DESTINATION,
    user=_RECIPIENT,
    profile="IHE.BasicAudit.Read",
    patient_profile="IHE.BasicAudit.PatientRead",
)
CREATE = Kind(
    type=_REST,
    subtype=_interaction("create"),
    action="C",
    us=_SOURCE,
    peer=_DESTINATION,
    user=_AUTHOR,
    profile="IHE.BasicAudit.Create",
    patient_profile="IHE.BasicAudit.PatientCreate",
)
TOKEN = Kind(  # DICOM User Authentication, IHE ITI-71 Get Access Token
    type=_dicom("110114"),
    subtype=Coding("urn:ihe:event-type-code", "ITI-71"),
    action="E",
    us=_APPLICATION,
    peer=_OAUTH,
    user=_RECIPIENT,
    profile="IHE.IUA.71",
    patient_profile="IHE.IUA.71",
)
IMPORT = Kind(  # DICOM Import
    type=_dicom("110107"),
    subtype=_lifecycle("receive"),
    action="C",
    us=_DESTINATION,
    peer=_SOURCE_MEDIA,
    user=_AUTHOR,
)
# ISO 21089: to deprecate is to tag entries as obsolete, erroneous or untrustworthy, and to keep them; to verify is to
# confirm that data comply with a rule.
RETRACTION = Kind(
    type=_lifecycle("deprecate"), subtype=_ours("retraction"), action="U", us=_DESTINATION, peer=_SOURCE, user=_AUTHOR
)
MERGE = Kind(type=_lifecycle("merge"), subtype=_ours("merge"), action="U", us=_DESTINATION, peer=_SOURCE, user=_AUTHOR)
UNMERGE = Kind(
    type=_lifecycle("unmerge"), subtype=_ours("unmerge"), action="U", us=_DESTINATION, peer=_SOURCE, user=_AUTHOR
)
# ISO 21089: to transform is to change form, language or code system of a record's content.
REMAP = Kind(type=_lifecycle("transform"), subtype=_ours("remap"), action="U", us=_APPLICATION, user=_AUTHOR)
CERTIFICATE = Kind(
    type=_lifecycle("verify"), subtype=_ours("certificate"), action="E", us=_DESTINATION, peer=_SOURCE, user=_AUTHOR
)
# Execution of a program is action E (R4 audit-event-action); what a run makes becomes part of the twin, which ISO 21089
# calls originate, and writing it up in a form for others report.
RUN = Kind(type=_lifecycle("originate"), subtype=_ours("run"), action="E", us=_APPLICATION, user=_AUTHOR)
PROPOSAL = Kind(type=_lifecycle("report"), subtype=_ours("proposal"), action="E", us=_APPLICATION, user=_AUTHOR)
KEY = Kind(type=_lifecycle("encrypt"), subtype=_ours("key"), action="C", us=_APPLICATION, user=_AUTHOR)
LOG = Kind(  # DICOM Audit Log Used
    type=_dicom("110101"), subtype=_lifecycle("access"), action="R", us=_APPLICATION, user=_RECIPIENT
)
