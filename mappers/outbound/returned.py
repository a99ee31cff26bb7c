"""What an EHR kept of a resource that we wrote, beside what we sent.

A server may add what it likes, and write references, times and the lists of `meta` in its own way, as long as they say
the same. What is gone, changed, in another order or with fewer digits is a loss: the next reader does not get what was
sent. Of a narrative the words count and not the markup.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from html import unescape
from typing import Any, Final, Literal

import msgspec

__all__ = ["Loss", "losses"]

What = Literal["gone", "changed", "digits", "order", "version of reference", "words"]

# We write no extension of meta: up to STU3 some servers keep there what is meta.source later.
_THE_SERVERS: Final = frozenset(
    {"id", "meta.versionId", "meta.lastUpdated", "meta.source", "meta.extension", "contained.id"}
)
_SETS: Final = frozenset(
    {"meta.security", "meta.tag", "meta.profile", "contained.meta.tag"}
)  # "sets of" (FHIR R4 resource.html#Meta)
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


class Loss(msgspec.Struct, frozen=True):
    """An element that is not as it was sent: its path without numbers of lists, and what became of it.

    `what` is "gone", "changed", "digits" (the same number, written otherwise), "order", "version of reference", or
    "words" (of a narrative).
    """

    path: str
    what: What


def losses(sent: dict[str, Any], returned: dict[str, Any]) -> tuple[Loss, ...]:
    """Compare them, both read with numbers as text or `Decimal`; what a server adds by itself is no loss.

    The references of `sent` to entries of its transaction have been replaced by what they became ("Device/3").
    """
    return tuple(dict.fromkeys(_of_object(sent, returned, "")))


def _of_object(sent: dict[str, Any], returned: dict[str, Any], path: str) -> Iterator[Loss]:
    for name, value in sent.items():
        place = f"{path}.{name}" if path else name
        if place in _THE_SERVERS:
            continue
        if name not in returned:
            yield Loss(place, "gone")
        elif place == "text":
            yield from _of_narrative(value, returned[name])
        else:
            yield from _of(value, returned[name], place)


def _of(sent: Any, returned: Any, path: str) -> Iterator[Loss]:
    match sent, returned:
        case dict(), dict():
            yield from _of_object(sent, returned, path)
        case list(), list():
            yield from _of_list(sent, returned, path)
        case (dict() | list(), _) | (_, dict() | list()):
            yield Loss(path, "changed")
        case _:
            yield from _of_value(sent, returned, path)


def _of_list(sent: list[Any], returned: list[Any], path: str) -> Iterator[Loss]:
    """Find each part that was sent among those returned: the one that has lost nothing, else the one in its place."""
    left = dict(enumerate(returned))
    found: list[int] = []
    missed: list[Any] = []
    for part in sent:
        same = next((at for at, other in left.items() if not any(_of(part, other, path))), None)
        if same is None:
            missed.append(part)
            continue
        del left[same]
        found.append(same)
    if found != sorted(found) and path not in _SETS:
        yield Loss(path, "order")
    for part in missed:
        if not left or path in _SETS:
            yield Loss(path, "gone")
            continue
        nearest = min(left, key=lambda at: len(list(_of(part, left[at], path))))
        yield from _of(part, left.pop(nearest), path)


def _of_narrative(sent: dict[str, Any], returned: Any) -> Iterator[Loss]:
    told = returned.get("div", "") if isinstance(returned, dict) else ""
    if _words(sent.get("div", "")) not in _words(told):
        yield Loss("text", "words")


def _words(div: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", div)).split())


def _of_value(sent: Any, returned: Any, path: str) -> Iterator[Loss]:
    was, now = _written(sent), _written(returned)
    if was == now:
        return
    name = path.rpartition(".")[2]
    if name == "reference":
        yield from _of_reference(was, now, path)
    elif _NUMBER.fullmatch(was) and _NUMBER.fullmatch(now):
        yield Loss(path, "digits" if _same(Decimal, was, now) else "changed")
    elif not (_MOMENT.fullmatch(was) and _MOMENT.fullmatch(now) and _same(datetime.fromisoformat, was, now)) and not (
        name == "data" and was.split() == now.split()
    ):
        yield Loss(path, "changed")


def _same(read: Callable[[str], object], was: str, now: str) -> bool:
    """Say whether two texts mean the same; what cannot be read does not."""
    try:
        return read(was) == read(now)
    except (ValueError, ArithmeticError):  # the 30th of February, an exponent beyond all bounds
        return False


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_reference(was: str, now: str, path: str) -> Iterator[Loss]:
    """Compare references: the same address, relative or absolute; one within the resource may have another name."""
    if was[:1] == now[:1] == "#":
        return
    address, _, version = was.partition("/_history/")
    told, _, kept = now.partition("/_history/")
    if told != address and not told.endswith(f"/{address}"):
        yield Loss(path, "changed")
    elif version and version != kept:
        yield Loss(path, "version of reference")
