"""Chains from an export alone: no store and no key. What is in it is read, and compared with what it says of itself."""

from __future__ import annotations

import base64
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.lineage.asked import Asked, read_asked
from gateway.lineage.chain import Chain
from gateway.lineage.checked import Check, check_manifest, check_proofs, check_raw
from gateway.lineage.graph import Lineage
from gateway.lineage.kept import Came, Kept, Pulled, is_result, may_name
from gateway.store import AuditEntry, Delivery, DeliveryState, Landed, SavedRun, SavedState, StateKind
from mappers.facts import Origin
from security.errors import Misuse, Tampered, UnknownName

__all__ = ["lineage_in"]

_MOST_BYTES: Final = 8 << 30  # unpacked, of all parts
_TOO_MUCH: Final = "The archive is larger than any export of one person."


class _Origin(msgspec.Struct):
    version: str = ""


class _Outcome(msgspec.Struct):
    origin: _Origin


class _HistoryLine(msgspec.Struct):
    twin: str
    version: int
    came: datetime
    source: str
    resource: str
    fhir_version: str
    sha256: str | None = None
    retracted: str | None = None
    outcomes: list[_Outcome] = []


class _Handle(msgspec.Struct):
    source: str
    resource: str
    path: str
    handle: str


class _RunLine(msgspec.Struct):
    run: str
    twin: str
    created: datetime
    model: str
    twin_version: int
    content: msgspec.Raw
    handles: list[_Handle] = []


class _StateLine(msgspec.Struct):
    twin: str
    model: str
    kind: StateKind
    revision: int
    updated: datetime
    twin_version: int
    content: msgspec.Raw


class _DeliveryLine(msgspec.Struct):
    delivery: str
    twin: str
    source: str
    run: str
    created: datetime
    updated: datetime
    state: DeliveryState
    attempts: int
    last_status: int | None
    bundle: msgspec.Raw
    reply: msgspec.Raw = msgspec.Raw(b"null")
    model: str = ""
    kind: str = "result"
    position: int = 0
    replaces: str = ""
    reason: str = ""
    not_before: datetime | None = None
    left: datetime | None = None
    unsure: bool = False
    content: msgspec.Raw = msgspec.Raw(b"null")
    decision: msgspec.Raw = msgspec.Raw(b"null")
    landed: tuple[Landed, ...] = ()


class _AuditLine(msgspec.Struct):
    number: int
    event: dict[str, Any]


@dataclass(frozen=True)
class _Parts:
    """The parts of an archive, unpacked."""

    files: Mapping[str, bytes]

    def lines(self, name: str) -> Iterator[bytes]:
        return (line for line in self.files.get(f"{name}.ndjson", b"").splitlines() if line)


def lineage_in(place: Path, told: str, source: str = "", public_key: str = "") -> tuple[Lineage, list[Check]]:
    """Follow what was asked for within an export, and check the export: its parts, the raw bytes, and proofs.

    With the installation's public key (audit.pub), also who signed it. What does not hold is among the checks. Raises
    `Tampered` for an archive that cannot be read any more, `Misuse` for what is no export, and `UnknownName`.
    """
    parts = _Parts(_unpacked(place))
    note = parts.files.get("manifest.txt", b"").decode("utf-8", "replace")
    if not note.startswith("fhirtwin export 1\n"):
        raise Misuse("This is no export of fhirtwin.", hint="Say the file that twin export wrote.")
    checks = check_manifest(parts.files, note, public_key)
    try:
        kept = _kept(parts)
        checks += check_raw(parts.files, kept)
        checks += check_proofs(parts.lines("proofs"), public_key)
        chain = _chain(kept, read_asked(told, source, _bases(parts)), told)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise Tampered(
            "A part of the export cannot be read: it was damaged or changed.",
            hint="Get the file again from where it was kept.",
            detail=error,
        ) from error
    return chain, checks


