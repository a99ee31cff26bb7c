"""Jobs: what was asked for and takes its time, kept where every process that serves finds it.

A job is an entry "job" of the register, by its id; whoever works on it holds "job-hold" of that id for a few seconds at
a time. So a killed process holds nothing for long, and another one goes on. A job that is struck is cancelled.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import uuid4

import msgspec

from gateway.store import Store
from security.audit import Access
from security.policy import Caller

__all__ = ["Asked", "Failure", "Job", "JobKind", "JobState", "Jobs", "Output", "Told", "new_id"]

JobKind = Literal["operation", "export"]
JobState = Literal["waiting", "running", "done", "failed"]

_JOB: Final = "job"
_HOLD: Final = "job-hold"
_POLL: Final = "job-poll"
_LEASE: Final = timedelta(seconds=10)
_LONGEST: Final = timedelta(days=7)  # after which an unfinished job is given up
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


class Asked(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The request that began a job, as an answer gets it (`gateway.api.call.Call`). Its body is patient data."""

    method: str
    url: str
    path: dict[str, str]
    parameters: list[tuple[str, str]] = []
    prefer: dict[str, str] = {}
    body: bytes = b""
    base: str
    offer: str = ""


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file of a job: `size` is its plain length, `stored` that of what stands in the folder."""

    number: int
    kind: Literal["output", "deleted", "error", "result"]
    type: str
    count: int = 0
    size: int = 0
    stored: int = 0


class Failure(msgspec.Struct, frozen=True):
    """Why a job failed: a status, a FHIR issue-type and a sentence without patient data."""

    status: int
    code: str
    text: str


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far an export is: the part it is in, the last twin that is wholly in the files, and what was met."""

    part: Literal["twins", "shared", "end"] = "twins"
    after: str = ""
    twins: int = 0
    resources: int = 0
    references: tuple[str, ...] = ()
    failed: bool = False


class Job(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One job. `caller` is who asked, as they were then; `access` begins what is recorded of it.

    `types` and `order` are what an export was narrowed to when it was asked for: later it is never more. `found` is
    what the result of an operation rests on, by twin: whoever gets it must still be allowed to see all of that.
    """

    id: str
    kind: JobKind
    state: JobState = "waiting"
    asked: Asked
    caller: Caller
    access: Access
    begun: datetime
    ended: datetime | None = None
    expires: datetime | None = None
    types: tuple[str, ...] = ()
    order: dict[str, Any] = {}
    told: Told = Told()
    files: tuple[Output, ...] = ()
    found: dict[str, list[str]] = {}
    status: int = 200
    tries: int = 0
    failure: Failure | None = None
    revision: int = 0

    @property
    def ends(self) -> datetime:
        """When it is forgotten, whatever became of it."""
        return self.expires or self.begun + _LONGEST

    def is_of(self, caller: Caller) -> bool:
        """Say whether it is this caller's: same issuer of the token, client, person, tenant and patient in context."""
        return _who(self.caller) == _who(caller)


class Jobs:
    """The jobs of one home."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, job: Job, now: datetime, events: Any = ()) -> None:
        """Keep a new job."""
        content = msgspec.msgpack.encode(msgspec.structs.replace(job, revision=0))
        if not self._store.register(_JOB, job.id, content, now, until=job.ends, events=events):
            raise ValueError("a job has an id of its own")

    def job(self, id_: str, now: datetime) -> Job | None:
        """Find a job; `None` for one that is not there, or no longer."""
        found = self._store.registered(_JOB, id_, now) if _ID.fullmatch(id_) else None
        return _read(found.content, found.revision) if found else None

    def all(self, now: datetime) -> list[Job]:
        """List all jobs, oldest first."""
        return [_read(each.content, each.revision) for each in self._store.registered_all(_JOB, now)]

    def keep(self, job: Job, now: datetime, events: Any = ()) -> Job | None:
        """Keep a job as it is by now, together with events; `None`, and nothing is kept, where it was cancelled."""
        content = msgspec.msgpack.encode(msgspec.structs.replace(job, revision=0))
        kept = self._store.register(_JOB, job.id, content, now, after=job.revision, until=job.ends, events=events)
        return msgspec.structs.replace(job, revision=job.revision + 1) if kept else None

    def cancel(self, id_: str, now: datetime, events: Any = ()) -> bool:
        """Strike a job; whoever works on it notices."""
        return self._store.strike(_JOB, id_, now, events)

    def take(self, job: Job, holder: str, now: datetime) -> bool:
        """Take hold of a job for a few seconds; `False` where another one holds it."""
        return self._store.register(_HOLD, job.id, holder.encode(), now, until=now + _LEASE)

    def hold_on(self, id_: str, holder: str, now: datetime) -> bool:
        """Go on holding it; `False` where it was cancelled, or another one has it."""
        held = self._store.registered(_HOLD, id_, now)
        if held is None or held.content != holder.encode() or self._store.registered(_JOB, id_, now) is None:
            return False
        return self._store.register(_HOLD, id_, held.content, now, after=held.revision, until=now + _LEASE)

    def let_go(self, id_: str, holder: str, now: datetime) -> None:
        """Hold it no longer; where another one holds it by now, that stays."""
        held = self._store.registered(_HOLD, id_, now)
        if held is not None and held.content == holder.encode():
            self._store.strike(_HOLD, id_, now)

    def polled(self, id_: str, now: datetime, wait: float) -> float:
        """Note that somebody asked how far it is; returns the seconds that they came too early, 0 for none.

        Half of `wait`, which the last answer told, is in time: clocks and networks are what they are.
        """
        last = self._store.registered(_POLL, id_, now)
        if last is not None:
            passed = now.timestamp() - msgspec.msgpack.decode(last.content, type=float)
            if 0 <= passed < wait / 2:
                return wait - passed
        told, revision = msgspec.msgpack.encode(now.timestamp()), last.revision if last else 0
        self._store.register(_POLL, id_, told, now, after=revision, until=now + timedelta(hours=1))
        return 0.0


def _who(caller: Caller) -> tuple[str, ...]:
    """Name a caller: a client of one issuer is not that of another, though they have one name."""
    return caller.token.issuer, caller.client, caller.user, caller.tenant, caller.patient


def new_id() -> str:
    """Draw the id of a job: 122 random bits, which nobody guesses."""
    return uuid4().hex


def _read(content: bytes, revision: int) -> Job:
    return msgspec.structs.replace(msgspec.msgpack.decode(content, type=Job), revision=revision)
