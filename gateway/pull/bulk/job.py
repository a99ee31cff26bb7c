"""The state of an export, as the cursor holds it: stored before each request that it belongs to.

The list of files is not in it: there may be many thousands, and a cursor is written with each page. It is asked for
again when a killed pull goes on, with fresh addresses, and the digest tells that it is the same list.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.pull.bulk.manifest import File, Manifest
from gateway.pull.bulk.order import Order
from gateway.pull.lines import Mark
from gateway.pull.page import Sign, numbered

__all__ = ["DELETIONS", "OUTCOMES", "Job", "Opened", "Step", "Tally", "named", "status_in"]

Step = Literal["new", "asking", "polling", "loading", "cleaning", "filling", "done"]

DELETIONS, OUTCOMES = "deletions", "outcomes"  # no names of types: what the tallies of those files are called


def named(file: File) -> str:
    """Name the tally of a file; of one that holds several types it is that of the outcomes, which are about all."""
    return {"deleted": DELETIONS, "outcome": OUTCOMES}.get(file.part, file.type) or OUTCOMES


def status_in(cursor: str | None) -> str:
    """Return where the export of a cursor is asked for; "" where it is of none, or of one that was dropped."""
    try:
        found = msgspec.json.decode(cursor or "", type=Job)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return found.status


class Tally(msgspec.Struct, omit_defaults=True):
    """What came of one type, or of the files of deletions or outcomes.

    `said` is the sum of what the manifest says of each file, `None` where it does not of one.
    """

    said: int | None = 0
    came: int = 0
    pages: int = 0
    signs: list[Sign] = []
    stopped: str = ""

    def sign(self, sign: Sign) -> None:
        """Note a sign, once."""
        if sign not in self.signs:
            self.signs = [*self.signs, sign]


class Opened(msgspec.Struct, omit_defaults=True):
    """A file that is not at its end: where it goes on, and what came of it so far.

    `rows` are lines of what the file is for, `others` outcomes among resources, `came` counts what was understood, by
    type, `unread` what was not, and `nameless` what was and has no id.
    """

    mark: Mark = Mark()
    pages: int = 0
    rows: int = 0
    others: int = 0
    unread: int = 0
    nameless: int = 0
    came: dict[str, int] = {}


class Job(msgspec.Struct):
    """An export from the first request to the last.

    Parameters
    ----------
    wish
        What the settings want, as text: nothing in it is what a server may say differently tomorrow.
    told, order
        What we wanted of this server, and what is asked in the end, after what it refused was left out.
    status
        Where its status is asked for, or the manifest itself (`inline`), where a server gave that at once.
    not_before
        No poll before then, by our clock, in seconds since 1970: what the server asked for outlives a restart.
    begun, started
        When it was kicked off, likewise, and by the server's own clock (where it has none, by ours).
    digest, when, request, upto, beyond, opened
        The list of files, and which of them are done: all below `upto`, and spans `beyond` it, each from its first file
        to the one behind its last; `opened` are under way.
    again
        How often it was kicked off again because the server had lost it.
    is_lost
        Whether an export may have run that nobody fetched.
    filled
        What was asked for by name, because others refer to it.
    refused
        Types that were wanted and are not in the order, with the reason.
    narrowed
        Types of which our token allows a part only.
    failed
        Why there is nothing more to be had ("export-failed"); "" mostly.
    """

    wish: str
    told: Order
    order: Order
    step: Step = "new"
    number: int = 0
    status: str = ""
    inline: str = ""
    not_before: float = 0.0
    begun: float = 0.0
    started: str = ""
    again: int = 0
    is_lost: bool = False
    digest: str = ""
    when: str = ""
    request: str = ""
    upto: int = 0
    beyond: list[tuple[int, int]] = []
    opened: dict[int, Opened] = {}
    tallies: dict[str, Tally] = {}
    filled: Tally = msgspec.field(default_factory=Tally)
    refused: dict[str, str] = {}
    narrowed: list[str] = []
    failed: str = ""
    remarks: list[str] = []

    @classmethod
    def resume(cls, cursor: str | None, wish: str, order: Order) -> tuple[Job, str]:
        """Read a cursor; return the job, and the status of another one that nobody wants any more ("" mostly).

        A cursor of another wish is of an export that the settings no longer ask for. Pages are numbered on, whoever
        made the cursor.
        """
        fresh = cls(wish, order, order)
        if cursor is None:
            return fresh, ""
        fresh.number = numbered(cursor)
        try:
            found = msgspec.json.decode(cursor, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return fresh, ""
        if found.wish == wish:
            return found, ""
        fresh.is_lost = found.step == "asking" or found.is_lost
        return fresh, found.status

    def cursor(self) -> str:
        """Write it as text. It is patient data, and the addresses in it are keys."""
        return msgspec.json.encode(self).decode()

    def remark(self, text: str) -> None:
        """Note something for the certificate, once."""
        if text not in self.remarks:
            self.remarks = [*self.remarks, text]

    def tally(self, name: str) -> Tally:
        """Return the tally of a type, or of deletions or outcomes."""
        return self.tallies.setdefault(name, Tally(None))

    def fail(self, why: str, text: str) -> None:
        """Give up on the export; what came is stored."""
        self.failed, self.step = why, "cleaning"
        self.remark(text)

    def take_up(self, manifest: Manifest) -> None:
        """Take up a list of files: where it is the one that we know, we go on in it, else we begin anew.

        Of a type that was asked for and has no file there is nothing; where the server was not told types, or its files
        hold several, nobody knows.
        """
        if self.digest == manifest.digest:
            return
        if self.digest:
            self.remark("The server listed other files than before: all of them were fetched anew.")
        self.digest, self.when, self.request = manifest.digest, manifest.when, manifest.request
        self.upto, self.beyond, self.opened = 0, [], {}
        is_told = bool(self.order.types) and manifest.has_output and all(f.type for f in manifest.of("output"))
        self.tallies = {type_: Tally(0 if is_told else None) for type_ in self.order.types}
        for file in manifest.files:
            tally = self.tallies.setdefault(named(file), Tally())
            tally.said = None if tally.said is None or file.count is None else tally.said + file.count

    def is_done(self, file: int) -> bool:
        """Say whether a file is behind us."""
        return file < self.upto or any(first <= file < end for first, end in self.beyond)

    def finish(self, file: int) -> None:
        """Put a file behind us. There may be very many behind one that is put off, and a cursor holds them all."""
        self.opened.pop(file, None)
        joined = [(0, self.upto)]
        for first, end in sorted([*self.beyond, (file, file + 1)]):
            if first <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((first, end))
        self.upto, self.beyond = joined[0][1], joined[1:]

    def forget(self) -> None:
        """Drop the export that the server lost; what was wanted stays, and so does what was remarked."""
        fresh = Job(self.wish, self.told, self.order)
        for field in (
            *(
                "step",
                "status",
                "inline",
                "not_before",
                "begun",
                "started",
                "digest",
                "when",
                "request",
                "upto",
                "beyond",
            ),
            *("opened", "tallies"),
        ):
            setattr(self, field, getattr(fresh, field))
        self.again += 1
