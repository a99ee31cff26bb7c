"""What is kept for a while outside the store and is still a twin's: sealed under its key, so that erasing it ends this.

Files of exports and results of jobs wait to be fetched. What belongs to nobody is sealed under a key of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session

from gateway.store.owners import Owners
from security.errors import Erased
from security.vault import Place, SealingKey

__all__ = ["Parcels"]


class Parcels(Owners):
    """Seals for twins, and opens what was sealed so."""

    def seal_parcels(self, parcels: Sequence[tuple[str, bytes, Place]]) -> list[bytes]:
        """Seal contents, each for its twin ("" for what is nobody's) and its place. Raises `KeyError` for a stranger,
        `Erased` for a twin whose key was destroyed.
        """
        with self._reading() as session:
            self._open_keys(session, {twin for twin, _, _ in parcels if twin})
            return [self._parcel_key(session, twin).seal(content, place) for twin, content, place in parcels]

    def open_parcels(self, parcels: Sequence[tuple[str, bytes, Place]]) -> list[bytes | None]:
        """Open what was sealed, in order; `None` for what is of a twin that was erased since."""
        with self._reading() as session:
            self._open_keys(session, {twin for twin, _, _ in parcels if twin})
            return [self._opened_parcel(session, *parcel) for parcel in parcels]

    def _opened_parcel(self, session: Session, twin: str, sealed: bytes, place: Place) -> bytes | None:
        try:
            key = self._parcel_key(session, twin)
        except (Erased, KeyError):
            return None
        return key.open(sealed, place)

    def _parcel_key(self, session: Session, twin: str) -> SealingKey:
        return self._twin_key(session, twin) if twin else SealingKey(self._ring.derive("register"), "parcels", 2)
