"""The shape of an AuditEvent (FHIR R4): agents, entities, outcome, source. The themes beside it say what happened.

A BALP profile is claimed in `meta.profile` only where the outcome is a success: BALP fixes `outcome` to 0, and lets a
failure follow the same pattern without claiming it; those that leave the outcome open are claimed always. A kind that
lacks an essential (no other side, free text for a name) raises a `ValueError`: that is a mistake of the caller.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from functools import lru_cache
from typing import Any

from security.audit.access import Access, System, TokenUse
from security.audit.kind import APPLICATION, BALP, RECIPIENT, Coding, Kind, user_agent
from security.plain import demand_plain

__all__ = [
    "DATA_REPOSITORY",
    "JOB",
    "PATIENT",
    "REPORT",
    "RESOURCE",
    "SECURITY_RESOURCE",
    "Json",
    "asked",
    "counted",
    "detail",
    "make_event",
    "named",
    "peer_of",
    "resource",
    "thing",
]

Json = dict[str, Any]

_PROFILE = f"{BALP}StructureDefinition/"
_PERSON, _OBJECT, _OTHER = (Coding("http://terminology.hl7.org/CodeSystem/audit-entity-type", c) for c in "124")
PATIENT, REPORT, RESOURCE, SECURITY_RESOURCE, DATA_REPOSITORY, JOB, _QUERY = (
    Coding("http://terminology.hl7.org/CodeSystem/object-role", code)
    for code in ("1", "3", "4", "13", "17", "20", "24")
)
_REQUEST_ID = Coding(f"{BALP}CodeSystem/BasicAuditEntityType", "XrequestId")
_TOKEN_USER = user_agent("UserOauthAgent")
_ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_APPLICATION_SERVER = Coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4")
_JTI = "urn:ietf:params:oauth:jti:"
_UNPRINTED = re.compile(r"[^ -~]")
_VALUE = re.compile(rb"(?<==)[^&\s]+")


def make_event(
    access: Access,
    kind: Kind,
    *main: Json,
    also: Sequence[str] = (),
    peer: System | None = None,
    patient: str | None = None,
) -> Json:
    """Tell what happened as `kind` has it, about the entities `main`, and the references `also` beside them.

    `peer` and `patient` stand for those of the access, of which no copy has to be made then.
    """
    patient = access.patient if patient is None else patient
    entities = [*main]
    if patient:
        who = {"reference": f"Patient/{patient}", "type": "Patient"}
        entities.append({"type": _PERSON.json(), "role": PATIENT.json(), "what": who})
    if access.request_id:
        entities.append({"type": _REQUEST_ID.json(), "what": {"identifier": {"value": access.request_id}}})
    # BALP slices entities by type and allows one of type 2; further resources are of type 4, Other.
    for reference in also:
        entities.append({"type": _OTHER.json(), "role": RESOURCE.json(), "what": {"reference": reference}})

    us = _who(access.system)
    agents = [_agent(kind.us, access.system, us)]
    if kind.peer:
        other = peer or peer_of(access)
        agents.append(_agent(kind.peer, other, _who(other)))
    agents.append(_user(kind.user, access))

    event: Json = {
        "resourceType": "AuditEvent",
        "type": kind.type.json(),
        "subtype": [kind.subtype.json()],
        "action": kind.action,
        "recorded": f"{access.when.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z",
        "outcome": access.outcome,
        "purposeOfEvent": [_purpose(access)],
        "agent": agents,
        "source": {"site": access.system.address, "observer": us.copy(), "type": [_APPLICATION_SERVER.json()]},
        "entity": entities,
    }
    claimed = [kind.patient_profile if patient else kind.profile]
    if access.reason:
        event["outcomeDesc"] = access.reason
        claimed = claimed if kind.of_failures else []
    if access.token:
        claimed.append(_add_token(event, access.token))
    if profiles := [_PROFILE + profile for profile in claimed if profile]:
        event["meta"] = {"profile": profiles}
    return event


def named(kind: str, name: str) -> Json:
    """Name something of ours: "run", "source", "key" and the like. Raises `ValueError` where the name is free text."""
    demand_plain(name)
    return {"identifier": {"system": f"urn:fhirtwin:{kind}", "value": name}}


def thing(role: Coding, kind: str, name: str) -> Json:
    """Make the main entity of something that is no FHIR resource."""
    return {"type": _OBJECT.json(), "role": role.json(), "what": named(kind, name)}


def resource(reference: str, role: Coding = RESOURCE) -> Json:
    """Make the main entity of a FHIR resource."""
    return {"type": _OBJECT.json(), "role": role.json(), "what": {"reference": reference}}


def asked(request: bytes) -> Json:
    """Make the entity of a request: as it was sent, and as a line with the values of its parameters left out (I6)."""
    if not request:
        raise ValueError("a query event holds the request")
    line = _VALUE.sub(b"*", request.partition(b"\n")[0].rstrip(b"\r"))[:400]
    return {
        "type": _OBJECT.json(),
        "role": _QUERY.json(),
        "description": _UNPRINTED.sub("?", line.decode("latin-1")),
        "query": base64.b64encode(request).decode(),
    }


def counted(entity: Json, counts: Mapping[str, int]) -> Json:
    """Add numbers to an entity: how much of what; 0 is told too."""
    if counts:
        entity["detail"] = [{"type": name, "valueString": str(int(count))} for name, count in counts.items()]
    return entity


def detail(name: str, value: str) -> Json:
    """Make a detail of an entity. Raises `ValueError` where the value is free text."""
    demand_plain(value)
    return {"type": name, "valueString": value}


def peer_of(access: Access) -> System:
    """Return who is on the other side, or raise `ValueError`."""
    if access.peer is None:
        raise ValueError("this kind of event has somebody on the other side")
    return access.peer


def _agent(part: Coding, system: System, who: Json) -> Json:
    network = {"address": system.address, "type": _network_type(system.address)}
    return {"type": {"coding": [part.json()]}, "who": who, "requestor": False, "network": network}


def _user(part: Coding, access: Access) -> Json:
    user: Json = {
        "type": {"coding": [part.json()]},
        "who": {"identifier": {"system": "urn:fhirtwin:user", "value": access.actor}},
        "requestor": True,
        "purposeOfUse": [_purpose(access)],
    }
    if access.basis:
        user["policy"] = access.basis.split()
    return user


def _add_token(event: Json, token: TokenUse) -> str:
    """Say with which token it was asked, and return the profile that this keeps (BALP, 3:5.7.4).

    Comprehensive has one agent that is the client application, and allows its user one policy, the token: the scopes go
    to the client. Where we ourselves are the application, it cannot be kept, and the token is told as Minimal has it.
    """
    agents: list[Json] = event["agent"]
    codes = [_code(agent) for agent in agents]
    user = agents[-1]
    if not token.client_id or codes[0] == APPLICATION.code or codes[-1] != RECIPIENT.code:
        agents.append({"type": {"coding": [_TOKEN_USER.json()]}, "who": {**user["who"]}, "requestor": True})
        agents[-1]["policy"] = [token.mark]
        return f"IHE.BasicAudit.OAUTHaccessTokenUse.{'Minimal' if token.mark.startswith(_JTI) else 'Opaque'}"
    client: Json = {"type": {"coding": [APPLICATION.json()]}, "who": named("client", token.client_id)}
    client["requestor"] = False
    if policy := user.get("policy"):
        client["policy"] = policy
    user["policy"] = [token.mark]
    if token.issuer and token.user:
        user["who"] = {"identifier": {"system": token.issuer, "value": token.user}}
    agents.append(client)
    return "IHE.BasicAudit.OAUTHaccessTokenUse.Comprehensive"


def _code(agent: Json) -> str:
    return str(agent["type"]["coding"][0]["code"])


def _who(system: System) -> Json:
    return {
        "identifier": {"system": "urn:fhirtwin:system", "value": system.name},
        "type": "Device",
        "display": f"{system.name} {system.version}" if system.version else system.name,
    }


def _purpose(access: Access) -> Json:
    return {"coding": [{"system": _ACT_REASON, "code": access.purpose}]}


@lru_cache(maxsize=4096)
def _network_type(address: str) -> str:
    if "://" in address:
        return "5"  # URI
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return "1"  # machine name
    return "2"  # IP address
