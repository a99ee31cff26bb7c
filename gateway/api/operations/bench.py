"""What a job needs from the server that works on it: the home, a view for whoever asked, and when to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from threading import Event
from typing import Any, Protocol, runtime_checkable

from gateway.api.call import Answer
from gateway.api.operations.job import Job, Jobs
from gateway.api.operations.job_files import JobFiles
from gateway.api.refusal import Refusal
from gateway.api.view import View
from gateway.home import Home, now
from security.audit import Access
from security.policy import Caller

__all__ = ["Bench", "Cancelled", "Standing", "ViewMaker"]


class ViewMaker(Protocol):
    """Makes the view of one caller, as they may see things at a moment (`gateway.api.door.ViewMaker`)."""

    def __call__(self, caller: Caller, now: datetime, path: Mapping[str, str]) -> View:
        """Make it."""
        ...


Standing = Callable[[Caller, datetime], Caller | None]
"""Who a caller of some time ago is now: with the roles of now, and no more scopes; `None` for one who may no longer."""


@runtime_checkable
class Heard(Protocol):
    """What consents decided (`gateway.api.consents.Hearing`)."""

    def events(self, access: Callable[..., Access]) -> list[dict[str, Any]]:
        """Tell the audit of it."""
        ...


class Cancelled(Exception):
    """The job was cancelled, or the server ends: what is kept of it stays as it was kept last."""


def _still(caller: Caller, now: datetime) -> Caller | None:
    return caller


@dataclass(frozen=True)
class Bench:
    """What works on the jobs of one home in one process. `answers` are the operations that a job may be of, by name."""

    home: Home
    view: ViewMaker
    answers: Mapping[str, Answer]
    standing: Standing = _still
    clock: Callable[[], datetime] = now
    ending: Event = field(default_factory=Event)

    @property
    def jobs(self) -> Jobs:
        """The jobs of the home."""
        return Jobs(self.home.store)

    def files(self, id_: str) -> JobFiles:
        """Name the files of a job."""
        return JobFiles(self.home.settings.home, self.home.store, id_)

    def view_of(self, job: Job) -> View:
        """Make the view of whoever asked for a job, as it is now. Raises a `Refusal` for one who may no longer: 403."""
        moment = self.clock()
        caller = self.standing(job.caller, moment)
        if caller is None:
            raise Refusal(403, "forbidden", "Who asked for this may no longer have it.")
        return self.view(caller, moment, job.asked.path)

    def heard(self, job: Job, view: View) -> list[dict[str, Any]]:
        """Tell what consents decided in a view, for the audit (`gateway.api.door` does it for requests)."""
        consents = view.consents
        return consents.events(partial(self.access, job)) if isinstance(consents, Heard) else []

    def access(self, job: Job, **what: Any) -> Access:
        """Begin the audit record of something that a job does now, for whoever asked for it."""
        return replace(job.access, when=self.clock(), **what)
