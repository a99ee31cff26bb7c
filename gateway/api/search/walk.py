"""The walk over twins that finds one page: only over those that a search can be about, and only over what may be seen.

A search that names a patient, or whose caller has one, opens that twin only. One over many patients walks them in the
order of their ids and opens so many for a page and no more: such a page may be short, and has a link to go on.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import Final

import msgspec

from gateway.api.refusal import Refusal
from gateway.api.search.linked import Linked, Tests
from gateway.api.search.order import BEGINNING, Orderer, newest
from gateway.api.search.question import Question
from gateway.api.shown import Shown
from gateway.api.view import View
from mappers.search import SortValue, Test, find_parameter, local
from mappers.shown import SHARED
from security.compartment import in_compartment
from security.policy import Resource

__all__ = ["Found", "Position", "Walk"]

PATIENCE: Final = 200
"""How many twins are opened for one page of a search over many patients, at most."""
BEHIND: Final = 20
"""How many more are opened for that page where one of the likely twins was found."""
WHOLE: Final = 2_000
"""How many are opened for what needs them all: a count, a total, an order."""

_updated = attrgetter("updated")
_id = attrgetter("id")
_BY_PATIENT: Final = frozenset({"patient", "subject", "beneficiary"})


_NOBODYS: Final = SHARED | {"Group"}
"""Types of which there is something that belongs to no twin."""


def _age(shown: Shown) -> float:
    return -shown.updated.timestamp()


def _is_in(compartment: str, resource: Resource) -> bool:
    return in_compartment(resource, compartment)


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a search goes on: behind the match `id` (a reference) of a twin, in the order of when it `began` there.

    `ahead` are the twins that were looked into before all the others.
    """

    twin: str
    began: datetime = BEGINNING
    values: tuple[SortValue, ...] = ()
    updated: datetime = BEGINNING
    id: str = ""
    ahead: tuple[str, ...] = ()


@dataclass(slots=True)
class Found:
    """One page: the matches, where it goes on, and how many there are where that is known."""

    matches: list[Shown] = field(default_factory=list)
    next: Position | None = None
    total: int | None = None


