"""AuditEvents (FHIR R4), one function for each kind of event; `kinds` tells how each is typed.

A BALP profile is claimed in `meta.profile` only where the outcome is a success: BALP fixes `outcome` to 0, and lets a
failure follow the same pattern without claiming it. Each function raises a `ValueError` where the event cannot be told
(no other side, free text for a reference): that is a mistake of the caller.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any
from urllib.parse import urlencode

from security.audit import kinds
from security.audit.access import Access, System
from security.audit.kinds import Coding, Kind

__all__ = [
    "certificate_event",
    "delivery_event",
    "fetch_event",
    "import_event",
    "key_event",
    "log_event",
    "merge_event",
    "proposal_event",
    "query_event",
    "read_event",
    "remap_event",
    "retraction_event",
    "run_event",
    "token_event",
]

Json = dict[str, Any]

_BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"
_REQUEST_ID = Coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId")
_PERSON, _OBJECT, _OTHER = (Coding("http://terminology.hl7.org/CodeSystem/audit-entity-type", c) for c in "124")
_PATIENT, _REPORT, _RESOURCE, _SECURITY, _REPOSITORY, _JOB, _QUERY = (
    Coding("http://terminology.hl7.org/CodeSystem/object-role", code)
    for code in ("1", "3", "4", "13", "17", "20", "24")
)
# What of a token request is kept: no assertion, secret, code, verifier or refresh token (BALP IHE.IUA.71; RFC 6749).
_KEPT_FIELDS = ("grant_type", "scope", "client_id", "client_assertion_type", "audience", "resource")


def query_event(access: Access) -> Json:
    """Record a search that we sent to an EHR (`query`): BALP Query, or PatientQuery where the twin is known."""
    return _event(access, kinds.QUERY, _asked(access.query), also=access.what)


def fetch_event(access: Access) -> Json:
    """Record one resource that we read from an EHR (`what`): BALP Read, or PatientRead where the twin is known."""
    return _read(access, kinds.FETCH)


def read_event(access: Access) -> Json:
    """Record that somebody read a twin, at our terminal (no `peer`) or over the network: BALP Read or PatientRead."""
    return _read(replace(access, peer=access.peer or access.system), kinds.READ)


def import_event(access: Access) -> Json:
    """Record that a folder of FHIR files was taken in. It goes by its source's name: file names are patient data."""
    return _event(access, kinds.IMPORT, _thing(_REPOSITORY, "source", _peer(access).name), also=access.what)


def retraction_event(access: Access, *, why: str) -> Json:
    """Record that resources (`what`) of a twin were taken back, because their source no longer has them so."""
    return _event(access, kinds.RETRACTION, _thing(_RESOURCE, "retraction", why), also=access.what)


def merge_event(access: Access, *, twin: str, parted: bool = False) -> Json:
    """Record that a patient of a source was moved from a twin into another one, `twin`, or `parted` from it again."""
    return _event(access, kinds.UNMERGE if parted else kinds.MERGE, _thing(_PATIENT, "twin", twin), also=access.what)


def remap_event(access: Access, *, mapping: str) -> Json:
    """Record that kept resources (`what`) of a twin were mapped again, by the rules of a version."""
    return _event(access, kinds.REMAP, _thing(_JOB, "mapping", mapping), also=access.what)


def certificate_event(access: Access, *, pull: str, verdict: str) -> Json:
    """Record what a pull proved of the completeness of what came: "complete", "incomplete" or "unprovable"."""
    job = _thing(_JOB, "pull", pull) | {"detail": [{"type": "verdict", "valueString": verdict}]}
    return _event(access, kinds.CERTIFICATE, job, also=access.what)


def run_event(access: Access, *, run: str, model: str) -> Json:
    """Record a simulation: the job `run`, of which model and version, from which resources (`what`)."""
    job = _thing(_JOB, "run", run) | {"detail": [{"type": "model", "valueString": model}]}
    return _event(access, kinds.RUN, job, also=access.what)


def proposal_event(access: Access, *, proposal: str) -> Json:
    """Record that a run was turned into resources for a person to agree on."""
    return _event(access, kinds.PROPOSAL, _thing(_REPORT, "proposal", proposal), also=access.what)


def delivery_event(access: Access, *, delivery: str) -> Json:
    """Record resources that we created in an EHR (`what`): BALP Create, or PatientCreate where the twin is known.

    BALP allows one `data` entity in an event; that is the delivery, and the resources stand beside it.
    """
    return _event(access, kinds.CREATE, _thing(_JOB, "delivery", delivery), also=access.what)


