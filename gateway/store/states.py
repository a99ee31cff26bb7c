"""What models know of a twin so far, and which warnings stand: one sealed value each, replaced as new facts come."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from gateway.store.audited import Events
from gateway.store.owners import Owners
from gateway.store.tables import StateRow
from gateway.store.values import SavedState, StateKind
from security.vault import Place

__all__ = ["States"]


class States(Owners):
    """Saves the living part of a twin and gives it back."""

    def state(self, twin: str, model: str, kind: StateKind) -> SavedState | None:
        """Open what is kept of a kind, or `None` where nothing is yet."""
        with self._reading() as session:
            row = session.get(StateRow, (twin, model, kind), populate_existing=True)
            return self._state(session, row) if row else None

    def save_state(
        self,
        twin: str,
        model: str,
        kind: StateKind,
        content: bytes,
        *,
        after: int,
        twin_version: int,
        now: datetime,
        events: Events = (),
    ) -> bool:
        """Replace what is kept, where it is still the revision `after` (0: nothing was kept).

        Returns `False`, and keeps and records nothing, where somebody else was faster: read again and decide again.
        """
        with self.transaction() as work:
            session = work.session
            row = session.get(StateRow, (twin, model, kind), populate_existing=True)
            if (row.revision if row else 0) != after:
                return False
            work.record(events)
            sealed = self._twin_key(session, twin).seal(content, _place(twin, model, kind, after + 1))
            session.merge(
                StateRow(
                    twin=twin,
                    model=model,
                    kind=kind,
                    revision=after + 1,
                    updated=now,
                    twin_version=twin_version,
                    sealed=sealed,
                )
            )
            session.flush()
            return True

    def states(self, kind: StateKind) -> list[tuple[str, str]]:
        """List the twins and models of which something of a kind is kept; nothing is opened."""
        with self._reading() as session:
            rows = session.exec(
                select(StateRow.twin, StateRow.model)
                .where(col(StateRow.kind) == kind)
                .order_by(StateRow.twin, StateRow.model)
            )
            return [(twin, model) for twin, model in rows.all()]

    def _state(self, session: Session, row: StateRow) -> SavedState:
        place = _place(row.twin, row.model, row.kind, row.revision)
        content = self._twin_key(session, row.twin).open(row.sealed, place)
        return SavedState(row.revision, row.updated, row.twin_version, content)


def _place(twin: str, model: str, kind: str, revision: int) -> Place:
    return Place("state", f"{twin}:{model}:{kind}:{revision}", "sealed")
