"""Working on an export: twin by twin, in the order of their ids, so that memory stays flat and a killed one goes on.

Each twin is read through the view of whoever asked, as scopes and consents are at that moment. What was written, how
far it is and the record of whose data it is become durable together; what was written further is not read. So each
patient is in the files once and in the audit log once, whatever happened between. Whoever goes on writes files of their
own: one that was only asleep, and not dead, spoils nothing.

An export is a snapshot of `Job.begun` (its transactionTime): of what changed later it has the state of before, and the
next export with `_since` has the change.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, Protocol, runtime_checkable

import msgspec

from gateway.api.operations.bench import Bench, Cancelled
from gateway.api.operations.export_order import Order
from gateway.api.operations.job import Job, Output
from gateway.api.operations.job_files import JobFiles, Piece
from gateway.api.refusal import Refusal
from gateway.api.shown import Charts, Gone, Shown
from gateway.api.view import View
from mappers.search import Test, compile_query, shape_of
from security.audit import disclosure_event
from security.errors import Erased, Fault
from security.vault import Place

__all__ = ["ACTION", "Groups", "export"]

ACTION: Final = "r"
"""What of a scope allows an export: to read (`security.grants.export_types`)."""

_FULL: Final = 16 * 1024 * 1024  # bytes of a file, after which the next one begins
_PIECE: Final = 2 * 1024 * 1024
_WAITING: Final = 4 * 1024 * 1024  # bytes that wait to be written
_ROOM: Final = 8 * 1024 * 1024  # bytes of opened charts
_SECONDS: Final = 1.0  # that they wait at most
_REFERENCE: Final = re.compile(rb'"reference":\s*"([A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64})')
_OF_PATIENTS: Final = frozenset({"Group", "Patient"})
_MOST_REFERENCES: Final = 20_000  # to what is nobody's; beyond it all of that is exported that may be seen
_ALL: Final = "*"
_ROUNDS: Final = 3  # from a PractitionerRole to its Organization, and to what that is part of
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode

Kind = Literal["output", "deleted", "error"]
Lines = dict[tuple[Kind, str], list[bytes]]


@runtime_checkable
class Apart(Protocol):
    """Charts of which others with a memory of their own can be made (`gateway.api.charts.StoreCharts`)."""

    def apart(self, room: int) -> Charts:
        """Make them; `room` is in bytes."""
        ...


@runtime_checkable
class Groups(Protocol):
    """Charts that know who is in a Group (`gateway.api.charts.StoreCharts`)."""

    def members(self, group: str, tenant: str) -> Iterable[str] | None:
        """Name the twins of a Group; `None` where the tenant has none of that id."""
        ...


def export(bench: Bench, job: Job) -> Job:
    """Do what is still to be done of an export; returns the job as it was kept last, all of it in its files.

    Raises `Cancelled` where somebody cancelled it or the server ends, and a `Fault`.
    """
    return _Export(bench, job).run()


class _Export:
    """One export in work."""

    def __init__(self, bench: Bench, job: Job) -> None:
        self._bench, self.job, self._order = bench, job, msgspec.convert(job.order, Order)
        self._files: JobFiles = bench.files(job.id)
        self._told = job.told
        self._outputs: dict[int, Output] = {each.number: each for each in job.files}
        self._left = frozenset(self._outputs)  # files of who worked on it before, and perhaps still thinks so
        self._pieces: dict[tuple[Kind, str], list[tuple[Piece, bytes]]] = {}
        self._waiting, self._since = 0, time.monotonic()
        self._events: list[Mapping[str, Any]] = []
        self._references = set(job.told.references)
        charts = bench.view_of(job).charts
        self._charts = charts.apart(_ROOM) if isinstance(charts, Apart) else charts
        self._tests: dict[str, list[Test]] = {
            type_: [compile_query(type_, query, base=job.asked.base, now=job.begun) for query in queries]
            for type_, queries in self._order.filters.items()
        }

    def run(self) -> Job:
        self._files.open(self._outputs.values())
        if self._told.part == "twins":
            self._export_twins()
            self._told = msgspec.structs.replace(self._told, part="shared", after="")
            self._save()
        if self._told.part == "shared":
            self._export_shared()
            self._told = msgspec.structs.replace(self._told, part="end", after="", references=())
            self._references.clear()
            self._save()
        return self.job

    def _export_twins(self) -> None:
        for twin in self._twins():
            if self._bench.ending.is_set():
                raise Cancelled
            try:
                version, view = self._version(twin), self._view()
                lines = self._lines_of(view, twin)
            except (Erased, KeyError):
                continue
            except Fault:  # the twin cannot be opened: the rest goes on, and the export says so
                self._told = msgspec.structs.replace(self._told, failed=True)
                continue
            self._add(twin, lines, version)
            self._events += self._bench.heard(self.job, view)
            if self._waiting > _WAITING or time.monotonic() - self._since > _SECONDS:
                self._save()
        self._say_what_failed()

    def _view(self) -> View:
        view = self._bench.view_of(self.job)
        view.charts = self._charts
        return view

    def _version(self, twin: str) -> int:
        """Name the version of a twin before it is read; -1 where consents are in it, whose periods may end: then each
        line is asked about again when it is fetched.
        """
        version = self._bench.home.store.twin_version(twin)
        return -1 if "Consent" in self._charts.chart(twin).types() else version

    def _twins(self) -> Iterator[str]:
        """Walk the twins that are still to be exported, in the order of their ids."""
        view, after, order = self._view(), self._told.after, self._order
        if order.twins is None and not order.group:
            yield from view.twins(after)
            return
        wanted = set(_members(view, order.group)) if order.group else None
        if order.twins is not None:
            listed = {view.charts.twin_of("Patient", id_) for id_ in order.twins} - {""}
            wanted = listed if wanted is None else wanted & listed
        tenant, grants = view.caller.tenant, view.grants
        for twin in sorted(each for each in wanted or () if each > after):
            if view.charts.tenant_of(twin) == tenant and grants.reaches(twin):
                yield twin

    def _lines_of(self, view: View, twin: str) -> Lines:
        lines: Lines = {}
        chart = self._charts.chart(twin)
        there = chart.types() | {each.type for each in chart.gone()}
        for type_ in (each for each in self._order.types if each in there):
            some = [self._line(each) for each in self._wanted(view, twin, type_)]
            if some:
                lines["output", type_] = some
        if self._order.since is not None:
            ends = [each for type_ in self._order.types for each in view.gone(twin, type_) if self._is_new(each)]
            if ends:
                lines["deleted", "Bundle"] = [_deletions(ends)]
        return lines

    def _wanted(self, view: View, twin: str, type_: str) -> Iterator[Shown]:
        """Walk what is to be exported of a type: as it was when the export began, and changed since `_since`."""
        tests = self._tests.get(type_)
        for each in self._as_begun(view, twin, type_):
            if self._is_new(each) and (tests is None or any(test(each.body) for test in tests)):
                yield each

    def _as_begun(self, view: View, twin: str, type_: str) -> Iterator[Shown]:
        changed: list[Shown | Gone] = []
        for each in view.resources(twin, type_, ACTION):
            if each.updated <= self.job.begun:
                yield each
            else:
                changed.append(each)
        changed += [each for each in view.gone(twin, type_) if each.updated > self.job.begun]
        for late in changed:
            try:
                versions = view.versions(type_, late.id)
            except Refusal:
                continue
            before = next((each for each in versions if each.updated <= self.job.begun), None)
            if isinstance(before, Shown):
                yield before

    def _is_new(self, each: Shown | Gone) -> bool:
        since = self._order.since
        return (since is None or each.updated > since) and each.updated <= self.job.begun

    def _line(self, each: Shown) -> bytes:
        names = _of(self._order.elements, each.type)
        if names:
            return _encode(shape_of(each.type, elements=names)(each.body))
        return _encode(each.body) if b"\n" in each.raw or b"\r" in each.raw else each.raw

    def _export_shared(self) -> None:
        """Export what belongs to nobody: all of it for the system, else what the patients' resources refer to."""
        view = self._view()
        wanted = None if self._order.level == "system" else self._reachable(view)
        for type_ in self._order.types:
            if type_ <= self._told.after or (wanted is not None and type_ in _OF_PATIENTS):
                continue
            some = [
                self._line(each)
                for each in self._wanted(view, "", type_)
                if wanted is None or _ALL in wanted or each.reference in wanted
            ]
            self._add("", {("output", type_): some} if some else {})
            self._told = msgspec.structs.replace(self._told, after=type_)
            self._save()

    def _reachable(self, view: View) -> set[str]:
        """Follow the references from what was exported through what belongs to nobody."""
        seen, fresh = set(self._references), set(self._references)
        for _ in range(_ROUNDS):
            found: set[str] = set()
            for reference in fresh:
                type_, _, id_ = reference.partition("/")
                try:
                    found |= _references_in(view.get(type_, id_).raw)
                except Refusal:
                    continue
            fresh = found - seen
            seen |= fresh
        return seen

    def _add(self, twin: str, lines: Lines, version: int = 0) -> None:
        """Take the lines of a twin, and what is to be recorded of it."""
        for kind_type, some in lines.items():
            for piece in _cut(twin, version, some):
                self._pieces.setdefault(kind_type, []).append(piece)
                self._waiting += piece[0].size
            if kind_type[0] == "output" and twin and self._order.level != "system":
                self._references |= {each for line in some for each in self._shared_in(line)}
                if len(self._references) > _MOST_REFERENCES:
                    self._references = {_ALL}
        told, count = self._told, sum(map(len, lines.values()))
        if twin:
            told = msgspec.structs.replace(told, after=twin, twins=told.twins + bool(count))
        self._told = msgspec.structs.replace(told, resources=told.resources + count)
        if twin and count:
            content = tuple(sorted({type_ for _, type_ in lines}))
            access = self._bench.access(self.job, patient=twin)
            self._events.append(disclosure_event(access, disclosure=self.job.id, content=content))

    def _shared_in(self, line: bytes) -> Iterator[str]:
        """Walk the references in a line to what belongs to nobody."""
        charts = self._charts
        if _ALL in self._references:
            return
        for each in _references_in(line):
            type_, _, id_ = each.partition("/")
            if type_ not in _OF_PATIENTS and each not in self._references and not charts.twin_of(type_, id_):
                yield each

    def _say_what_failed(self) -> None:
        if self._told.failed and not any(each.kind == "error" for each in self._outputs.values()):
            text = "Not every patient could be exported: data of some cannot be opened."
            issue = {"severity": "error", "code": "exception", "diagnostics": text}
            line = msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [issue]})
            self._pieces["error", "OperationOutcome"] = [(Piece("", 0, 1, len(line) + 1), line + b"\n")]

    def _save(self) -> None:
        """Write what waits, then keep how far it is together with the record of it."""
        for (kind, type_), pieces in self._pieces.items():
            output = self._output(kind, type_)
            try:
                self._outputs[output.number] = self._files.append(output, pieces)
            except (Erased, KeyError):  # somebody was erased since they were read
                left = [each for each in pieces if self._is_there(each[0].twin)]
                self._outputs[output.number] = self._files.append(output, left)
        references = tuple(sorted(self._references))
        job = msgspec.structs.replace(
            self.job,
            told=msgspec.structs.replace(self._told, references=references),
            files=tuple(self._outputs.values()),
            tries=0 if self._told.after != self.job.told.after else self.job.tries,
        )
        kept = self._bench.jobs.keep(job, self._bench.clock(), self._events)
        if kept is None:
            raise Cancelled
        self.job = kept
        self._pieces, self._events = {}, []
        self._waiting, self._since = 0, time.monotonic()

    def _is_there(self, twin: str) -> bool:
        try:
            self._bench.home.store.seal_parcels([(twin, b"", Place("job", self.job.id, "try"))])
        except (Erased, KeyError):
            return False
        return True

    def _output(self, kind: Kind, type_: str) -> Output:
        """Return the file in which a type goes on."""
        mine = [each for each in self._outputs.values() if (each.kind, each.type) == (kind, type_)]
        if mine and mine[-1].size < _FULL and mine[-1].number not in self._left:
            return mine[-1]
        return Output(max(self._outputs, default=0) + 1, kind, type_)


