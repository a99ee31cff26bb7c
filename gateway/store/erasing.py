"""Erasing a twin: its rows go, its keys are destroyed, and what is left says that this was done.

    (whole) ──▶ dropped ──▶ done
                rows are gone, new keys for its sources     keys destroyed, receipt signed

The first step is one transaction, so that a kill before its end leaves the twin as it was. From then on nobody finds it
any more, and the second step is repeated until it is done: by the next opening of the store, whoever opens it.

Rows would be enough if nobody had copies: what makes the copies (backups, the log of the database, freed pages, a
disk's spare blocks) unreadable is that the keys are destroyed in the key store: the twin's own, and the present key of
each source that it is known in, because what comes is sealed with that one until it is mapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, func, insert, update
from sqlmodel import Session, col, or_, select

from gateway.pull.page import Entry, Page
from gateway.store.audit_view import AuditView
from gateway.store.audited import Events, Work
from gateway.store.identities import Decision
from gateway.store.landing import landed_of
from gateway.store.layers import blocks, open_layers, read_resources
from gateway.store.names import is_about, local_name, own_name
from gateway.store.owners import batches, source_owner, twin_owner
from gateway.store.resealing import Resealed, Resealing, is_about_them
from gateway.store.tables import (
    AttentionRow,
    BlockRow,
    ErasedNameRow,
    ErasureRow,
    GuardRow,
    IdentityRow,
    LandedRow,
    LikenessRow,
    OutboxRow,
    PageRow,
    PatientLinkRow,
    PersonRow,
    PersonTokenRow,
    PullRow,
    RunRow,
    SourceKeyRow,
    StateRow,
    TwinRow,
    TwinSourceRow,
)
from gateway.store.values import StoredResource
from security.errors import Denied, Misuse
from security.reidentification import Reidentify
from security.vault import Place

__all__ = ["Erasing", "Erasure", "Relatives"]

_OF_TWINS: tuple[Any, ...] = (  # in an order that foreign keys allow
    *(AttentionRow, StateRow, LandedRow, OutboxRow, RunRow, PersonRow, PersonTokenRow, LikenessRow),
    *(PatientLinkRow, TwinSourceRow, BlockRow, GuardRow),
)
_COUNTED: dict[Any, str] = {
    BlockRow: "blocks",
    RunRow: "runs",
    StateRow: "states",
    OutboxRow: "deliveries",
    PersonRow: "persons",
    PatientLinkRow: "patients",
}
_SUMS: Any = select(
    func.coalesce(func.sum(TwinSourceRow.resources), 0), func.coalesce(func.sum(TwinSourceRow.facts), 0)
).where(col(TwinSourceRow.twin).in_(bindparam("names", expanding=True)))
_read_page = msgspec.msgpack.Decoder(Page)
_read_decision = msgspec.msgpack.Decoder(Decision)


@dataclass(frozen=True, slots=True)
class Relatives:
    """Who goes along with a twin, and who cannot.

    `along` are twins that the same person was before they were joined or merged, and that nobody is any more. `sharing`
    are twins of others in whose history something of the person stands: they were once taken for one.
    """

    along: tuple[str, ...] = ()
    sharing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Erasure:
    """What is left of a twin. `receipt` is the signed one, "" where the second step is not done."""

    id: str
    twin: str
    begun: datetime
    receipt: str = ""

    @property
    def is_done(self) -> bool:
        """Say whether the keys are destroyed and the receipt is there."""
        return bool(self.receipt)


@dataclass
class _Gone:
    counts: dict[str, int] = field(default_factory=dict)
    names: dict[str, set[str]] = field(default_factory=dict)


class Erasing(Resealing):
    """Erases twins, and remembers that it did."""

    @property
    def log_id(self) -> str:
        """The id of this store; its key store and the name of its log begin with it."""
        return self._signer.name.partition("/")[2].partition("-")[0]

    def relatives(self, twin: str) -> Relatives:
        """Say who goes along with a twin. Raises `Misuse` for one that nobody is any more: it goes with who is."""
        with self._reading() as session:
            links = set(session.exec(select(PatientLinkRow.twin).distinct()).all())
            joined, parted = self._decided(session)
            merged = {
                (before, into)
                for before, into in session.exec(select(PatientLinkRow.before, PatientLinkRow.twin).distinct())
                if before and before != into
            }
        moves = joined | merged
        if twin not in links and (into := sorted(into for away, into in moves if away == twin)):
            raise Misuse(
                "Nobody is this twin any more: the person it was is another one.",
                hint=f"Name that one, and this one goes along: {', '.join(into)}.",
            )
        along: set[str] = set()
        reached = {twin}
        while reached:
            reached = {away for away, into in moves if into in reached} - along - {twin}
            along |= {one for one in reached if one not in links}
            reached &= along
        group = along | {twin}
        sharing = {away for away, into in moves | parted if into in group and away not in group}
        return Relatives(tuple(sorted(along)), tuple(sorted(sharing)))

    def strays_of(
        self, twins: Sequence[str], leave: Reidentify
    ) -> tuple[list[StoredResource], list[tuple[str, Entry]]]:
        """Open what is about some twins and stands in none: what belongs to no twin, and what is not mapped yet.

        The second comes with its source. Record the access as for `twin_record`.
        """
        leave.check(leave)
        resources: list[StoredResource] = []
        waiting: list[tuple[str, Entry]] = []
        with self._reading() as session:
            for source, names in sorted(self._gone(session, twins).names.items()):
                if session.get(SourceKeyRow, source) is None:
                    continue
                key = self._source_key(session, source)
                which = (col(BlockRow.twin).is_(None), col(BlockRow.source) == source)
                for block in blocks(session, *which, sealed=True):
                    found = read_resources(open_layers(key, block))
                    resources += [one for one in found if is_about_them(one, names)]
                pages = (
                    select(PageRow.pull, PageRow.number, PageRow.sealed).join(PullRow).where(PullRow.source == source)
                )
                for pull, number, sealed in session.exec(pages).all():
                    page = _read_page.decode(key.open(sealed, Place("page", f"{pull}:{number}", "sealed")))
                    waiting += [(source, e) for e in page.entries if is_about(e.raw, e.full_url, names)]
        return resources, waiting

    def drop_twin(
        self, twin: str, erasure: str, told: Sequence[tuple[str, str]], now: datetime, events: Callable[..., Events]
    ) -> Erasure:
        """Take the first step for a twin and those that go along; `erasure` is the id of the receipt.

        `told` are lines of the receipt (who, why), `events` makes the record of it from counts. Raises `Denied` under a
        legal hold, `KeyError` for a stranger.
        """
        with self.transaction() as work:
            session = work.session
            relatives = self.relatives(twin)
            group = [twin, *relatives.along]
            for one in group:
                self._twin_key(session, one)
                if session.get(GuardRow, (one, "hold")) is not None:
                    raise Denied(
                        "A legal hold stands on this twin: it is not erased.",
                        hint="twin hold --release lifts it, with a reason.",
                    )
            gone = self._gone(session, group)
            owners = [twin_owner(one) for one in group]
            self._bar(session, group, gone.names)
            self._delete(session, group)
            left = Resealed()
            for source, names in sorted(gone.names.items()):
                if session.get(SourceKeyRow, source) is None:  # it was written to, and nothing came from there
                    continue
                resealed = self._reseal(session, source, names, now)
                owners.append(source_owner(source, resealed.generation))
                left += resealed
            counts = gone.counts | {
                "unlinked": left.unlinked,
                "waiting": left.entries,
                "pulls-given-up": left.pulls,
            }
            lines = [
                *told,
                *(("along", one) for one in relatives.along),
                *(("shared-history", one) for one in relatives.sharing),
                *((name, str(count)) for name, count in counts.items()),
            ]
            session.add_all(
                ErasureRow(
                    twin=one,
                    id=erasure,
                    begun=now,
                    state="dropped",
                    owners="\n".join(owners if one == twin else ()),
                    told=msgspec.json.encode(lines).decode() if one == twin else "",
                )
                for one in group
            )
            work.record(events(**{name.replace("-", "_"): count for name, count in counts.items()}))
            session.flush()
            number = self._record_now(work)
            session.exec(update(ErasureRow).where(col(ErasureRow.id) == erasure).values(number=number))
            return Erasure(erasure, twin, now)

    def erasures(self, *, unfinished: bool = False) -> list[Erasure]:
        """List what was erased, oldest first, or only that of which the second step is not done."""
        statement = select(ErasureRow).where(ErasureRow.told != "").order_by(col(ErasureRow.begun))
        if unfinished:
            statement = statement.where(ErasureRow.state != "done")
        with self._reading() as session:
            return [Erasure(r.id, r.twin, r.begun, r.receipt or "") for r in session.exec(statement).all()]

    def _decided(self, session: Session) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """Say who was joined into whom, and who was parted from whom into a twin of their own."""
        joined: set[tuple[str, str]] = set()
        parted: set[tuple[str, str]] = set()
        for row in session.exec(select(IdentityRow).where(col(IdentityRow.sealed).is_not(None))).all():
            key = self._twin_key(session, row.one)
            decision = _read_decision.decode(key.open(row.sealed or b"", Place("identity", str(row.number), "sealed")))
            if row.state == "joined":
                joined.add((decision.away, decision.into))
            elif row.state == "parted":
                parted.add((decision.away, decision.into))
        return joined, parted

    def _gone(self, session: Session, group: Sequence[str]) -> _Gone:
        """Count what goes, and gather the names by which each source knows it."""
        gone = _Gone()
        for table, name in _COUNTED.items():
            which = col(table.twin).in_(group)
            gone.counts[name] = session.exec(select(func.count()).select_from(table).where(which)).one()
        [(resources, facts)] = session.connection().execute(_SUMS, {"names": list(group)})
        gone.counts |= {"resources": int(resources), "facts": int(facts)}
        for row in (PatientLinkRow, TwinSourceRow):
            for source in session.exec(select(row.source).where(col(row.twin).in_(group)).distinct()):
                gone.names.setdefault(source, set())
        for twin in group:
            key = self._twin_key(session, twin)
            for number in [block.id for block in blocks(session, BlockRow.twin == twin)]:
                [block] = blocks(session, BlockRow.id == number, sealed=True)
                for resource in read_resources(open_layers(key, block)):
                    theirs = gone.names.setdefault(resource.source, set())
                    theirs.update(filter(None, (own_name(resource.raw), local_name(resource.full_url))))
                    if "@" not in resource.key:
                        theirs.add(resource.key)
            for source, landed in landed_of(session, key, twin):
                ours = [one for one in landed if not one.reference.startswith("Device/")]  # a model is everybody's
                names = (name for one in ours for name in (one.reference, f"urn:uuid:{one.uuid}"))
                gone.names.setdefault(source, set()).update(names)
        return gone

    def _bar(self, session: Session, group: Sequence[str], names: Mapping[str, Iterable[str]]) -> None:
        """Remember, hashed, under which names the sources know who is erased."""
        twin = group[0]
        keys = {self.erased_key(source, name) for source, theirs in names.items() for name in theirs}
        patients = session.exec(select(PatientLinkRow.patient).where(col(PatientLinkRow.twin).in_(group)))
        keys.update(bytes.fromhex(patient) for patient in patients)
        self._remember(session, dict.fromkeys(keys, twin))
        self.keys.bar((key, twin) for key in keys)

    def _remember(self, session: Session, names: Mapping[bytes, str]) -> None:
        for some in batches(names):
            there = set(session.exec(select(ErasedNameRow.key).where(col(ErasedNameRow.key).in_(some))).all())
            if fresh := [{"key": key, "twin": names[key]} for key in some if key not in there]:
                session.connection().execute(insert(ErasedNameRow), fresh)

    def _delete(self, session: Session, group: Sequence[str]) -> None:
        for table in _OF_TWINS:
            session.exec(delete(table).where(col(table.twin).in_(group)))
        pairs = or_(col(IdentityRow.one).in_(group), col(IdentityRow.other).in_(group))
        session.exec(delete(IdentityRow).where(pairs))
        merged = update(PatientLinkRow).where(col(PatientLinkRow.before).in_(group))
        session.exec(merged.values(before=""))
        session.exec(delete(TwinRow).where(col(TwinRow.id).in_(group)))

    def _record_now(self, work: Work) -> int:
        """Record what this transaction has to tell so far, and return the number of the last event."""
        work.session.flush()
        work.appended = self._write_events(work) or work.appended
        work.events.clear()
        return AuditView(work.session, self.audit_public_key).size
