"""Twins who may be one person: those that wait for a decision, what was decided, and what it takes to undo it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
from sqlmodel import Session, col, or_, select

from gateway.pull.page import Why
from gateway.store.audited import Events
from gateway.store.blocks import Ends
from gateway.store.enrolling import Enrolling
from gateway.store.owners import batches
from gateway.store.retracting import Retracting
from gateway.store.tables import IdentityRow, LikenessRow, PatientLinkRow, PersonTokenRow
from gateway.store.values import StoredResource
from security.errors import UnknownName
from security.vault import Place

__all__ = ["Decision", "Identities", "Identity", "IdentityState", "Linked"]

IdentityState = Literal["possible", "joined", "parted"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Two twins who may be one person. `decided` is when a person said whether they are."""

    number: int
    one: str
    other: str
    state: IdentityState
    since: datetime
    decided: datetime | None


class Linked(msgspec.Struct, frozen=True, array_like=True):
    """A patient of a source, by the keyed hash of the reference."""

    source: str
    patient: str


class Decision(msgspec.Struct, frozen=True):
    """What a decision did: whom it moved from one twin into another, who was there before, and which pairs it made."""

    away: str
    into: str
    moved: tuple[Linked, ...] = ()
    there: tuple[Linked, ...] = ()
    made: tuple[int, ...] = ()


_read_decision = msgspec.msgpack.Decoder(Decision)


class Identities(Retracting, Enrolling):
    """Keeps pairs of twins and what was decided of them, and moves patients with what is held about them."""

    def identities(self, *, decided: bool = False) -> list[Identity]:
        """List the pairs that wait for a decision, oldest first; those that were decided, too, where told."""
        statement = select(IdentityRow).order_by(col(IdentityRow.number))
        if not decided:
            statement = statement.where(IdentityRow.state == "possible")
        with self._reading() as session:
            return [_identity(row) for row in session.exec(statement).all()]

    def identity(self, number: int) -> Identity:
        """Return a pair by its number. Raises `UnknownName`."""
        with self._reading() as session:
            row = session.get(IdentityRow, number)
            if row is None:
                known = session.exec(select(IdentityRow.number).order_by(col(IdentityRow.number)).limit(10)).all()
                raise UnknownName("identity", str(number), [str(each) for each in known])
            return _identity(row)

    def pair(self, one: str, other: str, now: datetime) -> Identity:
        """Find or make the pair of two twins."""
        with self.transaction() as work:
            first, second = sorted((one, other))
            which = (IdentityRow.one == first, IdentityRow.other == second)
            row = work.session.exec(select(IdentityRow).where(*which)).first()
            if row is None:
                row = IdentityRow(one=first, other=second, state="possible", since=now)
                work.session.add(row)
                work.session.flush()
            return _identity(row)

    def said(self, twins: Iterable[str]) -> list[Identity]:
        """List the decided pairs in which some twins stand."""
        names = list(twins)
        which = or_(col(IdentityRow.one).in_(names), col(IdentityRow.other).in_(names))
        with self._reading() as session:
            session.flush()
            return [
                _identity(r) for r in session.exec(select(IdentityRow).where(which, IdentityRow.state != "possible"))
            ]

    def decide(
        self, number: int, state: IdentityState, decision: Decision | None, now: datetime, events: Events = ()
    ) -> None:
        """Note what was decided of a pair, and what that did; with "possible", that it was undone."""
        with self.transaction() as work:
            work.record(events)
            row = work.session.get(IdentityRow, number)
            if row is None:
                raise KeyError(number)
            row.state, row.decided = state, None if state == "possible" else now
            key = self._twin_key(work.session, row.one)
            row.sealed = key.seal(msgspec.msgpack.encode(decision), _place(number)) if decision else None
            work.session.add(row)
            work.session.flush()

    def decision(self, number: int) -> Decision | None:
        """Open what the last decision of a pair did."""
        with self._reading() as session:
            row = session.get(IdentityRow, number)
            if row is None or row.sealed is None:
                return None
            return _read_decision.decode(self._twin_key(session, row.one).open(row.sealed, _place(number)))

    def forget_pair(self, number: int) -> None:
        """Drop a pair that nobody would have thought of: it was made by a decision that is undone."""
        with self.transaction() as work:
            row = work.session.get(IdentityRow, number)
            if row is not None:
                work.session.delete(row)
                work.session.flush()

    def linked(self, twin: str) -> tuple[Linked, ...]:
        """List the patients that a twin is, those included whom their source has deleted."""
        statement = select(PatientLinkRow.source, PatientLinkRow.patient).where(PatientLinkRow.twin == twin)
        with self._reading() as session:
            session.flush()
            rows = session.exec(statement.order_by(PatientLinkRow.source, PatientLinkRow.patient)).all()
        return tuple(Linked(source, patient) for source, patient in rows)

    def who_are_somebody(self, twins: Iterable[str]) -> set[str]:
        """Pick the twins that are a patient of any source."""
        found: set[str] = set()
        with self._reading() as session:
            for names in batches(twins):
                which = select(PatientLinkRow.twin).where(col(PatientLinkRow.twin).in_(names)).distinct()
                found.update(session.exec(which).all())
        return found

    def linked_as(self, source: str, patient: str) -> Linked:
        """Name a patient of a source as links do."""
        return Linked(source, self._patient(source, patient))

    def relink(self, linked: Iterable[Linked], into: str) -> None:
        """Let patients be another twin from now on, with what their sources say of them."""
        with self.transaction() as work:
            for each in linked:
                link = work.session.get(PatientLinkRow, each.patient)
                if link is not None and link.twin != into:
                    is_ended = link.ended
                    self._copy_keys(work.session, link.twin, into)
                    self._move(work.session, link, into, link.before)
                    link.ended = is_ended

    def _copy_keys(self, session: Session, away: str, into: str) -> None:
        """Let all that leads to one twin lead to another one, too; whom it leads to is compared."""
        for row, name in ((PersonTokenRow, "token"), (LikenessRow, "key")):
            column = getattr(row, name)
            there = set(session.exec(select(column).where(row.twin == into)).all())
            for key in set(session.exec(select(column).where(row.twin == away)).all()) - there:
                session.add(row(**{name: key, "twin": into}))
        session.flush()

    def shift(
        self, source: str, away: str, into: str, resources: Sequence[StoredResource], why: Why, now: datetime
    ) -> None:
        """End resources of a source in one twin, with a reason, and store them in another one."""
        with self.transaction() as work:
            ended: Ends = {away: [StoredResource(source, one.key, "", b"", (), retracted=why) for one in resources]}
            self._append(work.session, source, {into: resources}, [], now, ended)


def _identity(row: IdentityRow) -> Identity:
    return Identity(
        number=row.number or 0,
        one=row.one,
        other=row.other,
        state=msgspec.convert(row.state, IdentityState),
        since=row.since,
        decided=row.decided,
    )


def _place(number: int) -> Place:
    return Place("identity", str(number), "sealed")
