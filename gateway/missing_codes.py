"""Codes that no table has: each once, with how often it came, from where, and a table to fill in.

They are read from sealed refusals, so that no list of them has to be kept in plain text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import tomlkit

from gateway.home import Home
from gateway.store import StoredResource
from mappers import Unreadable, as_fhir_version, map_resource, read_json
from mappers.codes import Codes
from mappers.facts import Coding, Origin, Refusal
from mappers.systems import is_standard

__all__ = ["Missing", "fill_in", "find_missing", "find_unnamed"]

_REASONS = frozenset({"unknown-code", "narrower-code", "unmatched-code"})
_NAMELESS = frozenset({"encounter"})  # its name is that of its class


@dataclass
class Missing:
    """One code that was refused for want of a row.

    `count` is how many statements were refused, `sources` from where, `display` what the sources call the code, most
    often; `standard` is true of a code that others understand, too, but for which our tables have no measurement.
    """

    code: Coding
    count: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    displays: Counter[str] = field(default_factory=Counter)

    @property
    def display(self) -> str:
        """What the sources call it, most often."""
        return next((text for text, _ in self.displays.most_common(1)), "")

    @property
    def standard(self) -> bool:
        """Say whether it means something outside the EHR that sent it."""
        return is_standard(self.code)

    def as_json(self) -> dict[str, object]:
        """Write it with the keys that scripts rely on."""
        return {
            "system": self.code.system,
            "code": self.code.code,
            "display": self.display,
            "count": self.count,
            "sources": dict(sorted(self.sources.items())),
            "types": dict(sorted(self.types.items())),
            "standard": self.standard,
        }


def find_missing(home: Home, source: str | None = None) -> list[Missing]:
    """Find the codes that no table has, most frequent first. Every twin with refusals is opened: record the access.

    A code without a system is one of its source only, and stands in the list once for each.
    """
    codes = home.codes.current()
    found: dict[tuple[str, str, str], Missing] = {}
    for refusal in _refusals(home, codes, source):
        origin = refusal.origin
        for coding in dict.fromkeys(refusal.codes):
            if codes.translations.find(origin.source, coding):
                continue
            key = coding.system, coding.code, "" if coding.system else origin.source
            _count(found.setdefault(key, Missing(Coding(coding.system, coding.code))), origin, coding.display)
    return _sorted(found.values())


def find_unnamed(home: Home, source: str | None = None) -> list[Missing]:
    """Find the codes of facts for which our tables have no name, so that no model finds them; most frequent first.

    A row that says a wider code of which there is a name (the ingredient of a tablet) gives them one. Every twin is
    opened: record the access.
    """
    codes = home.codes.current()
    found: dict[Coding, Missing] = {}
    for summary in home.store.twins():
        if source in (None, *summary.sources):
            for resource in home.store.twin_record(summary.id).resources:
                for fact in resource.facts if source in (None, resource.source) else ():
                    if fact.name or fact.kind in _NAMELESS or codes.translations.find(resource.source, fact.code):
                        continue
                    plain = Coding(fact.code.system, fact.code.code)
                    _count(found.setdefault(plain, Missing(plain)), fact.origin, fact.code.display)
    return _sorted(found.values())


def _count(one: Missing, origin: Origin, display: str) -> None:
    one.count += 1
    one.sources[origin.source] += 1
    one.types[origin.type] += 1
    if display:
        one.displays[_line(display)] += 1


def _sorted(found: Iterable[Missing]) -> list[Missing]:
    return sorted(found, key=lambda one: (-one.count, one.code.system, one.code.code))


def _refusals(home: Home, codes: Codes, source: str | None) -> Iterable[Refusal]:
    for listed in home.store.refused_resources(source):
        for refusal in listed.refusals:
            if refusal.reason not in _REASONS:
                continue
            if refusal.codes:
                yield refusal
            else:
                yield from _again(listed, refusal, codes)


def _again(stored: StoredResource, refusal: Refusal, codes: Codes) -> Iterable[Refusal]:
    """Read from the bytes which codes an earlier version of the rules refused."""
    version = as_fhir_version(stored.fhir_version)
    try:
        outcomes = map_resource(read_json(stored.raw), version, refusal.origin, {}, codes) if version else []
    except Unreadable:
        return
    for outcome in outcomes:
        if isinstance(outcome, Refusal) and outcome.codes and outcome.origin.path == refusal.origin.path:
            yield outcome


def _line(text: str) -> str:
    """Write a display in one line that a terminal and a file of TOML take."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:120]


def fill_in(missing: Iterable[Missing], source: str | None) -> str:
    """Write a table to fill in, as TOML: one row a code, with what the sources call it and how often it came.

    A row without `to` and `is` changes nothing, so that the table can be put in at once and filled in later.
    """
    document = tomlkit.document()
    for line in (
        "Codes that no table has, most frequent first. Say in `to` the standard code, in `is` how it relates to ours:",
        'equal, wider (more general), narrower (more special); or is = "unmatched" where there is none. Say in `cite`',
        "who says so. Save it in the folder codes of the home folder, then: twin codes check, twin codes replay.",
    ):
        document.add(tomlkit.comment(line))
    document.add("title", tomlkit.item(""))
    document.add("source", tomlkit.item(source or ""))
    document.add("cite", tomlkit.item(""))
    rows = tomlkit.aot()
    for one in missing:
        if not one.code.system and source is None:
            continue
        row = tomlkit.table()
        row.add("from", f"{one.code.system}|{one.code.code}")
        row["from"].comment(f"{one.count:,} times: {one.display or 'without a name'}")
        row.add("to", "")
        row.add("is", "")
        rows.append(row)
    document.add("code", rows)
    return tomlkit.dumps(document)
