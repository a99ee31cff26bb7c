"""The constraints of scopes as tests of resources: read once, asked often. What cannot be decided is not met (B3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Final, Protocol, runtime_checkable

from security.policy import Matches, Resource
from security.scopes import Constraint, query_of

__all__ = ["Compiles", "Test", "any_of", "is_decidable"]

Test = Callable[[Resource], bool]
_UNDECIDED: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


@runtime_checkable
class Compiles(Protocol):
    """A `Matches` that also reads a search once: what it returns is asked of many resources."""

    def __call__(self, type_: str, query: str, resource: Resource, /) -> bool:
        """Say whether a resource answers a search. Raises `ValueError` where that cannot be decided."""
        ...

    def compiled(self, type_: str, query: str) -> Test:
        """Return a test for one search on one type. Raises `ValueError` where it can decide nothing."""
        ...

    def __hash__(self) -> int: ...


def is_decidable(matches: Matches | Compiles, type_: str, constraint: Constraint) -> bool:
    """Say whether each part of a constraint can be decided for a type: then it can allow something."""
    return all(_test(matches, type_, (part,)) is not None for part in constraint)


def any_of(matches: Matches | Compiles, type_: str, constraints: Iterable[Constraint]) -> Test | None:
    """Return the test whether a resource meets one of some decidable constraints; `None` for no constraint at all.

    Those that ask one parameter for one thing each are asked together: `category=a` or `category=b` is `category=a,b`.
    """
    values: dict[str, list[str]] = {}
    wanted: list[Constraint] = []
    for constraint in constraints:
        if len(constraint) == 1:
            [(name, value)] = constraint
            values.setdefault(name, []).append(value)
        else:
            wanted.append(constraint)
    wanted += [((name, ",".join(some)),) for name, some in values.items()]
    tests = [test for each in wanted if (test := _test(matches, type_, each)) is not None]
    if len(tests) < 2:
        return tests[0] if tests else None

    def either(resource: Resource) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs as much again as the tests
            if test(resource):
                return True
        return False

    return either


@lru_cache(maxsize=4096)
def _test(matches: Matches | Compiles, type_: str, constraint: Constraint) -> Test | None:
    query = query_of(constraint)
    try:
        if isinstance(matches, Compiles):
            asked = matches.compiled(type_, query)
        else:
            matches(type_, query, {"resourceType": type_})
            asked = partial(matches, type_, query)
    except _UNDECIDED:
        return None

    def test(resource: Resource) -> bool:
        try:
            return asked(resource) is True
        except _UNDECIDED:
            return False

    return test
