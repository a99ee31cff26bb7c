"""URIs: letter by letter; `:below` and `:above` along the path of a URL (FHIR R4, 3.1.1.4.13)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mappers.search.places import Place
from mappers.search.told import plain
from mappers.search.unsearchable import Unsearchable
from security.policy import Resource

__all__ = ["compile_uri"]


def compile_uri(places: Sequence[Place], modifier: str, values: Sequence[str]) -> Callable[[Resource], bool]:
    """Make the test for URIs. Raises `Unsearchable` for another modifier."""
    wanted = tuple(map(plain, values))
    if modifier == "below":
        return _any(places, lambda uri: any(_is_below(uri, each) for each in wanted))
    if modifier == "above":
        return _any(places, lambda uri: any(_is_below(each, uri) for each in wanted))
    if modifier:
        raise Unsearchable("modifier", "A URI has the modifiers :below, :above and :missing.")
    exact = frozenset(wanted)
    return _any(places, lambda uri: uri in exact)


def _is_below(uri: str, start: str) -> bool:
    return uri == start or uri.startswith(start if start.endswith("/") else f"{start}/")


def _any(places: Sequence[Place], test: Callable[[str], bool]) -> Callable[[Resource], bool]:
    def matches(resource: Resource) -> bool:
        return any(isinstance(uri, str) and test(uri) for place in places for uri in place.get(resource))

    return matches
