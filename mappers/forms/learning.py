"""Learning a form from one resource: it is mapped as it is, and again with other times, id and patient.

What differs then shows which blank is told where. Where anything else differs than blanks, no form is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from mappers.codes import Codes
from mappers.facts import Fact, Link, Origin, Outcome, Quantity, Refusal
from mappers.forms.form import NONE, Part
from mappers.forms.meaning import NOWHERE, blanked
from mappers.forms.numbers import Paths, Slot, slots_of
from mappers.forms.watched import Unlinked, Watched
from mappers.references import subject_of
from mappers.resources import map_resource
from mappers.versions import FhirVersion
from mappers.when import When

__all__ = ["Lesson", "Times", "Untellable", "times_of"]

Times = Sequence[tuple[str, str, str]]
"""Where times stand (element, and "start" or "end" in a Period) and what is told there, in the order of blanks."""

_FIRST_YEAR: Final = 1912  # it and each fourth after it has a 29th of February, so that any day stays a day
_STEP: Final = 4
_OF_ORIGIN: Final = frozenset({"versionId", "lastUpdated", "source"})  # of meta; they are blanks
_NOT_HERE: Final = "unused-link"  # only who sees all resources can tell whether it is used
_UNREAD: Final = "unsupported-type"


class Untellable(Exception):
    """An outcome depends on a blank in another way than by repeating it; `by_number` where that is a number."""

    def __init__(self, *, by_number: bool = False) -> None:
        super().__init__()
        self.by_number = by_number


class Lesson:
    """One resource, mapped while it is watched: what became of it, and which elements were looked at for that."""

    def __init__(self, codes: Codes, version: FhirVersion, origin: Origin, resource: dict[str, object]) -> None:
        self.version, self.origin, self.resource = version, origin, resource
        self._codes = codes
        watched, linked = _watch(resource), Unlinked()
        self.outcomes = map_resource(watched, version, origin, linked, codes)
        self.subject = subject_of(watched) or ""
        self.seen = watched.seen | {"resourceType"}
        self._is_alone = not linked.was_asked and all(
            not isinstance(each, Refusal) or each.reason != _NOT_HERE for each in self.outcomes
        )
        meta = watched.get("meta")
        if isinstance(meta, Watched):
            self.seen.add("meta")
            self._is_alone = self._is_alone and meta.seen.isdisjoint(_OF_ORIGIN)

    @property
    def is_unread(self) -> bool:
        """Say whether nothing but its type counts."""
        return all(isinstance(each, Refusal) and each.reason == _UNREAD for each in self.outcomes)

    def slots(self, count: int) -> tuple[Slot, ...]:
        """List the numbers that are blanks. Raises `Untellable` where there are others."""
        slots = slots_of(self.resource, count, self._codes) if count else ()
        if slots is None:
            raise Untellable(by_number=True)
        return slots

    def parts(self, times: Times, subject: str, paths: Paths) -> list[Part]:
        """Find the blanks of each outcome. Raises `Untellable`."""
        if not self._is_alone:
            raise Untellable
        changed, others = _changed(self.resource, times, subject)
        linked, origin = Unlinked(), self.origin
        other_origin = Origin(origin.source, origin.type, "another", origin.version)
        other = map_resource(changed, self.version, other_origin, linked, self._codes)
        if linked.was_asked or len(other) != len(self.outcomes):
            raise Untellable
        return [_part(*pair, others, paths) for pair in zip(self.outcomes, other, strict=True)]


def times_of(resource: Mapping[str, object], times: Sequence[str], periods: Sequence[str]) -> Times:
    """List the times of a resource, as they stand in elements and in periods."""
    found = [(name, "", str(resource[name])) for name in times]
    for name in periods:
        period = resource[name]
        if isinstance(period, dict):
            found += [(name, bound, str(period[bound])) for bound in ("start", "end") if bound in period]
    return found


def _watch(resource: Mapping[str, object]) -> Watched:
    made = dict(resource)
    if isinstance(made.get("meta"), dict):
        made["meta"] = Watched(made["meta"])  # type: ignore[arg-type]  # it is a dict, see above
    return Watched(made)


def _changed(resource: Mapping[str, object], times: Times, subject: str) -> tuple[Watched, list[str]]:
    """Write a resource with other times, in the same order, and another id and patient; returns the times as well."""
    made = dict(resource)
    made["id"] = "another"
    whole = made.get(subject)
    if isinstance(whole, dict):
        made[subject] = {**whole, "reference": "Patient/another"}
    others = [""] * len(times)
    for rank, place in enumerate(sorted(range(len(times)), key=lambda place: (times[place][2], place))):
        name, bound, told = times[place]
        other = others[place] = f"{_FIRST_YEAR + _STEP * rank}{told[4:]}"
        period = made[name]
        made[name] = {**period, bound: other} if isinstance(period, dict) else other
    return _watch(made), others


def _part(outcome: Outcome, other: Outcome, others: Sequence[str], paths: Paths) -> Part:
    """Find the blanks of an outcome. What stands in them is left out: a form is no place for a patient's own words."""
    if outcome.origin.path != other.origin.path:
        raise Untellable
    blank, told = paths.get(outcome.origin.path, (NONE, ()))
    where = msgspec.structs.replace(NOWHERE, path=outcome.origin.path)
    if isinstance(outcome, Refusal) and isinstance(other, Refusal):
        if (outcome.reason, outcome.said, outcome.codes) == (other.reason, other.said, other.codes):
            return _refused(msgspec.structs.replace(outcome, origin=where), blank, told)
    elif isinstance(outcome, Fact) and isinstance(other, Fact):
        when, until = _time(outcome.when, other.when, others), _time(outcome.until, other.until, others)
        number, sent = _number(outcome, blank, told)
        value, original = outcome.value, outcome.original
        form = msgspec.structs.replace(
            outcome,
            origin=where,
            when=None,
            until=None,
            value=blanked(value) if number != NONE and isinstance(value, Quantity) else value,
            original=blanked(original) if sent != NONE and original else original,
        )
        return Part(form, when, until, number, sent)
    elif isinstance(outcome, Link) and isinstance(other, Link) and outcome.target == other.target:
        return Part(Link(where, outcome.target))
    raise Untellable


def _number(fact: Fact, blank: int, told: Sequence[str]) -> tuple[int, int]:
    """Say which blanks tell the number of a fact, and the number as it was sent."""
    if not told:
        return NONE, NONE
    if not isinstance(fact.value, Quantity) or str(fact.value.value) != told[0]:
        raise Untellable(by_number=True)
    sent = () if fact.original is None else (str(fact.original.value),)
    if sent != tuple(told[1:]):
        raise Untellable(by_number=True)
    return blank, blank + 1 if sent else NONE


def _refused(refusal: Refusal, blank: int, told: Sequence[str]) -> Part:
    """Find the number in what stood there."""
    words = refusal.said.split(" ")
    if not told or not any(told[0] in word for word in words):
        return Part(refusal)
    if words.count(told[0]) != 1 or sum(told[0] in word for word in words) != 1:
        raise Untellable
    place = words.index(told[0])
    before, after = " ".join([*words[:place], ""]), " ".join(["", *words[place + 1 :]])
    return Part(Refusal(refusal.reason, refusal.origin, before, refusal.codes), number=blank, after=after)


def _time(one: When | None, two: When | None, others: Sequence[str]) -> int:
    """Say which blank tells a time."""
    if one is None and two is None:
        return NONE
    if one is None or two is None or two.text not in others:
        raise Untellable
    return others.index(two.text)
