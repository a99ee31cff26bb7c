"""What an EHR says of its own patients: that one was merged into another, and that they were parted again.

The link is followed as it is told, and only where it is told without contradiction: joining two people by mistake is
worse than not joining one. What the merged patient had goes over to the survivor's twin from the bytes that are kept;
in the twin that it leaves it is retracted and stays in the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from gateway.census import Census
from gateway.home import Home, now
from gateway.pull.page import Why
from gateway.retractions import about, end_of, retraction_events
from gateway.store import Ends, Pull, StoredResource
from mappers import Unreadable, read_json
from mappers.facts import Link, Origin
from mappers.identity import Person, lookup_tokens, same_person
from mappers.links import replaced_by
from mappers.matching import search_keys
from security.audit import key_event, merge_event
from security.reidentification import Reidentify

__all__ = ["merge_patients", "part_patients", "plan_merges"]

_MERGING = Reidentify("check that those whom a source merged can be one person")


def plan_merges(home: Home, census: Census) -> None:
    """Read from the links of the patients who came who is whose survivor, into `census.merged`.

    Who is told to be two people's, or whose link leads in a circle or to somebody whom they contradict, stands in
    `census.doubtful`; whose survivor never came, in `census.unmet`. Both stay who they are. In files nothing is merged:
    an id of theirs is no promise.
    """
    if not census.is_promise:
        return
    told = _told(census)
    for patient in told:
        survivor = _survivor(patient, told)
        if survivor is None:
            census.doubtful.add(patient)
            continue
        others = _persons(home, census, survivor)
        mine = _persons(home, census, patient)
        if not others:
            census.unmet.add(patient)
        elif any(same_person(one, other).verdict == "conflict" for one in mine for other in others):
            census.doubtful.add(patient)
        elif _are_parted(home, census.source, patient, survivor):
            census.doubtful.add(patient)  # somebody decided that they are two
        else:
            census.merged[patient] = survivor


def part_patients(home: Home, pull: Pull, census: Census) -> set[str]:
    """Give those who were merged, and are active again without a link, the twin that they were before.

    Where the survivor alone had told it, the list of patients has to be whole: one who did not come says nothing. What
    the survivor's twin holds about them goes along. Returns the twins that changed.
    """
    changed = set[str]()
    if not census.is_promise:
        return changed
    told = _told(census)
    asked = pull.certificate.asked if pull.certificate else ()
    is_whole = any(each.listed == "Patient" and each.verdict == "complete" for each in asked)
    for patient in census.people:
        if patient in told or patient in census.inactive:
            continue
        twin, before = home.store.was_twin(census.source, patient)
        if twin is None or before is None or not (is_whole or _had_link(home, pull.source, twin, patient)):
            continue
        with home.store.transaction() as work:
            if not before:  # it came as a merged one, and was nobody before
                before = home.store.new_twin(now())
                work.record([key_event(home.access(patient=before), key=before)])
            moved = about(home, twin, census.source, patient, census.plain)
            home.store.part_patient(census.source, patient, before)
            changed |= _move(home, pull, moved, twin, before, "reassigned", parted=True)
    return changed


def merge_patients(home: Home, pull: Pull, census: Census) -> set[str]:
    """Let the merged patients be the twins of their survivors, with all that is held about them.

    Killed in between, each patient is wholly there or wholly here. Returns the twins that changed.
    """
    changed = set[str]()
    for patient, survivor in census.merged.items():
        into = census.twin_of(home, survivor)
        if into is None:
            continue  # the survivor has no twin: nobody knows which
        with home.store.transaction():
            twin, _ = home.store.was_twin(census.source, patient)
            if twin is not None and twin != into:
                moved = [
                    _shown(one, patient, survivor) for one in about(home, twin, census.source, patient, census.plain)
                ]
                home.store.merge_patient(census.source, patient, into)
                changed |= _move(home, pull, moved, twin, into, "merged", parted=False)
            if patient in census.people:
                person = census.people[patient]
                keys = search_keys(person)
                home.store.link_person(into, person, census.source, patient, lookup_tokens(person), keys=keys)
                if twin is None:
                    home.store.merge_patient(census.source, patient, into)
            if twin is not None or patient in census.people:
                census.twins[patient] = into
    return changed


def _move(
    home: Home, pull: Pull, moved: list[StoredResource], away: str, into: str, why: Why, *, parted: bool
) -> set[str]:
    peer = home.peer(pull.source)
    held = home.store.held(into, pull.source, (one.key for one in moved))
    fresh = [one for one in moved if one.key not in held]
    ended: Ends = {away: [end_of(pull.source, one.key, why) for one in moved]}
    events = [
        *(
            merge_event(home.access(peer=peer, patient=one), twin=other, parted=parted)
            for one, other in ((away, into), (into, away))
        ),
        *retraction_events(home, pull.source, ended),
    ]
    return set(home.store.retract(pull, ended, {into: fresh}, now=now(), events=events).twins)


def _had_link(home: Home, source: str, twin: str, patient: str) -> bool:
    """Say whether a patient, as last held, told the merge by a link of their own."""
    held = home.store.held(twin, source, [patient]).get(patient)
    try:
        return held is not None and bool(replaced_by(read_json(held.raw)))
    except Unreadable:
        return False


def _shown(resource: StoredResource, patient: str, survivor: str) -> StoredResource:
    """Leave the merged Patient without facts: who they are, the survivor says."""
    if resource.key != patient:
        return resource
    origin = Origin(resource.source, "Patient", patient.partition("/")[2])
    return msgspec.structs.replace(resource, outcomes=(Link(origin, survivor),))


def _told(census: Census) -> dict[str, set[str]]:
    """Say by whom each patient is said to be replaced, by their own link or by that of the survivor."""
    told = {patient: {census.patient(name) for name in names} for patient, names in census.linked_on.items()}
    for survivor, names in census.linked_back.items():
        for name in names:
            told.setdefault(census.patient(name), set()).add(survivor)
    return told


def _survivor(patient: str, told: Mapping[str, set[str]]) -> str | None:
    """Follow the links to their end; `None` where they contradict one another or lead in a circle."""
    seen = [patient]
    while (found := told.get(seen[-1])) is not None:
        if len(found) != 1:
            return seen[-1] if len(seen) > 1 else None
        [following] = found
        if following in seen:
            return None
        seen.append(following)
    return seen[-1]


def _are_parted(home: Home, source: str, patient: str, survivor: str) -> bool:
    twins = {home.store.twin_of(source, each) for each in (patient, survivor)}
    known = [twin for twin in twins if twin is not None]
    return len(known) == 2 and any(p.state == "parted" and {p.one, p.other} == twins for p in home.store.said(known))


def _persons(home: Home, census: Census, patient: str) -> Iterable[Person]:
    """Tell what is known of a patient: as they came now, or as their twin has it."""
    if patient in census.people:
        return (census.people[patient],)
    twin = home.store.twin_of(census.source, patient) if patient else None
    return home.store.persons(twin, _MERGING) if twin else ()
