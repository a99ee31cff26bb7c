"""Who a twin is: found by keyed hashes, told by its sources, and linked to the patients that they know."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, func
from sqlmodel import Session, col, select

from gateway.store.audited import Events
from gateway.store.owners import Owners, batches
from gateway.store.tables import (
    LikenessRow,
    MetaRow,
    PatientLinkRow,
    PersonRow,
    PersonTokenRow,
    TwinRow,
    TwinSourceRow,
)
from gateway.store.values import TwinSummary
from mappers.identity import Person
from security.errors import BadSettings, Misuse, UnknownName
from security.reidentification import Reidentify
from security.vault import Place

__all__ = ["People", "Told", "person_place"]

Told = dict[tuple[str, str], Person]
"""What is told of one twin, by source and hashed patient."""

_read_person = msgspec.msgpack.Decoder(Person)
_VERSION: Any = select(TwinRow.version).where(col(TwinRow.id) == bindparam("of_twin"))
_LINK: Any = select(PatientLinkRow.twin).where(
    col(PatientLinkRow.patient) == bindparam("of_patient"), col(PatientLinkRow.ended).is_not(True)
)
_PERSONS: Any = (
    select(PersonRow.twin, PersonRow.source, PersonRow.patient, PersonRow.sealed)
    .where(col(PersonRow.twin).in_(bindparam("names", expanding=True)))
    .order_by(PersonRow.twin, PersonRow.source, PersonRow.patient)
)
_SHOWN = 10  # how many known ids an error names


class People(Owners):
    """Twins as persons: makes, finds, links and lists them."""

    def new_twin(self, now: datetime, events: Events = ()) -> str:
        """Make an empty twin with a key of its own. Returns its id, which is random and tells nothing."""
        with self.transaction() as work:
            work.record(events)
            return self._make_twin(work.session, now)

    def link_person(
        self,
        twin: str,
        person: Person,
        source: str,
        patient: str,
        tokens: Iterable[str],
        *,
        keys: Iterable[str] = (),
        events: Events = (),
    ) -> None:
        """Note that a patient of a source (a reference within it) is this twin, what it says of them, and their tokens.

        What the same source said before is replaced; earlier tokens still lead here. `keys` lead to those who resemble
        them (`mappers.matching.search_keys`). A patient whom the source had
        deleted is there again. Refuses with a `ValueError` a patient who is linked to another twin already.
        """
        name = self._patient(source, patient)
        with self.transaction() as work:
            work.record(events)
            session, key = work.session, self._twin_key(work.session, twin)
            link = session.get(PatientLinkRow, name)
            if link is not None and link.twin != twin:
                raise ValueError("this patient is another twin already")
            if link is None:
                session.add(PatientLinkRow(patient=name, twin=twin, source=source))
            elif link.ended:
                link.ended = None
                session.add(link)
            sealed = key.seal(msgspec.msgpack.encode(person), person_place(source, name))
            session.merge(PersonRow(twin=twin, source=source, patient=name, sealed=sealed))
            tenant = self.tenant_of(source)
            for token in sorted(self._tokens(tenant, tokens)):
                session.merge(PersonTokenRow(token=token, twin=twin))
            for key_of in sorted(self._keys(tenant, keys)):
                session.merge(LikenessRow(key=key_of, twin=twin))

    def link_patient(self, twin: str, source: str, patient: str) -> None:
        """Note that a name by which a source means somebody is this twin; nothing is said of who that is.

        For sources that use our own ids. A name that is known stays whose it is.
        """
        name = self._patient(source, patient)
        with self.transaction() as work:
            self._twin_key(work.session, twin)  # a stranger is a mistake of ours
            if work.session.get(PatientLinkRow, name) is None:
                work.session.add(PatientLinkRow(patient=name, twin=twin, source=source))
                work.session.flush()

    def tenant_of(self, source: str) -> str:
        """Say whose patients those of a source are: nobody is found for a patient of another tenant."""
        with self._reading() as session:
            row = session.get(MetaRow, _tenant(source))
            return row.value if row else ""

    def set_tenant(self, source: str, tenant: str) -> None:
        """Say it once, before patients of the source came. Raises `BadSettings` where it was another one."""
        with self.transaction() as work:
            row = work.session.get(MetaRow, _tenant(source))
            known = select(PatientLinkRow.patient).where(PatientLinkRow.source == source).limit(1)
            is_new = row is None and work.session.exec(known).first() is None
            if not is_new and (row.value if row else "") != tenant:
                raise BadSettings(
                    f"The tenant of source {source} cannot be changed: its patients were compared as another one's.",
                    hint="Put the old tenant back, or pull it under another name (or into another --home).",
                )
            if row is None and tenant:
                work.session.add(MetaRow(name=_tenant(source), value=tenant))
                work.session.flush()

    def find_twins(
        self, tokens: Iterable[str], leave: Reidentify, tenant: str = ""
    ) -> list[tuple[str, tuple[Person, ...]]]:
        """Find the twins of a tenant that share a token with somebody, with all that is said of each."""
        blind = self._tokens(tenant, tokens)
        with self._reading() as session:
            found = select(PersonTokenRow.twin).where(col(PersonTokenRow.token).in_(blind)).distinct()
            twins = session.exec(found.order_by(PersonTokenRow.twin)).all()
            return [(twin, self._persons(session, twin, leave)) for twin in twins]

    def led_to(self, tokens: Iterable[str], keys: Iterable[str], tenant: str = "") -> set[str]:
        """Name the twins of a tenant that share a token with somebody, or a key of `search_keys`; nothing is opened."""
        with self._reading() as session:
            found = select(PersonTokenRow.twin).where(col(PersonTokenRow.token).in_(self._tokens(tenant, tokens)))
            alike = select(LikenessRow.twin).where(col(LikenessRow.key).in_(self._keys(tenant, keys)))
            return {*session.exec(found.distinct()).all(), *session.exec(alike.distinct()).all()}

    def persons(self, twin: str, leave: Reidentify) -> tuple[Person, ...]:
        """Open what the sources say of who a twin is."""
        with self._reading() as session:
            return self._persons(session, twin, leave)

    def persons_of(self, twins: Iterable[str], leave: Reidentify) -> dict[str, tuple[Person, ...]]:
        """Open the same of many twins, in few statements; of a stranger nothing is told."""
        with self._reading() as session:
            return {twin: tuple(told.values()) for twin, told in self._told_of_all(session, twins, leave).items()}

    def twin_of(self, source: str, patient: str) -> str | None:
        """Say which twin a patient of a source is, or `None` where that patient is not known."""
        with self._reading() as session:
            session.flush()  # a link of this very transaction counts
            twin: str | None = session.connection().scalar(_LINK, {"of_patient": self._patient(source, patient)})
            return twin

    def find_twin(self, start: str) -> str:
        """Complete the start of a twin's id. Raises `UnknownName` where there is none, `Misuse` for several."""
        with self._reading() as session:
            # Compared, not matched with LIKE: what a person types may hold % and _.
            same = func.substr(col(TwinRow.id), 1, len(start)) == start.lower()
            found = session.exec(select(TwinRow.id).where(same).limit(2)).all() if start and start.isprintable() else []
            if len(found) == 1:
                return found[0]
            known = session.exec(select(TwinRow.id).order_by(col(TwinRow.created)).limit(_SHOWN)).all()
        if found:
            raise Misuse(
                "Several twins have an id that starts like this.", hint="Give more digits of it; see twin list."
            )
        raise UnknownName("twin", start, known)

    def twin_version(self, twin: str) -> int:
        """Say which version of a twin is the newest. Raises `KeyError` for an id that `find_twin` does not give."""
        with self._reading() as session:
            version: int | None = session.connection().scalar(_VERSION, {"of_twin": twin})
            if version is None:
                raise KeyError(twin)
            return version

    def twins(self) -> list[TwinSummary]:
        """List all twins, oldest first, with counts. Nothing is opened."""
        with self._reading() as session:
            rows = session.exec(select(TwinRow).order_by(col(TwinRow.created), col(TwinRow.id))).all()
            parts: dict[str, list[TwinSourceRow]] = {}
            for part in session.exec(select(TwinSourceRow).order_by(col(TwinSourceRow.source))):
                parts.setdefault(part.twin, []).append(part)
        return [_summary(row, parts.get(row.id, [])) for row in rows]

    def _persons(self, session: Session, twin: str, leave: Reidentify) -> tuple[Person, ...]:
        return tuple(self._told(session, twin, leave).values())

    def _told(self, session: Session, twin: str, leave: Reidentify) -> Told:
        """Open what is told of a twin, by source and hashed patient."""
        self._twin_key(session, twin)  # a stranger is a mistake of ours
        return self._told_of_all(session, [twin], leave)[twin]

    def _told_of_all(self, session: Session, twins: Iterable[str], leave: Reidentify) -> dict[str, Told]:
        """Open what is told of some twins, in few statements."""
        Reidentify.check(leave)
        found: dict[str, Told] = {twin: {} for twin in twins}
        for names in batches(found):
            for twin, source, patient, sealed in session.connection().execute(_PERSONS, {"names": names}):
                place = person_place(source, patient)
                opened = self._twin_key(session, twin).open(sealed, place)
                found[twin][source, patient] = _read_person.decode(opened)
        return found

    def _tokens(self, tenant: str, tokens: Iterable[str]) -> set[str]:
        kind = f"person of {tenant}" if tenant else "person"
        return {self._blind.of(kind, token) for token in tokens}

    def _keys(self, tenant: str, keys: Iterable[str]) -> set[bytes]:
        return {self._blind.brief(f"person of {tenant}", key) for key in keys}

    def _patient(self, source: str, patient: str) -> str:
        return self._blind.of(f"patient of {source}", patient)


def _tenant(source: str) -> str:
    return f"tenant of {source}"


def person_place(source: str, patient: str) -> Place:
    """Say what a sealed person is bound to; `patient` is the keyed hash."""
    return Place("person", f"{source}:{patient}", "sealed")


def _summary(row: TwinRow, parts: list[TwinSourceRow]) -> TwinSummary:
    return TwinSummary(
        id=row.id,
        version=row.version,
        created=row.created,
        updated=row.updated,
        sources=tuple(part.source for part in parts),
        resources=sum(part.resources for part in parts),
        facts=sum(part.facts for part in parts),
        refusals=sum(part.refusals for part in parts),
    )
