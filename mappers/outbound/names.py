"""Names that are the same each time, so that a result that is sent twice is written once.

A run is named by a keyed hash of twin, inputs and model; what is derived from it here tells nobody who the twin is.
"""

from __future__ import annotations

from uuid import UUID, uuid5

__all__ = [
    "AIAST",
    "HYPOTHETICAL_TAG",
    "RESULT_TAG",
    "SIMULATED_TAG",
    "SUPERSEDED_TAG",
    "URI_SYSTEM",
    "WITHDRAWN_TAG",
    "device_uuid",
    "entry_url",
    "kind_of",
    "result_uuid",
]

NAMESPACE = UUID("7f33ff8d-c0b7-4e24-a66d-be710634ada0")  # chosen once; to change it is to write every result again

URI_SYSTEM = (
    "urn:ietf:rfc:3986"  # FHIR R4 datatypes.html#identifier: the system of an identifier whose value is itself a URI
)
RESULT_TAG = "urn:fhirtwin:result"  # finds what has no identifier element (Provenance)
SIMULATED_TAG = {"system": "urn:fhirtwin:tag", "code": "simulated"}
HYPOTHETICAL_TAG = {"system": "urn:fhirtwin:tag", "code": "hypothetical"}  # beside it: of what a plan would do
SUPERSEDED_TAG = {"system": "urn:fhirtwin:tag", "code": "superseded"}  # another result has come in its place
WITHDRAWN_TAG = {"system": "urn:fhirtwin:tag", "code": "withdrawn"}  # it never should have stood
AIAST = {  # HL7 AI Transparency on FHIR 1.0.0-ballot: the label of what a computer's logic asserted, of whatever kind
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}


def result_uuid(run: str, part: str) -> str:
    """Name one part of one run ("observation/egfr", "risk", "provenance"): the same run and part give the same name."""
    return str(uuid5(NAMESPACE, f"{run}/{part}"))


def device_uuid(model: str, version: str) -> str:
    """Name a model of a version, the same for every twin and run."""
    return str(uuid5(NAMESPACE, f"model/{model}/{version}"))


def entry_url(uuid: str) -> str:
    """Name an entry within its transaction.

    It differs from the identifier, for a server replaces it by the resource's address wherever it stands (FHIR R4
    http.html#trules), and some do so in the whole text.
    """
    return f"urn:uuid:{uuid5(NAMESPACE, f'entry/{uuid}')}"


def kind_of(reference: str) -> str:
    """Name the resource type in a reference, of whatever version and server; "" where it has none."""
    parts = reference.split("/_history/", maxsplit=1)[0].split("/")
    return parts[-2] if len(parts) > 1 else ""
