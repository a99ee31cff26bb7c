"""Many patients at once: what is known of them is read in a few statements, and written in a few.

One by one, a new person costs dozens of statements; a first pull brings thousands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, insert, update
from sqlmodel import Session, col, select

from gateway.store.audited import Events, Work
from gateway.store.merging import Merging
from gateway.store.owners import batches
from gateway.store.people import Told, person_place
from gateway.store.tables import PatientLinkRow, PersonRow, PersonTokenRow, TwinRow
from mappers.identity import Person

__all__ = ["Enrolling", "Roll"]

_names: Any = bindparam("names", expanding=True)
_LINKS: Any = select(PatientLinkRow.patient, PatientLinkRow.twin, PatientLinkRow.ended).where(
    col(PatientLinkRow.patient).in_(_names)
)
_TOKENS: Any = select(PersonTokenRow.token, PersonTokenRow.twin).where(col(PersonTokenRow.token).in_(_names))
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
    links: dict[str, tuple[str, bool]] = field(default_factory=dict)
    twins: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    told: set[tuple[str, str]] = field(default_factory=set)
    persons: dict[str, Told] = field(default_factory=dict)
    fresh: dict[str, Told] = field(default_factory=lambda: defaultdict(dict))
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def twin_of(self, patient: str, *, ever: bool = False) -> str | None:
        """Say which twin a patient is, `None` where they are not known; or were, before the source deleted them."""
        twin, ended = self.links.get(self.names[patient], (None, False))
        return twin if ever or not ended else None

    def persons_of(self, twin: str) -> tuple[Person, ...]:
        """Say what the sources tell of who a twin is."""
        if twin not in self.persons:
            self.persons[twin] = self.store.told_of(twin) | self.fresh.pop(twin, {})
        return tuple(self.persons[twin].values())

    def alike(self, patient: str) -> list[tuple[str, tuple[Person, ...]]]:
        """Find the twins that share a token with a patient, each with all that its sources say of the person."""
        twins = {twin for token in self.tokens[patient] for twin in self.twins.get(token, ())}
        return [(twin, self.persons_of(twin)) for twin in sorted(twins)]

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

    def record(self, events: Events) -> None:
        """Add events that describe what is put down."""
        self.work.record(events)


class Enrolling(Merging):
    """Opens the roll of some patients of a source."""

    @contextmanager
    def enrol(self, source: str, patients: Mapping[str, Iterable[str]], now: datetime) -> Iterator[Roll]:
        """Open the roll of patients, given with the tokens of each; what is put down is written when this ends.

        It is a transaction, or a part of the one that it is called in.
        """
        with self.transaction() as work:
            session = work.session
            session.flush()  # what was linked in this very transaction counts
            names = {patient: self._patient(source, patient) for patient in patients}
            tokens = {
                patient: sorted({self._blind.of("person", token) for token in each})
                for patient, each in patients.items()
            }
            roll = Roll(self, work, source, now, names, tokens)
            _read(session, roll)
            self._open_keys(session, {twin for twin, _ in roll.links.values()})
            yield roll
            _write(session, roll)

    def told_of(self, twin: str) -> Told:
        """Open what the sources say of who a twin is, by source and hashed patient."""
        with self._reading() as session:
            return self._told(session, twin)

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


def _write(session: Session, roll: Roll) -> None:
    connection = session.connection()
    for name, statement in (
        ("twins", insert(TwinRow)),
        ("links", insert(PatientLinkRow)),
        ("again", _AGAIN),
        ("persons", insert(PersonRow)),
        ("tell", _TELL),
        ("tokens", insert(PersonTokenRow)),
    ):
        if rows := roll.rows[name]:
            connection.execute(statement, rows)
    session.expire_all()  # what this transaction read before is not true any more
