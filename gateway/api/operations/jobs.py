"""Asking how far a job is, fetching its files, and cancelling it (FHIR R4, 3.1.6; Bulk Data Access 2.0.0).

A job is its client's: to anybody else, to whose token no longer covers what was exported, and after its end it is not
there (404), all in the same words. Whoever asks is known by the token of that very request.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool

from gateway.api.call import Call, Offer, Reply
from gateway.api.operations.job import Job, Jobs, Output
from gateway.api.operations.job_files import JobFiles
from gateway.api.operations.manifest import manifest_of
from gateway.api.refusal import Refusal
from gateway.api.view import not_found
from security.errors import Sealed
from security.grants import export_types

__all__ = ["OFFERS"]

_SLOWEST: Final = 30.0  # seconds between two polls
_FILE: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_RANGE: Final = re.compile(r"bytes=(\d{1,15})?-(\d{1,15})?", re.ASCII)
_LINES: Final = "application/fhir+ndjson"


class _Request(msgspec.Struct):
    url: str = ""


class _Entry(msgspec.Struct):
    request: _Request


class _Line(msgspec.Struct):
    """What of a line tells which resource it is of; of one with deletions, of which."""

    resourceType: str  # noqa: N815 - as FHIR spells it
    id: str = ""
    entry: list[_Entry] = []


async def status(call: Call) -> Reply:
    """Say how far a job is (202), give its result or manifest (200), or say why it failed."""
    return await run_in_threadpool(_status, call)


async def file(call: Call) -> Reply:
    """Give one file of an export: all of it, or a range; gzip where the caller takes it."""
    return await run_in_threadpool(_file, call)


async def cancel(call: Call) -> Reply:
    """Cancel a job: from now on it is not there, and neither are its files."""
    return await run_in_threadpool(_cancel, call)


def _status(call: Call) -> Reply:
    jobs, job = Jobs(call.home.store), _job(call)
    if job.failure is not None:
        raise Refusal(job.failure.status, job.failure.code, job.failure.text)
    if job.state != "done":
        wait = _wait(job, call.now)
        told = f"{max(1, round(wait))}"
        if early := jobs.polled(job.id, call.now, wait):
            raise Refusal(429, "throttled", "You ask too often.", Retry_After=f"{max(1, round(early))}")
        return Reply(status=202, headers={"Retry-After": told, "X-Progress": _progress(job)})
    expires = {"Expires": format_datetime(job.ends, usegmt=True)}
    if job.kind == "export":
        return Reply(body=msgspec.json.encode(manifest_of(job)), headers=expires, raw_type="application/json")
    found = _still_seen(call, job)
    body = b"".join(plain for _, plain in _files(call, job).read(job.files[0]))
    if not body:
        raise not_found()
    return Reply(status=job.status, body=body, headers=expires, found=found)


def _file(call: Call) -> Reply:
    job = _job(call)
    output = next((each for each in job.files if str(each.number) == call.path["file"]), None)
    if job.kind != "export" or job.state != "done" or output is None or not _FILE.fullmatch(call.path["file"]):
        raise not_found()
    try:
        plain = b"".join(_seen(call, job, output))
    except Sealed as error:
        raise Refusal(500, "exception", "The file cannot be read: ask for the export anew.") from error
    tag = hashlib.sha256(job.id.encode() + plain).hexdigest()[:32]
    headers = {"ETag": f'"{tag}"', "Accept-Ranges": "bytes", "Expires": format_datetime(job.ends, usegmt=True)}
    asked = _RANGE.fullmatch(call.headers.get("range", ""))
    if asked and call.headers.get("if-range", headers["ETag"]) == headers["ETag"]:
        first, last = _bounds(asked[1], asked[2], len(plain))
        told = {"Content-Range": f"bytes {first}-{last}/{len(plain)}"}
        return Reply(status=206, body=plain[first : last + 1], headers=headers | told, raw_type=_LINES)
    if _takes_gzip(call.headers.get("accept-encoding", "")):
        headers = {**headers, "ETag": f'"{tag}-gzip"', "Content-Encoding": "gzip"}
        return Reply(body=gzip.compress(plain, 5, mtime=0), headers=headers, raw_type=_LINES)
    return Reply(body=plain, headers=headers, raw_type=_LINES)


def _cancel(call: Call) -> Reply:
    job = _job(call)

    def done(events: Sequence[Mapping[str, Any]]) -> None:
        Jobs(call.home.store).cancel(job.id, call.now, events)
        _files(call, job).remove()

    return Reply(status=202, done=done)


def _job(call: Call) -> Job:
    """Find the caller's own job, for as long as their token covers it."""
    job = Jobs(call.home.store).job(call.path["job"], call.now)
    if job is None or not job.is_of(call.view.caller):
        raise not_found()
    if job.kind == "export" and not set(job.types) <= export_types(call.view.caller):
        raise not_found()
    return job


