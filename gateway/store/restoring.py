"""What becomes of the audit log of a store that was put back from a copy.

The copy's log may end before the one that was there: if both went on under one name, two histories would be signed for
one log. So the log of a restored store goes on under a new name. Its tree is the same and grows on; its first event
names the last checkpoint that was signed under the former name, and the newest one that anybody knew. Whoever verifies
with the former public key sees that this is another log, and whoever has the new one sees in it what it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import select

from gateway.store.audited import Events
from gateway.store.owners import batches, source_owner, twin_owner
from gateway.store.shredding import Shredding
from gateway.store.tables import ErasureRow, MetaRow, SourceKeyRow, TwinRow
from security.audit import Checkpoint, Signer
from security.audit.statement import Title, sign_statement
from security.keys import KeyRing

__all__ = ["KeysFound", "Restoring"]


@dataclass(frozen=True, slots=True)
class KeysFound:
    """Of the owners in the data: how many keys open, were destroyed on purpose, and are not in the key store."""

    opened: int = 0
    erased: int = 0
    missing: int = 0


class Restoring(Shredding):
    """Lets the log of a restored store go on, and keeps destroyed what was destroyed."""

    def statement(self, title: Title, lines: Iterable[tuple[str, str]]) -> str:
        """Sign a statement as this installation."""
        return sign_statement(self._signer, title, lines)

    def keys_found(self) -> KeysFound:
        """Open the key of every owner in the data. Raises `Sealed` for one that is not of this key ring."""
        with self._reading() as session:
            owners = [twin_owner(twin) for twin in session.exec(select(TwinRow.id)).all()]
            sources = session.exec(select(SourceKeyRow.source, SourceKeyRow.generation)).all()
        owners += [source_owner(source, generation or 1) for source, generation in sources]
        dead = {stone.owner for stone in self.keys.tombstones()}
        opened = 0
        for names in batches(owners):
            for owner, wrapped in self.keys.get_many(names).items():
                self._vault.open_key(owner, wrapped)
                opened += 1
        erased = sum(owner in dead for owner in owners)
        return KeysFound(opened, erased, len(owners) - opened - erased)

    def continues(self, kept: Checkpoint) -> bool:
        """Say whether the log is the one of a checkpoint that was kept outside of it, or what became of that."""
        with self.audit_view() as view:
            return view.continues(kept)

    def newest_checkpoint(self) -> str:
        """Return the last signed checkpoint, "" before the first event."""
        with self.audit_view() as view:
            return view.checkpoint() or ""

    def begin_epoch(self, keyring: KeyRing, events: Events) -> str:
        """Go on with the log under a new name, with `events` as its first; returns the new public key.

        Raises `Tampered` where the log is not what was signed last under the former name.
        """
        with self.transaction() as work:
            log = self._log_now(work.session)  # it raises where the log does not continue what was signed
            signer = Signer(f"{self.log_id}-{secrets.token_hex(4)}", keyring.derive("audit-sign"))
            if self._log is not None:
                self._log = (self._log[0], log.under(signer))
            work.record(events)
            self._record_now(work)
            for key, value in (
                ("audit-log", signer.name.partition("/")[2]),
                ("audit-key", signer.public_key),
                ("audit-epoch", str(log.size)),
            ):
                work.session.merge(MetaRow(name=key, value=value))
            work.session.flush()
        self._signer = signer
        self._forget()
        return signer.public_key

    def destroy_again(self, owners: Sequence[tuple[str, str]], now: datetime) -> int:
        """Destroy keys that an older copy of the key store brought back: those that the data say were destroyed.

        `owners` are further ones, each with the id of its receipt. Returns how many keys were there again.
        """
        with self._reading() as session:
            rows = session.exec(select(ErasureRow.owners, ErasureRow.id).where(ErasureRow.owners != "")).all()
        gone = [(owner, receipt) for told, receipt in rows for owner in told.split("\n")]
        gone += owners
        back = self.keys.get_many(owner for owner, _ in gone)
        for owner, receipt in gone:
            if owner in back or self.keys.tombstone(owner) is None:
                self.keys.remove(owner, now, receipt)
        return len(back)
