"""One fact, all its sources: what several resources of one person tell alike, and which of them still holds.

A pure function of a person's facts, applied whenever they are read, never stored: so a past version, an unmerged person
and a corrected mapping give exactly what they would have given. The rules are in docs/quality.md, each with its reason.
Two facts that cannot be proven to be one stay two, and are marked as possible duplicates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any, Final

import msgspec

from mappers.evidence import inner_resource
from mappers.facts import Fact, Origin
from mappers.groups import Groups
from mappers.sameness import Subject, agree, is_instant, may_be_one_time, span_of, subject_of_fact
from mappers.settled import CORRECTED, OVERRULED, Copies, Overruled, Settled, Void

__all__ = ["OVERRULED", "Copies", "Overruled", "Settled", "Void", "settle"]

_RESULTS: Final = frozenset({"preliminary", "partial", "final", "amended", "corrected", "appended"})
_RANK: Final = {"corrected": 0, "amended": 1, "appended": 2, "final": 3, "partial": 4, "preliminary": 5}
_STATES: Final = frozenset({"demographic", "condition", "allergy", "coverage", "family-history", "genomic"})
_TIMELESS: Final = frozenset({"demographic", "allergy", "family-history", "genomic"})
_ONCE_A_DAY: Final = frozenset({"immunisation"})
_MOST: Final = 40  # of one time, that are compared with each other one by one


def settle(facts: Iterable[Fact], copies: Copies, voids: Sequence[Void] = ()) -> Settled:
    """Find what is told more than once, what was corrected and what was withdrawn; the order of the facts is kept.

    `voids` are the resources that were entered in error. The result does not depend on the order but for its own order.
    """
    found = _Settling(list(facts), copies).run(voids)
    return msgspec.structs.replace(found, voids=tuple(voids)) if voids else found


class _Settling:
    def __init__(self, facts: list[Fact], copies: Copies) -> None:
        self._facts = facts
        self._copies = copies
        self._joined = Groups()
        self._strong = Groups()
        self._maybe = Groups()
        self._corrected: dict[int, int] = {}  # which is overruled by which
        self._at: dict[Subject, list[int]] = defaultdict(list)
        for index, fact in enumerate(facts):
            self._at[subject_of_fact(fact)].append(index)

    def run(self, voids: Sequence[Void]) -> Settled:
        for found in self._at.values():
            if len(found) > 1:
                for one, other in self._near(found):
                    self._compare(one, other)
        clusters = self._clusters()
        withdrawn, doubted = self._withdrawn(voids, clusters) if voids else ({}, set())
        return self._settled(clusters, withdrawn, doubted)

    def _near(self, found: Sequence[int]) -> Iterator[tuple[int, int]]:
        """List the pairs that may be one by their times: of one instant, or of one day where one is only a date."""
        facts = self._facts
        instants: dict[Any, list[int]] = defaultdict(list)
        days: dict[str, list[int]] = defaultdict(list)
        for index in found:
            when = facts[index].when
            if is_instant(when) and when is not None:
                instants[when.earliest].append(index)
            else:
                days[when.text[:10] if when else ""].append(index)
        for same in instants.values():
            if len(same) > 1:
                yield from self._pairs(same)
        for same in days.values():
            if len(same) > 1:
                yield from self._pairs(same)
        if days and instants:
            for same in instants.values():
                for index in same:
                    when = facts[index].when
                    for other in days.get(when.text[:10], ())[:_MOST] if when else ():
                        yield min(index, other), max(index, other)

    def _pairs(self, same: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Pair each with each; where there are many, as of a sensor without times, those of one value in a chain."""
        if len(same) <= _MOST:
            yield from combinations(same, 2)
            return
        equal: dict[str, list[int]] = defaultdict(list)
        for index in same:
            equal[repr(self._facts[index].value)].append(index)
        for chain in equal.values():
            yield from pairwise(chain)

    def _compare(self, i: int, j: int) -> None:
        one, other = self._facts[i], self._facts[j]
        a, b = one.origin, other.origin
        if a.source == b.source and a.resource == b.resource and inner_resource(a.path) == inner_resource(b.path):
            return
        if not may_be_one_time(one.when, other.when):
            return
        results = one.status in _RESULTS and other.status in _RESULTS
        if not agree(one, other):
            if results and (one.status in CORRECTED) != (other.status in CORRECTED):
                newer, older = (i, j) if one.status in CORRECTED else (j, i)
                if self._is_corrected(self._facts[newer], self._facts[older]):
                    known = self._corrected.get(older, newer)
                    self._corrected[older] = min(newer, known, key=lambda each: _place(self._facts[each].origin))
            return
        if (one.status != other.status and not results) or self._copies.of(a).contradicts(self._copies.of(b)):
            return
        if self._is_told_as_one(one, other):
            self._strong.join(i, j)
            self._joined.join(i, j)
        elif a.source != b.source and _is_one_event(one, other):
            self._joined.join(i, j)
        else:
            self._maybe.join(i, j)

    def _is_told_as_one(self, one: Fact, other: Fact) -> bool:
        """Say whether two facts that agree are one whatever else there is: see "One fact" in docs/quality.md."""
        a, b = one.origin, other.origin
        at_once = is_instant(one.when) and is_instant(other.when)
        if one.kind == "family-history" and a.source == b.source:
            return False  # a patient may have two brothers with one disease
        if one.kind in _STATES and span_of(one.when) == span_of(other.when):
            return one.when is not None or one.kind in _TIMELESS
        if one.kind == "measurement" and at_once:  # a body has one value at a time; two panels may list it
            return True
        if self._copies.of(a).identifiers & self._copies.of(b).identifiers or self._copies.is_linked(a, b):
            return True
        return a.source == b.source and at_once and _is_part(a) != _is_part(b)  # a document and what it repeats

    def _is_corrected(self, newer: Fact, older: Fact) -> bool:
        """Say whether one result is the correction of another that says something else."""
        a, b = newer.origin, older.origin
        mine, theirs = self._copies.of(a), self._copies.of(b)
        if newer.code != older.code and (newer.code.system, newer.code.code) != (older.code.system, older.code.code):
            return False
        if mine.contradicts(theirs):
            return False
        if mine.identifiers & theirs.identifiers or self._copies.is_linked(a, b):
            return True
        return a.source != b.source and is_instant(newer.when) and is_instant(older.when)

    def _clusters(self) -> dict[int, list[int]]:
        """Gather what was joined. Agreement by rounding is no chain: a group whose ends disagree is not joined."""
        clusters: dict[int, list[int]] = {}
        for joined in self._joined.groups():
            for members in self._told_by(joined):
                first = [self._facts[index] for index in members[:_MOST]]
                if len(members) > 2 and not all(agree(x, y) for x, y in combinations(first, 2)):
                    for index in members[1:]:
                        self._maybe.join(members[0], index)
                    continue
                if len(members) > 1:
                    clusters.update(dict.fromkeys(members, members))
        return clusters

    def _told_by(self, joined: list[int]) -> list[list[int]]:
        """Split what several sources tell of one instant: who tells it twice may mean two, such as two tablets.

        Then the first that one source tells goes with the first of the others, the second with the second.
        """
        if len({self._facts[index].origin.source for index in joined}) == len(joined):
            return [joined]
        found: list[tuple[set[str], list[int]]] = []
        for part in self._strong.parts(sorted(joined, key=lambda index: _place(self._facts[index].origin))):
            sources = {self._facts[index].origin.source for index in part}
            fitting = next((each for each in found if not each[0] & sources), None)
            if fitting is None:
                found.append((sources, part))
            else:
                fitting[0].update(sources)
                fitting[1].extend(part)
        return [sorted(members) for _, members in found]

    def _withdrawn(
        self, voids: Sequence[Void], clusters: Mapping[int, list[int]]
    ) -> tuple[dict[int, Origin], set[int]]:
        """Find the copies of what was entered in error: those that fall with it, and those that are only in doubt."""
        withdrawn: dict[int, Origin] = {}
        doubted: set[int] = set()
        for void in sorted(voids, key=lambda each: _place(each.origin), reverse=True):  # the first one rules
            for index, is_proven in self._copies_of(void):
                members = clusters.get(index, [index])
                stands = any(self._facts[each].origin.source == void.origin.source for each in members)
                if stands or not is_proven:  # who marked one and left another has looked at it, or nothing is proven
                    doubted.update(members)
                else:
                    withdrawn.update(dict.fromkeys(members, void.origin))
        return withdrawn, doubted - withdrawn.keys()

    def _copies_of(self, void: Void) -> Iterator[tuple[int, bool]]:
        mine = self._copies.of(void.origin)
        if not void.facts and mine.identifiers:
            for index, fact in enumerate(self._facts):
                theirs = self._copies.of(fact.origin) if fact.origin.source != void.origin.source else None
                if theirs and theirs.identifiers & mine.identifiers and _pairs_of(fact) & void.codes:
                    yield index, True
        for wrong in void.facts:
            for index in self._at.get(subject_of_fact(wrong), ()):
                fact = self._facts[index]
                if fact.origin.source == void.origin.source or not may_be_one_time(wrong.when, fact.when):
                    continue
                evidence = self._copies.of(fact.origin)
                if not agree(wrong, fact) or evidence.contradicts(self._copies.of(wrong.origin)):
                    continue
                shared = bool(evidence.identifiers & self._copies.of(wrong.origin).identifiers)
                yield index, shared or (is_instant(wrong.when) and is_instant(fact.when))

    def _settled(
        self, clusters: Mapping[int, list[int]], withdrawn: Mapping[int, Origin], doubted: set[int]
    ) -> Settled:
        facts = self._facts
        if not (clusters or withdrawn or doubted or self._corrected or self._maybe):
            return Settled(tuple(facts))
        told: list[Fact] = []
        overruled: list[Overruled] = []
        speaking: dict[int, Origin] = {}
        possible = [group for each in self._maybe.groups() if len(group := self._heads(each, clusters)) > 1]
        unsure = {index for group in possible for index in group}
        overruling = set(self._corrected.values())
        marks = [("possible-duplicate", unsure), ("error-elsewhere", doubted), ("uncorrected-elsewhere", overruling)]
        for index, fact in enumerate(facts):
            members = clusters.get(index, [index])
            if members[0] != index:
                continue
            one = self._merged(members) if len(members) > 1 else fact
            if one is not fact:
                speaking[index] = one.origin
            newer = [self._corrected[each] for each in members if each in self._corrected]
            corrected = min(newer, key=lambda each: _place(facts[each].origin), default=None)
            if index in withdrawn:
                overruled.append(Overruled(one, "withdrawn", withdrawn[index]))
            elif corrected is not None and not any(facts[each].status in CORRECTED for each in members):
                overruled.append(Overruled(one, "corrected-elsewhere", facts[corrected].origin))
            else:
                flags = [flag for flag, marked in marks if not marked.isdisjoint(members)]
                told.append(_flagged(one, flags) if flags else one)
        origins = [tuple(sorted((speaking.get(i, facts[i].origin) for i in group), key=_place)) for group in possible]
        return Settled(tuple(told), tuple(overruled), tuple(sorted(origins, key=lambda group: [*map(_place, group)])))

    def _heads(self, group: Sequence[int], clusters: Mapping[int, list[int]]) -> list[int]:
        return sorted({clusters.get(index, [index])[0] for index in group})

    def _merged(self, members: Sequence[int]) -> Fact:
        """Choose who speaks for all: who corrected it, then who told it in our unit and with most digits."""
        mine = [self._facts[index] for index in members]
        head = min(mine, key=_standing)
        others = [fact.origin for fact in mine if fact is not head]
        if len(others) > 1:
            others.sort(key=_place)
        flags = tuple(sorted({flag for fact in mine for flag in fact.flags}))
        return msgspec.structs.replace(head, also=tuple(others), flags=flags)


def _is_one_event(one: Fact, other: Fact) -> bool:
    """Say whether two sources that agree can only mean one event: an instant, or the one dose of a vaccine in a day."""
    return one.kind in _ONCE_A_DAY or (is_instant(one.when) and is_instant(other.when))


def _is_part(origin: Origin) -> bool:
    return bool(origin.path)


def _pairs_of(fact: Fact) -> set[tuple[str, str]]:
    return {(coding.system, coding.code) for coding in (fact.code, *fact.said)}


def _flagged(fact: Fact, flags: Sequence[str]) -> Fact:
    return msgspec.structs.replace(fact, flags=tuple(sorted({*fact.flags, *flags})))


def _standing(fact: Fact) -> tuple[Any, ...]:
    digits = getattr(fact.value, "value", None)
    told = len(digits.as_tuple().digits) if digits is not None else 0
    return _RANK.get(fact.status, 9), fact.original is not None, -told, _is_part(fact.origin), _place(fact.origin)


def _place(origin: Origin) -> tuple[str, str, str]:
    return origin.source, origin.resource, origin.path
