"""References inside a bundle: finding them and pointing them at where the resource came to lie.

Source: FHIR R4 http.html#trules and bundle.html#references; the same in the other versions. Only elements that hold a
reference or a URL are touched: an `Identifier.value` that happens to spell the same urn:uuid is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["redirect", "references_in"]

_HOLDERS = frozenset({"reference", "url", "uri"})


def redirect(value: Any, target: Callable[[str], str]) -> Any:
    """Copy a resource with each reference and URL replaced by what `target` makes of it."""
    if isinstance(value, dict):
        return {
            key: target(inner) if key in _HOLDERS and isinstance(inner, str) else redirect(inner, target)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [redirect(item, target) for item in value]
    return value


def references_in(value: Any) -> Iterator[str]:
    """Yield each literal reference to a resource of the same server, without its version."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "reference" and isinstance(inner, str):
                if inner.count("/") in (1, 3) and ":" not in inner:
                    yield inner.partition("/_history/")[0]
            else:
                yield from references_in(inner)
    elif isinstance(value, list):
        for item in value:
            yield from references_in(item)
