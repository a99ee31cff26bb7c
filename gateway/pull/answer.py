"""What counts as an answer: a status that says so, and a body that may be JSON."""

from __future__ import annotations

from collections.abc import Callable, Container

from gateway.pull.outcome import fault_of, not_json
from gateway.pull.wire import Reply
from security.errors import NotFhir

__all__ = ["judged", "readable"]

_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{")


def judged(reply: Reply, allow: Container[int] = ()) -> Reply:
    """Return an answer, or raise the fault that it is. Statuses in `allow` count as answers."""
    if 200 <= reply.status < 300 or reply.status in allow or reply.status in (404, 405, 410):
        _check(reply)
    if 200 <= reply.status < 300 or reply.status in allow:
        return reply
    raise fault_of(reply)


def readable(check: Callable[[Reply], None] | None) -> Callable[[Reply], None]:
    """Return what looks whether an answer may be FHIR in JSON; `check` may look further. Both raise `NotFhir`."""

    def look(reply: Reply) -> None:
        _check(reply)
        if check is not None:
            check(reply)

    return look


def _check(reply: Reply) -> None:
    if (fault := not_json(reply)) is not None:
        raise fault
    if reply.body[:2] in _UTF_16:  # RFC 8259 8.1: JSON between systems is UTF-8
        raise NotFhir("The server answered in UTF-16.", hint="JSON must be UTF-8: tell the server's operator.")
