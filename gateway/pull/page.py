"""What a source hands over: pages of raw resources, and at the end a certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from types import MappingProxyType
from typing import Final, Literal, Protocol

import msgspec

__all__ = [
    "RETRACTIONS",
    "STOPS",
    "Asked",
    "Certificate",
    "Control",
    "Entry",
    "Gone",
    "Page",
    "Sign",
    "Source",
    "Verdict",
    "Way",
    "Why",
    "numbered",
]


Verdict = Literal["complete", "incomplete", "unprovable"]
Way = Literal["crawl", "patients", "bulk", "folder"]
Why = Literal["deleted", "merged", "absent", "reassigned"]
Sign = Literal[
    "shifted",  # the number of rows changed while we walked
    "capped",  # a round number of rows, and no next link
    "outcome-in-set",  # the server says among the rows that some are left out
    "narrowed-scope",  # our token allows a part of the type only
    "unproven-filter",  # the server may have ignored our filter
    "created-only",  # asked by dates of creation: edits and late entries are not seen
    "file-error",  # a file of an export could not be read to its end
    "count-differs",  # a file holds fewer than its manifest says
    "lost-job",  # an export may have run that nobody fetched
    "known-to-be-missing",  # the list left out what the server has
    "in-slices",  # asked in slices that may not be all of it
    "patients-unproven",  # asked patient by patient, and nobody knows whether all patients were listed
    "without-id",  # rows came without an id: nobody knows what they are
    "more-by-search",  # by search the server counts more than it exported
    "surplus",  # a file holds more than its manifest says
    "repeated",  # some came twice, so that the count may hide others that did not come
]

STOPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "foreign-next-link": "The next link leads to another server; it was not followed. Is it the same? Add aliases.",
        "loop": "The next links lead in a circle, or bring nothing new. Tell the server's operator.",
        "not-fhir": "A page was a web page or no Bundle: mostly a proxy's login. Check url, and pull again.",
        "denied": "The server does not allow this. Ask its operator for the scope; twin doctor tells which.",
        "refused": "The server refused the question. Run twin doctor.",
        "unreachable": "The question failed again and again while the server answers others. Pull again later.",
        "too-large": "An answer is larger than we read. Set a smaller page_size.",
        "unknown-filter": "The server did not say that it applied our filter. Pull everything instead.",
        "unfinished": "The walk was not finished. Run the same command again.",
        "export-failed": "The server's export failed, or was forgotten. Pull again later, or pull with --way crawl.",
        "no-manifest": "The server did not say which files its export has. Pull again, and tell the server's operator.",
        "foreign-file": "A file is where our token must not go, or is no https address. Tell the server's operator.",
        "many-absent": "So much is no longer listed that nothing was taken back. Look why, then pull with --ask-all.",
        "unclear-absence": "Something is not listed, and the server does not say that it is gone: its facts stand.",
    }
)
"""Every reason for which a question to a source ended early, and what to do."""

RETRACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "deleted": "The source deleted it, and says so.",
        "absent": "The source does not list it any more, and answers that it has no such resource.",
        "merged": "The source merged its patient into another one, in whose twin it stands now.",
        "reassigned": "The source says now that it is about another patient, or about none that it has.",
    }
)
"""Every reason for which what a source once sent is retracted. It stays in the history of its twin."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One resource as received.

    Parameters
    ----------
    raw
        The bytes as they came, never re-serialised.
    full_url
        The bundle entry's fullUrl, "" where there is none.
    place
        Where it stood ("NAME.json entry 12", "NAME.ndjson line 3"); patient data, because file names name patients.
    problem
        A reason code of `mappers.ledger.REASONS` where the reader already knows that this cannot be understood
        ("not-json", "not-fhir", "truncated", "too-large", "wrong-version", "unexpected-type"), else "".
    version
        FHIR version ("dstu2", "stu3", "r4", "r4b", "r5") that was told or detected for it, "" where neither was
        possible.
    """

    raw: bytes
    full_url: str = ""
    place: str = ""
    problem: str = ""
    version: str = ""


class Gone(msgspec.Struct, frozen=True, omit_defaults=True):
    """A resource that the source no longer has, or no longer means: retracted, never removed from history.

    `into` is the surviving patient ("Patient/2"), where it was merged.
    """

    type: str
    id: str
    why: Why
    into: str = ""

    @property
    def resource(self) -> str:
        """Name the resource within its source."""
        return f"{self.type}/{self.id}"


class Page(msgspec.Struct, frozen=True, omit_defaults=True):
    """Entries that are stored together with the cursor behind them, in one transaction.

    `cursor` is opaque to everyone but the source that made it: given back, the source goes on after this page.
    `what` says for people and the audit what was asked, without patient data ("Observation, page 3", "file 12 of 28").
    `query` is the request as sent (patient data: it may name an id), "" for files. `gone` is what the source says it
    has no more. `doubted` names what is held, was not listed, and was asked for one by one on this page.
    """

    number: int
    what: str
    entries: tuple[Entry, ...]
    cursor: str
    type: str = ""
    query: str = ""
    gone: tuple[Gone, ...] = ()
    doubted: tuple[str, ...] = ()


class Control(msgspec.Struct, frozen=True):
    """What a server did with a search parameter that no server has: it tells what its filters are worth."""

    unknown: Literal["refused", "dropped", "repeated", "unknown"]


_CUT: Final[frozenset[Sign]] = frozenset(
    {"capped", "outcome-in-set", "file-error", "count-differs", "known-to-be-missing"}
)
_HIDES: Final[frozenset[Sign]] = frozenset({"narrowed-scope", "more-by-search"})


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """One question put to a source, and what became of it.

    `said` is the number that the server said it had (`None` where it did not say), `came` what came, in `pages` pages.
    `stopped` is "" when the last page was reached, else the reason code of what stopped it: "foreign-next-link",
    "loop", "not-fhir", "unreachable", "refused", "denied", "too-large", "unknown-filter", or "unfinished" where the
    certificate was asked for before the walk was at its end.

    `type` is the resource type, whatever `what` says; "" where the question is not about the list of one. `since` is
    the instant from which on it was asked, "" for all. `self_link` is the question as the server understood it, and
    `missing` names at most 100 resources that the list left out: both are patient data, and sealed.
    """

    what: str
    said: int | None
    came: int
    pages: int
    stopped: str = ""
    type: str = ""
    since: str = ""
    self_link: str = ""
    signs: tuple[Sign, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Say "complete" only where it was walked to its end, the source's own count agrees and nothing speaks against.

        A sign is either of something that is missing, or of something that nobody can know.
        """
        if self.stopped or (self.said is not None and self.said > self.came) or not _CUT.isdisjoint(self.signs):
            return "incomplete"
        return "unprovable" if self.said is None or self.signs else "complete"

    @property
    def leads_on(self) -> bool:
        """Say whether the next pull may ask for changes alone: what is missing here, or hidden, is older than these."""
        return self.verdict != "incomplete" and _HIDES.isdisjoint(self.signs)

    @property
    def of_all(self) -> str:
        """Name the type of which nothing was left out by the question, but for what is older than `since`; or ""."""
        type_ = self.type or self.what.partition(" ")[0]
        words = [word for word in self.what.split() if not word.startswith("_lastUpdated=")]
        return type_ if type_.isalpha() and words == [type_] else ""

    @property
    def listed(self) -> str:
        """Name the type of which this is the whole list, as far as it goes; "" where it is another question."""
        return "" if self.since or self.of_all != self.what else self.of_all


