"""Does a result still stand? What it stands on, as it was when it was made, beside the twin as it is now.

It is `retracted` where something that it stands on is no longer told, `corrected` where that says something else now,
and `overtaken` where newer facts have given, or would give, another answer. What was only told once more, in a newer
version with the same value, changes nothing; nor does that time passed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Final, Literal

import msgspec

from gateway.consented import consented
from gateway.deliver.draft import Revised
from gateway.home import Home, now
from gateway.simulation import closed_kinds, models_of
from gateway.store import Delivery, DeliveryState, SavedRun, TwinRecord
from mappers.facts import Coding, Fact
from mappers.settled import Overruled
from security.errors import Denied
from twin_engine import Input, Profile
from twin_engine.run import rests_on

__all__ = ["ANSWERS", "Grounds", "Standing", "is_result", "model_in", "older_results", "stands_on", "still_valid"]

Standing = Literal["stands", "retracted", "corrected", "overtaken"]

ANSWERS: Final = frozenset({"observation", "risk", "result"})
"""The kinds of which a newer one takes the place of an older one of the same model. A plan is what was tried, and a
warning is of its moment: neither is overtaken by the next one."""

_SHARED: Final = frozenset(
    {"Device", "Provenance"}
)  # stand for the model, and tell how it came about: neither is a result
_PASSING: Final = frozenset({"measurement", "demographic"})  # have no state that goes on: a problem may be resolved


_ARRIVED: Final[tuple[DeliveryState, ...]] = ("sent",)
_Name = tuple[str, str]  # a source, and a resource within it


class _Kept(msgspec.Struct):
    """What kept runs of all kinds have in common."""

    type: str = "run"
    inputs: tuple[Input, ...] = ()


class Grounds:
    """A twin as it is now, to hold against it what results stand on.

    It is all of the twin: what the patient's consents do not allow to be used is still told, and takes nothing back.
    """

    def __init__(self, home: Home, record: TwinRecord) -> None:
        self._home, self._record = home, record
        self._told: dict[_Name, list[Fact]] = defaultdict(list)
        self._overruled: dict[_Name, list[Overruled]] = defaultdict(list)
        self._usable: TwinRecord | None = None
        for fact in record.facts:
            for name in _names(fact):
                self._told[name].append(fact)
        for each in record.settled.overruled:
            for name in _names(each.fact):
                self._overruled[name].append(each)

    def of(self, saved: SavedRun) -> Standing:
        """Say whether the facts that a kept run stands on are still told, and still say the same."""
        found = {self._of(fact) for each in _read(saved).inputs for fact in each.facts}
        if "retracted" in found:
            return "retracted"
        return "corrected" if "corrected" in found else "stands"

    def would_differ(self, saved: SavedRun) -> bool:
        """Say whether a run of the same model would stand on other facts now, or give no number at all any more.

        Of what is no answer (a plan, a forecast) it would not. Nor is it said where consents leave a part of the twin:
        what they forbid waits, and is not out of date by that.
        """
        kept = _read(saved)
        model = models_of(self._home).get(saved.model) if kept.type == "run" else None
        if model is None:
            return False
        if self._usable is None:
            self._usable = _usable(self._home, self._record)
        if self._usable.partial:
            return False
        closed = closed_kinds(self._home, self._usable)
        found = rests_on(model, Profile(tuple(self._usable.facts), now(), closed, assume_absent=True))
        before = {each.name: each.facts for each in kept.inputs}
        return not found or any(not _are_same(before.get(each.name, ()), each.facts) for each in found)

    def _of(self, fact: Fact) -> Standing:
        names = _names(fact)
        here = [each for name in names for each in self._told.get(name, ())]
        if any(_is_same(fact, each) for each in here):
            return "stands"
        ruled_out = [
            each for name in names for each in self._overruled.get(name, ()) if _is_of_the_same(fact, each.fact)
        ]
        if any(each.reason == "withdrawn" for each in ruled_out):
            return "retracted"
        return "corrected" if ruled_out or any(_is_of_the_same(fact, each) for each in here) else "retracted"


def older_results(home: Home, record: TwinRecord, model: str, kind: str, source: str, run: str) -> tuple[Revised, ...]:
    """List the delivered results that a new one takes the place of, oldest first, each with where it stands.

    They are the answers of the same model for the same twin at the same EHR; nothing takes the place of a plan or a
    warning.
    """
    if kind not in ANSWERS:
        return ()
    found = []
    for each in home.store.outbox(source, record.id, _ARRIVED):
        places = tuple(landed.reference for landed in each.landed if is_result(landed.reference))
        if each.kind in ANSWERS and each.run != run and places and model_in(home, each) == model:
            found.append(Revised(each.id, places))
    return tuple(found)


def still_valid(home: Home, delivery: Delivery) -> Standing:
    """Say whether what has not left yet may leave as it is. The twin is opened only where it changed since the run.

    Of a delivery that changes another one, "stands": what is to be said of that is asked at the EHR.
    """
    if delivery.kind == "change":
        return "stands"
    saved = home.store.run(delivery.run)
    if saved.twin_version == home.store.twin_version(delivery.twin):
        return "stands"
    return stands_on(Grounds(home, home.store.twin_record(delivery.twin)), delivery, saved)


def stands_on(grounds: Grounds, delivery: Delivery, saved: SavedRun) -> Standing:
    """Say it of what has not left yet, of a twin that is open."""
    found = grounds.of(saved)
    if found == "stands" and delivery.kind in ANSWERS and grounds.would_differ(saved):
        return "overtaken"
    return found


def model_in(home: Home, delivery: Delivery) -> str:
    """Name the model of a delivery; of one that was proposed before the outbox knew it, its run does."""
    return delivery.model or home.store.run(delivery.run).model


def is_result(reference: str) -> bool:
    """Say whether something of ours at an EHR ("Observation/12") tells a result."""
    return bool(reference) and reference.partition("/")[0] not in _SHARED


def _read(saved: SavedRun) -> _Kept:
    return msgspec.json.decode(saved.content, type=_Kept)


def _usable(home: Home, record: TwinRecord) -> TwinRecord:
    """Return what a run made now could use."""
    try:
        return consented(home, record)
    except Denied:
        return replace(record, resources=(), partial=True)


def _names(fact: Fact) -> list[_Name]:
    return [*dict.fromkeys((origin.source, origin.resource) for origin in fact.origins)]


def _are_same(some: tuple[Fact, ...], others: tuple[Fact, ...]) -> bool:
    """Say whether two inputs are known by the same, also by its state: what is resolved by now was not then."""
    return len(some) == len(others) and all(
        any(_is_same(one, other) and _state(one) == _state(other) for other in others) for one in some
    )


def _is_same(one: Fact, other: Fact) -> bool:
    """Say whether two facts say the same of the same: by kind, code, value with its unit, and time."""
    return _said(one) == _said(other)


def _is_of_the_same(one: Fact, other: Fact) -> bool:
    """Say whether two facts of one resource are its answer to one question, then and now."""
    there = {(origin.source, origin.resource, origin.path) for origin in one.origins}
    is_there = any((origin.source, origin.resource, origin.path) in there for origin in other.origins)
    return one.kind == other.kind and (is_there or bool(one.name and one.name == other.name))


def _said(fact: Fact) -> tuple[object, ...]:
    value = str(fact.value) if isinstance(fact.value, Coding) else fact.value
    span = (fact.when.earliest, fact.when.latest) if fact.when else None
    return fact.kind, fact.name or str(fact.code), value, span


def _state(fact: Fact) -> tuple[object, ...]:
    if fact.kind in _PASSING:
        return ()
    return fact.status, (fact.until.earliest, fact.until.latest) if fact.until else None
