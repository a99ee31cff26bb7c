"""Criteria compiled over a view: plain ones, chains (`subject:Patient.name`) and `_has`.

What a chain leads through is seen by the same view as everything else: a resource that the caller may not see makes
nothing match, and a type that their token is not about is refused, whatever would come of it (B8).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from gateway.api.refusal import Refusal
from gateway.api.search.question import refusal_of
from gateway.api.shown import Shown
from gateway.api.view import View
from mappers.search import (
    SEARCHED,
    Parameter,
    Test,
    Unsearchable,
    compile_criterion,
    find_parameter,
    references_of,
)

__all__ = ["Linked", "Tests"]

Tests = Callable[[Shown], bool]

_DEEPEST: Final = 2  # links from a resource to another that a criterion leads over
_MOST_TWINS: Final = 200
_HAS_PARTS: Final = 4


class Linked:
    """Compiles the criteria of one request. What a link leads to is looked up once for each twin."""

    def __init__(self, view: View, base: str, now: datetime) -> None:
        self._view, self._base, self._now = view, base, now
        self._opened: set[str] = set()

    def test(self, type_: str, told: str, value: str) -> Tests:
        """Make the test of one criterion. Raises a `Refusal`: 400, or 403 for a type that the token is not about."""
        try:
            return self._test(type_, told, value, 0)
        except Unsearchable as error:
            raise refusal_of(error, told) from error

    def plain(self, type_: str, told: str, value: str) -> Test | None:
        """Make the test of a criterion about a resource by itself; `None` for one that leads on. Raises a `Refusal`."""
        name, _, modifier = told.partition(":")
        parameter = None if "." in told else find_parameter(type_, name)
        if parameter is None:
            return None
        try:
            return compile_criterion(parameter, modifier, value, base=self._base, now=self._now)
        except Unsearchable as error:
            raise refusal_of(error, told) from error

    def _test(self, type_: str, told: str, value: str, depth: int) -> Tests:
        if depth > _DEEPEST:
            raise Unsearchable("too-costly", f"A criterion leads over {_DEEPEST} links at most.")
        if told.startswith("_has:"):
            return self._has(type_, told, value, depth)
        head, chained, rest = told.partition(".")
        name, _, modifier = head.partition(":")
        parameter = find_parameter(type_, name)
        if parameter is None:
            raise Unsearchable("unknown", "There is no such search parameter; see /metadata.")
        if chained:
            return self._chain(parameter, modifier, rest, value, depth)
        test = compile_criterion(parameter, modifier, value, base=self._base, now=self._now)
        return lambda shown: test(shown.body)

    def _chain(self, parameter: Parameter, modifier: str, rest: str, value: str, depth: int) -> Tests:
        tests = {t: self._test(t, rest, value, depth + 1) for t in self._chained(parameter, modifier, rest)}
        known: dict[tuple[str, str], frozenset[str]] = {}

        def matches(shown: Shown) -> bool:
            for reference in references_of(parameter, shown.body, self._base):
                target, _, id_ = reference.partition("/")
                if target in tests:
                    at = self._view.charts.twin_of(target, id_), target
                    if at not in known:
                        known[at] = self._matching(*at, tests[target])
                    if id_ in known[at]:
                        return True
            return False

        return matches

    def _chained(self, parameter: Parameter, modifier: str, rest: str) -> list[str]:
        """Name the types that a chain goes on with: the one that it names, or all that it may."""
        if parameter.type != "reference" or not rest:
            raise Unsearchable("modifier", "Only a reference is chained.")
        if modifier and not (
            (modifier in SEARCHED and parameter.targets in (("*",), (modifier,))) or modifier in parameter.targets
        ):
            raise Unsearchable("modifier", "A chain goes over a type that the reference leads to.")
        if not modifier and parameter.targets == ("*",):
            raise Unsearchable("modifier", "This chain has to name a type, as in focus:Patient.name.")
        named = [modifier] if modifier else [each for each in parameter.targets if each in SEARCHED]
        having = [each for each in named if rest.startswith("_has:") or find_parameter(each, _first(rest))]
        if not having:
            raise Unsearchable("unknown", "What is chained to has no such search parameter; see /metadata.")
        allowed = [each for each in having if self._view.grants.may("s", each)]
        if not allowed:
            self._view.demand("s", having[0])
        return allowed

    def _has(self, type_: str, told: str, value: str, depth: int) -> Tests:
        parts = told.split(":", _HAS_PARTS - 1)
        if len(parts) != _HAS_PARTS or parts[1] not in SEARCHED:
            raise Unsearchable("unknown", "This is told as _has:Type:reference:parameter; see /metadata.")
        _, source, by, rest = parts
        parameter = find_parameter(source, by)
        if parameter is None or parameter.type != "reference":
            raise Unsearchable("unknown", "There is no such reference of this type; see /metadata.")
        self._view.demand("s", source)
        test = self._test(source, rest, value, depth + 1)
        known: dict[str, frozenset[str]] = {}

        def referred(twin: str) -> frozenset[str]:
            if twin not in known:
                self._count(twin)
                known[twin] = frozenset(
                    reference
                    for shown in self._view.resources(twin, source)
                    if test(shown)
                    for reference in references_of(parameter, shown.body, self._base)
                )
            return known[twin]

        def matches(shown: Shown) -> bool:
            if shown.reference in referred(""):
                return True
            twins = (shown.twin,) if shown.twin else self._view.twins()
            return any(shown.reference in referred(twin) for twin in twins)

        return matches

    def _matching(self, twin: str, type_: str, test: Tests) -> frozenset[str]:
        self._count(twin)
        return frozenset(shown.id for shown in self._view.resources(twin, type_) if test(shown))

    def _count(self, twin: str) -> None:
        self._opened.add(twin)
        if len(self._opened) > _MOST_TWINS:
            raise Refusal(400, "too-costly", "This search leads to too many patients: name one.")


def _first(rest: str) -> str:
    return rest.partition(".")[0].partition(":")[0]
