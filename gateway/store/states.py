"""What models know of a twin so far, and which warnings stand: one sealed value each, replaced as new facts come."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, insert, update
from sqlmodel import col, select

from gateway.store.audited import Events
from gateway.store.owners import Owners
from gateway.store.tables import StateRow
from gateway.store.values import SavedState, StateKind
from security.vault import Place

__all__ = ["States"]


_NAMED = (
    col(StateRow.twin) == bindparam("of_twin"),
    col(StateRow.model) == bindparam("of_model"),
    col(StateRow.kind) == bindparam("of_kind"),
)
_STATE = select(StateRow.revision, StateRow.updated, StateRow.twin_version, StateRow.sealed).where(*_NAMED)
_REVISION = select(StateRow.revision).where(*_NAMED)
_REPLACE = (
    update(StateRow)
    .where(*_NAMED, col(StateRow.revision) == bindparam("after"))
    .values({name: bindparam(f"new_{name}") for name in ("revision", "updated", "twin_version", "sealed")})
)


class States(Owners):
    """Saves the living part of a twin and gives it back."""

    def state(self, twin: str, model: str, kind: StateKind) -> SavedState | None:
        """Open what is kept of a kind, or `None` where nothing is yet."""
        with self._reading() as session:
            row = session.connection().execute(_STATE, _name(twin, model, kind)).first()
            if row is None:
                return None
            revision, updated, twin_version, sealed = row
            content = self._twin_key(session, twin).open(sealed, _place(twin, model, kind, revision))
            return SavedState(revision, updated, twin_version, content)

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
            session, name = work.session, _name(twin, model, kind)
            connection = session.connection()
            if not after and connection.scalar(_REVISION, name) is not None:
                return False
            sealed = self._twin_key(session, twin).seal(content, _place(twin, model, kind, after + 1))
            row = {"revision": after + 1, "updated": now, "twin_version": twin_version, "sealed": sealed}
            if not after:
                connection.execute(insert(StateRow), {"twin": twin, "model": model, "kind": kind, **row})
            elif not connection.execute(
                _REPLACE, {**name, "after": after, **{f"new_{key}": value for key, value in row.items()}}
            ).rowcount:
                return False
            work.record(events)
            return True

    def states_of(self, twin: str) -> list[tuple[str, str, SavedState]]:
        """Open all that is kept of a twin: model, kind and state."""
        with self._reading() as session:
            rows = session.exec(
                select(StateRow).where(StateRow.twin == twin).order_by(col(StateRow.model), col(StateRow.kind))
            ).all()
            key = self._twin_key(session, twin)
            return [
                (
                    row.model,
                    row.kind,
                    SavedState(
                        row.revision,
                        row.updated,
                        row.twin_version,
                        key.open(row.sealed, _place(twin, row.model, row.kind, row.revision)),
                    ),
                )
                for row in rows
            ]

    def states(self, kind: StateKind) -> list[tuple[str, str]]:
        """List the twins and models of which something of a kind is kept; nothing is opened."""
        with self._reading() as session:
            rows = session.exec(
                select(StateRow.twin, StateRow.model)
                .where(col(StateRow.kind) == kind)
                .order_by(StateRow.twin, StateRow.model)
            )
            return [(twin, model) for twin, model in rows.all()]


def _name(twin: str, model: str, kind: StateKind) -> dict[str, str]:
    return {"of_twin": twin, "of_model": model, "of_kind": kind}


def _place(twin: str, model: str, kind: str, revision: int) -> Place:
    return Place("state", f"{twin}:{model}:{kind}:{revision}", "sealed")
