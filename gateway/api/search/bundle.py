"""The page as bytes: the resources are joined as they are, and written anew only where a part of them is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec

from gateway.api.search.question import Question
from gateway.api.shown import Shown
from mappers.search import shape_of

__all__ = ["Link", "write_searchset"]

Link = tuple[str, str]

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)  # 7.10 stays 7.10
_MATCH: Final = b',"search":{"mode":"match"}}'
_INCLUDE: Final = b',"search":{"mode":"include"}}'
_CUT: Final = _ENCODER.encode(
    {
        "resource": {
            "resourceType": "OperationOutcome",
            "issue": [
                {
                    "severity": "warning",
                    "code": "too-costly",
                    "diagnostics": "More would be included than one page holds: ask for fewer matches a page.",
                }
            ],
        },
        "search": {"mode": "outcome"},
    }
)


def write_searchset(
    base: str,
    question: Question,
    links: Sequence[Link],
    matches: Sequence[Shown],
    included: Sequence[Shown] = (),
    *,
    total: int | None = None,
    is_cut: bool = False,
) -> bytes:
    """Write the Bundle of a page. `total` is told where it is known."""
    head: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        head["total"] = total
    head["link"] = [{"relation": relation, "url": url} for relation, url in links]
    start = _start(base)
    entries = [start + _entry(question, each) + _MATCH for each in matches]
    entries += [start + _entry(question, each) + _INCLUDE for each in included]
    if is_cut:
        entries.append(_CUT)
    told = _ENCODER.encode(head)
    return told[:-1] + b',"entry":[' + b",".join(entries) + b"]}" if entries else told


@lru_cache(maxsize=16)
def _start(base: str) -> bytes:
    return b'{"fullUrl":' + _ENCODER.encode(f"{base}/")[:-1]


def _entry(question: Question, shown: Shown) -> bytes:
    return b"".join((shown.reference.encode(), b'","resource":', _resource(question, shown)))


def _resource(question: Question, shown: Shown) -> bytes:
    if not question.summary and not question.elements:
        return shown.raw
    if question.summary in ("true", "text", "data"):
        shape = _summarised(shown.type, question.summary)
    elif shown.type == question.type:
        shape = _chosen(shown.type, question.elements)
    else:
        return shown.raw  # what is included stays whole: _elements names elements of the type that is searched
    return _ENCODER.encode(shape(_DECODER.decode(shown.raw)))


_summarised = lru_cache(maxsize=512)(lambda type_, summary: shape_of(type_, summary=summary))
_chosen = lru_cache(maxsize=512)(lambda type_, elements: shape_of(type_, elements=elements))
