"""Reading one resource: as it is, as it was, and how it came to be so (FHIR R4, 3.1.0.1 read, vread, history)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final

from gateway.api.call import Call, Offer, Pairs, Reply
from gateway.api.refusal import Refusal
from gateway.api.shown import Gone, Shown
from gateway.api.view import not_found

__all__ = ["OFFERS", "TYPES", "reply_of"]

TYPES: Final = (
    *("AllergyIntolerance", "CarePlan", "CareTeam", "Condition", "Consent", "Coverage", "Device", "DiagnosticReport"),
    *("DocumentReference", "Encounter", "FamilyMemberHistory", "Goal", "Group", "ImagingStudy", "Immunization"),
    *("Location", "Medication", "MedicationAdministration", "MedicationDispense", "MedicationRequest"),
    *("MedicationStatement", "Observation", "Organization", "Patient", "Practitioner", "PractitionerRole"),
    *("Procedure", "Provenance", "QuestionnaireResponse", "RiskAssessment", "ServiceRequest", "Specimen"),
)
"""The types that may be read, searched and exported."""

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_VERSION = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_LARGEST_COUNT: Final = 1000


async def read(call: Call) -> Reply:
    """Give a resource as it is now; 304 where the caller has it already."""
    _only(call.parameters, ())
    return reply_of(call, _get(call, None))


async def vread(call: Call) -> Reply:
    """Give one version of a resource."""
    _only(call.parameters, ())
    told = call.path["version"]
    if not _VERSION.fullmatch(told):
        raise not_found()
    return reply_of(call, _get(call, int(told)), versioned=True)


async def history(call: Call) -> Reply:
    """Give the versions of a resource, newest first, its end among them; `_count` and `_since` as FHIR has them."""
    type_, id_ = _named(call)
    _only(call.parameters, ("_count", "_since"))
    told = dict(call.parameters)
    since, count = _since(told.get("_since", "")), _count(told.get("_count", ""))
    versions = [each for each in call.view.versions(type_, id_) if since is None or each.updated >= since]
    shown = versions[:count]
    query = "".join(f"{'&' if at else '?'}{name}={value}" for at, (name, value) in enumerate(call.parameters))
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "history",
        "total": len(versions),
        "link": [{"relation": "self", "url": f"{call.base}/{type_}/{id_}/_history{query.replace('+', '%2B')}"}],
    }
    if shown:
        bundle["entry"] = [_entry(call.base, each, versions) for each in shown]
    found = [f"{each.type}/{each.id}/_history/{each.version}" for each in shown]
    owner = versions[0].twin if versions else call.view.versions(type_, id_)[0].twin
    return Reply(body=bundle, found={owner: found} if found else {}, patient=owner)


def reply_of(call: Call, shown: Shown, *, versioned: bool = False, status: int = 200) -> Reply:
    """Answer with one resource, unless the caller has it as it is (If-None-Match, If-Modified-Since)."""
    headers = {"ETag": shown.etag, "Last-Modified": format_datetime(shown.updated.astimezone(UTC), usegmt=True)}
    found = {shown.twin: (f"{shown.reference}/_history/{shown.version}" if versioned else shown.reference,)}
    if status == 200 and _is_known(call, shown):
        return Reply(status=304, headers=headers, found=found)
    return Reply(status=status, body=shown.raw, headers=headers, found=found)


def _get(call: Call, version: int | None) -> Shown:
    type_, id_ = _named(call)
    return call.view.get(type_, id_, version)


def _named(call: Call) -> tuple[str, str]:
    type_, id_ = call.path["type"], call.path["id"]
    call.view.demand("r", type_)
    if not _ID.fullmatch(id_):
        raise not_found()
    return type_, id_


def _entry(base: str, each: Shown | Gone, versions: list[Shown | Gone]) -> dict[str, Any]:
    first = each is versions[-1]
    method = "DELETE" if isinstance(each, Gone) else "POST" if first else "PUT"
    entry: dict[str, Any] = {"fullUrl": f"{base}/{each.type}/{each.id}"}
    if isinstance(each, Shown):
        entry["resource"] = each.body
    entry["request"] = {"method": method, "url": each.type if method == "POST" else f"{each.type}/{each.id}"}
    status = {"DELETE": "204", "POST": "201", "PUT": "200"}[method]
    entry["response"] = {
        "status": status,
        "etag": f'W/"{each.version}"',
        "lastModified": each.updated.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return entry


def _is_known(call: Call, shown: Shown) -> bool:
    if told := call.headers.get("if-none-match"):
        return told.strip() == "*" or str(shown.version) in _TAG.findall(told)
    if told := call.headers.get("if-modified-since"):
        try:
            return parsedate_to_datetime(told) >= shown.updated.replace(microsecond=0)
        except (ValueError, TypeError):
            return False
    return False


def _only(parameters: Pairs, known: tuple[str, ...]) -> None:
    for name, _ in parameters:
        if name not in known:
            raise Refusal(400, "not-supported", "A read takes no such parameter.")
    if len({name for name, _ in parameters}) < len(parameters):
        raise Refusal(400, "invalid", "A parameter stands here once.")


def _since(text: str) -> datetime | None:
    if not text:
        return None
    try:
        told = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal(400, "invalid", "_since is an instant with its zone.") from error
    if told.tzinfo is None:
        raise Refusal(400, "invalid", "_since is an instant with its zone.")
    return told


def _count(text: str) -> int:
    if not text:
        return _LARGEST_COUNT
    if not text.isascii() or not text.isdecimal() or len(text) > 6:
        raise Refusal(400, "invalid", "_count is a number.")
    return min(int(text), _LARGEST_COUNT)


OFFERS = (
    Offer(method="GET", path="/{type}/{id}", interaction="read", answer=read, event="read", types=TYPES),
    Offer(
        method="GET",
        path="/{type}/{id}/_history/{version}",
        interaction="vread",
        answer=vread,
        event="read",
        types=TYPES,
    ),
    Offer(
        method="GET",
        path="/{type}/{id}/_history",
        interaction="history-instance",
        answer=history,
        event="search",
        types=TYPES,
    ),
)