class Walk:
    """Finds the matches of one question.

    `compartment` is the Patient ("Patient/7") whose compartment is searched, where one is, and `twin` whose it is.
    `likely` are twins to look into first (`gateway.api.search.likely`).
    """

    def __init__(
        self,
        view: View,
        question: Question,
        base: str,
        now: datetime,
        compartment: str = "",
        twin: str = "",
        likely: tuple[str, ...] = (),
    ) -> None:
        self._likely = likely
        self._view, self._question, self._base = view, question, base
        self._compartment, self._twin = compartment, twin
        linked = Linked(view, base, now)
        self._plain: list[Test] = [partial(_is_in, compartment)] if compartment else []
        self._linked: list[Tests] = []
        for told, value in question.criteria:
            test = linked.plain(question.type, told, value)
            if test is not None:
                self._plain.append(test)
            else:
                self._linked.append(linked.test(question.type, told, value))
        self._named = self._twins_named()
        self._order = Orderer(view, question.sort)
        self._known: dict[str, Sequence[Shown]] = {}

    @property
    def is_narrow(self) -> bool:
        """Say whether at most a handful of twins is opened."""
        return self._named is not None or self._view.is_of_one()

    @property
    def one(self) -> str:
        """Return the one twin that is asked about; "" where that is none, or not one."""
        named = self._named if self._named is not None else [*self._view.twins()] if self._view.is_of_one() else []
        return named[0] if len(named) == 1 else ""

    def count(self) -> int:
        """Count all matches."""
        return sum(len(self._matches(twin)) for twin in self._all())

    def page(self, position: Position | None) -> Found:
        """Find a page, from a position on."""
        if self._question.sort:
            return self._sorted_page(position)
        if self.is_narrow:
            found = self._page(position, self._from(position), patience=WHOLE)
            if self._question.total != "none":
                found.total = self.count()
            return found
        found = self._page(position, self._from(position), patience=PATIENCE)
        if self._question.total == "accurate":
            found.total = self.count()
        elif position is None and found.next is None and self._question.total != "none":
            found.total = len(found.matches)
        return found

    def _page(self, position: Position | None, twins: Iterator[str], patience: int) -> Found:
        """Walk twin by twin: in each the newest first, and behind the last one the next."""
        found, wanted = Found(), self._question.count
        ahead = position.ahead if position else self._likely
        for opened, twin in enumerate(twins):
            if opened >= (len(ahead) + BEHIND if ahead and found.matches else patience):
                found.next = Position(twin, ahead=ahead)
                return found
            matches, room = self._matches(twin), wanted - len(found.matches)
            here = position if position is not None and position.twin == twin and position.id else None
            if here is None and len(matches) <= room:
                found.matches += matches
                continue
            began = here.began if here else self._newest(twin)
            given = self._given(matches, here, room + 1)
            found.matches += [shown for shown, _ in given[:room]]
            if len(given) > room:
                shown, updated = given[room - 1] if room else (None, BEGINNING)
                behind = shown.reference if shown else ""
                found.next = Position(twin, began if shown else BEGINNING, (), updated, behind, ahead)
                return found
        return found

    def _given(self, matches: Sequence[Shown], here: Position | None, wanted: int) -> Sequence[tuple[Shown, datetime]]:
        """Return so many matches of a twin from a position on, each with when it was last changed "then"."""
        if here is not None and matches and matches[0].updated > here.began:  # something was written since
            ordered = self._order.then(matches, here.began)
            start = self._order.behind(ordered, (), here.updated, here.id)
            return [(each.shown, each.updated) for each in ordered[start : start + wanted]]
        start = bisect_left(matches, -here.updated.timestamp(), key=_age) if here else 0
        given: list[Shown] = []
        for updated, together in groupby(islice(matches, start, None), key=_updated):
            if len(given) >= wanted:
                break
            of_one_time = sorted(together, key=_id)
            if here and updated == here.updated:
                of_one_time = [shown for shown in of_one_time if shown.reference > here.id]
            given += of_one_time
        return [(shown, shown.updated) for shown in given[:wanted]]

    def _newest(self, twin: str) -> datetime:
        seen = self._seen(twin)
        return seen[0].updated if seen else BEGINNING

    def _sorted_page(self, position: Position | None) -> Found:
        twins = [*self._all()]
        matches = [shown for twin in twins for shown in self._matches(twin)]
        began = position.began if position else newest(shown for twin in twins for shown in self._seen(twin))
        ordered = self._order.then(matches, began) if position else self._order.first(matches)
        start = self._order.behind(ordered, position.values, position.updated, position.id) if position else 0
        given = ordered[start : start + self._question.count]
        found = Found([each.shown for each in given])
        if len(ordered) > start + len(given):
            last = given[-1]
            found.next = Position("", began, last.values, last.updated, last.shown.reference)
        if self._question.total != "none":
            found.total = len(matches)
        return found

    def _matches(self, twin: str) -> Sequence[Shown]:
        if twin in self._known:
            return self._known[twin]
        matches: Sequence[Shown] = self._seen(twin)
        for test in self._plain:
            matches = [shown for shown in matches if test(shown.body)]
        for follows in self._linked:
            matches = [shown for shown in matches if follows(shown)]
        if self.is_narrow:
            self._known[twin] = matches
        return matches

    def _seen(self, twin: str) -> Sequence[Shown]:
        return self._view.resources(twin, self._question.type)

    def _all(self) -> Iterator[str]:
        """Walk all twins that the search can be about. Raises a `Refusal` where these are too many."""
        for opened, twin in enumerate(self._from(None)):
            if opened > WHOLE:
                raise Refusal(400, "too-costly", "This search is about too many patients: name one, or export.")
            yield twin

    def _from(self, position: Position | None) -> Iterator[str]:
        """Walk the likely twins, "" (what is nobody's) and all the others, from the twin of a position on."""
        start = position.twin if position else ""
        if self._named is not None:
            nobody = [""] if self._question.type in _NOBODYS else []
            yield from (twin for twin in [*nobody, *self._named] if twin >= start)
            return
        ahead = position.ahead if position else self._likely
        if position is None or start in ahead:
            yield from ahead[ahead.index(start) :] if position else ahead
            start = ""
        yield from (twin for twin in chain((start,), self._view.twins(start)) if twin not in ahead)

    def _twins_named(self) -> list[str] | None:
        """Name the twins that the criteria allow; `None` where they do not say."""
        named: set[str] | None = {self._twin} - {""} if self._compartment else None
        for told, value in self._question.criteria:
            ids = self._ids(told, value)
            if ids is not None:
                twins = {self._view.charts.twin_of(type_, id_) for type_, id_ in ids} - {""}
                named = twins if named is None else named & twins
        return None if named is None else sorted(named)

    def _ids(self, told: str, value: str) -> list[tuple[str, str]] | None:
        name, _, modifier = told.partition(":")
        if "\\" in value or modifier not in ("", "Patient"):
            return None
        values = value.split(",")
        if name == "_id" and not modifier:
            return [(self._question.type, each) for each in values]
        parameter = find_parameter(self._question.type, name)
        if parameter is None or parameter.type != "reference":
            return None
        if name not in _BY_PATIENT:  # what leads to something of a twin is of that twin (mappers.shown.naming)
            leads = [local(each, self._base).partition("/") for each in values]
            of_twins = [(type_, id_) for type_, _, id_ in leads if id_ and self._view.charts.twin_of(type_, id_)]
            return of_twins if len(of_twins) == len(values) else None
        only = modifier == "Patient" or parameter.targets == ("Patient",)
        found = [local(each, self._base) or (f"Patient/{each}" if only and ":" not in each else "") for each in values]
        if not all(each.startswith("Patient/") for each in found):
            return None
        return [("Patient", each.partition("/")[2]) for each in found]
