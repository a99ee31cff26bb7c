"""Is a text a unit of UCUM? Its grammar, and its plain names; see ucum.org, 2.1."""

from __future__ import annotations

import re

__all__ = ["is_ucum"]

# The grammar (section "syntax rules"): an exponent, an annotation, terms by . and /, and any of these in parentheses.
_ATOM = r"(?:10[*^](?:[+-]?\d+)?|\d+|(?:[A-Za-z_%'\"]|\[[A-Za-z0-9_'\"./^()]+\])+(?:[+-]?\d+)?)"
_TERM = rf"(?:{_ATOM}(?:\{{[^{{}}]*\}})?|\{{[^{{}}]*\}})"
_UNIT = re.compile(rf"/?{_TERM}(?:[./]{_TERM})*")
_INNER = re.compile(rf"(?<![^./(])\(({_UNIT.pattern})\)(?![^./)])")
_PARTS = re.compile(rf"\{{[^{{}}]*\}}|({_ATOM})")

# All names without brackets that UCUM has; metric ones take a prefix. Names in brackets are many and are not judged.
_METRIC = re.compile(
    "A|B|Bd|Bi|Bq|By|C|Cel|Ci|F|G|Gal|Gb|Gy|H|Hz|J|K|Ky|L|Lmb|Mx|N|Np|Oe|Ohm|P|Pa|R|RAD|REM|S|St|Sv|T|U|V|W|Wb|ar|bar"
    "|bit|cal|cal_IT|cal_m|cal_th|cd|dyn|eV|eq|erg|g|g%|gf|kat|l|lm|lx|m|mho|mol|osm|pc|ph|rad|s|sb|sr|st|t|tex|u"
)
_PLAIN = re.compile("%|'|''|AU|Ao|a|a_g|a_j|a_t|atm|att|b|bit_s|circ|d|deg|gon|h|min|mo|mo_g|mo_j|mo_s|sph|wk")
_PREFIX = "(?:Y|Z|E|P|T|G|M|k|h|da|d|c|m|u|n|p|f|a|z|y|Ki|Mi|Gi|Ti)"
_PREFIXED = re.compile(f"{_PREFIX}?(?:{_METRIC.pattern})")
# What may stand before a bracket: nothing or a prefix, a column of mercury or water (m[Hg]), a level (B[SPL]) ...
_BEFORE = re.compile(f"{_PREFIX}?(?:[mB]|cal_)?|%")


def is_ucum(unit: str) -> bool:
    """Say whether a text is a unit of UCUM: its grammar, with each name without brackets one that UCUM knows."""
    plain, found = unit, 1
    while found:
        plain, found = _INNER.subn("1", plain)
    return bool(_UNIT.fullmatch(plain)) and all(_known(part) for part in _PARTS.findall(unit) if part)


def _known(atom: str) -> bool:
    """Say whether a term without its annotation is a number or a name of UCUM, with a prefix or without."""
    if atom[0].isdigit():
        return True
    name = re.sub(r"[+-]?\d+$", "", atom)
    if "[" in name:
        return _BEFORE.fullmatch(name.partition("[")[0]) is not None
    return (_PREFIXED.fullmatch(name) or _PLAIN.fullmatch(name)) is not None
