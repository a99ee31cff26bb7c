"""Narrative that somebody else wrote: XHTML with the elements that FHIR allows, and nothing that runs, loads or hides.

FHIR R4, 2.4.1 (txt-1): "basic HTML formatting elements and attributes". What is not in the lists is refused, not
cleaned: who wrote it learns of it, and nothing that is kept is other than what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html.entities import name2codepoint
from typing import Any, Final
from xml.parsers import expat

from mappers.incoming.issue import Issue

__all__ = ["narrative_issues"]

_XHTML: Final = "http://www.w3.org/1999/xhtml"
_LONGEST: Final = 256 * 1024
_DEEPEST: Final = 64
_ELEMENTS: Final = """
a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img li ol p
pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var
"""
_ATTRIBUTES: Final = """
abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff charset class
colspan compact coords dir frame headers height hreflang hspace id lang name nowrap rel rev rowspan rules scope shape
span start summary tabindex title type valign value vspace width xml:lang
"""
_ALLOWED, _HARMLESS = frozenset(_ELEMENTS.split()), frozenset(_ATTRIBUTES.split())
_STYLE: Final = re.compile(r"[\w\s:;.,%#()\"'-]*", re.ASCII)
_BAD_STYLE: Final = re.compile(r"url|expression|import|behavior|binding|javascript|position|\\", re.I)
_IMAGE: Final = r"(data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=]*|[A-Za-z0-9._-]+)"  # in it, or a name beside it
_IN_PLACE: Final = re.compile(rf"url\(['\"]?{_IMAGE}['\"]?\)", re.ASCII)
_LINK: Final = re.compile(
    r"(https?://|mailto:|tel:|#)[!-~]*|[A-Za-z0-9._~/?-][!-9;-~]*", re.ASCII | re.I
)  # no other scheme
_PICTURE: Final = re.compile(rf"#[!-~]*|{_IMAGE}", re.ASCII)
_ENTITY: Final = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,10});")
_OF_XML: Final = frozenset({"lt", "gt", "amp", "quot", "apos"})


def narrative_issues(resource: Mapping[str, Any]) -> Iterator[Issue]:
    """Name the narratives in a resource, and in what it contains, that are not taken."""
    kind = str(resource.get("resourceType", ""))
    for at, part in [(kind, resource), *_contained(kind, resource)]:
        text = part.get("text")
        div = text.get("div") if isinstance(text, dict) else None
        if isinstance(div, str) and (problem := _problem(div)):
            yield Issue("invalid", f"{at}.text.div", problem)


def _contained(kind: str, resource: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    inside = resource.get("contained")
    if not isinstance(inside, list):
        return []
    return [(f"{kind}.contained[{at}]", each) for at, each in enumerate(inside) if isinstance(each, dict)]


class _NotTaken(Exception):
    """What is wrong, in a sentence."""


def _problem(div: str) -> str:
    if len(div) > _LONGEST:
        return "The narrative is longer than we take."
    try:
        _parse(div)
    except _NotTaken as error:
        return str(error)
    except expat.ExpatError:
        return "The narrative is no well-formed XHTML."
    return ""


def _parse(div: str) -> None:
    parser = expat.ParserCreate()
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        if depth == 0 and (name != "div" or attributes.get("xmlns") != _XHTML):
            raise _NotTaken("A narrative is a div of XHTML.")
        depth += 1
        if depth > _DEEPEST:
            raise _NotTaken("The narrative is nested too deeply.")
        if name not in _ALLOWED:
            raise _NotTaken("The narrative has an element that FHIR does not allow (txt-1).")
        for attribute, value in attributes.items():
            _attribute(name, attribute, value)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        raise _NotTaken("The narrative has a document type, entity or instruction.")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.ProcessingInstructionHandler = refuse
    parser.Parse(_ENTITY.sub(_spelled_out, div).encode("utf-8"), True)


def _spelled_out(entity: re.Match[str]) -> str:
    name = entity[1]
    return entity[0] if name in _OF_XML or name not in name2codepoint else f"&#{name2codepoint[name]};"


def _attribute(element: str, name: str, value: str) -> None:
    if name == "xmlns":
        allowed = value == _XHTML
    elif name == "style":
        plain = _IN_PLACE.sub("", value)
        allowed = bool(_STYLE.fullmatch(plain)) and not _BAD_STYLE.search(plain)
    elif name == "href":
        allowed = element == "a" and bool(_LINK.fullmatch(value))
    elif name == "src":
        allowed = element == "img" and bool(_PICTURE.fullmatch(value))
    else:
        allowed = name in _HARMLESS
    if not allowed:
        raise _NotTaken("The narrative has an attribute that FHIR does not allow, or that loads or runs something.")
