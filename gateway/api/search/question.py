"""What a search asks: its criteria, and how the result is to be shown (FHIR R4, 3.1.1.4 and 3.1.1.5).

A parameter that we do not know is refused, or left out where the caller asks for `Prefer: handling=lenient`; `told` is
what was used, for the self link. A modifier or a value that we do not understand is refused either way: to leave it out
would answer another question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway.api.call import Pairs
from gateway.api.refusal import Refusal
from mappers.search import SEARCHED, Parameter, Unsearchable, find_parameter, parameters

__all__ = ["DEFAULT_COUNT", "LARGEST_COUNT", "PAGE", "Including", "Question", "SortKey", "read_question", "refusal_of"]

DEFAULT_COUNT: Final = 50
LARGEST_COUNT: Final = 1000
PAGE: Final = "_page"

_MOST: Final = 64  # parameters of a search
_MOST_SORTED: Final = 5
_MOST_INCLUDING: Final = 32
_MOST_LINKS: Final = 4
_CONTROLS: Final = frozenset({"_count", "_sort", "_summary", "_elements", "_total"})
_INCLUDING: Final = frozenset({"_include", "_include:iterate", "_revinclude", "_revinclude:iterate"})
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}", re.ASCII)
_ELEMENT: Final = re.compile(r"(?:[A-Z][A-Za-z]+\.)?([a-z][A-Za-z]{0,63})", re.ASCII)
_SUMMARIES: Final = ("true", "text", "data", "count", "false")
_TOTALS: Final = ("none", "estimate", "accurate")

SummaryWord = Literal["", "true", "text", "data", "count"]


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of an order."""

    parameter: Parameter
    descending: bool


@dataclass(frozen=True, slots=True)
class Including:
    """What goes along with the matches: what a parameter of `type` refers to, or (`reverse`) who refers by it."""

    type: str
    parameters: tuple[Parameter, ...]
    target: str
    reverse: bool
    again: bool


@dataclass(frozen=True, slots=True)
class Question:
    """A search of one type, understood. `criteria` are names (with modifiers and chains) and values, as told."""

    type: str
    criteria: tuple[tuple[str, str], ...] = ()
    count: int = DEFAULT_COUNT
    sort: tuple[SortKey, ...] = ()
    including: tuple[Including, ...] = ()
    summary: SummaryWord = ""
    elements: tuple[str, ...] = ()
    total: str = ""
    told: tuple[tuple[str, str], ...] = ()


def refusal_of(error: Unsearchable, name: str) -> Refusal:
    """Tell what cannot be searched, with the name of the parameter and never its value."""
    code = {"unknown": "not-supported", "modifier": "not-supported", "too-costly": "too-costly"}.get(
        error.reason, "invalid"
    )
    said = f"{name}: {error}" if _NAME.fullmatch(name) else str(error)
    return Refusal(400, code, said)


def read_question(type_: str, pairs: Pairs, *, lenient: bool) -> Question:
    """Understand the parameters of a search. Raises a `Refusal`."""
    if len(pairs) > _MOST:
        raise Refusal(400, "too-costly", f"A search has {_MOST} parameters at most.")
    criteria: list[tuple[str, str]] = []
    told: list[tuple[str, str]] = []
    controls: dict[str, str] = {}
    including: list[Including] = []
    for name, value in pairs:
        try:
            if name in _CONTROLS:
                if name in controls:
                    raise Unsearchable("value", "This stands in a search once.")
                controls[name] = value
            elif name in _INCLUDING:
                including.append(_including(type_, name, value))
            elif not _is_known(type_, name):
                raise Unsearchable("unknown", "There is no such search parameter here; see /metadata.")
            elif not value and lenient:
                continue
            else:
                criteria.append((name, value))
        except Unsearchable as error:
            if lenient and error.reason == "unknown":
                continue
            raise refusal_of(error, name) from error
        told.append((name, value))
    if len(including) > _MOST_INCLUDING:
        raise Refusal(400, "too-costly", f"A search includes by {_MOST_INCLUDING} parameters at most.")
    return _with(type_, tuple(criteria), controls, tuple(including), told, lenient)


