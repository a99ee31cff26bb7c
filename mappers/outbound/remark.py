"""A sentence more, where people read a resource: in its narrative, and in the element that its type has for words."""

from __future__ import annotations

import re
from html import escape, unescape
from typing import Any, Final, Literal

from mappers.versions import FhirVersion

__all__ = ["remark"]

Resource = dict[str, Any]
_Shape = Literal["text", "annotations", "concept", "payload"]

_OPENS: Final = re.compile(r"\s*<div\b[^>]*>")
_EMPTY: Final = re.compile(r"\s*<div\b[^>]*/>\s*")
_XHTML: Final = '<div xmlns="http://www.w3.org/1999/xhtml">'
_WORDS: Final[dict[str, tuple[str, _Shape]]] = {
    "DocumentReference": ("description", "text"),
    "DetectedIssue": ("detail", "text"),
    "Flag": ("code", "concept"),  # a Flag has no note in any version
    "Communication": ("note", "annotations"),
    "Observation": ("note", "annotations"),
    "RiskAssessment": ("note", "annotations"),
}
_OLDER: Final[dict[tuple[str, FhirVersion], tuple[str, _Shape]]] = {
    ("Communication", "dstu2"): ("payload", "payload"),
    ("Observation", "dstu2"): ("comments", "text"),
    ("Observation", "stu3"): ("comment", "text"),
    ("RiskAssessment", "dstu2"): ("mitigation", "text"),
    ("RiskAssessment", "stu3"): ("comment", "text"),
}


def remark(resource: Resource, version: FhirVersion, words: str, *, first: bool = False) -> Resource:
    """Return a resource that says `words` too, after all else or before it (`first`). Done twice it is done once.

    A RiskAssessment of DSTU2 has no note: there each rationale says it, beside the mitigation. A Device or a
    Provenance says it in its narrative alone.
    """
    said = resource | {"text": _told(resource.get("text"), words, first)}
    kind = resource.get("resourceType", "")
    place = _OLDER.get((kind, version)) or _WORDS.get(kind)
    if place is None:
        return said
    name, shape = place
    said[name] = _with(resource.get(name), shape, words, first)
    if (kind, version) == ("RiskAssessment", "dstu2"):
        said["prediction"] = [
            each | {"rationale": _joined(each.get("rationale", ""), words, first)}
            for each in resource.get("prediction", [])
        ]
    return said


def _with(now: Any, shape: _Shape, words: str, first: bool) -> Any:
    match shape:
        case "text":
            return _joined(now or "", words, first)
        case "concept":
            return (now or {}) | {"text": _joined((now or {}).get("text", ""), words, first)}
        case "annotations":
            return _listed(now or [], {"text": words}, words, first)
        case "payload":
            return _listed(now or [], {"contentString": words}, words, first)


def _listed(now: list[Any], part: dict[str, str], words: str, first: bool) -> list[Any]:
    if any(words in str(value) for each in now for value in each.values()):
        return now
    return [part, *now] if first else [*now, part]


def _joined(now: str, words: str, first: bool) -> str:
    if words in now:
        return now
    return " ".join(filter(None, (words, now) if first else (now, words)))


def _told(narrative: Resource | None, words: str, first: bool) -> Resource:
    """Tell it in the narrative, whatever the server has made of that; a new one where there is none."""
    now = (narrative or {}).get("div", "")
    paragraph = f"<p>{escape(words, quote=False)}</p>"
    if narrative is None or not now or _EMPTY.fullmatch(now):
        return {"status": "generated", "div": f"{_XHTML}{paragraph}</div>"}
    opens = _OPENS.match(now)
    if opens is None or _bare(words) in _bare(now):
        return narrative  # what is no narrative is left as it is: the words stand elsewhere, too
    if first:
        return narrative | {"div": now[: opens.end()] + paragraph + now[opens.end() :]}
    head, end, rest = now.rpartition("</div>")
    return narrative | {"div": head + paragraph + end + rest}


def _bare(text: str) -> str:
    """Leave the words of a narrative, with one space between them."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())
