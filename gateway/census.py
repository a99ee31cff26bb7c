"""Who is who in a pull: the first pass over its pages, before anything is mapped.

A Patient may come on the last page and a Medication after the request that names it. So the pages are read once for
names only: which patients there are, by which references others may mean them, and which resources other resources need
in order to be understood.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import msgspec

from gateway.home import Home, now
from gateway.occurrences import Occurrences
from gateway.pull.bundle import Head, head_of
from gateway.pull.page import Entry, Gone, Page
from gateway.store.enrolling import Roll
from gateway.usage import Usage
from gateway.wearers import twin_of_user
from mappers import (
    NEEDED,
    NEEDING,
    SUPPORTING,
    Unreadable,
    canonical_of,
    needed_of,
    patient_of,
    read_json,
    references_of,
    subject_of,
)
from mappers.bundles import Item, items_of
from mappers.facts import Origin
from mappers.forms.heads import Heads
from mappers.identity import Person, lookup_tokens, read_person, same_person
from mappers.links import replaced_by, replaces
from mappers.matching import choose, match_people, search_keys
from mappers.open_mhealth import is_point, type_and_id
from security.audit import key_event

__all__ = ["Census", "origin_of"]


def origin_of(entry: Entry, resource: Mapping[str, Any], source: str) -> Origin:
    """Say where a resource stands: its type, id and version as told, and its place where it came from a file."""
    if is_point(resource):
        return Origin(source, *type_and_id(resource), "", entry.place)
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    identity = resource.get("id")
    return Origin(
        source,
        str(resource.get("resourceType", "")),
        identity if isinstance(identity, str) else "",
        version if isinstance(version, str) else "",
        entry.place,
    )


_READ = frozenset({"Bundle", "Patient"}) | NEEDED | NEEDING  # of all others the name is enough


_SUBJECTS = 20_000  # that are remembered as they are written


class _Head(msgspec.Struct, gc=False):
    resourceType: str = ""  # noqa: N815  FHIR's spelling
    id: Any = None


class _HeadInFile(_Head, gc=False):
    subject: msgspec.Raw = msgspec.Raw()
    patient: msgspec.Raw = msgspec.Raw()


_read_head = msgspec.json.Decoder(_Head)
_read_head_in_file = msgspec.json.Decoder(_HeadInFile)


@dataclass
class Census:
    """What the first pass learns.

    `last` knows where a resource stands for the last time, and so who came. `linked` maps a reference to the resource
    that it names, `users` a reference to the resource that uses it. `twins` keeps who came, `met` whom else a resource
    was about. In files, `about` keeps whom a resource is about, and `mixed` those of which the files tell two stories.
    `gone` is what the source says it has no more.
    `linked_on` keeps by whom a patient says to be replaced, `linked_back` whom one replaces, `inactive` who is not in
    use; `merged` maps those who were merged to their survivor, and `unmet` are those whose survivor never came.
    `copies` are resources of the server that stand in documents, too.
    `unasked` is true of what came by itself: then an id is no promise of a server, whatever the source.
    """

    source: str
    base: str
    unasked: bool = False
    last: Occurrences = field(default_factory=Occurrences)
    people: dict[str, Person] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    linked: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    twins: dict[str, str] = field(default_factory=dict)
    met: dict[str, str] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    mixed: set[str] = field(default_factory=set)
    about: dict[str, str] = field(default_factory=dict)
    gone: list[Gone] = field(default_factory=list)
    linked_on: dict[str, tuple[str, ...]] = field(default_factory=dict)
    linked_back: dict[str, tuple[str, ...]] = field(default_factory=dict)
    inactive: set[str] = field(default_factory=set)
    merged: dict[str, str] = field(default_factory=dict)
    unmet: set[str] = field(default_factory=set)
    copies: set[str] = field(default_factory=set)
    pages: set[int] = field(default_factory=set)
    _about: dict[str | bytes, str] = field(default_factory=dict)
    _heads: Heads = field(default_factory=partial(Heads, _READ, SUPPORTING))

    def read(self, pages: Iterable[Page]) -> Census:
        """Read pages in order; one that was read before is passed over."""
        for page in pages:
            if page.number in self.pages:
                continue
            self.pages.add(page.number)
            self.gone += page.gone
            for index, entry in enumerate(page.entries):
                if not entry.problem:
                    self._note(page.number, index, entry)
        return self

    @property
    def left(self) -> list[Gone]:
        """List what is gone and did not come all the same."""
        return [one for one in self.gone if one.resource not in self.last]

    def _note(self, page: int, index: int, entry: Entry) -> None:
        found = self._heads.read(entry.raw)
        if found is None or not found[1][0]:
            self._look(page, index, entry)
            return
        build, told = found
        name = build.start + told[0]
        self.last.note(name, page, index)
        about = ""
        if build.is_about:
            about = self._about.get(told[1]) or self._named_by(told[1], name)
        if not self.base and self.about.setdefault(name, about) != about:
            self.mixed.add(name)
        if len(told) > build.first:
            self.usage.refer(told[build.first :], name)

    def _look(self, page: int, index: int, entry: Entry) -> None:
        """Note a resource of a build that is new, or of which more has to be known than its head."""
        try:
            head = (_read_head if self.base else _read_head_in_file).decode(entry.raw)
            resource = read_json(entry.raw) if head.resourceType in _READ else {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Unreadable):
            return  # counted when it is mapped
        if not head.resourceType and (point := head_of(entry.raw)) is not None:
            self._note_point(page, index, entry, point)
            return
        has_id = isinstance(head.id, str) and head.id
        name = f"{head.resourceType}/{head.id}" if has_id else f"{head.resourceType}@{entry.place}"
        self.last.note(name, page, index)
        self.usage.note(entry.raw, name)
        if isinstance(head, _HeadInFile) and head.resourceType != "Patient":
            about = self._subject(head)
            if self.about.setdefault(name, about) != about:
                self.mixed.add(name)
        if resource:
            self._note_more(origin_of(entry, resource, self.source), entry, resource)
        else:
            self._heads.see(entry.raw)

    def _note_point(self, page: int, index: int, entry: Entry, point: Head) -> None:
        name = f"{point.resourceType}/{point.id}" if point.id else f"{point.resourceType}@{entry.place}"
        self.last.note(name, page, index)
        if self.base:
            return
        try:
            about = subject_of(read_json(entry.raw)) or ""
        except Unreadable:
            return  # counted when it is mapped
        if self.about.setdefault(name, about) != about:
            self.mixed.add(name)

    def _subject(self, head: _HeadInFile) -> str:
        """Say whom a resource is about. Who it is stands in the same bytes mostly."""
        told = b'{"subject":%b,"patient":%b}' % (bytes(head.subject) or b"null", bytes(head.patient) or b"null")
        about = self._about.get(told)
        if about is None:
            if len(self._about) >= _SUBJECTS:
                self._about.clear()
            about = self._about[told] = subject_of(msgspec.json.decode(told)) or ""
        return about

    def _named_by(self, reference: str, name: str) -> str:
        """Say whom a reference names that stands alone."""
        self.usage.refer([reference], name)
        if len(self._about) >= _SUBJECTS:
            self._about.clear()
        about = self._about[reference] = subject_of({"subject": {"reference": reference}}) or ""
        return about

    def _note_more(self, origin: Origin, entry: Entry, resource: Mapping[str, Any]) -> None:
        """Note who a Patient is, what a Medication is, and who refers to one."""
        if origin.type == "Patient":
            person = read_person(resource, self.source)
            before = self.people.setdefault(origin.resource, person)
            if not self.is_promise and not _is(person, before):
                self.mixed.add(origin.resource)
            self.people[origin.resource] = person
            self._note_links(origin.resource, resource)
            for name in self.names(entry, origin):
                self.named[name] = origin.resource
        elif origin.type == "Bundle":
            self._note_document(origin, resource)
        elif origin.type in NEEDED:
            needed = needed_of(resource)
            for name in self._names(entry, origin, resource):
                self.linked[name] = needed
        for reference in references_of(resource):
            self.users.setdefault(self.plain(reference), origin.resource)

    def _note_document(self, origin: Origin, bundle: Mapping[str, Any]) -> None:
        """Note who a document is about. A Patient of our server is that one; any other is known by the document alone.

        What the server says of a Patient itself goes before what a document says.
        """
        self.copies.update(filter(None, map(self.own_name, items_of(bundle))))
        reference, patient = patient_of(bundle)
        if patient is None or not reference:
            return
        plain, person = self.plain(reference), read_person(patient, self.source)
        is_ours = plain.startswith("Patient/") and self._is_of_server(reference)
        name = plain if is_ours else f"Patient@{origin.resource}"
        known = self.people.setdefault(name, person)
        if is_ours:
            return
        before = self.named.get(plain, name)
        if not _is(person, known) or (before in self.people and not _is(person, self.people[before])):
            self.mixed |= {before, name}  # two documents call two people by one name
        self.named[plain] = name

    def own_name(self, item: Item) -> str:
        """Name the resource of our server that an entry of a document is a copy of; "" where it is none."""
        return self.plain(item.full_url) if self._is_of_server(item.full_url) else ""

    def _is_of_server(self, reference: str) -> bool:
        return self.is_promise and reference.startswith(f"{self.base}/")

    def _note_links(self, patient: str, resource: Mapping[str, Any]) -> None:
        """Note what a Patient says of others; a later occurrence takes the place of an earlier one."""
        for links, told in ((self.linked_on, replaced_by(resource)), (self.linked_back, replaces(resource))):
            links.pop(patient, None)
            if told:
                links[patient] = told
        self.inactive.discard(patient)
        if resource.get("active") is False:
            self.inactive.add(patient)

    @property
    def is_promise(self) -> bool:
        """Say whether an id means the same thing whenever it comes: a server that was asked promises it."""
        return bool(self.base) and not self.unasked

    @cached_property
    def resolved(self) -> Mapping[str, Mapping[str, Any]]:
        """The resources that others need, by any spelling of a reference to them."""
        return _Resolved(self)

    @cached_property
    def usage(self) -> Usage:
        """Who refers to what says nothing about a patient by itself."""
        return Usage(SUPPORTING, self.plain)

    def user_of(self, entry: Entry, origin: Origin, resource: Mapping[str, Any]) -> str | None:
        """Name the resource that uses one, "" where only that it is used is known; `None` where nobody does."""
        return self.usage.of(self._names(entry, origin, resource), self.users)

    def _names(self, entry: Entry, origin: Origin, resource: Mapping[str, Any]) -> list[str]:
        return [*self.names(entry, origin), *filter(None, [canonical_of(resource)])]

    def names(self, entry: Entry, origin: Origin) -> Iterator[str]:
        """List the references by which others may mean a resource."""
        if origin.id:
            yield f"{origin.type}/{origin.id}"
        if entry.full_url:
            yield self.plain(entry.full_url)

    def plain(self, reference: str) -> str:
        """Write a reference as it stands within its source: without our base URL, and without a version."""
        plain = reference.removeprefix(f"{self.base}/") if self.base else reference
        return plain.split("/_history/", 1)[0]

    def is_newest(self, resource: str, page: int, index: int) -> bool:
        """Say whether this occurrence of a resource is the one to map."""
        return self.last.is_last(resource, page, index)

    def settle(self, home: Home) -> None:
        """Give each patient their twin, a new one where nobody known is the same person.

        Who resembles a known person and contradicts them, or is the same as two, gets a twin of their own and stands in
        `doubtful`: joining two people by mistake is worse than not joining one. Who may be somebody known waits for a
        person to decide, and nobody is compared with the patients of another tenant. An id is a promise of a server; in
        files it is none, and a patient whose id (or place) names somebody else than before gets no twin and stands in
        `mixed`.
        """
        tokens = {patient: lookup_tokens(person) for patient, person in self.people.items()}
        keys = {patient: search_keys(person) for patient, person in self.people.items()}
        settings = home.settings.sources.get(self.source)
        tenant = settings.tenant if settings else ""
        with home.store.enrol(self.source, tokens, now(), keys=keys, tenant=tenant) as roll:
            for patient, person in self.people.items():
                known = roll.twin_of(patient, ever=self.is_promise)  # also whom the source had deleted and has again
                others = roll.persons_of(known) if known and not self.is_promise else ()
                if others and not any(_is(person, other) for other in others):
                    self.mixed.add(patient)
                if patient in self.mixed or patient in self.merged:
                    continue
                possible: tuple[str, ...] = ()
                if known is None:
                    known, possible = self._same(roll, patient, person)
                elif roll.is_news(patient):
                    possible = _alike(roll, patient, person, known)
                if known is None:
                    known = roll.new_twin()
                    roll.record([key_event(home.access(patient=known), key=known)])
                for other in possible:
                    roll.suspect(known, other)
                roll.link(known, person, patient)
                self.twins[patient] = known

    def _same(self, roll: Roll, patient: str, person: Person) -> tuple[str | None, tuple[str, ...]]:
        """Find the one known twin who is the same person and contradicts nothing, and those who may be."""
        choice = choose(person, dict(roll.alike(patient)), roll.people, roll.are_parted)
        if choice.is_conflict:
            self.doubtful.add(patient)
        return choice.twin, choice.possible

    def twin_of(self, home: Home, reference: str) -> str | None:
        """Find the twin that a reference to a patient means, in this pull or an earlier one of this source."""
        patient = self.patient(reference)
        if patient in self.mixed:
            return None
        found = self.twins.get(patient) or self.met.get(patient) or home.store.twin_of(self.source, patient)
        found = found or twin_of_user(home, self.source, reference)
        if found is not None:
            self.met[patient] = found  # who somebody is, they stay
        return found

    def is_mixed(self, reference: str) -> bool:
        """Say whether a reference names a patient of whom the files tell two stories."""
        return self.patient(reference) in self.mixed

    def patient(self, reference: str) -> str:
        """Name the patient that a reference means."""
        plain = self.plain(reference)
        return self.named.get(plain, plain)  # a Patient without an id goes by its place, which nothing else names


def _alike(roll: Roll, patient: str, person: Person, known: str) -> tuple[str, ...]:
    """Find who else a known patient may be, now that more is told of them: for somebody to decide."""
    others = {twin: persons for twin, persons in roll.alike(patient) if twin != known}
    choice = choose(person, others, roll.people, roll.are_parted)
    return tuple(filter(None, (choice.twin, *choice.possible)))


def _is(person: Person, other: Person) -> bool:
    return (
        person == other or same_person(person, other).verdict == "same" or match_people(person, other).verdict == "same"
    )


class _Resolved(Mapping[str, Mapping[str, Any]]):
    """`Census.linked`, asked with references as they are written: with our base URL, or a version, or neither."""

    def __init__(self, census: Census) -> None:
        self._census = census

    def __getitem__(self, reference: str) -> Mapping[str, Any]:
        return self._census.linked[self._census.plain(reference)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._census.linked)

    def __len__(self) -> int:
        return len(self._census.linked)
