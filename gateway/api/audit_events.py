"""AuditEvent search and read (IHE ITI-81, Retrieve ATNA Audit Event) over the store, each recorded before its answer.

A page has the newest events first. It may have fewer than were asked for, and a link to go on: a search that the index
cannot help with opens so many events a page and no more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from gateway.api.audit_parameters import PAGE, AuditQuery, read_query
from gateway.api.paging import Pager
from gateway.api.refusal import Refusal
from gateway.audit_export import as_resource
from gateway.home import Home
from gateway.store import AuditEntry
from security.audit import search_event
from security.audit.search import is_meant

__all__ = ["PURPOSE", "Asked", "AuditEvents"]

PURPOSE = "HCOMPL"
"""Why an auditor's system reads the log: health compliance, of HL7 v3-ActReason."""

PATIENCE = 5_000
"""How many events are opened for one page at most."""

_MOST_IDS = 200
_PATIENT = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, under which X-Request-Id, and what they sent: the line of the request, and a body behind it."""

    caller: str
    request_id: str
    request: bytes


class AuditEvents:
    """Answers searches and reads. `base` is the URL that we are known by; nothing of a request's Host is believed."""

    def __init__(self, home: Home, base: str, *, patience: int = PATIENCE) -> None:
        self._home, self._base, self._patience = home, base.rstrip("/"), patience
        self._pager = Pager()

    def search(self, asked: Asked, parameters: str) -> dict[str, Any]:
        """Return a page as a searchset. Raises `Refusal` for what cannot be asked; that is recorded, too."""
        below: int | None = None
        try:
            pairs = _pairs(parameters)
            told = dict(pairs)
            if PAGE in told:
                if len(pairs) > 1:
                    raise Refusal(400, "invalid", "The link to the next page is used as it is.")
                below, pairs = self._pager.read(asked.caller, told[PAGE])
            query = read_query(pairs)
        except Refusal:
            self.record(asked, outcome="4", reason="not-understood")
            raise
        entries, further = self._find(query, below)
        self.record(asked, patient=query.patient, entries=entries)
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
        return bundle

    def read(self, asked: Asked, number: str) -> dict[str, Any]:
        """Return one event. Raises `Refusal` where there is none of that number."""
        entry = self._home.store.audit_event(int(number)) if _NUMBER.fullmatch(number) else None
        self.record(asked, entries=[entry] if entry else [])
        if entry is None:
            raise Refusal(404, "not-found", "There is no event of this number.")
        return as_resource(entry)

    def record(
        self,
        asked: Asked,
        *,
        patient: str = "",
        entries: Sequence[AuditEntry] = (),
        outcome: Any = "0",
        reason: str = "",
    ) -> None:
        """Record that somebody asked, and which events they are given. Raises a `Fault` where that cannot be kept."""
        access = self._home.access(
            query=asked.request,
            request_id=asked.request_id,
            patient=patient if _PATIENT.fullmatch(patient) else "",
            what=tuple(f"AuditEvent/{entry.sequence}" for entry in entries),
            outcome=outcome,
            reason=reason,
        )
        access = replace(access, actor=f"auditor:{asked.caller}", purpose=PURPOSE)
        self._home.store.append_audit([search_event(access, found=len(entries))])

    def _find(self, query: AuditQuery, below: int | None) -> tuple[Sequence[AuditEntry], int]:
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
