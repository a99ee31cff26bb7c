"""Strings: equal but for case and accents from their beginning on, `:exact`, `:contains` (FHIR R4, 3.1.1.4.8)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from mappers.search.places import Place
from mappers.search.told import plain
from mappers.search.unsearchable import Unsearchable
from security.policy import Resource

__all__ = ["compile_string", "folded", "texts_of"]

_PARTS: Final = {
    "HumanName": ("family", "given", "prefix", "suffix", "text"),
    "Address": ("line", "city", "district", "state", "postalCode", "country", "text"),
    "CodeableConcept": ("text",),
}


def folded(text: str) -> str:
    """Take case and accents away."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in apart if not unicodedata.combining(letter)).casefold()


def texts_of(place: Place, value: Any) -> Iterator[str]:
    """Yield the strings of what was found at a place: of a name or an address, each part, and the whole."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in _PARTS.get(place.type, ()):
            told = value.get(part)
            for each in told if isinstance(told, list) else (told,):
                if isinstance(each, str):
                    yield each


def compile_string(places: Sequence[Place], modifier: str, values: Sequence[str]) -> Callable[[Resource], bool]:
    """Make the test for strings. Raises `Unsearchable` for another modifier."""
    wanted = tuple(map(plain, values))
    if modifier not in ("", "exact", "contains"):
        raise Unsearchable("modifier", "A string has the modifiers :exact, :contains and :missing.")
    if modifier == "exact":
        exact = frozenset(wanted)
        return _any(places, lambda text: text in exact)
    starts = tuple(map(folded, wanted))
    if modifier == "contains":
        return _any(places, lambda text: any(each in text for each in starts), fold=True)
    return _any(places, lambda text: text.startswith(starts), fold=True)


def _any(places: Sequence[Place], test: Callable[[str], bool], *, fold: bool = False) -> Callable[[Resource], bool]:
    def matches(resource: Resource) -> bool:
        for place in places:
            for value in place.get(resource):
                for text in texts_of(place, value):
                    if test(folded(text) if fold else text):
                        return True
        return False

    return matches
