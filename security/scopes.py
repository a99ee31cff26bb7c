"""SMART scopes (App Launch 2.2, "Scopes for requesting FHIR Resources"): their grammar, and nothing else.

A scope for resources is `context/Type.actions?constraint`: `patient/Observation.rs?category=laboratory`. The actions
are a part of "cruds", in that order; those of SMART v1 (read, write, *) are read as SMART says. What is not exactly of
this form is malformed and grants nothing. The rest are words: launch, openid ...

A constraint is a search as anybody could do it, of plain parameters only. What SMART calls experimental (modifiers,
chains, `_filter`) and what is no question about one resource (`_has`, `_include`, `_sort` ...) is malformed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, get_args
from urllib.parse import quote, unquote

from security.compartment import TYPES
from security.policy import Action

__all__ = ["ACTIONS", "WORDS", "Constraint", "Context", "Scope", "Scopes", "query_of", "read_scope", "read_scopes"]

Context = Literal["patient", "user", "system"]
Constraint = tuple[tuple[str, str], ...]
"""Parameters and values of a search, decoded and sorted. All of them have to hold; a comma in a value is "or"."""

ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
WORDS: Final = frozenset(
    {"launch", "launch/patient", "launch/encounter", "openid", "fhirUser", "profile", "offline_access", "online_access"}
)
"""The scopes that are not for resources."""

_V1: Final = {
    "read": "rs",
    "write": "cud",
    "*": "cruds",
}  # SMART App Launch 2.2, "Scopes for requesting FHIR Resources"
_LONGEST_SCOPE: Final = 2_000
_LONGEST: Final = 32 * 1024
_MOST: Final = 256
_MOST_PARAMETERS: Final = 16
_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+", re.ASCII)  # RFC 6749, 3.3: scope-token
_CLINICAL = re.compile(
    r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,63})\.(?:(read|write|\*)|(c?r?u?d?s?)(?:\?(.*))?)", re.ASCII
)
_PARAMETER = re.compile(r"[a-z][A-Za-z0-9-]{0,63}|_(?:id|lastUpdated|profile|security|source|tag)", re.ASCII)
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_SAFE: Final = "-._~:/|,;=@!$'()*?[]{}<>^`"  # what means itself in a value; all else, "+" too, is written as %xx


def query_of(constraint: Constraint) -> str:
    """Write a constraint as the query of a URL, which is read in one way only."""
    return "&".join(f"{name}={quote(value, safe=_SAFE)}" for name, value in constraint)


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope for resources. Two are equal that say the same, however they are spelled.

    `type` is a type of resource or "*", `actions` a part of "cruds" in that order.
    """

    context: Context
    type: str
    actions: str
    constraint: Constraint = ()
    spelled: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.spelled or self.written

    @property
    def written(self) -> str:
        """Write it as SMART v2 does."""
        return f"{self.context}/{self.type}.{self.actions}" + (f"?{self.query}" if self.constraint else "")

    @property
    def written_as_v1(self) -> str:
        """Write it as SMART v1 does, where that can be said so, else as v2."""
        word = next((word for word, actions in _V1.items() if actions == self.actions and not self.constraint), "")
        return f"{self.context}/{self.type}.{word}" if word else self.written

    @property
    def is_v1(self) -> bool:
        """Say whether it was spelled as SMART v1 has it."""
        return self.spelled.rpartition(".")[2] in _V1 and not self.constraint

    @property
    def query(self) -> str:
        """Write the constraint as the query of a URL."""
        return query_of(self.constraint)

    def covers(self, action: Action, type_: str) -> bool:
        """Say whether it is about an action on a type; whether a resource meets the constraint is another question."""
        return action in self.actions and self.type in (type_, "*")


@dataclass(frozen=True, slots=True)
class Scopes:
    """What a list of scopes says, each once, in its order.

    `malformed` are those that grant nothing and for which a request is refused ("invalid_scope"). `unknown` are words
    that we have not ("email"), which are left out of what is granted, as OAuth allows.
    """

    resources: tuple[Scope, ...] = ()
    words: tuple[str, ...] = ()
    malformed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """Return all that mean something, as they were spelled."""
        return (*self.words, *map(str, self.resources))


@lru_cache(maxsize=4096)
def read_scope(text: str) -> Scope | None:
    """Read a scope for resources; `None` for whatever is not exactly one."""
    if len(text) > _LONGEST_SCOPE or _TOKEN.fullmatch(text) is None:
        return None
    found = _CLINICAL.fullmatch(text)
    if found is None:
        return None
    _, type_, v1, actions, query = found.groups()
    context: Context = "patient" if text.startswith("patient") else "user" if text.startswith("user") else "system"
    if type_ != "*" and type_ not in TYPES:
        return None
    if v1 is not None:
        return Scope(context, type_, _V1[v1], (), text)
    constraint = () if query is None else _read_constraint(query)
    if not actions or constraint is None:
        return None
    return Scope(context, type_, actions, constraint, text)


def read_scopes(scopes: str | Iterable[str]) -> Scopes:
    """Read many scopes: the parameter `scope` of OAuth, or a list. One that cannot be read costs only itself.

    What is larger than any app could need is malformed as a whole.
    """
    told = scopes.split(" ") if isinstance(scopes, str) else list(scopes)
    if len(told) > _MOST or sum(map(len, told)) > _LONGEST:
        return Scopes(malformed=("too many",))
    resources: dict[Scope, None] = {}
    words: list[str] = []
    malformed: list[str] = []
    unknown: list[str] = []
    for text in dict.fromkeys(each for each in told if each):
        scope = read_scope(text)
        if scope is not None:
            resources.setdefault(scope)
        elif text in WORDS:
            words.append(text)
        elif _TOKEN.fullmatch(text) and (text.startswith("launch/") or not set(text) & set("/.*?")):
            unknown.append(text)
        else:
            malformed.append(text)
    return Scopes(tuple(resources), tuple(words), tuple(malformed), tuple(unknown))


def _read_constraint(query: str) -> Constraint | None:
    parts = query.split("&")
    if len(parts) > _MOST_PARAMETERS:
        return None
    found = []
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or not value or _PARAMETER.fullmatch(name) is None or _PERCENT.search(value):
            return None
        try:
            plain = unquote(value, errors="strict")
        except UnicodeDecodeError:
            return None
        if not plain.isprintable():
            return None
        found.append((name, plain))
    return tuple(sorted(set(found)))
