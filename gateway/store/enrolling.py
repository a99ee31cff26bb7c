"""Many patients at once: what is known of them is read in a few statements, and written in a few.

One by one, a new person costs dozens of statements; a first pull brings thousands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, func, insert, update
from sqlmodel import Session, col, select

from gateway.store.audited import Events, Work
from gateway.store.merging import Merging
from gateway.store.owners import batches
from gateway.store.people import Told, person_place
from gateway.store.tables import IdentityRow, LikenessRow, PatientLinkRow, PersonRow, PersonTokenRow, TwinRow
from mappers.identity import Person
from security.reidentification import Reidentify

__all__ = ["Enrolling", "Roll"]

_names: Any = bindparam("names", expanding=True)
_LINKS: Any = select(PatientLinkRow.patient, PatientLinkRow.twin, PatientLinkRow.ended).where(
    col(PatientLinkRow.patient).in_(_names)
)
_TOKENS: Any = select(PersonTokenRow.token, PersonTokenRow.twin).where(col(PersonTokenRow.token).in_(_names))
_KEYS: Any = select(LikenessRow.key, LikenessRow.twin).where(col(LikenessRow.key).in_(_names))
_PAIRS: Any = select(IdentityRow.one, IdentityRow.other).where(
    col(IdentityRow.one).in_(_names) | col(IdentityRow.other).in_(_names)
)
_PARTED: Any = select(IdentityRow.one, IdentityRow.other).where(IdentityRow.state == "parted")
_PEOPLE: Any = select(func.count()).select_from(TwinRow)
_LEADS_NOWHERE = 64  # twins, from which on what they have in common (a telephone of the house) says nothing
_TOLD: Any = select(PersonRow.twin, PersonRow.patient).where(
    col(PersonRow.source) == bindparam("of_source"), col(PersonRow.patient).in_(_names)
)
_TELL = (
    update(PersonRow)
    .where(
        col(PersonRow.twin) == bindparam("of_twin"),
        col(PersonRow.source) == bindparam("of_source"),
        col(PersonRow.patient) == bindparam("of_patient"),
    )
    .values(sealed=bindparam("new_sealed"))
)
_MATCHING = Reidentify("compare who came with who is known")
_AGAIN = update(PatientLinkRow).where(col(PatientLinkRow.patient) == bindparam("of_patient")).values(ended=None)


@dataclass
class Roll:
    """Who some patients of a source are, as the store knows and as it is put down here.

    Made by `Enrolling.enrol`. `links` has the twin of each known (hashed) patient and whether the source deleted them,
    `twins` those that have a token, `persons` what is told of a twin as far as anybody asked.
    """

    store: Enrolling
    work: Work
    source: str
    now: datetime
    names: dict[str, str]
    tokens: dict[str, list[str]]
    keys: dict[str, list[bytes]]
    links: dict[str, tuple[str, bool]] = field(default_factory=dict)
    twins: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    like: dict[bytes, set[str]] = field(default_factory=lambda: defaultdict(set))
    told: set[tuple[str, str]] = field(default_factory=set)
    persons: dict[str, Told] = field(default_factory=dict)
    fresh: dict[str, Told] = field(default_factory=lambda: defaultdict(dict))
    suspected: set[tuple[str, str]] = field(default_factory=set)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def twin_of(self, patient: str, *, ever: bool = False) -> str | None:
        """Say which twin a patient is, `None` where they are not known; or were, before the source deleted them."""
        twin, ended = self.links.get(self.names[patient], (None, False))
        return twin if ever or not ended else None

    def persons_of(self, twin: str) -> tuple[Person, ...]:
        """Say what the sources tell of who a twin is."""
        if twin not in self.persons:
            self.persons[twin] = self.store.told_of(twin, _MATCHING) | self.fresh.pop(twin, {})
        return tuple(self.persons[twin].values())

    @cached_property
    def people(self) -> int:
        """How many twins are known before anybody is put down here."""
        return int(self.work.session.connection().scalar(_PEOPLE) or 0)

    @cached_property
    def _parted(self) -> set[frozenset[str]]:
        return {frozenset(pair) for pair in self.work.session.connection().execute(_PARTED)}

    def are_parted(self, one: str, other: str) -> bool:
        """Say whether somebody decided that two twins are two people."""
        return frozenset((one, other)) in self._parted

    def alike(self, patient: str) -> list[tuple[str, tuple[Person, ...]]]:
        """Find the twins that share a token or key with a patient, with all that is said of each."""
        return [(twin, self.persons_of(twin)) for twin in sorted(self.led_to(patient))]

    def led_to(self, patient: str) -> set[str]:
        """Name the twins that share a token or key with a patient."""
        twins = {twin for token in self.tokens[patient] for twin in self.twins.get(token, ())}
        for key in self.keys[patient]:
            found = self.like.get(key, ())
            if len(found) <= _LEADS_NOWHERE:
                twins.update(found)
        return twins

    def new_twin(self) -> str:
        """Make an empty twin with a key of its own, and return its id."""
        twin = self.store.draw_twin(self.work, self.now)
        self.rows["twins"].append(twin)
        self.persons[twin["id"]] = {}
        return str(twin["id"])

    def link(self, twin: str, person: Person, patient: str) -> None:
        """Put down that a patient is this twin, and what is said of them (`People.link_person` tells the rules)."""
        name = self.names[patient]
        known, ended = self.links.get(name, (None, False))
        if known not in (None, twin):
            raise ValueError("this patient is another twin already")
        if known is None:
            self.rows["links"].append({"patient": name, "twin": twin, "source": self.source})
        elif ended:
            self.rows["again"].append({"of_patient": name})
        self.links[name] = (twin, False)
        sealed = self.store.seal_person(self.work.session, twin, person, self.source, name)
        if (twin, name) in self.told:
            self.rows["tell"].append(
                {"of_twin": twin, "of_source": self.source, "of_patient": name, "new_sealed": sealed}
            )
        else:
            self.told.add((twin, name))
            self.rows["persons"].append({"twin": twin, "source": self.source, "patient": name, "sealed": sealed})
        (self.persons if twin in self.persons else self.fresh)[twin][self.source, name] = person
        for token in self.tokens[patient]:
            if twin not in self.twins[token]:
                self.twins[token].add(twin)
                self.rows["tokens"].append({"token": token, "twin": twin})
        for key in self.keys[patient]:
            if twin not in self.like[key]:
                self.like[key].add(twin)
                self.rows["keys"].append({"key": key, "twin": twin})

    def is_news(self, patient: str) -> bool:
        """Say whether a known patient is told of as they never were: there is somebody to compare them with anew."""
        twin, _ = self.links.get(self.names[patient], ("", False))
        fresh = any(twin not in self.like.get(key, ()) for key in self.keys[patient])
        return bool(twin) and (fresh or any(twin not in self.twins.get(each, ()) for each in self.tokens[patient]))

    def suspect(self, one: str, other: str) -> None:
        """Put down that two twins may be one person, for somebody to decide; nothing where that was put down before."""
        first, second = sorted((one, other))
        if (first, second) not in self.suspected:
            self.suspected.add((first, second))
            self.rows["possible"].append({"one": first, "other": second, "state": "possible", "since": self.now})

    def record(self, events: Events) -> None:
        """Add events that describe what is put down."""
        self.work.record(events)


class Enrolling(Merging):
    """Opens the roll of some patients of a source."""

    @contextmanager
    def enrol(
        self,
        source: str,
        patients: Mapping[str, Iterable[str]],
        now: datetime,
        *,
        keys: Mapping[str, Iterable[str]] | None = None,
        tenant: str = "",
    ) -> Iterator[Roll]:
        """Open the roll of patients, given with the tokens of each; what is put down is written when this ends.

        `keys` are those of `mappers.matching.search_keys`. Nobody of another tenant is found.

        It is a transaction, or a part of the one that it is called in.
        """
        with self.transaction() as work:
            session = work.session
            session.flush()  # what was linked in this very transaction counts
            self.set_tenant(source, tenant)
            names = {patient: self._patient(source, patient) for patient in patients}
            tokens = {patient: sorted(self._tokens(tenant, each)) for patient, each in patients.items()}
            likely = {patient: sorted(self._keys(tenant, (keys or {}).get(patient, ()))) for patient in patients}
            roll = Roll(self, work, source, now, names, tokens, likely)
            _read(session, roll)
            known = {twin for twin, _ in roll.links.values()}
            asked = [each for each in patients if names[each] not in roll.links or roll.is_news(each)]
            alike = {twin for patient in asked for twin in roll.led_to(patient)}
            self._open_keys(session, known | alike)
            roll.persons.update(self._told_of_all(session, alike, _MATCHING))
            yield roll
            _write(session, roll)

    def told_of(self, twin: str, leave: Reidentify) -> Told:
        """Open what the sources say of who a twin is, by source and hashed patient."""
        with self._reading() as session:
            return self._told(session, twin, leave)

    def draw_twin(self, work: Work, now: datetime) -> dict[str, Any]:
        """Make the row of a new twin, which is not written yet."""
        return self._new_twin(work.session, now)

    def seal_person(self, session: Session, twin: str, person: Person, source: str, name: str) -> bytes:
        """Seal what a source says of a person."""
        return self._twin_key(session, twin).seal(msgspec.msgpack.encode(person), person_place(source, name))


def _read(session: Session, roll: Roll) -> None:
    connection = session.connection()
    for names in batches(roll.names.values()):
        found = connection.execute(_LINKS, {"names": names})
        roll.links.update((patient, (twin, bool(ended))) for patient, twin, ended in found)
        roll.told.update(
            (twin, name) for twin, name in connection.execute(_TOLD, {"of_source": roll.source, "names": names})
        )
    for names in batches({token for each in roll.tokens.values() for token in each}):
        for token, twin in connection.execute(_TOKENS, {"names": names}):
            roll.twins[token].add(twin)
    for keys in batches({key for each in roll.keys.values() for key in each}):
        for key, twin in connection.execute(_KEYS, {"names": keys}):
            roll.like[key].add(twin)


def _write(session: Session, roll: Roll) -> None:
    connection = session.connection()
    _drop_known(connection, roll.rows["possible"])
    for name, statement in (
        ("twins", insert(TwinRow)),
        ("links", insert(PatientLinkRow)),
        ("again", _AGAIN),
        ("persons", insert(PersonRow)),
        ("tell", _TELL),
        ("tokens", insert(PersonTokenRow)),
        ("keys", insert(LikenessRow)),
        ("possible", insert(IdentityRow)),
    ):
        if rows := roll.rows[name]:
            connection.execute(statement, rows)
    session.expire_all()  # what this transaction read before is not true any more


def _drop_known(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Leave out the pairs of which something was put down before: what a person decided stands."""
    known: set[frozenset[str]] = set()
    for names in batches({twin for row in rows for twin in (row["one"], row["other"])}):
        known.update(frozenset(pair) for pair in connection.execute(_PAIRS, {"names": names}))
    rows[:] = [row for row in rows if {row["one"], row["other"]} not in known]