class Certificate(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was asked, what the source said it had, what came, and whether nothing was silently cut off.

    Parameters
    ----------
    way
        How it was asked.
    control
        What the server does with search parameters that it does not know.
    until
        Where the next pull may begin, by type: an instant of the server's.
    after
        The id of the pull that this one goes on from; "" where it stands alone.
    base
        The FHIR base that was asked; "" for files. A list of one server proves nothing of another.
    seen, refused, retracted
        How many different resources came, how many of them were refused, and how many were taken back. They are known
        once all is mapped.
    """

    source: str
    fhir_version: str
    asked: tuple[Asked, ...]
    note: str = ""
    way: Way = "crawl"
    control: Control | None = None
    until: Mapping[str, str] = {}
    after: str = ""
    base: str = ""
    seen: int = 0
    refused: int = 0
    retracted: int = 0

    @property
    def verdict(self) -> Verdict:
        """Say "complete" only where each question is: walked to its end, and the source's own count agrees."""
        told = {asked.verdict for asked in self.asked}
        if not told or "incomplete" in told:
            return "incomplete"
        return "unprovable" if "unprovable" in told else "complete"

    def with_repeats(self, types: Collection[str]) -> Certificate:
        """Say that resources of some types came several times in an export: its counts are of rows.

        One that came twice may stand for one that is missing, so that the next pull asks for these types whole.
        """
        asked = tuple(
            msgspec.structs.replace(each, signs=(*each.signs, "repeated"))
            if each.type in types and "repeated" not in each.signs
            else each
            for each in self.asked
        )
        until = {mark: instant for mark, instant in self.until.items() if mark.partition("?")[0] not in types}
        return msgspec.structs.replace(self, asked=asked, until=until)


class _Numbered(msgspec.Struct):
    number: int = 0


def numbered(cursor: str) -> int:
    """Return the number of the page behind a cursor, whichever way made it: a walk of another way numbers on."""
    try:
        return msgspec.json.decode(cursor, type=_Numbered).number
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0


class Source(Protocol):
    """One place that resources come from."""

    name: str

    def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        """Walk the pages, from the start or behind `cursor`.

        A fault that ends everything is raised; one that ends a question is noted in its `Asked`.
        """
        ...

    def certificate(self) -> Certificate:
        """Certify the walk, resumed parts too (the cursor carries the counts); call it after the last page."""
        ...
