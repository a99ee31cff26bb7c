"""A server's no to something that was written to it, with what it said about why."""

from __future__ import annotations

from typing import Self

from gateway.home import now
from gateway.pull.outcome import Outcome, read_outcome
from gateway.pull.retry_after import retry_after
from gateway.pull.wire import Reply
from security.errors import Fault

__all__ = ["Refusal"]


class Refusal(Fault):
    """An answer that is not 2xx. `type` is the type of what was refused, "" where it was all of it."""

    code = "refused"
    issue = "processing"

    def __init__(self, status: int, outcome: Outcome, body: bytes, type_: str = "", pause: float | None = None) -> None:
        said = f" ({', '.join(outcome.codes)})" if outcome.codes else ""
        super().__init__(f"The server answered {status}{said}.", detail=outcome.text)
        self.status, self.outcome, self.body, self.type, self.pause = status, outcome, body, type_, pause

    @classmethod
    def of(cls, reply: Reply, type_: str = "") -> Self:
        """Make it of a whole answer."""
        pause = retry_after(reply.headers, now())
        return cls(reply.status, read_outcome(reply.body), reply.body, type_, pause)