def token_event(access: Access, *, client_id: str, form: Mapping[str, str]) -> Json:
    """Record that an authorization server gave us an access token, or did not: IHE ITI-71.

    Of the posted form only harmless fields are kept, so that no credential can reach the log. The profile is closed: it
    allows no patient, no X-Request-Id and no other entity.
    """
    kept = urlencode({name: form[name] for name in _KEPT_FIELDS if name in form})
    asked = _asked(f"POST {_peer(access).address}\n\n{kept}".encode())
    event = _event(replace(access, patient="", request_id=""), kinds.TOKEN, asked)
    event["agent"][0]["who"] = _named("client", client_id)
    return event


def key_event(access: Access, *, key: str) -> Json:
    """Record that a key was made; `key` is its id, or the name of its owner."""
    return _event(access, kinds.KEY, _thing(_SECURITY, "key", key), also=access.what)


def log_event(access: Access) -> Json:
    """Record that somebody read or verified the audit log itself."""
    return _event(access, kinds.LOG, _thing(_SECURITY, "log", access.system.name), also=access.what)


def _read(access: Access, kind: Kind) -> Json:
    first, *rest = access.what or (f"Patient/{access.patient}",)
    if not access.what and not access.patient:
        raise ValueError("a read is of something")
    return _event(access, kind, _entity(_OBJECT, _RESOURCE, {"reference": first}), also=rest)


def _event(access: Access, kind: Kind, main: Json, *, also: Sequence[str] = ()) -> Json:
    entities = [main]
    if access.patient:
        entities.append(_entity(_PERSON, _PATIENT, {"reference": f"Patient/{access.patient}", "type": "Patient"}))
    if access.request_id:
        entities.append({"type": _REQUEST_ID.json(), "what": {"identifier": {"value": access.request_id}}})
    # BALP slices entities by type and allows one of type 2; further resources are of type 4, Other.
    entities.extend(_entity(_OTHER, _RESOURCE, {"reference": reference}) for reference in also)

    agents = [_agent(kind.us, access.system)]
    if kind.peer:
        agents.append(_agent(kind.peer, _peer(access)))
    agents.append(_user(kind.user, access))

    event: Json = {
        "resourceType": "AuditEvent",
        "type": kind.type.json(),
        "subtype": [kind.subtype.json()],
        "action": kind.action,
        "recorded": access.when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "outcome": access.outcome,
        "purposeOfEvent": [_purpose(access)],
        "agent": agents,
        "source": {
            "site": access.system.address,
            "observer": _who(access.system),
            "type": [Coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4").json()],
        },
        "entity": entities,
    }
    profile = kind.patient_profile if access.patient else kind.profile
    if access.reason:
        event["outcomeDesc"] = access.reason
    elif profile:
        event["meta"] = {"profile": [_BALP + profile]}
    return event


def _agent(part: Coding, system: System) -> Json:
    network = {"address": system.address, "type": _network_type(system.address)}
    return {"type": {"coding": [part.json()]}, "who": _who(system), "requestor": False, "network": network}


def _user(part: Coding, access: Access) -> Json:
    user: Json = {
        "type": {"coding": [part.json()]},
        "who": _named("user", access.actor),
        "requestor": True,
        "purposeOfUse": [_purpose(access)],
    }
    if access.basis:
        user["policy"] = access.basis.split()
    return user


def _who(system: System) -> Json:
    return _named("system", system.name) | {"type": "Device", "display": f"{system.name} {system.version}".strip()}


def _named(kind: str, name: str) -> Json:
    return {"identifier": {"system": f"urn:fhirtwin:{kind}", "value": name}}


def _thing(role: Coding, kind: str, name: str) -> Json:
    return _entity(_OBJECT, role, _named(kind, name))


def _entity(kind: Coding, role: Coding, what: Json) -> Json:
    return {"type": kind.json(), "role": role.json(), "what": what}


def _asked(request: bytes) -> Json:
    if not request:
        raise ValueError("a query event holds the request")
    return {"type": _OBJECT.json(), "role": _QUERY.json(), "query": base64.b64encode(request).decode()}


def _purpose(access: Access) -> Json:
    return {"coding": [Coding("http://terminology.hl7.org/CodeSystem/v3-ActReason", access.purpose).json()]}


def _network_type(address: str) -> str:
    if "://" in address:
        return "5"  # URI
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return "1"  # machine name
    return "2"  # IP address


def _peer(access: Access) -> System:
    if access.peer is None:
        raise ValueError("this kind of event has somebody on the other side")
    return access.peer
