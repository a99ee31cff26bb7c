"""Which events of the audit log record the steps of a chain."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from gateway.lineage.kept import Came, Pulled
from gateway.store import AuditEntry
from security.audit.entry import Entry, read_entry

__all__ = ["Recorded"]

_COMING: Final = frozenset({"import", "query", "remap", "merge", "unmerge"})
_NONE: Final[Mapping[str, Any]] = {}


class Recorded:
    """The events about one person that a chain may name, by what they name."""

    def __init__(self, events: Iterable[AuditEntry]) -> None:
        self._named: dict[str, list[int]] = defaultdict(list)
        self._coming: list[tuple[Entry, str]] = []
        self._calibrated: list[Entry] = []
        self._entries: dict[int, Entry] = {}
        for each in {event.sequence: event for event in events}.values():
            entry = read_entry(each.sequence, each.event)
            self._entries[entry.number] = entry
            for name in _names(each.event):
                self._named[name].append(entry.number)
            if entry.kind in _COMING and entry.outcome == "0":
                self._coming.append((entry, _question(each.event)))
            if entry.kind == "run" and entry.thing == "calibration":
                self._calibrated.append(entry)

    def has(self, number: int) -> bool:
        """Say whether an event is among them."""
        return number in self._entries

    def entry(self, number: int) -> Entry:
        """Return an event by its number."""
        return self._entries[number]

    def naming(self, *names: str) -> tuple[int, ...]:
        """List the events that name a delivery, a run or a pull."""
        return tuple(sorted({number for name in names for number in self._named.get(name, ())}))

    def of_kinds(self, name: str, *kinds: str) -> tuple[int, ...]:
        """List those of some kinds that name something."""
        return tuple(number for number in self.naming(name) if self._entries[number].kind in kinds)

    def calibrating(self, model: str, until: datetime) -> tuple[int, ...]:
        """Return the last calibration of a model ("heart@2") that was recorded by a time."""
        found = [e for e in self._calibrated if ("model", model) in e.told and e.when <= until]
        return (found[-1].number,) if found else ()

    def coming(self, came: Came, behind: datetime | None, pull: Pulled | None) -> tuple[int, ...]:
        """List what records that a version of a resource came: since the last version of the record, else in its pull.

        Of questions, those about its type where any is. A pull records once for each question that it brought anything.
        """
        found = self._between(came, behind)
        if not found and pull is not None:
            found = self._between(came, pull.started)
            found = found[-1:] if pull.state == "listening" else found
        about = [entry for entry, question in found if _type(question) == came.key.partition("/")[0].partition("@")[0]]
        return tuple(entry.number for entry in (about or [entry for entry, _ in found]))

    def _between(self, came: Came, since: datetime | None) -> list[tuple[Entry, str]]:
        """Events are recorded to the millisecond."""
        begin = since.replace(microsecond=since.microsecond // 1000 * 1000) if since else None
        return [
            (entry, question)
            for entry, question in self._coming
            if entry.when <= came.when
            and (begin is None or entry.when >= begin)
            and (entry.kind in ("remap", "merge", "unmerge") or entry.peer == came.source)
        ]

    def is_by_question(self, numbers: Sequence[int]) -> bool:
        """Say whether any of some events is a question that was put to a source."""
        return any(self._entries[number].kind == "query" for number in numbers)


def _names(event: Mapping[str, Any]) -> Iterable[str]:
    for entity in event.get("entity", ()):
        identifier = entity.get("what", _NONE).get("identifier", _NONE)
        if str(identifier.get("system", "")).startswith("urn:fhirtwin:"):
            yield str(identifier.get("value", ""))


def _question(event: Mapping[str, Any]) -> str:
    for entity in event.get("entity", ()):
        if isinstance(asked := entity.get("query"), str):
            return base64.b64decode(asked).decode("utf-8", "replace")
    return ""


def _type(question: str) -> str:
    """Say about which type a question was: "GET https://ehr/fhir/Observation?…" or "GET Observation?…"."""
    path = question.removeprefix("GET ").partition("?")[0].rstrip("/")
    return next((part for part in reversed(path.split("/")) if part[:1].isupper()), "")