def _with(
    type_: str,
    criteria: tuple[tuple[str, str], ...],
    controls: dict[str, str],
    including: tuple[Including, ...],
    told: list[tuple[str, str]],
    lenient: bool,
) -> Question:
    count = _count(controls["_count"]) if "_count" in controls else DEFAULT_COUNT
    summary = _one_of("_summary", controls.get("_summary", "false"), _SUMMARIES)
    sort: list[SortKey] = []
    try:
        sort = _sort(type_, controls["_sort"]) if "_sort" in controls else []
    except Unsearchable as error:
        if not (lenient and error.reason == "unknown"):
            raise refusal_of(error, "_sort") from error
        told = [pair for pair in told if pair[0] != "_sort"]
    elements = _elements(controls["_elements"]) if "_elements" in controls else ()
    if elements and summary != "false":
        raise Refusal(400, "invalid", "A search has _elements or _summary, not both.")
    if including and summary == "text":
        raise Refusal(400, "invalid", "With _summary=text nothing is included (FHIR R4, 3.1.1.5.8).")
    word: SummaryWord = "count" if count == 0 else "" if summary == "false" else summary  # type: ignore[assignment]  # one of
    total = _one_of("_total", controls.get("_total", "none"), _TOTALS) if "_total" in controls else ""
    return Question(type_, criteria, count, tuple(sort), including, word, elements, total, tuple(told))


def _is_known(type_: str, name: str) -> bool:
    """Say whether there is such a parameter, and at the end of a chain one; too long a chain is refused later."""
    if name.count(".") + name.count("_has:") > _MOST_LINKS:
        return True
    if name.startswith("_has:"):
        source, _, rest = name.removeprefix("_has:").partition(":")
        by, _, rest = rest.partition(":")
        return find_parameter(source, by) is not None and _is_known(source, rest)
    head, chained, rest = name.partition(".")
    name, _, modifier = head.partition(":")
    parameter = find_parameter(type_, name)
    if parameter is None or not chained:
        return parameter is not None
    targets = (modifier,) if modifier else parameter.targets
    return targets == ("*",) or any(_is_known(target, rest) for target in targets)


def _count(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= 9):
        raise Refusal(400, "invalid", "_count: this is a number.")
    return min(int(value), LARGEST_COUNT)


def _one_of(name: str, value: str, words: Sequence[str]) -> str:
    if value not in words:
        raise Refusal(400, "invalid", f"{name}: this is one of {', '.join(words)}.")
    return value


def _sort(type_: str, value: str) -> list[SortKey]:
    keys = value.split(",")
    if len(keys) > _MOST_SORTED:
        raise Unsearchable("too-costly", f"A search is sorted by {_MOST_SORTED} keys at most.")
    made = []
    for key in keys:
        parameter = find_parameter(type_, key.removeprefix("-"))
        if parameter is None or parameter.type == "composite":
            raise Unsearchable("unknown", "There is a key by which this type is not sorted; see /metadata.")
        made.append(SortKey(parameter, key.startswith("-")))
    return made


def _elements(value: str) -> tuple[str, ...]:
    found = [_ELEMENT.fullmatch(each) for each in value.split(",")]
    if len(found) > _MOST or not all(found):
        raise Refusal(400, "invalid", "_elements: these are names of elements, with commas between.")
    return tuple(each[1] for each in found if each)


def _including(type_: str, name: str, value: str) -> Including:
    reverse, again = name.startswith("_revinclude"), name.endswith(":iterate")
    if value == "*":
        if reverse:
            raise Unsearchable("unknown", "What refers to the matches is asked for by Type:parameter.")
        return Including(type_, _references(type_), "", reverse, again)
    source, _, rest = value.partition(":")
    by, _, target = rest.partition(":")
    if source not in SEARCHED or (target and target not in SEARCHED):
        raise Unsearchable("unknown", "An include is told as Type:parameter or Type:parameter:Type; see /metadata.")
    if not (reverse or again or source == type_):
        raise Unsearchable("value", "What is included is told by a parameter of the type that is searched.")
    if by == "*" and not reverse:
        return Including(source, _references(source), target, reverse, again)
    parameter = find_parameter(source, by)
    if parameter is None or parameter.type != "reference":
        raise Unsearchable("unknown", "There is no such reference of this type; see /metadata.")
    if target and parameter.targets != ("*",) and target not in parameter.targets:
        raise Unsearchable("value", "This parameter does not refer to that type.")
    return Including(source, (parameter,), target, reverse, again)


def _references(type_: str) -> tuple[Parameter, ...]:
    return tuple(each for each in parameters(type_).values() if each.type == "reference")
