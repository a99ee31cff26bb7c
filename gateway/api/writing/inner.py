"""One entry of a batch or transaction as a request of its own: the same offers, the same view, an event of its own.

Nothing of it goes over the network, and nothing of an entry says who asks or where we are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from gateway.api.call import Call, Offer, Reply
from gateway.api.refusal import Refusal
from gateway.api.routing import methods, route
from gateway.api.telling import events_of, events_of_refusal
from gateway.api.writing.entries import Entry
from security.audit import Access
from security.policy import Action

__all__ = ["call_of", "entry_of", "events_of_entry", "find", "refused_entry"]

_ACTIONS: Final[Mapping[str, Action]] = {"create": "c", "update": "u", "patch": "u", "delete": "d", "search": "s"}
_INTERACTIONS: Final = frozenset(
    {"read", "vread", "history-instance", "history-type", "search-type", "search", "create", "update", "operation"}
)
_ALONE: Final = frozenset({"break-glass", "export"})
_HEADERS: Final = frozenset({"accept", "accept-language"})


def find(offers: Sequence[Offer], entry: Entry) -> tuple[Offer, Mapping[str, str]]:
    """Find what an entry asks for. Raises a `Refusal`: 404, 405."""
    found = route(entry.method, entry.path, offers)
    if found is None:
        if allowed := methods(entry.path, offers):
            raise Refusal(405, "not-supported", "This is not done here.", Allow=", ".join(allowed))
        raise Refusal(404, "not-found", "There is nothing at this address; see /metadata.")
    if found[0].interaction not in _INTERACTIONS or found[0].name in _ALONE:
        raise Refusal(405, "not-supported", "This is not done within a batch.")
    return found


def call_of(call: Call, entry: Entry, path: Mapping[str, str], offer: Offer) -> Call:
    """Make the call of one entry, out of that of its Bundle. Only Prefer's handling and return are taken over."""
    headers = {name: value for name, value in call.headers.items() if name in _HEADERS} | dict(entry.headers)
    prefer = {name: value for name, value in call.prefer.items() if name in ("handling", "return")}
    return replace(
        call,
        view=call.view.renewed(),
        method=entry.method,
        url=entry.url,
        path=path,
        parameters=entry.parameters,
        headers={**headers, "content-type": "application/fhir+json"},
        prefer=prefer,
        body=entry.body,
        access=_access(call, entry, path, offer),
    )


def events_of_entry(offer: Offer, reply: Reply, inner: Call) -> list[dict[str, Any]]:
    """Tell the audit log of one entry."""
    return events_of(offer.event, reply, inner.access)


def refused_entry(call: Call, offer: Offer | None, entry: Entry | None, refusal: Refusal) -> list[dict[str, Any]]:
    """Tell the audit log of an entry that was refused."""
    if offer is None or entry is None:
        return events_of_refusal("search", refusal, call.access, "")
    found = route(entry.method, entry.path, [offer])
    path = found[1] if found else {}
    asked = f"{path['type']}/{path['id']}" if "type" in path and "id" in path else ""
    return events_of_refusal(offer.event, refusal, _access(call, entry, path, offer), asked)


def entry_of(reply: Reply) -> dict[str, Any]:
    """Write the answer to an entry, as a response Bundle has it."""
    response: dict[str, Any] = {"status": str(reply.status)}
    for header, name in (("Location", "location"), ("ETag", "etag")):
        if header in reply.headers:
            response[name] = reply.headers[header]
    body = reply.body
    told = msgspec.json.decode(body) if isinstance(body, bytes) and not reply.raw_type else body
    if not isinstance(told, Mapping):
        return {"response": response}
    if told.get("resourceType") == "OperationOutcome":
        return {"response": {**response, "outcome": told}}
    raw = msgspec.Raw(body) if isinstance(body, bytes) else told
    return {"resource": raw, "response": response}


def _access(call: Call, entry: Entry, path: Mapping[str, str], offer: Offer) -> Callable[..., Access]:
    type_ = path.get("type", "")
    basis = call.view.grants.basis(_ACTIONS.get(offer.event, "r"), type_) if type_ else ""
    line = f"{entry.method} {entry.url}".encode()
    return lambda **what: call.access(**{"query": line, "basis": basis, **what})
