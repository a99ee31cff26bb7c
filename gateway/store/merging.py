"""What becomes of the patients of a source when it deletes one, merges two, or parts them again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from gateway.store.audited import Events
from gateway.store.people import People, person_place
from gateway.store.tables import PatientLinkRow, PersonRow

__all__ = ["Merging"]

_EVER: Any = select(PatientLinkRow.twin, PatientLinkRow.before).where(
    col(PatientLinkRow.patient) == bindparam("of_patient")
)


class Merging(People):
    """Moves the link of a patient, and ends it. What the twins hold is moved by `Blocks`, in the same transaction."""

    def was_twin(self, source: str, patient: str) -> tuple[str | None, str | None]:
        """Say which twin a patient is or was before the source deleted them, and which one before they were merged.

        The second is `None` for a patient who is not merged, and "" for one who came merged and was none before; both
        are `None` for one who was never known.
        """
        with self._reading() as session:
            session.flush()
            row = session.connection().execute(_EVER, {"of_patient": self._patient(source, patient)}).first()
            return (row[0], row[1]) if row else (None, None)

    def end_patient(self, source: str, patient: str, events: Events = ()) -> bool:
        """Note that a source no longer has a patient; `False` where that was known. Whoever names them names nobody."""
        with self.transaction() as work:
            link = work.session.get(PatientLinkRow, self._patient(source, patient))
            if link is None or link.ended:
                return False
            work.record(events)
            link.ended = True
            work.session.add(link)
            work.session.flush()
            return True

    def merge_patient(self, source: str, patient: str, into: str, events: Events = ()) -> None:
        """Let a known patient be another twin from now on, and remember which one it was.

        What the source says of the person goes along, sealed anew. Of one who is that twin already it is noted that
        they came as a merged one. Raises `KeyError` for an unknown patient.
        """
        with self.transaction() as work:
            work.record(events)
            link = self._link(work.session, source, patient)
            before = link.before or ("" if link.twin == into else link.twin)
            self._move(work.session, link, into, before)

    def part_patient(self, source: str, patient: str, into: str, events: Events = ()) -> None:
        """Let a merged patient be a twin of its own again. Raises `KeyError` for an unknown patient."""
        with self.transaction() as work:
            work.record(events)
            self._move(work.session, self._link(work.session, source, patient), into, None)

    def _link(self, session: Session, source: str, patient: str) -> PatientLinkRow:
        link = session.get(PatientLinkRow, self._patient(source, patient))
        if link is None:
            raise KeyError(patient)
        return link

    def _move(self, session: Session, link: PatientLinkRow, to: str, before: str | None) -> None:
        place = person_place(link.source, link.patient)
        told = session.get(PersonRow, (link.twin, link.source, link.patient))
        if told is not None and link.twin != to:
            person = self._twin_key(session, link.twin).open(told.sealed, place)
            sealed = self._twin_key(session, to).seal(person, place)
            session.delete(told)
            session.merge(PersonRow(twin=to, source=link.source, patient=link.patient, sealed=sealed))
        link.twin, link.before, link.ended = to, before, None
        session.add(link)
        session.flush()
