"""What a source sends about an erased person, or one whose data may not be processed: refused before it is stored.

An entry that names them loses its bytes and keeps its place, with the reason "erased" or "restricted", so that the
counts add up and nothing of the person reaches the disk. Erased people are known by keyed hashes of the names that
their source has for them and for their resources; a resource that names one is theirs, too, and its own name is added.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import bindparam, exists, insert, or_
from sqlmodel import Session, col, select

from gateway.pull.page import Entry, Page
from gateway.store.names import is_about, names_in, own_name
from gateway.store.owners import Owners, batches
from gateway.store.tables import ErasedNameRow, GuardRow, PatientLinkRow

__all__ = ["Barred"]

Bar = Literal["erased", "restricted"]

_ANY: Any = select(
    or_(exists().where(col(ErasedNameRow.twin).is_not(None)), exists().where(col(GuardRow.kind) == "restriction"))
)
_ERASED: Any = select(ErasedNameRow.key, ErasedNameRow.twin).where(
    col(ErasedNameRow.key).in_(bindparam("keys", expanding=True))
)
_RESTRICTED: Any = (
    select(PatientLinkRow.patient)
    .join(GuardRow, col(GuardRow.twin) == col(PatientLinkRow.twin))
    .where(col(GuardRow.kind) == "restriction", col(PatientLinkRow.patient).in_(bindparam("names", expanding=True)))
)


class Barred(Owners):
    """Keeps out of the store what must not come in."""

    def erased_key(self, source: str, name: str) -> bytes:
        """Hash a name under which a source knows an erased person or a resource about them."""
        return bytes.fromhex(self._blind.of(f"erased of {source}", name))

    def erased_as(self, source: str, name: str) -> str | None:
        """Say which twin was erased under a name that a source had for it or for something about it."""
        with self._reading() as session:
            return self._erased_among(session, source, [name]).get(name)

    def admit(self, source: str, pages: Sequence[Page]) -> list[Page]:
        """Leave out of pages, before anything is made of them, what names somebody who is barred."""
        with self._reading() as session:
            if not self._are_any(session):
                return list(pages)
        with self.transaction() as work:
            return [self.without_barred(work.session, source, page) for page in pages]

    def without_barred(self, session: Session, source: str, page: Page) -> Page:
        """Leave out of a page what names somebody who is barred; it costs one look-up where nobody is."""
        if not self._are_any(session):
            return page
        named = [names_in(entry.raw, entry.full_url) for entry in page.entries]
        every = {name for names in named for name in names} | {gone.resource for gone in page.gone}
        erased = self._erased_among(session, source, every)
        restricted = self._restricted_among(session, source, every)
        if not erased and not restricted:
            return page
        bars = [_bar(entry, erased, restricted) for entry in page.entries]
        theirs = (
            (own_name(entry.raw), next(erased[name] for name in sorted(names & erased.keys())))
            for entry, names, bar in zip(page.entries, named, bars, strict=True)
            if bar == "erased"
        )
        self._note(session, source, theirs, erased)
        return msgspec.structs.replace(
            page,
            entries=tuple(
                Entry(b"", problem=bar, version=entry.version) if bar else entry
                for entry, bar in zip(page.entries, bars, strict=True)
            ),
            gone=tuple(one for one in page.gone if one.resource not in erased and one.resource not in restricted),
            doubted=tuple(name for name in page.doubted if name not in erased and name not in restricted),
        )

    def _are_any(self, session: Session) -> bool:
        return bool(session.connection().scalar(_ANY))

    def _patient_hash(self, source: str, patient: str) -> str:
        return self._blind.of(f"patient of {source}", patient)  # as `People` does

    def _erased_among(self, session: Session, source: str, names: Iterable[str]) -> dict[str, str]:
        """Say which names are of an erased person, with the twin that they were."""
        keys: dict[bytes, str] = {}
        for name in names:
            keys[self.erased_key(source, name)] = name
            if name.startswith("Patient/"):  # of whom nothing but a link may have been known
                keys[bytes.fromhex(self._patient_hash(source, name))] = name
        found: dict[str, str] = {}
        for some in batches(keys):
            rows = session.connection().execute(_ERASED, {"keys": some})
            found.update((keys[key], twin) for key, twin in rows)
        return found

    def _restricted_among(self, session: Session, source: str, names: Iterable[str]) -> set[str]:
        patients = {self._patient_hash(source, name): name for name in names if name.startswith("Patient/")}
        found: set[str] = set()
        for some in batches(patients):
            found.update(patients[each] for (each,) in session.connection().execute(_RESTRICTED, {"names": some}))
        return found

    def _note(self, session: Session, source: str, own: Iterable[tuple[str, str]], erased: Container[str]) -> None:
        """Remember the own names of what was left out, so that what names only those (a Provenance) is left out too."""
        fresh = {self.erased_key(source, name): twin for name, twin in own if name and name not in erased}
        if fresh:
            session.connection().execute(insert(ErasedNameRow), [{"key": k, "twin": t} for k, t in fresh.items()])


def _bar(entry: Entry, erased: Container[str], restricted: Container[str]) -> Bar | None:
    if is_about(entry.raw, entry.full_url, erased):
        return "erased"
    return "restricted" if is_about(entry.raw, entry.full_url, restricted) else None
