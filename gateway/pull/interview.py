"""Ask a server a few questions about itself, each once: what fails is not known, and costs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from gateway.pull.bundle import Bundle, NotReadError, head_of, read_bundle
from gateway.pull.connection import ComeBackLater, Connection
from security.errors import Denied, Fault, Unreachable

__all__ = ["Answer", "Interview", "Pairs"]

# 403 is about our rights and 501 about the server's: both are answers. 401, 408, 425 and 429 are none.
_ANSWERS: Final[Container[int]] = (frozenset(range(400, 500)) - {401, 408, 425, 429}) | {501}

_SECONDS = 2  # Date has whole seconds, and an answer takes its time

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: a Bundle, or `None` where the server said no."""

    status: int
    bundle: Bundle | None = None

    @property
    def is_refusal(self) -> bool:
        """Say whether the server said no to the question itself, not to our right to ask it."""
        return self.bundle is None and self.status != 403

    @property
    def rows(self) -> int:
        """Count the resources that there are, as far as it says."""
        return 0 if self.bundle is None else max(len(self.bundle.entry), self.bundle.total or 0)

    @property
    def understood(self) -> Mapping[str, str] | None:
        """What the self link repeats of the question; `None` where there is no such link."""
        link = self.bundle.linked("self") if self.bundle else ""
        return dict(parse_qsl(urlsplit(link).query, keep_blank_values=True)) if link else None

    @property
    def first_id(self) -> str:
        """The id of the first resource on the page; "" where there is none."""
        heads = (head_of(bytes(item.resource)) for item in (self.bundle.entry if self.bundle else ()))
        return next((head.id for head in heads if head and head.resourceType != "OperationOutcome"), "")


class Interview:
    """Asks, and counts. After a refusal of us, a pause asked for, or a second failure, nothing more is asked.

    What is no FHIR (a web page) is no answer, and none of these.

    Parameters
    ----------
    most
        How many requests may be sent.
    clock
        The time now (aware), to compare with the server's.
    """

    def __init__(
        self, connection: Connection, *, most: int, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._connection, self._clock = connection, clock
        self._left, self._failures, self._unread = most, 0, 0
        self.by_post = False
        self.is_barren = False  # nothing could be asked, so that nothing was learned
        self.skew_s: int | None = None

    @property
    def is_whole(self) -> bool:
        """Say whether the server answered each question, one way or the other."""
        return not (self._failures or self._unread or self.is_barren)

    async def ask(
        self, target: str, params: Pairs = (), *, by_post: bool | None = None, prefer: str = ""
    ) -> Answer | None:
        """Ask for a type ("Patient") or a path; `None` where nobody knows what the answer means."""
        if self._left <= 0 or self._failures > 1:
            return None
        self._left -= 1
        post = self.by_post if by_post is None else by_post
        try:
            if "/" in target:
                reply = await self._connection.get(target, params, allow=_ANSWERS, tries=1, fresh=True)
            else:
                reply = await self._connection.search(
                    target, params, allow=_ANSWERS, tries=1, fresh=True, by_post=post, prefer=prefer
                )
            self._compare(reply.headers.get("date", ""))
            return Answer(reply.status, read_bundle(reply.body) if reply.status < 400 else None)
        except (Denied, ComeBackLater):
            self._failures += 2
        except Unreachable:
            self._failures += 1
        except (NotReadError, Fault):
            self._unread += 1
        return None

    def _compare(self, said: str) -> None:
        """Compare the server's clock with ours, once."""
        try:
            date = parsedate_to_datetime(said)
        except ValueError:
            return
        if self.skew_s is None:
            aware = date if date.tzinfo else date.replace(tzinfo=UTC)
            skew = round((aware - self._clock()).total_seconds())
            self.skew_s = skew if abs(skew) > _SECONDS else 0
