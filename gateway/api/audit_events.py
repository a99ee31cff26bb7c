"""AuditEvent search and read (IHE ITI-81, Retrieve ATNA Audit Event) over the store, with the event that tells of each.

A page has the newest events first. It may have fewer than were asked for, and a link to go on: a search that the index
cannot help with opens so many events a page and no more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from gateway.api.audit_parameters import PAGE, AuditQuery, read_query
from gateway.api.paging import Pager
from gateway.api.refusal import Refusal
from gateway.audit_export import as_resource
from gateway.home import Home
from gateway.store import AuditEntry
from security.audit import Access, search_event
from security.audit.search import is_meant

__all__ = ["PURPOSE", "Answered", "Asked", "AuditEvents"]

PURPOSE = "HCOMPL"
"""Why an auditor's system reads the log: health compliance, of HL7 v3-ActReason."""

PATIENCE = 5_000
"""How many events are opened for one page at most."""

_MOST_IDS = 200
_PATIENT = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, under which X-Request-Id, and what they sent: the line of the request, and a body behind it.

    `begin` begins the record of it, where whoever let them in knows more of them than an auditor's name. `may_see` says
    which events they may see, where that is not all of them.
    """

    caller: str
    request_id: str
    request: bytes
    begin: Callable[..., Access] | None = None
    may_see: Callable[[Mapping[str, Any]], bool] | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What is to leave, and the event that has to be recorded before it does."""

    body: dict[str, Any]
    event: dict[str, Any]


class AuditEvents:
    """Answers searches and reads. `base` is the URL that we are known by; nothing of a request's Host is believed."""

    def __init__(self, home: Home, base: str, *, patience: int = PATIENCE) -> None:
        self._home, self._base, self._patience = home, base.rstrip("/"), patience
        self._pager = Pager(home.paging)

    def search(self, asked: Asked, parameters: str) -> Answered:
        """Find a page, as a searchset. Raises `Refusal` for what cannot be asked."""
        below: int | None = None
        pairs = _pairs(parameters)
        told = dict(pairs)
        if PAGE in told:
            if len(pairs) > 1:
                raise Refusal(400, "invalid", "The link to the next page is used as it is.")
            below, pairs = self._pager.read(asked.caller, told[PAGE])
        query = read_query(pairs)
        entries, further = self._find(query, below, asked.may_see)
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
        if below is None and not further:
            bundle["total"] = len(entries)  # else nobody has counted
        links = [{"relation": "self", "url": self._url(query.told)}]
        if further:
            token = self._pager.token(asked.caller, query.told, further)
            links.append({"relation": "next", "url": self._url([(PAGE, token)])})
        bundle["link"] = links
        if entries:
            bundle["entry"] = [
                {
                    "fullUrl": f"{self._base}/AuditEvent/{entry.sequence}",
                    "resource": as_resource(entry),
                    "search": {"mode": "match"},
                }
                for entry in entries
            ]
        return Answered(bundle, self.event(asked, patient=query.patient, entries=entries))

    def read(self, asked: Asked, number: str) -> Answered:
        """Find one event. Raises `Refusal` where there is none of that number."""
        entry = self._home.store.audit_event(int(number)) if _NUMBER.fullmatch(number) else None
        if entry is None or not (asked.may_see is None or asked.may_see(as_resource(entry))):
            raise Refusal(404, "not-found", "There is no event of this number.")
        return Answered(as_resource(entry), self.event(asked, entries=[entry]))

    def event(
        self,
        asked: Asked,
        *,
        patient: str = "",
        entries: Sequence[AuditEntry] = (),
        outcome: Any = "0",
        reason: str = "",
    ) -> dict[str, Any]:
        """Tell that somebody asked, and which events they are given."""
        access = (asked.begin or self._home.access)(
            query=asked.request,
            request_id=asked.request_id,
            patient=patient if _PATIENT.fullmatch(patient) else "",
            what=tuple(f"AuditEvent/{entry.sequence}" for entry in entries),
            outcome=outcome,
            reason=reason,
        )
        if asked.begin is None:
            access = replace(access, actor=f"auditor:{asked.caller}")
        return search_event(replace(access, purpose=PURPOSE), found=len(entries))

    def _find(
        self, query: AuditQuery, below: int | None, may_see: Callable[[Mapping[str, Any]], bool] | None
    ) -> tuple[Sequence[AuditEntry], int]:
        entries, further = self._found(query, below)
        if may_see is None:
            return entries, further
        return [entry for entry in entries if may_see(as_resource(entry))], further

    def _found(self, query: AuditQuery, below: int | None) -> tuple[Sequence[AuditEntry], int]:
        store = self._home.store
        if query.numbers is None:
            page = store.search_audit(
                query.criteria, query.span, limit=query.count, below=below, patience=self._patience
            )
            return page.entries, page.next
        if len(query.numbers) > _MOST_IDS:
            raise Refusal(400, "too-costly", f"_id takes {_MOST_IDS} numbers at most.")
        wanted = sorted((n for n in set(query.numbers) if below is None or n < below), reverse=True)
        opened = (entry for number in wanted if (entry := store.audit_event(number)))
        found = [entry for entry in opened if is_meant(entry.event, query.criteria, query.span)]
        further = found[query.count - 1].sequence if len(found) > query.count else 0
        return found[: query.count], further

    def _url(self, pairs: Sequence[tuple[str, str]]) -> str:
        told = urlencode(list(pairs), safe=":/,|")
        return f"{self._base}/AuditEvent?{told}" if told else f"{self._base}/AuditEvent"


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=100)
    except ValueError as error:
        raise Refusal(400, "invalid", "The search cannot be read.") from error
