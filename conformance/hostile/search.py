"""A search: read the question, say which parts were understood, find the resources.

Source: FHIR R4 search.html; the parts used here read the same in DSTU2, STU3, R4B and R5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import parse_qsl, urlencode

from conformance.hostile.interval import PREFIXES, Interval, interval
from conformance.hostile.parameters import Parameter, parameters_of
from conformance.hostile.problem import Problem
from conformance.hostile.store import Held, Store
from conformance.hostile.terms import Term

__all__ = ["RESULT_PARAMETERS", "Query", "find", "only_match", "read_criteria", "read_query"]

# Parameters about the answer rather than about what is asked for.
RESULT_PARAMETERS = frozenset({"_count", "_sort", "_summary", "_total", "_format"})
_SORTS = frozenset({"_lastUpdated", "-_lastUpdated", "_id", "-_id"})
_UNESCAPED_COMMA = re.compile(r"(?<!\\),")
_UNESCAPED_BAR = re.compile(r"(?<!\\)\|")

Test = Callable[[Held], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """A question as this server understood it; `understood` is what the self link repeats, `ignored` what it drops."""

    type: str
    tests: tuple[Test, ...]
    understood: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...] = ()
    count: int | None = None
    sort: str = ""
    summary: str = ""
    total: str = ""

    def takes(self, held: Held) -> bool:
        """Say whether a resource matches."""
        return all(test(held) for test in self.tests)

    @property
    def self_link(self) -> str:
        """The query part of the self link: the filters that were applied, no others (search.html#conformance)."""
        return urlencode(self.understood)


def read_query(
    type_: str,
    pairs: Iterable[tuple[str, str]],
    *,
    unknown: Literal["refuse", "ignore"],
    without: frozenset[str] = frozenset(),
) -> Query:
    """Read a search; a parameter that this server does not know is refused (400) or ignored, as told."""
    known = parameters_of(type_)
    tests: list[Test] = []
    understood: list[tuple[str, str]] = []
    ignored: list[str] = []
    told: dict[str, str] = {}
    for name, value in pairs:
        if name in RESULT_PARAMETERS - without:
            told[name] = value
            understood.append((name, value))
        elif name in known and name not in without and value:
            tests.append(_test(known[name], value))
            understood.append((name, value))
        elif unknown == "refuse":
            raise Problem(400, "not-supported", f"{type_} has no search parameter {name!r} on this server.")
        else:
            ignored.append(name)
    return Query(
        type=type_,
        tests=tuple(tests),
        understood=tuple(understood),
        ignored=tuple(ignored),
        count=_count(told.get("_count")),
        sort=_one_of(told, "_sort", _SORTS),
        summary=_one_of(told, "_summary", {"count", "false"}),
        total=_one_of(told, "_total", {"none", "estimate", "accurate"}),
    )


def find(store: Store, query: Query, until: datetime | None = None) -> list[Held]:
    """Return what matches, in the order asked for, else in the order it was written; as it was at `until`, if told."""
    found = store.live(query.type, until)
    for test in query.tests:
        found = list(filter(test, found))
    if query.sort:
        by_id = query.sort.endswith("_id")
        found.sort(key=lambda held: held.id if by_id else held.when.isoformat(), reverse=query.sort.startswith("-"))
    return found


def read_criteria(criteria: str) -> list[tuple[str, str]]:
    """Read the condition of a write."""
    return parse_qsl(criteria.partition("?")[2] if "?" in criteria else criteria, keep_blank_values=True)


def only_match(
    store: Store,
    type_: str,
    pairs: Iterable[tuple[str, str]],
    *,
    without: frozenset[str] = frozenset(),
    until: datetime | None = None,
) -> Held | None:
    """Return the one resource that a conditional interaction names, `None` where there is none, 412 where several.

    Criteria are always read strictly: an ignored filter would match everything (http.html#ccreate).
    """
    query = read_query(type_, pairs, unknown="refuse", without=without)
    if not query.tests:
        raise Problem(412, "required", "A conditional interaction needs criteria.")
    found = find(store, query, until)
    if len(found) > 1:
        raise Problem(412, "conflict", f"The criteria match {len(found)} {type_} resources, not one.")
    return found[0] if found else None


def _test(parameter: Parameter, value: str) -> Test:
    wanted = [_matcher(parameter, alternative) for alternative in _UNESCAPED_COMMA.split(value)]
    name = parameter.name

    def test(held: Held) -> bool:
        # Plain loops: a conditional create walks all resources of its type, and generators make that twice as slow.
        for term in held.terms[name]:
            for matches in wanted:
                if matches(term):
                    return True
        return False

    return test


def _matcher(parameter: Parameter, value: str) -> Callable[[Term], bool]:
    if parameter.kind == "date":
        return _date_matcher(parameter.name, value)
    if parameter.kind == "token":
        return _token_matcher(value)
    if parameter.kind == "reference":
        head, _, id_ = value.rpartition("/")
        wanted = head or parameter.target
        return lambda term: term[1] == id_ and (not wanted or _same_type(str(term[0]), wanted))
    start = _plain(value).casefold()
    return lambda term: str(term[1]).startswith(start)


def _same_type(held: str, wanted: str) -> bool:
    # "Patient" names the local one; an absolute URL names one at another base.
    return held == wanted or ("/" in wanted and wanted.endswith(f"/{held}"))


def _token_matcher(value: str) -> Callable[[Term], bool]:
    parts = [_plain(part) for part in _UNESCAPED_BAR.split(value)]
    if len(parts) == 1:
        return lambda term: term[1] == parts[0]
    system, code = parts[0], "|".join(parts[1:])
    if not code:
        return lambda term: term[0] == system
    return lambda term: term == (system, code)


def _date_matcher(name: str, value: str) -> Callable[[Term], bool]:
    prefix, text = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
    try:
        compare, asked = PREFIXES[prefix], interval(text.replace(" ", "+"))
    except (KeyError, ValueError):
        raise Problem(400, "invalid", f"The value of {name} is not a date with a prefix known here.") from None
    return lambda term: isinstance(term, Interval) and compare(asked, term)


def _plain(text: str) -> str:
    return re.sub(r"\\([,|$\\])", r"\1", text)


def _count(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal():
        raise Problem(400, "invalid", "_count is a whole number.")
    return int(text)


def _one_of(told: dict[str, str], name: str, known: Iterable[str]) -> str:
    value = told.get(name, "")
    if value and value not in known:
        raise Problem(400, "not-supported", f"This server supports {name} only as {' or '.join(sorted(known))}.")
    return value
