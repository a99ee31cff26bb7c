"""SMART scopes as a client writes and reads them: what to ask for, and what a grant leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

__all__ = ["ScopeStyle", "alternatives", "missing", "wanted"]

ScopeStyle = Literal["v1", "v2"]

# SMART App Launch 2.2, "Scopes for requesting FHIR resources": context / type . actions, with an optional constraint.
_SCOPE = re.compile(
    r"system/(?P<type>\*|[A-Z][A-Za-z]{1,63})\.(?P<actions>read|write|\*|c?r?u?d?s?)(?P<narrowed>\?.+)?"
)
_OTHER: Mapping[ScopeStyle, ScopeStyle] = {"v1": "v2", "v2": "v1"}
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}


def wanted(
    read: Iterable[str], create: Iterable[str], style: ScopeStyle, change: Iterable[str] = ()
) -> tuple[str, ...]:
    """Write the scopes for reading and searching some types, and creating some (with a search, to create once).

    Of what we `change` we create what is new, too.
    """
    change = tuple(change)
    writes = dict.fromkeys([*create, *change])
    if style == "v1":
        reads = dict.fromkeys([*read, *writes])
        return tuple(f"system/{t}.read" for t in reads) + tuple(f"system/{t}.write" for t in writes)
    letters = dict.fromkeys(read, "rs") | dict.fromkeys(writes, "crs") | dict.fromkeys(change, "crus")
    return tuple(f"system/{t}.{actions}" for t, actions in letters.items())


class _Offer(Protocol):
    @property
    def scope_style(self) -> ScopeStyle: ...

    @property
    def scopes_supported(self) -> tuple[str, ...]: ...


def alternatives(
    read: Iterable[str], create: Iterable[str], offer: _Offer, change: Iterable[str] = ()
) -> list[tuple[str, ...]]:
    """Write the scopes that we want in the style of the server's configuration, and after it what else it may mean.

    That is the same without what we would `change`, which many servers let nobody; the other version's style; and where
    all types are wanted and the server lists types, those (no list of scopes is exhaustive, SMART App Launch 2.2
    "Response": so this comes last, and what it leaves out is missing).
    """
    read, create, change = tuple(read), tuple(create), tuple(change)
    told, other = offer.scope_style, _OTHER[offer.scope_style]
    listed = sorted(
        {t for t, actions, _ in map(_parse, offer.scopes_supported) if t not in ("", "*") and "s" in actions}
    )
    found = [wanted(read, create, style, also) for style in (told, other) for also in (change, ())]
    if "*" in read and listed:
        found.append(wanted(listed, [t for t in create if t in listed], told))
    return list(dict.fromkeys(found))


def missing(asked: Iterable[str], granted: Iterable[str]) -> tuple[str, ...]:
    """Say which parts of what was asked are not in the grant, in v2 words ("Observation.c").

    A scope that cannot be parsed grants nothing, and a constrained one (`?category=…`) does not grant the whole.
    """
    given = [(t, actions) for t, actions, narrowed in map(_parse, granted) if t and not narrowed]
    lacking = (
        f"{type_}.{letter}"
        for type_, actions, _ in map(_parse, asked)
        for letter in actions
        if not any(t in ("*", type_) and letter in have for t, have in given)
    )
    return tuple(dict.fromkeys(lacking))


def _parse(scope: str) -> tuple[str, str, bool]:
    found = _SCOPE.fullmatch(scope)
    if found is None or not found["actions"]:
        return "", "", False
    return found["type"], _V1.get(found["actions"], found["actions"]), found["narrowed"] is not None
