"""Which events are meant: what the commands that search the audit log take."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from cyclopts import Parameter

from gateway.audit_question import Question, ask
from gateway.home import Home

__all__ = ["Filters"]


@Parameter(name="*")
@dataclass(frozen=True)
class Filters:
    """Which events: all that is told has to hold. Values separated by commas are alternatives."""

    patient: str = ""
    """A twin's id or the beginning of it, or a source and its reference: north/Patient/12."""

    actor: str = ""
    """Who asked: os-user:ada."""

    since: str = ""
    """Recorded at this time or later: 2026-11-29, 2026-11-29T21:05 (UTC where no zone is told)."""

    until: str = ""
    """Recorded by the end of this day, minute or second."""

    purpose: str = ""
    """Why: TREAT, HRESCH, BTG ..."""

    outcome: str = ""
    """How it ended: success, failure, minor, serious, major."""

    what: str = ""
    """What was done: a type or a subtype of event, such as run, read, merge, search-type."""

    entity: str = ""
    """On what it was done: Observation/12 (any version of it)."""

    source: str = ""
    """The other side: the name of a source."""

    request_id: str = ""
    """The X-Request-Id under which an EHR knows it, too."""

    def question(self, home: Home) -> Question:
        """Understand them. Raises `Misuse`."""
        return ask(home, **asdict(self))
