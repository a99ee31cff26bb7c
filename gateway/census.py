"""Who is who in a pull: the first pass over its pages, before anything is mapped.

A Patient may come on the last page and a Medication after the request that names it. So the pages are read once for
names only: which patients there are, by which references others may mean them, and which resources other resources need
in order to be understood.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from gateway.home import Home, now
from gateway.occurrences import Occurrences
from gateway.pull.page import Entry, Gone, Page
from gateway.store.enrolling import Roll
from mappers import LINKABLE, REFERRING, Unreadable, read_json, references_of, subject_of
from mappers.facts import Origin
from mappers.identity import Person, lookup_tokens, read_person, same_person
from mappers.links import replaced_by, replaces
from security.audit import key_event

__all__ = ["Census", "origin_of"]


def origin_of(entry: Entry, resource: Mapping[str, Any], source: str) -> Origin:
    """Say where a resource stands: its type, id and version as told, and its place where it came from a file."""
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


_READ = frozenset({"Patient"}) | LINKABLE | REFERRING  # of all others the name is enough


class _Head(msgspec.Struct, gc=False):
    resourceType: str = ""  # noqa: N815  FHIR's spelling
    id: Any = None


class _HeadInFile(_Head, gc=False):
    subject: Any = None
    patient: Any = None


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

    def read(self, pages: Iterable[Page]) -> Census:
        """Read all pages once."""
        for page in pages:
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
        try:
            head = (_read_head if self.base else _read_head_in_file).decode(entry.raw)
            resource = read_json(entry.raw) if head.resourceType in _READ else {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Unreadable):
            return  # counted when it is mapped
        has_id = isinstance(head.id, str) and head.id
        name = f"{head.resourceType}/{head.id}" if has_id else f"{head.resourceType}@{entry.place}"
        self.last.note(name, page, index)
        if isinstance(head, _HeadInFile) and head.resourceType != "Patient":
            told = {"resourceType": head.resourceType, "subject": head.subject, "patient": head.patient}
            about = subject_of(told) or ""
            if self.about.setdefault(name, about) != about:
                self.mixed.add(name)
        if resource:
            self._note_more(origin_of(entry, resource, self.source), entry, resource)

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
        elif origin.type in LINKABLE:
            for name in self.names(entry, origin):
                self.linked[name] = resource
        for reference in references_of(resource):
            self.users.setdefault(self.plain(reference), origin.resource)

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
        `doubtful`: joining two people by mistake is worse than not joining one. An id is a promise of a server; in
        files it is none, and a patient whose id (or place) names somebody else than before gets no twin and stands in
        `mixed`.
        """
        tokens = {patient: lookup_tokens(person) for patient, person in self.people.items()}
        with home.store.enrol(self.source, tokens, now()) as roll:
            for patient, person in self.people.items():
                known = roll.twin_of(patient, ever=self.is_promise)  # also whom the source had deleted and has again
                others = roll.persons_of(known) if known and not self.is_promise else ()
                if others and not any(_is(person, other) for other in others):
                    self.mixed.add(patient)
                if patient in self.mixed or patient in self.merged:
                    continue
                known = known or self._same(roll, patient, person)
                if known is None:
                    known = roll.new_twin()
                    roll.record([key_event(home.access(patient=known), key=known)])
                roll.link(known, person, patient)
                self.twins[patient] = known

    def _same(self, roll: Roll, patient: str, person: Person) -> str | None:
        """Find the one known twin who is the same person and contradicts nothing."""
        verdicts = {
            twin: {same_person(person, other).verdict for other in others} for twin, others in roll.alike(patient)
        }
        same = [twin for twin, said in verdicts.items() if "same" in said and "conflict" not in said]
        if len(same) == 1:
            return same[0]
        if same or any("conflict" in said for said in verdicts.values()):
            self.doubtful.add(patient)
        return None

    def twin_of(self, home: Home, reference: str) -> str | None:
        """Find the twin that a reference to a patient means, in this pull or an earlier one of this source."""
        patient = self.patient(reference)
        if patient in self.mixed:
            return None
        found = self.twins.get(patient) or self.met.get(patient) or home.store.twin_of(self.source, patient)
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


def _is(person: Person, other: Person) -> bool:
    return person == other or same_person(person, other).verdict == "same"


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
