"""Events of the audit log as a file for people and their programs: NDJSON, CSV, or a FHIR Bundle, with its SHA-256.

What leaves is recorded before it has its name: with the hash, so that a file can be told from one that was changed
later. That the events are what was signed is proven by another file: twin audit bundle.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

import msgspec

from gateway.audit_question import Question
from gateway.audit_words import in_brief, in_full
from gateway.home import Home
from gateway.store import AuditEntry
from security.audit import log_export_event, search_event
from security.errors import Misuse

__all__ = ["Exported", "Form", "as_resource", "export_events"]

Form = Literal["ndjson", "csv", "bundle"]

_PAGE = 500
_COLUMNS = (
    *("number", "recorded", "type", "subtype", "action", "outcome", "reason", "who", "why", "twin", "other_side"),
    *("about", "request_id", "by_right_of"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # OWASP, CSV Injection: what a spreadsheet would run


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: how many events, how many were opened for it, the hash, and the file that holds it."""

    events: int
    looked_at: int
    sha256: str
    hash_file: Path


def as_resource(entry: AuditEntry) -> dict[str, Any]:
    """Return an event as others read it: its number is its id, and it was last updated when it was recorded."""
    event = dict(entry.event)
    meta = {**event.pop("meta", {}), "lastUpdated": event.get("recorded", "")}
    return {"resourceType": event.pop("resourceType"), "id": str(entry.sequence), "meta": meta, **event}


def export_events(
    home: Home, question: Question, form: Form, out: Path, tell: Callable[[int], None] = lambda events: None
) -> Exported:
    """Write all events that are meant, newest first, and the hash beside them; readable by their owner only.

    Both are whole or not there. Raises `Misuse` where a file of that name is there already, or cannot be written.
    """
    beside, part = out.with_name(f"{out.name}.sha256"), out.with_name(f".{out.name}.{os.getpid()}")
    for file in (out, beside):
        if file.exists():
            raise Misuse(f"{file.name} is there already.", hint="Say another file: nothing is written over.")
    walk = _Walk(home, question, tell)
    lines = {"ndjson": _ndjson, "csv": _csv, "bundle": _bundle}[form](walk, home.store.audit_public_key)
    try:
        digest = _write(part, lines)
        access = home.access(patient=question.patient, query=question.text)
        left = log_export_event(access, archive=digest, events=walk.events)
        home.store.append_audit([search_event(access, found=walk.events), left])
        os.link(part, out)  # which fails, where rename would replace a file that came in between
        _write(beside, iter([f"{digest}  {out.name}\n".encode()]))
    except OSError as error:
        raise Misuse(f"{out.name} cannot be written: {error.strerror}.", hint="Choose another file.") from error
    finally:
        with suppress(OSError):
            part.unlink()
    return Exported(walk.events, walk.looked_at, digest, beside)


class _Walk:
    """Goes through all events that are meant, page by page; what is recorded meanwhile is not among them."""

    def __init__(self, home: Home, question: Question, tell: Callable[[int], None]) -> None:
        self._home, self._question, self._tell = home, question, tell
        self.events = self.looked_at = 0

    def __iter__(self) -> Iterator[AuditEntry]:
        below: int | None = None
        while below != 0:
            asked = self._question
            page = self._home.store.search_audit(asked.criteria, asked.span, limit=_PAGE, below=below)
            self.events += len(page.entries)
            self.looked_at += page.looked_at
            self._tell(self.events)
            yield from page.entries
            below = page.next


def _write(file: Path, blocks: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        for block in blocks:
            digest.update(block)
            out.write(block)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _ndjson(walk: _Walk, log: str) -> Iterator[bytes]:
    return (msgspec.json.encode(as_resource(entry)) + b"\n" for entry in walk)


def _bundle(walk: _Walk, log: str) -> Iterator[bytes]:
    """Write a collection; an entry's fullUrl is made of the log's public key and the event's number."""
    yield b'{"resourceType":"Bundle","type":"collection","entry":['
    comma = b"\n"
    for entry in walk:
        name = uuid5(NAMESPACE_URL, f"{log}/{entry.sequence}")
        yield comma + msgspec.json.encode({"fullUrl": f"urn:uuid:{name}", "resource": as_resource(entry)})
        comma = b",\n"
    yield b"\n]}\n"


def _csv(walk: _Walk, log: str) -> Iterator[bytes]:
    yield _line(_COLUMNS)
    for entry in walk:
        yield _line(_cells(entry.sequence, entry.event))


def _cells(number: int, event: Mapping[str, Any]) -> Iterator[str]:
    recorded, _, who, why, _, other_side, _ = in_brief(event)
    parts = [*in_full(event)]

    def told(name: str) -> str:
        return "; ".join(text for part, text in parts if part == name)

    yield str(number)
    yield recorded
    yield event.get("type", {}).get("code", "")
    yield "; ".join(coding.get("code", "") for coding in event.get("subtype", ()))
    yield event.get("action", "")
    yield event.get("outcome", "")
    yield event.get("outcomeDesc", "")
    yield who
    yield why
    yield "; ".join(about.removeprefix("Patient/") for part, about in parts if about.startswith("Patient/"))
    yield other_side
    yield "; ".join(about for part, about in parts if part == "About" and not about.startswith("Patient/"))
    yield told("X-Request-Id")
    yield told("By right of")


def _line(cells: Any) -> bytes:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(
        f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells
    )
    return out.getvalue().encode()
