"""Scopes of SMART Backend Services, in the words of version 1 and of version 2.

Source: SMART App Launch 2.2.0 scopes-and-launch-context.html: v1 `.read` is `.rs`, `.write` is `.cud`, `.*` is
`.cruds`; the letters of v2 stand in the order c, r, u, d, s. What cannot be parsed grants nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Action", "Scope", "ScopeVersion", "grant", "parse_scope"]

Action = Literal["c", "r", "u", "d", "s"]
ScopeVersion = Literal["v1", "v2"]

_SHAPE = re.compile(r"system/(?P<type>[A-Z][A-Za-z]+|\*)\.(?:(?P<v1>read|write|\*)|(?P<v2>c?r?u?d?s?))")
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}


@dataclass(frozen=True, slots=True)
class Scope:
    """One system scope: the actions (letters of `cruds`) that it allows on a type, `*` for every type."""

    type: str
    actions: str
    said_in: ScopeVersion

    def covers(self, action: Action, type_: str) -> bool:
        """Say whether this scope allows the action on the type."""
        return action in self.actions and self.type in ("*", type_)

    def within(self, other: Scope) -> Scope | None:
        """Return what both allow, in the words of this one, or `None`."""
        actions = "".join(letter for letter in self.actions if letter in other.actions)
        if not actions or ("*" not in (self.type, other.type) and self.type != other.type):
            return None
        return Scope(other.type if self.type == "*" else self.type, actions, self.said_in)

    def words(self) -> list[str]:
        """Write the scope as it was asked, in as many words as it takes."""
        if self.said_in == "v2":
            return [f"system/{self.type}.{self.actions}"]
        if self.actions == "cruds":
            return [f"system/{self.type}.*"]
        return [f"system/{self.type}.{word}" for word in ("read", "write") if set(_V1[word]) <= set(self.actions)]


def parse_scope(text: str) -> Scope | None:
    """Read one scope; `None` for anything else than `system/Type.actions` (so also for a search constraint)."""
    match = _SHAPE.fullmatch(text)
    if match is None or not (match["v1"] or match["v2"]):
        return None
    said_in: ScopeVersion = "v1" if match["v1"] else "v2"
    return Scope(match["type"], _V1[match["v1"]] if match["v1"] else match["v2"], said_in)


def grant(asked: str, allowed: str, versions: Iterable[ScopeVersion]) -> list[str]:
    """Return the scopes to grant: what was asked, as far as it is allowed, in a version that this server speaks."""
    limits = [scope for word in allowed.split() if (scope := parse_scope(word))]
    granted: list[str] = []
    for word in asked.split():
        scope = parse_scope(word)
        if scope is None or scope.said_in not in versions:
            continue
        for limit in limits:
            if narrowed := scope.within(limit):
                granted += narrowed.words()
    return list(dict.fromkeys(granted))
