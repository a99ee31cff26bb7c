"""Names that may stand in an audit event: no white space, and nothing that a screen or a log file would obey or hide.

A name with a line break could forge a line of a log, one with a bidirectional override show another name, one with a
zero-width character be two names that look alike (CWE-117; Unicode UTS 39 section 3, UAX 31 default ignorables).
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["demand_plain", "is_plain", "plain_name", "visible"]

_LONGEST = 512
# What Unicode calls default ignorable beside its control and format characters (DerivedCoreProperties.txt).
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
# What a terminal obeys or hides: controls but tab and line feed, bidirectional and zero-width characters, tags.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def is_plain(text: str) -> bool:
    """Say whether it is a name: 1 to 512 visible characters without white space.

    `str.isprintable` knows controls, format characters (bidirectional, zero-width), surrogates and separators.
    """
    return (
        0 < len(text) <= _LONGEST
        and text.isprintable()
        and " " not in text
        and (text.isascii() or not _UNSEEN.search(text))
    )


def demand_plain(*texts: str) -> None:
    """Raise a `ValueError`, which does not quote them, where one of them is no name."""
    for text in texts:
        if not is_plain(text):
            raise ValueError("an audit event holds codes, names and references only")


@lru_cache(maxsize=1024)
def plain_name(text: str) -> str:
    """Write any name so that it may stand in an event: what is not plain in it is percent-encoded, as is the % itself.

    Two names stay two; only the end of one of more than 512 characters is lost. "" becomes "%".
    """
    written = "".join(
        char if is_plain(char) and char != "%" else "".join(f"%{b:02X}" for b in char.encode("utf-8", "surrogatepass"))
        for char in text
    )
    return written[:_LONGEST] or "%"


def visible(text: str) -> str:
    """Write a text so that a terminal shows what it holds and obeys none of it: an escape is told as \\x1b.

    Line feeds and tabs stay, as do the joiners that some scripts are written with.
    """
    return _OBEYED.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
