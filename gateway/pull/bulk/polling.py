"""What the status of an export says: not yet, done, lost, or failed; and when to ask again.

Sources: Bulk Data Access IG 2.0.0 export.html#bulk-data-status-request (Retry-After, and an OperationOutcome of code
"transient" for a status that cannot be told), 429 for who asks too soon (fhir-bulk-data-docs#30).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from gateway.pull.connection import ComeBackLater, Connection, OutOfOrder
from gateway.pull.outcome import read_outcome
from gateway.pull.retry_after import retry_after
from gateway.pull.told import Told
from gateway.pull.wire import Reply
from security.errors import Denied, Fault, NotFhir, Unreachable

__all__ = ["Answer", "Polls", "shown"]

_ALL = frozenset(range(300, 600)) - {401, 403}
_LOST = frozenset({404, 410})
_LATER = frozenset({408, 425, 502, 503, 504})  # about the question, or from a proxy, never about the export
_TRANSIENT = ("transient", "throttled", "lock-error")  # of R4's issue types below "transient", those that name a moment
_LONGEST = 60.0  # seconds between two polls where the server says nothing
_SHORTEST = 1.0  # and where it says "at once", again and again
_UNTOLD = 30  # polls in a row that tell nothing: half an hour
_UNTOLD_ABROAD = 2
_PROGRESS = re.compile(r"\b\d{1,3}(\.\d{1,2})?\s?%|\b\d{1,9}\s?(/|of)\s?\d{1,9}\b")
_ACCEPT = "application/json, application/fhir+json;q=0.9"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one poll came to.

    Parameters
    ----------
    state
        "unread" is of an answer that is no manifest.
    wait
        For how many seconds the server is to be left alone.
    progress
        How far it says it is, in numbers.
    codes
        Why there is nothing to be had; safe to show.
    body, url
        The manifest of an export that is done, and where it came from.
    """

    state: Literal["wait", "done", "lost", "failed", "unread"]
    wait: float = 0.0
    progress: str = ""
    codes: str = ""
    body: bytes = field(default=b"", repr=False)
    url: str = field(default="", repr=False)


class Polls:
    """Asks for the status of one export. Pauses that the server does not name grow from one second to sixty."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waits = self._untold = 0
        self._most = _UNTOLD

    async def ask(self, told: Told, now: float) -> Answer:
        """Ask once; raises `Denied`, and `Unreachable` where nothing was told again and again.

        Of a status on another server, which gets no token, little is expected: mostly it is ours by its inner name.
        """
        self._most = _UNTOLD if told.is_ours else _UNTOLD_ABROAD
        try:
            reply = await self._connection.ask_told(
                told, headers={"Accept": _ACCEPT}, with_token=told.is_ours, allow=_ALL, tries=1
            )
        except (ComeBackLater, OutOfOrder) as fault:
            return Answer("wait", max(_SHORTEST, fault.seconds))
        except (NotFhir, Unreachable) as fault:
            return self._nothing(fault if told.is_ours else _abroad(fault))
        except Denied as fault:
            raise fault if told.is_ours else _abroad(fault) from fault
        return self._read(reply, now)

    def _read(self, reply: Reply, now: float) -> Answer:
        asked_for = retry_after(reply.headers, datetime.fromtimestamp(now, UTC))
        if reply.status == 200:
            self._waits = self._untold = 0
            return Answer("done", body=reply.body, url=reply.url)
        if reply.status == 202:
            self._untold = 0
            return self._wait(asked_for, shown(reply.headers.get("x-progress", "")))
        if reply.status in _LOST:
            return Answer("lost")
        if reply.status == 429:
            return self._wait(asked_for)
        outcome = read_outcome(reply.body)
        is_passing = reply.status in _LATER or (reply.status >= 500 and not outcome.codes)
        if is_passing or any(code.endswith(_TRANSIENT) for code in outcome.codes):
            fault = Unreachable(
                "The server does not tell the status of the export.", hint="Run the same command again."
            )
            return self._nothing(fault, asked_for)
        return Answer("failed", codes=", ".join(outcome.codes) or f"status {reply.status}")

    def _wait(self, asked_for: float | None, progress: str = "") -> Answer:
        self._waits += 1
        growing = min(_LONGEST, 2.0 ** min(self._waits - 1, 10))
        return Answer("wait", growing if asked_for is None else max(_SHORTEST, asked_for), progress)

    def _nothing(self, fault: NotFhir | Unreachable, asked_for: float | None = None) -> Answer:
        self._untold += 1
        if self._untold > self._most:
            raise fault
        return self._wait(asked_for)


def _abroad(fault: Fault) -> Unreachable:
    hint = "If it is this one under another name, add its base to aliases of the source. No token was sent there."
    return Unreachable(
        "The status of the export is on another server, which does not tell it.", hint=hint, detail=fault
    )


def shown(progress: str) -> str:
    """Return the numbers of X-Progress ("62 %", "3 of 12"), "" where there are none.

    The rest is the server's own text, and may be about a patient.
    """
    found = _PROGRESS.search(progress[:200])
    return " ".join(found[0].replace("%", " %").replace("/", " of ").split()) if found else ""
