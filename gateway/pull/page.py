"""What a source hands over: pages of raw resources, and at the end a certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Final, Literal, Protocol

import msgspec

__all__ = ["STOPS", "Asked", "Certificate", "Entry", "Page", "Source", "Verdict"]


Verdict = Literal["complete", "incomplete", "unprovable"]

STOPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "foreign-next-link": "The next link leads to another server; it was not followed. Tell the server's operator.",
        "loop": "The next links lead in a circle, or bring nothing new. Tell the server's operator.",
        "not-fhir": "A page was a web page or no Bundle: mostly a proxy's login. Check url, and pull again.",
        "denied": "The server does not allow this. Ask its operator for the scope; twin doctor tells which.",
        "refused": "The server refused the question. Run twin doctor.",
        "unreachable": "The question failed again and again while the server answers others. Pull again later.",
        "too-large": "An answer is larger than we read. Set a smaller page_size.",
        "unknown-filter": "The server did not say that it applied our filter. Pull everything instead.",
        "unfinished": "The walk was not finished. Run the same command again.",
    }
)
"""Every reason for which a question to a source ended early, and what to do."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
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


class Page(msgspec.Struct, frozen=True):
    """Entries that are stored together with the cursor behind them, in one transaction.

    `cursor` is opaque to everyone but the source that made it: given back, the source goes on after this page.
    `what` says for people and the audit what was asked, without patient data ("Observation, page 3", "file 12 of 28").
    `query` is the request as sent (patient data: it may name an id), "" for files.
    """

    number: int
    what: str
    entries: tuple[Entry, ...]
    cursor: str
    type: str = ""
    query: str = ""


class Asked(msgspec.Struct, frozen=True):
    """One question put to a source, and what became of it.

    `said` is the number that the server said it had (`None` where it did not say), `came` what came, in `pages` pages.
    `stopped` is "" when the last page was reached, else the reason code of what stopped it: "foreign-next-link",
    "loop", "not-fhir", "unreachable", "refused", "denied", "too-large", "unknown-filter", or "unfinished" where the
    certificate was asked for before the walk was at its end.
    """

    what: str
    said: int | None
    came: int
    pages: int
    stopped: str = ""


class Certificate(msgspec.Struct, frozen=True):
    """What was asked, what the source said it had, what came, and whether nothing was silently cut off."""

    source: str
    fhir_version: str
    asked: tuple[Asked, ...]
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Say "complete" only where each question was walked to its end and the source's own count agrees."""
        if not self.asked or any(a.stopped or (a.said is not None and a.said > a.came) for a in self.asked):
            return "incomplete"
        return "unprovable" if any(a.said is None for a in self.asked) else "complete"


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