def _members(view: View, group: str) -> Iterable[str]:
    charts = view.charts
    found = charts.members(group, view.caller.tenant) if isinstance(charts, Groups) else None
    return found or ()


def _cut(twin: str, version: int, lines: list[bytes]) -> Iterator[tuple[Piece, bytes]]:
    """Cut lines into pieces that are sealed at once."""
    some: list[bytes] = []
    size = 0
    for line in lines:
        some += [line, b"\n"]
        size += len(line) + 1
        if size >= _PIECE:
            yield Piece(twin, version, len(some) // 2, size), b"".join(some)
            some, size = [], 0
    if some:
        yield Piece(twin, version, len(some) // 2, size), b"".join(some)


def _deletions(ends: list[Gone]) -> bytes:
    """Write the ends of resources as a transaction that deletes them (Bulk Data 2.0.0, manifest: deleted)."""
    entries = [{"request": {"method": "DELETE", "url": f"{each.type}/{each.id}"}} for each in ends]
    return msgspec.json.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _references_in(line: bytes) -> set[str]:
    return {each.decode() for each in _REFERENCE.findall(line)}


def _of(elements: Mapping[str, tuple[str, ...]], type_: str) -> frozenset[str]:
    """Say which elements of a type are to be kept; none is all."""
    return frozenset(name for key, names in elements.items() if key in ("", type_) for name in names)
