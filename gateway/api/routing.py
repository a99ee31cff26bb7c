"""Which of the things that the API does a method and a path ask for: asked by the door and by each entry of a batch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Final

from starlette.routing import compile_path

from gateway.api.call import Offer

__all__ = ["Offers", "methods", "route"]

_WORDS: Final = {
    "type": re.compile(r"[A-Z][A-Za-z]{1,63}", re.ASCII),
    "id": re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII),
    "version": re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII),
}
"""What a variable of a path may be (FHIR R4, 2.24.0.1: id); any other name of a variable takes what Starlette takes."""


def route(method: str, path: str, offers: Sequence[Offer]) -> tuple[Offer, Mapping[str, str]] | None:
    """Find the offer for a path below the base ("/Patient/7", decoded), and the variables of the path.

    An offer whose path says more in its own words goes first ("/{type}/_search" before "/{type}/{id}"). HEAD is
    answered as GET is. `None` where nothing of ours is there; `methods` says whether another method would find it.
    """
    asked = "GET" if method == "HEAD" else method
    return next(((offer, told) for offer, told in _at(path, offers) if offer.method == asked), None)


def methods(path: str, offers: Sequence[Offer]) -> tuple[str, ...]:
    """Name the methods by which something is at a path, for a 405 and its `Allow`; empty: nothing is there (404)."""
    found = {offer.method for offer, _ in _at(path, offers)}
    return tuple(sorted(found | ({"HEAD"} if "GET" in found else set())))


class Offers(tuple[Offer, ...]):
    """Offers in the order in which they are tried, those of as many segments together."""

    @cached_property
    def by_length(self) -> Mapping[int, Sequence[tuple[re.Pattern[str], Offer]]]:
        """Sort them once."""
        found: dict[int, list[tuple[re.Pattern[str], Offer]]] = {}
        for offer in sorted(self, key=lambda each: _by_words(each.path)):
            found.setdefault(_segments(offer.path), []).append((_compiled(offer.path), offer))
        return found


def _at(path: str, offers: Sequence[Offer]) -> Iterable[tuple[Offer, Mapping[str, str]]]:
    known = offers if isinstance(offers, Offers) else Offers(offers)
    for pattern, offer in known.by_length.get(_segments(path), ()):
        found = pattern.fullmatch(path)
        if found is None:
            continue
        told = found.groupdict()
        if all(_WORDS[name].fullmatch(text) for name, text in told.items() if name in _WORDS) and (
            not offer.types or told.get("type", offer.types[0]) in offer.types
        ):
            yield offer, told


def _segments(path: str) -> int:
    return path.strip("/").count("/")


@lru_cache(maxsize=1024)
def _compiled(path: str) -> re.Pattern[str]:
    return compile_path(path)[0]


@lru_cache(maxsize=1024)
def _by_words(path: str) -> tuple[bool, ...]:
    """Order paths segment by segment: a word of its own before a variable."""
    return tuple("{" in segment for segment in path.strip("/").split("/"))
