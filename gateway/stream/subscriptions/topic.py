"""What an EHR is asked to tell: a topic by its canonical URL, how it is narrowed, and how much each telling holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import quote, urlsplit

from security.errors import BadSettings

__all__ = ["Content", "Filter", "Topic"]

Content = Literal["empty", "id-only", "full-resource"]
"""How much of a resource a notification holds (Subscriptions Backport 1.1.0, payloads.html; the same codes in R5)."""

_TYPE = re.compile(r"[A-Z][A-Za-z]{1,60}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,60}")
_MODIFIER = re.compile(r"[a-z][a-z-]{0,30}")


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition that narrows a topic; several are joined by AND.

    `parameter` is a search parameter of the type, or a name that the topic itself defines, so a filter cannot always
    be asked again as a search (backport-filter-criteria). `value` may be about a patient and is no part of the `repr`.
    """

    type: str
    parameter: str
    value: str
    modifier: str = ""

    def __post_init__(self) -> None:
        told = (_TYPE.fullmatch(self.type), _NAME.fullmatch(self.parameter), self.value)
        if not all(told) or (self.modifier and not _MODIFIER.fullmatch(self.modifier)):
            raise BadSettings(
                "A filter of a subscription cannot be read.", hint='It reads like "Observation?patient=Patient/1".'
            )

    def __repr__(self) -> str:
        return f"Filter({self.type}?{self.parameter})"

    @classmethod
    def read(cls, text: str) -> Filter:
        """Read "Observation?patient=Patient/1"; raises `BadSettings`."""
        type_, _, rest = text.partition("?")
        name, _, value = rest.partition("=")
        parameter, _, modifier = name.partition(":")
        return cls(type_, parameter, value, modifier)

    def criteria(self) -> str:
        """Write it as the extension of R4 and R4B wants it, in the style of a search."""
        name = f"{self.parameter}:{self.modifier}" if self.modifier else self.parameter
        return f"{self.type}?{name}={quote(self.value, safe='/:|,')}"


@dataclass(frozen=True, slots=True)
class Topic:
    """What we want to be told.

    Parameters
    ----------
    url
        The topic's canonical URL, as the EHR's operator names it: R4 has no resource to look it up, and an R5 server
        need not show it.
    types
        The resource types that it is about; these are searched again where notifications are not enough.
    filters
        Conditions that narrow it.
    content
        How much a notification shall hold. "id-only" keeps clinical content off the channel.
    heartbeat_seconds
        How often the EHR shall say that it is alive; 0 leaves it out.
    timeout_seconds, max_count
        How long the EHR waits for our answer, and how many events it puts into one notification; 0 leaves it out.
    """

    url: str
    types: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    content: Content = "id-only"
    heartbeat_seconds: int = 60
    timeout_seconds: int = 30
    max_count: int = 20

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if not parts.scheme or not (parts.netloc or parts.scheme == "urn"):
            raise BadSettings("A topic is named by its canonical URL.", hint="Ask the EHR's operator for it.")
        if not self.types or not all(_TYPE.fullmatch(type_) for type_ in self.types):
            raise BadSettings("A topic needs the resource types that it is about.", hint='Such as "Observation".')
        if self.content not in get_args(Content):
            raise BadSettings("content is none of the three that FHIR knows.", hint=", ".join(get_args(Content)))
        if min(self.heartbeat_seconds, self.timeout_seconds, self.max_count) < 0:
            raise BadSettings("heartbeat, timeout and max_count are 0 or more.", hint="0 leaves them out.")
