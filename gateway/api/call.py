"""One request as its answer sees it, and one answer as the door sends it.

An answer gets a `Call` and returns a `Reply`, or raises a `Refusal`. It authenticates nobody, records nothing and opens
no store: the door did the first before, does the second after, before a byte leaves, and `Call.view` is the only way to
a twin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from security.audit import Access

if TYPE_CHECKING:
    from gateway.api.view import View
    from gateway.home import Home

__all__ = ["Answer", "Call", "Event", "Offer", "Pairs", "Reply"]

Pairs = Sequence[tuple[str, str]]
Event = Literal["read", "search", "create", "update", "patch", "delete", "operation", "export", "own", "none"]
"""Which event of `security.audit` tells of it; "own" is for what makes its own (`Reply.events`), "none" for what shows
nothing of anybody (metadata)."""


def _nobody(**what: Any) -> Access:
    raise RuntimeError("only the door knows who asks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is asked. `path` holds the variables of the route: type, id, version, operation ...

    `parameters` are those of the URL, with those of a posted search form behind them. `headers` are in lower case,
    without Authorization. `base` is our own base URL, never taken from the request. `prefer` holds the parts of the
    header Prefer ("handling": "lenient", "return": "minimal", "respond-async": ""). `offers` is all that the API does:
    what an entry of a batch may ask for.
    """

    home: Home
    view: View
    request_id: str
    method: str
    url: str
    path: Mapping[str, str]
    parameters: Pairs = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    prefer: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base: str
    now: datetime
    access: Callable[..., Access] = _nobody
    offers: Sequence[Offer] = ()


@dataclass(slots=True, kw_only=True)
class Reply:
    """What leaves. `found` says of whom: twin id to the references that leave, "" for what is nobody's.

    `body` is a resource, or its JSON. `raw_type` is the Content-Type where it is not FHIR's JSON. `done` is called with
    the audit events of this reply and has to make what was asked durable together with them (`Store.transaction`);
    where there is none, the door appends the events. `events` are recorded with them: made with `Call.access`.
    `patient` is the one twin that a search asked about, where nothing was found.
    """

    status: int = 200
    body: Mapping[str, Any] | bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    found: Mapping[str, Sequence[str]] = field(default_factory=dict)
    patient: str = ""
    events: Sequence[Mapping[str, Any]] = ()
    raw_type: str = ""
    done: Callable[[Sequence[Mapping[str, Any]]], None] | None = None


Answer = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One thing that the API does: the door mounts these, the CapabilityStatement is made from these, and a test walks
    them. Each file of answers has a tuple `OFFERS`, which `gateway.api.offers` lists.

    `path` is a Starlette path below the base. `interaction` is FHIR's code ("read", "search-type", "transaction") or
    "operation", with its name and the URL of its definition. `types` are those that it is offered for; () for the
    system.
    """

    method: str
    path: str
    interaction: str
    answer: Answer
    event: Event
    types: tuple[str, ...] = ()
    name: str = ""
    definition: str = ""
    everybody: bool = False
