"""Twins who may be one person, for a person to decide: shown side by side, joined, parted, and undone.

A decision wins over whatever is pulled later. Undoing one gives both twins what they would have without it: what came
before, what came meanwhile, and who came meanwhile, chosen anew; all from the bytes that are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.belongings import belongings
from gateway.home import Home, now
from gateway.pull.page import Why
from gateway.retractions import end_of, retraction_events
from gateway.store import Decision, Ends, Identity, Linked, StoredResource
from mappers import Unreadable, read_json
from mappers.facts import Refusal
from mappers.identity import Person
from mappers.matching import Found, choose, match_people
from security.audit import System, key_event, merge_event, read_event
from security.errors import Misuse
from security.reidentification import Reidentify

__all__ = ["Opened", "Registered", "join", "open_identity", "part", "part_patient", "undo", "waiting"]


_DECIDING = Reidentify("show who both are to the person who decides whether they are one")
_DECISION = System("identities", "here")  # where what is joined comes from: no source told it


@dataclass(frozen=True, slots=True)
class Registered:
    """A Patient as a source tells it: patient data, for whoever decides."""

    twin: str
    source: str
    patient: str
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Opened:
    """A pair with all that is told of both, and how the two registrations compare that agree best."""

    identity: Identity
    registered: tuple[Registered, ...]
    found: Found | None


def waiting(home: Home, *, decided: bool = False) -> list[Identity]:
    """List the pairs that wait, and with `decided` all; a twin that nobody is any more waits for nothing."""
    pairs = home.store.identities(decided=decided)
    somebody = home.store.who_are_somebody({twin for pair in pairs for twin in (pair.one, pair.other)})
    return [pair for pair in pairs if pair.state != "possible" or {pair.one, pair.other} <= somebody]


def open_identity(home: Home, number: int) -> Opened:
    """Open who both are. That somebody looked is recorded with both twins."""
    identity = home.store.identity(number)
    twins = (identity.one, identity.other)
    home.store.append_audit([read_event(home.access(patient=twin, what=("Basic/identity",))) for twin in twins])
    registered = tuple(each for twin in twins for each in _registered(home, twin))
    people = len(home.store.twins())
    compared = [
        match_people(a, b, people)
        for a in home.store.persons(identity.one, _DECIDING)
        for b in home.store.persons(identity.other, _DECIDING)
    ]
    return Opened(identity, registered, max(compared, key=lambda found: found.bits, default=None))


def _registered(home: Home, twin: str) -> Iterator[Registered]:
    for resource in home.store.twin_record(twin, leave=_DECIDING).resources:
        if resource.key.startswith(("Patient/", "Patient@")):
            try:
                yield Registered(twin, resource.source, resource.key, read_json(resource.raw))
            except Unreadable:
                continue


def join(home: Home, one: str, other: str) -> Identity:
    """Say that two twins are one person: what the younger twin has becomes the older one's.

    Refuses with `Misuse` twins of two tenants, one twin, and one that nobody is.
    """
    store = home.store
    if one == other:
        raise Misuse("These are one twin already.", hint="See twin identities list.")
    if _tenants(home, one) != _tenants(home, other):
        raise Misuse("These twins are of two tenants, whose patients are never joined.", hint="See docs/people.md.")
    with store.transaction():
        age = {twin.id: twin.created for twin in store.twins() if twin.id in (one, other)}
        into, away = sorted(age, key=lambda twin: (age[twin], twin))
        moved, there = store.linked(away), store.linked(into)
        if not moved or not there:
            raise Misuse("One of these twins is nobody any more.", hint="See twin identities list --decided.")
        pair = store.pair(one, other, now())
        if pair.state != "possible":
            raise _decided(pair)
        _shift(home, away, into, moved, "merged")
        decision = Decision(away, into, moved, there, _inherited(home, away, into))
        store.decide(pair.number, "joined", decision, now(), _events(home, away, into, parted=False))
        return store.identity(pair.number)


def part(home: Home, number: int) -> Identity:
    """Say that two twins are two people: they are never joined, unless this is undone."""
    with home.store.transaction():
        pair = home.store.identity(number)
        if pair.state != "possible":
            raise _decided(pair)
        home.store.decide(number, "parted", None, now(), _events(home, pair.one, pair.other, parted=True))
        return home.store.identity(number)


def part_patient(home: Home, twin: str, source: str, patient: str) -> Identity:
    """Say that a patient is not who the others of a twin are: they become a twin of their own."""
    store = home.store
    linked = store.linked_as(source, patient)
    with store.transaction():
        before = store.linked(twin)
        if linked not in before:
            raise Misuse("No such patient of this source is this twin.", hint="twin identities show tells who is.")
        if len(before) == 1:
            raise Misuse("This twin is this patient alone.", hint="There is nobody to part them from.")
        into = _new_twin(home)
        pair = store.pair(twin, into, now())
        _shift(home, twin, into, (linked,), "reassigned")
        there = tuple(each for each in before if each != linked)
        decision = Decision(twin, into, (linked,), there)
        store.decide(pair.number, "parted", decision, now(), _events(home, twin, into, parted=True))
        return store.identity(pair.number)


def undo(home: Home, number: int) -> Identity | None:
    """Undo the decision of a pair; it waits again, or (`None`) is forgotten where the decision had made it.

    Refuses with `Misuse` what later decisions build on: undo those first.
    """
    store = home.store
    with store.transaction():
        pair = store.identity(number)
        decision = store.decision(number)
        if pair.state == "possible":
            raise Misuse("Nothing was decided of this pair.", hint="See twin identities list.")
        _refuse_built_upon(home, pair)
        events = _events(home, pair.one, pair.other, parted=pair.state == "joined")
        if decision is None or pair.state == "joined":
            if decision is not None:
                _give_back(home, decision)
                for made in decision.made:
                    store.forget_pair(made)
            store.decide(number, "possible", None, now(), events)
            return store.identity(number)
        _shift(home, decision.into, decision.away, store.linked(decision.into), "merged")
        store.decide(number, "possible", None, now(), events)
        store.forget_pair(number)
        return None


def _give_back(home: Home, decision: Decision) -> None:
    """Let those who were moved be who they were; who came since goes where they would have gone."""
    store = home.store
    told = store.told_of(decision.into, Reidentify("tell whose those are who came since it was decided"))
    groups: dict[str, list[Person]] = {
        twin: [told[each.source, each.patient] for each in links if (each.source, each.patient) in told]
        for twin, links in ((decision.into, decision.there), (decision.away, decision.moved))
    }
    here = store.linked(decision.into)
    back: dict[str, list[Linked]] = {decision.away: [each for each in here if each in decision.moved]}
    people = len(store.twins())
    for each in here:
        person = told.get((each.source, each.patient))
        if each in (*decision.moved, *decision.there) or person is None:
            continue
        chosen = choose(person, groups, people).twin
        if chosen is None:
            chosen = _new_twin(home)
            groups[chosen] = []
        groups[chosen].append(person)
        if chosen != decision.into:
            back.setdefault(chosen, []).append(each)
    for twin, links in back.items():
        _shift(home, decision.into, twin, links, "reassigned")


def _new_twin(home: Home) -> str:
    with home.store.transaction() as work:
        twin = home.store.new_twin(now())
        work.record([key_event(home.access(patient=twin), key=twin)])
        return twin


def _shift(home: Home, away: str, into: str, linked: Iterable[Linked], why: Why) -> None:
    """Let patients be another twin, with what is held about them. An open conflict is decided by that."""
    links = tuple(linked)
    for source, resources in belongings(home, away, links).items():
        ended: Ends = {away: [end_of(source, one.key, why) for one in resources]}
        settled = [_without_conflict(one) for one in resources]
        home.store.shift(source, away, into, settled, why, now())
        home.store.append_audit(retraction_events(home, source, ended))
    home.store.relink(links, into)


def _without_conflict(resource: StoredResource) -> StoredResource:
    kept = tuple(o for o in resource.outcomes if not (isinstance(o, Refusal) and o.reason == "identity-conflict"))
    return resource if len(kept) == len(resource.outcomes) else msgspec.structs.replace(resource, outcomes=kept)


def _inherited(home: Home, away: str, into: str) -> tuple[int, ...]:
    """Let what waits for the one who was moved, or was parted from them, do so for whom they are now."""
    store, made = home.store, []
    every = store.identities(decided=True)
    known = {frozenset((pair.one, pair.other)) for pair in every}
    for pair in every:
        others = {pair.one, pair.other} - {away, into}
        if away not in (pair.one, pair.other) or not others or pair.state == "joined":
            continue
        if frozenset((into, *others)) in known:
            continue
        mine = store.pair(into, others.pop(), now())
        made.append(mine.number)
        if pair.state == "parted":
            store.decide(mine.number, "parted", None, now())
    return tuple(made)


def _refuse_built_upon(home: Home, pair: Identity) -> None:
    later = [
        other.number
        for other in home.store.said((pair.one, pair.other))
        if other.decided and pair.decided and other.number != pair.number and other.decided > pair.decided
        if home.store.decision(other.number) is not None
    ]
    if later:
        numbers = ", ".join(map(str, sorted(later, reverse=True)))
        raise Misuse("Later decisions build on this one.", hint=f"Undo these first: {numbers}.")


def _tenants(home: Home, twin: str) -> set[str]:
    return {home.store.tenant_of(each.source) for each in home.store.linked(twin)}


def _events(home: Home, one: str, other: str, *, parted: bool) -> list[Any]:
    return [
        merge_event(home.access(peer=_DECISION, patient=patient), twin=twin, parted=parted)
        for patient, twin in ((one, other), (other, one))
    ]


def _decided(pair: Identity) -> Misuse:
    return Misuse(f"Pair {pair.number} is decided already: {pair.state}.", hint="twin identities undo takes it back.")
