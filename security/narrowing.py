"""What is left of scopes that were asked for: within those that a client is registered for, and what a person leaves.

Nothing here ever widens: what cannot be compared is not within (RFC 6749, 3.3; SMART App Launch 2.2, "SMART's scopes
are used to delegate access").
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from security.scopes import ACTIONS, Constraint, Scope, read_scopes

__all__ = ["is_within", "meet", "narrow"]

_COMMA = re.compile(r"(?<!\\),")


def is_within(scope: Scope, other: Scope) -> bool:
    """Say whether whatever one scope allows is allowed by another one.

    `patient/Observation.rs?category=laboratory` is within `patient/Observation.rs` and `patient/*.crs`. A constraint is
    within another if it holds for fewer by its form: more parameters, or fewer values of one. Codes are not looked up:
    `system|code` is not within `code`.
    """
    return (
        scope.context == other.context
        and other.type in (scope.type, "*")
        and set(scope.actions) <= set(other.actions)
        and all(any(_implies(mine, theirs) for mine in scope.constraint) for theirs in other.constraint)
    )


def meet(scope: Scope, other: Scope) -> Scope | None:
    """Return what two scopes both allow; `None` for nothing."""
    actions = "".join(action for action in ACTIONS if action in scope.actions and action in other.actions)
    if scope.context != other.context or not actions:
        return None
    if "*" not in (scope.type, other.type) and scope.type != other.type:
        return None
    type_ = other.type if scope.type == "*" else scope.type
    constraint = _without_implied((*scope.constraint, *other.constraint))
    return _spelled_alike(Scope(scope.context, type_, actions, constraint), scope)


@lru_cache(maxsize=1024)
def _narrow(asked: tuple[str, ...], allowed: tuple[str, ...]) -> tuple[str, ...]:
    wanted, may = read_scopes(asked), read_scopes(allowed)
    words = [word for word in wanted.words if word in may.words]
    whole = {scope for scope in wanted.resources if any(is_within(scope, other) for other in may.resources)}
    left: dict[Scope, None] = {}
    for scope in wanted.resources:
        if scope in whole:
            left.setdefault(scope)
            continue
        common = [found for other in may.resources if (found := meet(scope, other)) is not None]
        left.update(dict.fromkeys(_spelled_alike(each, scope) for each in _joined(common)))
    kept = [scope for scope in left if scope in whole or not _is_needless(scope, [*left])]
    return (*words, *map(str, kept))


def narrow(asked: str | Iterable[str], *allowed: str | Iterable[str]) -> tuple[str, ...]:
    """Return what is asked for and within each of some lists of scopes: what a client may have, what a person leaves.

    What was asked for and may be had comes back as it was spelled, v1 as v1; of `patient/*.rs` the types that may be
    had. What is malformed or unknown is left out: ask `read_scopes` whether to refuse.
    """
    left = tuple(asked.split(" ")) if isinstance(asked, str) else tuple(asked)
    for each in allowed:
        left = _narrow(left, tuple(each.split(" ")) if isinstance(each, str) else tuple(each))
    return left if allowed else read_scopes(left).known


def _joined(scopes: list[Scope]) -> list[Scope]:
    """Put together what differs in its actions only: `.r` and `.s` are `.rs` (SMART: scope equivalence)."""
    found: dict[tuple[str, str, Constraint], Scope] = {}
    for scope in scopes:
        key = scope.context, scope.type, scope.constraint
        actions = set(scope.actions) | set(found[key].actions if key in found else "")
        found[key] = replace(scope, actions="".join(each for each in ACTIONS if each in actions), spelled="")
    return list(found.values())


def _is_needless(scope: Scope, scopes: list[Scope]) -> bool:
    """Say whether another one allows all of it: more, or the same and stands before."""
    place = scopes.index(scope)
    return any(
        is_within(scope, other) and (not is_within(other, scope) or number < place)
        for number, other in enumerate(scopes)
        if number != place
    )


def _spelled_alike(scope: Scope, like: Scope) -> Scope:
    if scope == like:
        return like
    return replace(scope, spelled=scope.written_as_v1 if like.is_v1 else "")


def _implies(mine: tuple[str, str], theirs: tuple[str, str]) -> bool:
    return mine[0] == theirs[0] and _values(mine[1]) <= _values(theirs[1])


def _without_implied(constraint: Constraint) -> Constraint:
    told = sorted(set(constraint))
    return tuple(
        each
        for number, each in enumerate(told)
        if not any(
            _implies(other, each) and (not _implies(each, other) or place < number)
            for place, other in enumerate(told)
            if place != number
        )
    )


def _values(value: str) -> frozenset[str]:
    return frozenset(_COMMA.split(value))
