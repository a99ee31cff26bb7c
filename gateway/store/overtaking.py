"""What may have overtaken a result, asked of the database alone: nothing is opened.

A twin that changed since a run, and a newer result of the same model at the same EHR. What follows from it is said by
`gateway.deliver.review`, which opens the twin.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import text

from gateway.store.delivery import Delivery
from gateway.store.outbox import Outbox

__all__ = ["Ground", "Overtaking"]

_GROUND: Final = (
    "SELECT twin.version, run.twin_version,"
    " (SELECT 1 FROM guard WHERE guard.twin = twin.id AND guard.kind = 'restriction'),"
    " (SELECT 1 FROM patient_link WHERE patient_link.twin = twin.id LIMIT 1)"
    " FROM twin, run WHERE run.id = ? AND twin.id = ?"
)
_RIVAL: Final = (
    "SELECT 1 FROM outbox JOIN run ON run.id = outbox.run"
    " WHERE outbox.source = ? AND outbox.twin = ? AND outbox.id <> ?"
    " AND outbox.state IN ('proposed', 'approved', 'sending', 'failed', 'held', 'sent')"
    " AND (outbox.kind IS NULL OR outbox.kind <> 'change')"
    " AND run.model = (SELECT model FROM run WHERE id = ?) LIMIT 1"
)
_SEVERAL: Final = text(
    "SELECT outbox.twin FROM outbox JOIN run ON run.id = outbox.run"
    " WHERE outbox.state = 'sent' AND (outbox.kind IS NULL OR outbox.kind <> 'change')"
    " GROUP BY outbox.twin, outbox.source, run.model HAVING COUNT(*) > 1"
)
_CHANGED_MEANWHILE: Final = text(
    "SELECT DISTINCT outbox.twin FROM outbox JOIN run ON run.id = outbox.run JOIN twin ON twin.id = outbox.twin"
    " WHERE outbox.state = 'sent' AND (outbox.kind IS NULL OR outbox.kind <> 'change')"
    " AND twin.version <> run.twin_version AND outbox.updated >= twin.updated"
)


class Ground(NamedTuple):
    """A twin as it is now, and which version of it a run was made of: all in plain."""

    version: int
    made_of: int
    is_restricted: bool
    is_somebody: bool


class Overtaking(Outbox):
    """Says of which results and twins it has to be asked whether they still stand."""

    def ground_of(self, twin: str, run: str) -> Ground | None:
        """Tell of a twin and a run what decides whether a result may leave; `None` where one of them is not there."""
        row = self._one(_GROUND, run, twin)
        return Ground(int(row[0]), int(row[1]), bool(row[2]), bool(row[3])) if row else None

    def has_rival(self, delivery: Delivery) -> bool:
        """Say whether another result of the same model for the same patient is at the same EHR, or on its way there."""
        return self._one(_RIVAL, delivery.source, delivery.twin, delivery.id, delivery.run) is not None

    def twins_to_review(self) -> set[str]:
        """Name the twins of which a kill may have kept somebody from looking whether their results still stand.

        Those of which several results of one model are at one EHR, and those that changed before a result of theirs
        arrived, and after its run.
        """
        with self._reading() as session:
            connection = session.connection()
            return {twin for statement in (_SEVERAL, _CHANGED_MEANWHILE) for twin in connection.scalars(statement)}
