"""Runs, saved sealed with the twin that they are about."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from gateway.store.audited import Events
from gateway.store.guarding import Guarding
from gateway.store.prefix import begins_with
from gateway.store.tables import RunRow
from gateway.store.values import SavedRun
from security.errors import Misuse, UnknownName
from security.vault import Place

__all__ = ["Runs"]

_SHOWN = 10  # how many known ids an error names


class Runs(Guarding):
    """Saves runs and gives them back."""

    def save_run(
        self, run: str, twin: str, model: str, twin_version: int, content: bytes, *, now: datetime, events: Events = ()
    ) -> bool:
        """Save a run under its id, which is derived from all that went into it.

        A run that is saved already stays as it is: the same id means the same result. Returns whether it was new; the
        events are recorded in any case, because somebody did run it. Raises `Denied` where the twin is restricted.
        """
        with self.transaction() as work:
            self.must_be_open(twin)
            work.record(events)
            session = work.session
            if session.get(RunRow, run) is not None:
                return False
            sealed = self._twin_key(session, twin).seal(content, Place("run", run, "sealed"))
            session.add(RunRow(id=run, twin=twin, created=now, model=model, twin_version=twin_version, sealed=sealed))
            session.flush()
            return True

    def runs(self, twin: str) -> list[SavedRun]:
        """Open all runs of a twin, newest first."""
        with self._reading() as session:
            rows = session.exec(
                select(RunRow).where(RunRow.twin == twin).order_by(col(RunRow.created).desc(), RunRow.id)
            )
            return [self._run(session, row) for row in rows.all()]

    def run(self, start: str) -> SavedRun:
        """Open one run, by its id or the start of it. Raises `UnknownName` where none is, `Misuse` for several."""
        with self._reading() as session:
            chosen = select(RunRow).where(begins_with(RunRow.id, start)).order_by(col(RunRow.id)).limit(2)
            found = session.exec(chosen).all() if start and start.isprintable() else []
            if len(found) == 1 or (found and found[0].id == start.lower()):
                return self._run(session, found[0])
            known = session.exec(select(RunRow.id).order_by(col(RunRow.created).desc()).limit(_SHOWN)).all()
        if found:
            raise Misuse("Several runs have an id that starts like this.", hint="Give more digits of it.")
        raise UnknownName("run", start, known)

    def run_counts(self) -> dict[str, int]:
        """Count the runs of each model."""
        with self._reading() as session:
            counted = select(RunRow.model, func.count()).group_by(RunRow.model).order_by(RunRow.model)
            return dict(session.exec(counted).all())

    def _run(self, session: Session, row: RunRow) -> SavedRun:
        content = self._twin_key(session, row.twin).open(row.sealed, Place("run", row.id, "sealed"))
        return SavedRun(row.id, row.twin, row.created, row.model, row.twin_version, content)
