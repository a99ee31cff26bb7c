"""Whether a narrative is the XHTML that FHIR allows (FHIR R4, narrative.html#security; txt-1, txt-2)."""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

__all__ = ["is_safe"]

_TAGS: Final = frozenset({
    *("div", "p", "br", "b", "i", "em", "strong", "u", "small", "big", "sub", "sup", "tt", "code", "pre", "samp"),
    *("kbd", "var", "dfn", "abbr", "acronym", "cite", "q", "blockquote", "span", "h1", "h2", "h3", "h4", "h5", "h6"),
    *("ul", "ol", "li", "dl", "dt", "dd", "table", "caption", "colgroup", "col", "thead", "tfoot", "tbody", "tr", "th"),
    *("td", "hr", "address"),
})  # fmt: skip
_ATTRIBUTES: Final = frozenset(
    {"class", "title", "lang", "xml:lang", "dir", "align", "valign", "border", "cellpadding", "cellspacing", "span"}
)
_XHTML: Final = "http://www.w3.org/1999/xhtml"
_LARGEST: Final = 256 * 1024


def is_safe(div: str) -> bool:
    """Say whether a div is well formed, allowed and not empty. It has no links and no images: they lead elsewhere."""
    if len(div) > _LARGEST or "<!" in div or "<?" in div:
        return False  # no entities, comments or instructions: they are allowed in part, and nobody needs them
    found = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = found.begin, found.end
    parser.CharacterDataHandler = found.write
    try:
        parser.Parse(div, True)
    except expat.ExpatError:
        return False
    return found.fine and found.said


class _Reader:
    def __init__(self) -> None:
        self.fine, self.said, self._depth = True, False, 0

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        if self._depth == 0:
            self.fine = tag == "div" and attributes.pop("xmlns", "") == _XHTML
        self._depth += 1
        self.fine = self.fine and tag in _TAGS and attributes.keys() <= _ATTRIBUTES

    def end(self, tag: str) -> None:
        self._depth -= 1

    def write(self, text: str) -> None:
        self.said = self.said or not text.isspace()