def _still_seen(call: Call, job: Job) -> dict[str, list[str]]:
    """Return what a result rests on, where the caller may see all of that still."""
    for references in job.found.values():
        for reference in references:
            type_, _, id_ = reference.partition("/")
            call.view.get(type_, id_.partition("/_history/")[0])
    return job.found


def _seen(call: Call, job: Job, output: Output) -> Iterator[bytes]:
    """Open a file, without the lines that the caller may no longer see (a consent was withdrawn).

    A Consent is a part of the chart: where that is of the version that was exported and has none, nothing has changed.
    """
    now: dict[str, int] = {}
    for piece, plain in _files(call, job).read(output):
        if piece.twin and piece.twin not in now:
            try:
                now[piece.twin] = call.home.store.twin_version(piece.twin)
            except KeyError:
                now[piece.twin] = 0
        if not piece.twin or now[piece.twin] == piece.version:
            yield plain
        else:
            yield b"".join(line for line in plain.splitlines(keepends=True) if _is_seen(call, piece.twin, line))


def _is_seen(call: Call, twin: str, line: bytes) -> bool:
    told = msgspec.json.decode(line, type=_Line)
    if told.entry:
        return all(_is_still_there(call, twin, *each.request.url.split("/", 1)) for each in told.entry)
    return _is_still_there(call, twin, told.resourceType, told.id)


def _is_still_there(call: Call, twin: str, type_: str, id_: str) -> bool:
    there = call.view.resources(twin, type_, "r")
    return any(each.id == id_ for each in there) or any(each.id == id_ for each in call.view.gone(twin, type_))


def _wait(job: Job, now: datetime) -> float:
    """Tell after how many seconds to ask again: the longer it takes, the rarer."""
    return min(max((now - job.begun).total_seconds() / 4, 1.0), _SLOWEST)


def _progress(job: Job) -> str:
    if job.state == "waiting":
        return "waiting"
    return (
        f"in work: {job.told.resources} resources of {job.told.twins} patients" if job.kind == "export" else "in work"
    )


def _bounds(first: str | None, last: str | None, size: int) -> tuple[int, int]:
    """Read a byte range (RFC 9110, 14.1.2). Raises a `Refusal` with 416 for one that is outside."""
    begin = int(first) if first else max(0, size - int(last or 0))
    end = min(int(last), size - 1) if first and last else size - 1
    if begin > end or (not first and not int(last or 0)):
        raise Refusal(416, "value", "The file has no such range.", Content_Range=f"bytes */{size}")
    return begin, end


def _takes_gzip(told: str) -> bool:
    parts = {
        part.partition(";")[0].strip().lower(): part.partition(";")[2].replace(" ", "") for part in told.split(",")
    }
    return "gzip" in parts and not re.fullmatch(r"q=0(\.0*)?", parts["gzip"])


def _files(call: Call, job: Job) -> JobFiles:
    return JobFiles(call.home.settings.home, call.home.store, job.id)


OFFERS = (
    Offer(method="GET", path="/jobs/{job}", interaction="job", answer=status, event="operation"),
    Offer(method="DELETE", path="/jobs/{job}", interaction="job", answer=cancel, event="operation"),
    Offer(method="GET", path="/jobs/{job}/files/{file}", interaction="job", answer=file, event="operation"),
)