def _unpacked(place: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(place) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MOST_BYTES:
                raise Misuse(_TOO_MUCH, hint="Unpack it by hand, and look at it.")
            return {member.filename: archive.read(member) for member in archive.infolist()}
    except OSError as error:
        raise Misuse(
            "The export cannot be read.", hint="Check --in and the rights of the file.", detail=error
        ) from error
    except zipfile.BadZipFile as error:
        if zipfile.is_zipfile(place):
            raise Tampered(
                "The archive is damaged: a part of it is not as it was written.",
                hint="Get the file again from where it was kept.",
                detail=error,
            ) from error
        raise Misuse("This is no zip archive.", hint="Say the file that twin export wrote.", detail=error) from error
    except (zlib.error, NotImplementedError, RuntimeError) as error:
        raise Tampered(
            "The archive is damaged: a part of it does not unpack.",
            hint="Get the file again from where it was kept.",
            detail=error,
        ) from error


def _kept(parts: _Parts) -> list[Kept]:
    came: dict[str, list[Came]] = defaultdict(list)
    for line in (msgspec.json.decode(each, type=_HistoryLine) for each in parts.lines("history")):
        came[line.twin].append(
            Came(
                line.source,
                line.resource,
                line.version,
                line.came,
                line.fhir_version,
                line.sha256 or "",
                "" if line.sha256 else line.retracted or "moved",
                next((outcome.origin.version for outcome in line.outcomes), ""),
            )
        )
    runs, handles = _runs(parts)
    states: dict[str, list[tuple[str, str, SavedState]]] = defaultdict(list)
    for state in (msgspec.json.decode(each, type=_StateLine) for each in parts.lines("states")):
        saved = SavedState(state.revision, state.updated, state.twin_version, _bytes(state.content))
        states[state.twin].append((state.model, state.kind, saved))
    deliveries: dict[str, list[Delivery]] = defaultdict(list)
    for each in (msgspec.json.decode(line, type=_DeliveryLine) for line in parts.lines("deliveries")):
        deliveries[each.twin].append(_delivery(each))
    told = [msgspec.json.decode(line) for line in parts.lines("pulls")]
    pulls = [msgspec.convert(each, Pulled) for each in told if each["what"] == "pull"]
    events = [msgspec.json.decode(line, type=_AuditLine) for line in parts.lines("audit")]
    events += [msgspec.convert(each, _AuditLine) for each in told if each["what"] == "recorded"]
    entries = sorted({e.number: AuditEntry(e.number, e.event) for e in events}.values(), key=lambda e: e.sequence)
    twins = dict.fromkeys([*came, *runs, *states, *deliveries])
    return [
        Kept(
            twin=twin,
            runs=tuple(runs[twin]),
            deliveries=tuple(deliveries[twin]),
            states=tuple(states[twin]),
            came=tuple(came[twin]),
            pulls=tuple(pulls),
            events=tuple(entry for entry in entries if may_name(entry, twin)),
            bases={each["source"]: each["base"] for each in told if each["what"] == "source"},
            handle=_Handles(handles[twin]),
        )
        for twin in twins
    ]


class _Handles:
    """Names the places that runs read: the names were written into the export, because they need a key."""

    def __init__(self, known: Iterable[_Handle]) -> None:
        self._known = {(each.source, each.resource, each.path): each.handle for each in known}

    def __call__(self, origin: Origin) -> str:
        return self._known.get((origin.source, origin.resource, origin.path), "")

    def place(self, handle: str) -> tuple[str, str] | None:
        return next((place[:2] for place, name in self._known.items() if name == handle.lower()), None)


def _runs(parts: _Parts) -> tuple[dict[str, list[SavedRun]], dict[str, list[_Handle]]]:
    runs: dict[str, list[SavedRun]] = defaultdict(list)
    handles: dict[str, list[_Handle]] = defaultdict(list)
    for run in (msgspec.json.decode(each, type=_RunLine) for each in parts.lines("runs")):
        saved = SavedRun(run.run, run.twin, run.created, run.model, run.twin_version, _bytes(run.content))
        runs[run.twin].append(saved)
        handles[run.twin] += run.handles
    return runs, handles


def _delivery(line: _DeliveryLine) -> Delivery:
    return Delivery(
        id=line.delivery,
        twin=line.twin,
        source=line.source,
        run=line.run,
        created=line.created,
        updated=line.updated,
        state=line.state,
        attempts=line.attempts,
        last_status=line.last_status,
        bundle=_bytes(line.bundle),
        reply=_bytes(line.reply) or None,
        model=line.model,
        kind=line.kind,
        position=line.position,
        replaces=line.replaces,
        reason=line.reason,
        not_before=line.not_before,
        left=line.left,
        unsure=line.unsure,
        content=_bytes(line.content),
        decision=_bytes(line.decision),
        landed=line.landed,
    )


def _bytes(content: msgspec.Raw) -> bytes:
    """Read what `gateway.export.archive` wrote: JSON as it stands, anything else as base64, null for nothing."""
    raw = bytes(content)
    if raw == b"null":
        return b""
    if raw.startswith(b'{"base64":'):
        return base64.b64decode(msgspec.json.decode(raw)["base64"])
    return raw


def _bases(parts: _Parts) -> dict[str, tuple[str, ...]]:
    told = (msgspec.json.decode(line) for line in parts.lines("pulls"))
    return {each["source"]: (each["base"],) for each in told if each["what"] == "source" and each["base"]}


def _chain(kept: list[Kept], asked: Asked, told: str) -> Lineage:
    chain = Chain(told, kept)
    if asked.kind == "handle":
        for each in kept:
            if isinstance(each.handle, _Handles) and (place := each.handle.place(asked.name)) is not None:
                return chain.of_raw(*place)
        raise UnknownName("place", told, ["the handles that this export has are those of what runs used"])
    every = [each for one in kept for each in one.deliveries]
    if asked.kind == "id":
        deliveries = [each for each in every if each.id.startswith(asked.name)]
        runs = [run for one in kept for run in one.runs if run.id.startswith(asked.name)]
        if len(deliveries) > 1 or (not deliveries and len(runs) > 1):
            raise Misuse("Several have an id that starts like this.", hint="Give more digits of it.")
        if deliveries:
            return chain.of_delivery(deliveries[0])
        if runs:
            return chain.of_run(runs[0])
    landed = [each for each in every if asked.source in ("", each.source) and is_result(each, asked.name)]
    if landed:
        _demand_one(each.source for each in landed)
        return chain.of_delivery(_last(landed), asked.name)
    sources = {one.source for each in kept for one in each.came if one.key == asked.name}
    sources = {source for source in sources if asked.source in ("", source)}
    if sources:
        _demand_one(sources)
        return chain.of_raw(sources.pop(), asked.name)
    raise UnknownName("result and no resource", told, ["deliveries.ndjson and history.ndjson in it have the names"])


def _last(landed: list[Delivery]) -> Delivery:
    """Choose the one that changed a resource last, as the store does."""
    return max(landed, key=lambda each: (each.position, each.created))


def _demand_one(sources: Iterable[str]) -> None:
    if len(names := sorted(set(sources))) > 1:
        raise Misuse("Several sources have something of that name.", hint=f"Say --source: {', '.join(names)}.")
