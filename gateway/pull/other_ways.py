"""How a type is asked for where the server refuses the plain search: patient by patient, in slices, or both.

Epic wants a category or a code (fasten-sources, fhir401_client.go), athenahealth a patient (apiserver-athenaFlex#160).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from gateway.pull.asking import SAID_NO
from gateway.pull.bundle import NotReadError, read_bundle
from gateway.pull.connection import ComeBackLater, Connection
from gateway.pull.walk import Inquiry, Parameters
from security.errors import Denied, Fault

__all__ = ["other_way"]

# Categories of R4 (valueset-observation-category, condition-category, medicationrequest-category) and of US Core.
# They are examples that a server may go beyond, so that they prove nothing.
_CATEGORIES: Mapping[str, str] = {
    "Observation": """laboratory vital-signs social-history imaging procedure survey exam therapy activity sdoh
        functional-status cognitive-status disability-status""",
    "Condition": "problem-list-item encounter-diagnosis health-concern",
    "MedicationRequest": "inpatient outpatient community discharge",
    "DiagnosticReport": "LAB RAD CUS PAT MB",
    "CarePlan": "assess-plan",
    "DocumentReference": "clinical-note",
}


async def other_way(connection: Connection, inquiry: Inquiry, patients: Sequence[str], about: str) -> Inquiry | None:
    """Return the inquiry as the server takes it, `None` where it takes none. Costs three small questions at most."""
    by_category = tuple((("category", code),) for code in _CATEGORIES.get(inquiry.type, "").split())
    slices = inquiry.slices or by_category
    named: Parameters = ()
    if about and patients and inquiry.way != "patients":
        named = ((about, patients[0] if about == "patient" else f"Patient/{patients[0]}"),)
    if named and not inquiry.slices and await _answers(connection, inquiry.type, named):
        return _anew(inquiry, "patients", (), about)
    if slices and inquiry.way == "list" and await _answers(connection, inquiry.type, slices[0]):
        return _anew(inquiry, "slices", slices, about)
    if slices and named and await _answers(connection, inquiry.type, (*named, *slices[0])):
        return _anew(inquiry, "patients", slices, about)
    return None


def _anew(inquiry: Inquiry, way: str, slices: tuple[Parameters, ...], about: str) -> Inquiry:
    told = Inquiry(
        inquiry.type,
        filter=inquiry.filter,
        since=inquiry.since,
        slices=slices,
        about=about or "patient",
        size=inquiry.size,
        by_post=inquiry.by_post,
        signs=("in-slices",) if slices else (),
        tried=True,
    )
    return msgspec.structs.replace(told, way=way)


async def _answers(connection: Connection, type_: str, params: Parameters) -> bool:
    try:
        reply = await connection.search(type_, (("_count", "1"), *params), allow=SAID_NO, tries=1, fresh=True)
        return reply.status not in SAID_NO and bool(read_bundle(reply.body))
    except (ComeBackLater, Denied):
        raise
    except (NotReadError, Fault):
        return False
