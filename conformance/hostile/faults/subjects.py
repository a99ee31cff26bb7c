"""What a fault acts on: a request, a question, what was found, a page, an answer, a statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from conformance.hostile import wire
from conformance.hostile.entry import history_entry
from conformance.hostile.mishap import SlowDrip

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr
    from conformance.hostile.paging import Page
    from conformance.hostile.search import Query
    from conformance.hostile.store import Held

__all__ = [
    "Answer",
    "Call",
    "Counting",
    "Finding",
    "Keeping",
    "Leaf",
    "Looking",
    "Question",
    "Statement",
    "Turning",
    "Written",
]


@dataclass(slots=True)
class Call:
    """A request, before anyone reads it; a fault may return the answer, or raise the refusal."""

    ehr: Ehr
    request: Request
    type: str = ""

    @property
    def writes(self) -> bool:
        """Say whether it would change something."""
        path = self.request.url.path
        reads = path.endswith("/_search") or path.rpartition("/")[2].startswith("$")
        return self.request.method != "GET" and not reads

    @property
    def authorization(self) -> str:
        """The header, "" where it is absent."""
        return self.request.headers.get("authorization", "")


@dataclass(slots=True)
class Keeping:
    """A resource on its way into the store."""

    ehr: Ehr
    type: str
    resource: dict[str, Any]


@dataclass(slots=True)
class Written:
    """The answer to a write that was done; a fault may return another."""

    ehr: Ehr
    type: str
    response: Response

    @property
    def told(self) -> Any:
        """Decode the body; `None` where there is none."""
        return wire.decode(bytes(self.response.body)) if self.response.body else None

    def tell(self, told: Any) -> Response:
        """Answer the same with another body."""
        headers = {name: text for name, text in self.response.headers.items() if name != "content-length"}
        return Response(wire.encode(told), self.response.status_code, headers)


@dataclass(slots=True)
class Looking:
    """How what is there is looked for: what is found was stored by `until`, where that is told."""

    ehr: Ehr
    type: str
    pairs: list[tuple[str, str]]
    is_condition: bool
    until: datetime | None = None


@dataclass(slots=True)
class Question:
    """The parameters of a search, and how strictly they are read."""

    ehr: Ehr
    type: str
    pairs: list[tuple[str, str]]
    unknown: Literal["refuse", "ignore"]
    without: frozenset[str]
    largest: int

    def says(self, *names: str) -> bool:
        """Say whether one of the parameters is there."""
        return any(name in names for name, _ in self.pairs)

    def drop(self, *names: str) -> None:
        """Take parameters out, as if they had not been said."""
        self.pairs = [(name, value) for name, value in self.pairs if name not in names]


@dataclass(slots=True)
class Finding:
    """What a search found."""

    ehr: Ehr
    query: Query
    found: list[Held]


@dataclass(slots=True)
class Counting:
    """How many a search found, where nothing else was asked for."""

    ehr: Ehr
    total: int


@dataclass(slots=True)
class Turning:
    """A next link that is being followed."""

    ehr: Ehr
    token: str
    page: Page


@dataclass(slots=True)
class Leaf:
    """A page on its way into a Bundle."""

    ehr: Ehr
    page: Page
    asked: Sequence[tuple[str, str]]
    entries: list[dict[str, Any]]
    self_url: str
    next_url: str
    total: int | None
    kind: str
    first_url: str = ""

    @property
    def matches(self) -> list[dict[str, Any]]:
        """The entries that answer the search."""
        return [entry for entry in self.entries if entry.get("search", {}).get("mode") == "match"]

    def entry(self, held: Held, mode: str) -> dict[str, Any]:
        """Make the entry of a resource, as this kind of Bundle has it."""
        url = f"{self.ehr.base_url}/{held.reference}"
        if self.kind == "history":
            return history_entry(held, url, is_before_r4=self.ehr.version.is_before_r4)
        return {"fullUrl": url, "resource": msgspec.Raw(held.body), "search": {"mode": mode}}

    def repeat_the_question(self) -> None:
        """Let the self link say what was asked, whatever was understood."""
        self.self_url = f"{self.ehr.base_url}/{self.page.path}?{urlencode(self.asked)}"

    def rewrite(self, place: int, **changes: Any) -> None:
        """Change elements of the resource in an entry; `None` takes one out."""
        resource = wire.decode(bytes(self.entries[place]["resource"]))
        kept = {name: value for name, value in {**resource, **changes}.items() if value is not None}
        self.entries[place] = {**self.entries[place], "resource": msgspec.Raw(wire.encode(kept))}

    def resource(self, place: int) -> dict[str, Any]:
        """Decode the resource of an entry."""
        decoded: dict[str, Any] = wire.decode(bytes(self.entries[place]["resource"]))
        return decoded


@dataclass(slots=True)
class Answer:
    """The bytes of an answer on their way out; `sends` is how they are sent."""

    ehr: Ehr
    about: str
    body: bytes
    status: int
    headers: dict[str, str]
    sends: type[Response] = Response
    pause: float | None = None
    claims: int | None = None

    def response(self) -> Response:
        """Build the answer; the length is that of the body, unless another is claimed."""
        headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        made = self.sends(self.body, self.status, headers)
        if self.pause is not None and isinstance(made, SlowDrip):
            made.pause = self.pause
        if self.claims is not None:
            made.headers["content-length"] = str(self.claims)
        return made


@dataclass(slots=True)
class Statement:
    """A document that the server says about itself."""

    ehr: Ehr
    told: dict[str, Any]
