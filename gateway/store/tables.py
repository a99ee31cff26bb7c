"""The tables of the store. What stands here in plain text is all that a stolen database file tells.

That is: twin ids (random), names of sources, numbers and counts, times of ingestion, names of models and states of
work. Everything else is sealed (security.vault) or a keyed hash (security.blind). Times are text in UTC to the
microsecond, so that they sort as they stand, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from sqlalchemy import BigInteger, Dialect, Index, Integer, LargeBinary, String, text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

__all__ = [
    "COLUMNS",
    "GROWING",
    "PARTIAL",
    "SCHEMA",
    "ArrivalRow",
    "AttentionRow",
    "AuditEventRow",
    "AuditHourRow",
    "AuditNodeRow",
    "AuditPostingRow",
    "AuditStateRow",
    "BlockRow",
    "CheckpointRow",
    "CosignatureRow",
    "ErasedNameRow",
    "ErasureRow",
    "GuardRow",
    "IdentityRow",
    "Instant",
    "KeyCopyRow",
    "LandedRow",
    "LikenessRow",
    "MetaRow",
    "OutboxRow",
    "PageRow",
    "PatientLinkRow",
    "PersonRow",
    "PersonTokenRow",
    "PullRow",
    "RegisterRow",
    "RunRow",
    "SourceKeyRow",
    "StateRow",
    "StreamMemoRow",
    "TwinRow",
    "TwinSourceRow",
]

SCHEMA = 8
"""Version of these tables; a store with a higher one was written by a newer fhirtwin.

1: the first. 2: adds tables only (`state`, `arrival`, `stream_memo`, `attention`), so that a store of 1 becomes one of
2 by making them. 3: adds the columns `COLUMNS`, which may be empty; `arrived` takes the place of `arrival`, whose keys
were text. 4: ends of resources (`StoredResource.retracted`), which an older release would show as resources; adds the
columns of `patient_link`, which may be empty. 5: blocks in columns (gateway.store.columns), which an older release
cannot read; adds the tables `likeness` and `identity`. 6: wrapped keys stand in a file of their own
(gateway.store.key_table), and no longer in `twin` and `source_key`; adds the tables `guard`, `erasure`, `erased_name`
and `key_copy`, and `source_key.generation`, which may be empty; `audit_node`, filled from an older store's events, and
`audit_cosignature`. 7: adds the table `register`. 8: adds columns of `outbox`, which may be empty, and the table
`landed`: a delivery waits for an agreement, is leased by who sends it, and is known by what it became at the EHR; what
was in the outbox gets its place in the order (gateway.store.earlier).
"""

COLUMNS = {
    "block": {"first": "INTEGER", "begun": "VARCHAR(27)"},
    "patient_link": {"ended": "BOOLEAN", "before": "VARCHAR"},
    "source_key": {"generation": "INTEGER"},
    "outbox": {
        **dict.fromkeys(("model", "kind", "reason", "replaces", "holder"), "VARCHAR"),
        **dict.fromkeys(("not_before", "lease_until", "left_at"), "VARCHAR(27)"),
        **dict.fromkeys(("content", "decision", "landed"), "BLOB"),
        "position": "INTEGER",
        "unsure": "BOOLEAN",
    },
}
"""What an older store's tables are given, by table: columns and their types."""


Number = BigInteger().with_variant(Integer(), "sqlite")
"""A number that we give ourselves and that may outgrow 32 bits; SQLite's have 64 by themselves."""

_GIVEN = {"autoincrement": False}
_ON_ITS_WAY = "state || '' IN ('approved', 'sending', 'failed', 'held')"
PARTIAL = {"outbox_on_its_way": _ON_ITS_WAY}
"""Indexes that hold some rows only. PostgreSQL is told by gateway.store.script, which has loaded its dialect."""


class Instant(TypeDecorator[datetime]):
    """An instant with its zone, stored as text in UTC; refuses one without a zone."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Write an instant."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the store keeps instants with their zone")
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Read an instant."""
        return None if value is None else datetime.fromisoformat(value)


class MetaRow(SQLModel, table=True):
    """What is true of the whole store: "schema", "log-id", "audit-key" (the public one)."""

    __tablename__: ClassVar[str] = "meta"

    name: str = Field(primary_key=True)
    value: str


class SourceKeyRow(SQLModel, table=True):
    """One source that something was stored of; its key, which the key store has, seals what belongs to no twin.

    `generation` counts its keys where it has had several: each erasure of one of its patients takes the key with it.
    """

    __tablename__: ClassVar[str] = "source_key"

    source: str = Field(primary_key=True)
    created: datetime = Field(sa_type=Instant)
    version: int  # counts changes of the unlinked resources
    generation: int | None = None


class PullRow(SQLModel, table=True):
    """One pull. Cursor, certificate and ledger are sealed with the source's key: a cursor is often a URL with an id."""

    __tablename__: ClassVar[str] = "pull"

    id: str = Field(primary_key=True)
    source: str = Field(foreign_key="source_key.source", index=True)
    started: datetime = Field(sa_type=Instant)
    finished: datetime | None = Field(default=None, sa_type=Instant)
    state: str
    pages: int
    mapped: int
    fhir_version: str
    cursor: bytes | None = Field(default=None, sa_type=LargeBinary)
    certificate: bytes | None = Field(default=None, sa_type=LargeBinary)
    ledger: bytes | None = Field(default=None, sa_type=LargeBinary)


class PageRow(SQLModel, table=True):
    """One landed page, kept until its pull is finished; of a stream, one delivery, kept until it is mapped."""

    __tablename__: ClassVar[str] = "page"

    pull: str = Field(primary_key=True, foreign_key="pull.id")
    number: int = Field(primary_key=True)
    mapped: bool
    sealed: bytes = Field(sa_type=LargeBinary)


class TwinRow(SQLModel, table=True):
    """One person. Destroying their key, which the key store has, makes all that is sealed for them unreadable."""

    __tablename__: ClassVar[str] = "twin"

    id: str = Field(primary_key=True)
    created: datetime = Field(sa_type=Instant)
    updated: datetime = Field(sa_type=Instant)
    version: int


class TwinSourceRow(SQLModel, table=True):
    """How much of a twin came from one source; counts of what is current, so that listing opens nothing."""

    __tablename__: ClassVar[str] = "twin_source"

    twin: str = Field(primary_key=True, foreign_key="twin.id")
    source: str = Field(primary_key=True)
    resources: int
    facts: int
    refusals: int


class PersonTokenRow(SQLModel, table=True):
    """A keyed hash by which a person may be found again. Several a twin; one may lead to several twins."""

    __tablename__: ClassVar[str] = "person_token"

    token: str = Field(primary_key=True)
    twin: str = Field(primary_key=True, foreign_key="twin.id")


class LikenessRow(SQLModel, table=True):
    """A short keyed hash by which somebody may be found who resembles a person; chance may let two tokens meet."""

    __tablename__: ClassVar[str] = "likeness"
    __table_args__: ClassVar[dict[str, bool]] = {"sqlite_with_rowid": False}

    key: bytes = Field(primary_key=True, sa_type=LargeBinary)
    twin: str = Field(primary_key=True, foreign_key="twin.id")


class IdentityRow(SQLModel, table=True):
    """Two twins who may be one person, and what a person decided of them.

    `state` is "possible", "joined" (what `other` held is `one`'s) or "parted". `sealed` tells with the key of `one` who
    belonged where when it was decided, and what is to be done to undo it.
    """

    __tablename__: ClassVar[str] = "identity"

    number: int | None = Field(default=None, primary_key=True)
    one: str = Field(foreign_key="twin.id", index=True)
    other: str = Field(foreign_key="twin.id", index=True)
    state: str
    since: datetime = Field(sa_type=Instant)
    decided: datetime | None = Field(default=None, sa_type=Instant)
    sealed: bytes | None = Field(default=None, sa_type=LargeBinary)


class PersonRow(SQLModel, table=True):
    """What one source says about who a twin is, sealed with the twin's key."""

    __tablename__: ClassVar[str] = "person"

    twin: str = Field(primary_key=True, foreign_key="twin.id")
    source: str = Field(primary_key=True)
    patient: str = Field(primary_key=True)
    sealed: bytes = Field(sa_type=LargeBinary)


class PatientLinkRow(SQLModel, table=True):
    """Which twin a patient of a source is; `patient` is a keyed hash of the reference within that source.

    `ended` is true where the source no longer has the patient. Where the patient was merged into another one, `twin` is
    that one's and `before` the twin that it was until then ("" where it was none).
    """

    __tablename__: ClassVar[str] = "patient_link"

    patient: str = Field(primary_key=True)
    twin: str = Field(foreign_key="twin.id", index=True)
    source: str
    ended: bool | None = None
    before: str | None = None


class BlockRow(SQLModel, table=True):
    """Resources of one page, one owner: raw and outcomes in `sealed`, a short index of them in `contents`.

    `twin` is empty for resources that belong to no twin; the key is then the source's. `version` is the owner's version
    that this block belongs to. Of several that were merged it is the last one, as are `created` and `source`; `first`
    and `begun` are then version and time of the first one (gateway.store.compaction).
    """

    __tablename__: ClassVar[str] = "block"

    id: int = Field(primary_key=True, sa_type=Number, sa_column_kwargs=_GIVEN)
    twin: str | None = Field(default=None, foreign_key="twin.id", index=True)
    source: str = Field(foreign_key="source_key.source", index=True)
    version: int
    created: datetime = Field(sa_type=Instant)
    count: int
    first: int | None = None
    begun: datetime | None = Field(default=None, sa_type=Instant)
    contents: bytes = Field(sa_type=LargeBinary)
    sealed: bytes = Field(sa_type=LargeBinary)


class RunRow(SQLModel, table=True):
    """One run; its id is derived from twin, model and inputs, so that saving it twice is saving it once."""

    __tablename__: ClassVar[str] = "run"

    id: str = Field(primary_key=True)
    twin: str = Field(foreign_key="twin.id", index=True)
    created: datetime = Field(sa_type=Instant)
    model: str
    twin_version: int
    sealed: bytes = Field(sa_type=LargeBinary)


class StateRow(SQLModel, table=True):
    """What a model knows of a twin so far ("track", "skill") and which warnings stand ("warnings"), one of each kind.

    `revision` counts changes, so that of two processes the second sees that it is late. `twin_version` is the version
    of the twin that it was brought up to.
    """

    __tablename__: ClassVar[str] = "state"

    twin: str = Field(primary_key=True, foreign_key="twin.id")
    model: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    revision: int
    updated: datetime = Field(sa_type=Instant)
    twin_version: int
    sealed: bytes = Field(sa_type=LargeBinary)


class OutboxRow(SQLModel, table=True):
    """One proposal, and its delivery to a source; its id is derived from what is delivered.

    `position` gives the order in which things were agreed to or proposed, and no two have the same; `replaces` names
    the delivery that this one changes or takes the place of. `holder` has it until `lease_until`, and nobody takes it
    up before `not_before`; `left_at` is when something of it left last, and `unsure` says that nobody knows whether
    that was done. `reason` is a code of ours (docs/delivery.md).

    What is on its way is little among all that ever was sent, and is looked through often: it has an index of its own,
    with all that is asked about it (gateway.store.turns).
    """

    __tablename__: ClassVar[str] = "outbox"
    __table_args__: ClassVar[tuple[Index, ...]] = (
        Index("outbox_in_order", "position", unique=True),
        Index("outbox_of_patient", "source", "twin", "state", "position"),
        Index("outbox_by_state", "state", "created"),
        Index("outbox_of_run", "run"),
        Index(
            "outbox_on_its_way",
            *("position", "source", "twin", "state", "not_before", "lease_until", "updated"),
            sqlite_where=text(_ON_ITS_WAY),
        ),
    )

    id: str = Field(primary_key=True)
    twin: str = Field(foreign_key="twin.id", index=True)
    source: str = Field(index=True)
    run: str = Field(foreign_key="run.id")
    created: datetime = Field(sa_type=Instant)
    updated: datetime = Field(sa_type=Instant)
    state: str
    attempts: int
    last_status: int | None = None
    model: str | None = None
    kind: str | None = None
    position: int | None = None
    replaces: str | None = None
    reason: str | None = None
    not_before: datetime | None = Field(default=None, sa_type=Instant)
    holder: str | None = None
    lease_until: datetime | None = Field(default=None, sa_type=Instant)
    left_at: datetime | None = Field(default=None, sa_type=Instant)
    unsure: bool | None = None
    bundle: bytes = Field(sa_type=LargeBinary)
    reply: bytes | None = Field(default=None, sa_type=LargeBinary)
    content: bytes | None = Field(default=None, sa_type=LargeBinary)
    decision: bytes | None = Field(default=None, sa_type=LargeBinary)
    landed: bytes | None = Field(default=None, sa_type=LargeBinary)


class LandedRow(SQLModel, table=True):
    """By what a resource that we wrote is found: `name` is a keyed hash of its address at a source, or of its UUID."""

    __tablename__: ClassVar[str] = "landed"

    source: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    twin: str = Field(foreign_key="twin.id", index=True)
    delivery: str = Field(foreign_key="outbox.id", index=True)


class ArrivalRow(SQLModel, table=True):
    """A delivery that arrived by itself, so that it does not arrive twice; `key` is a keyed hash of what names it.

    These are kept for good, in as few bytes as they take: one of them is there for each value of a sensor.
    """

    __tablename__: ClassVar[str] = "arrived"
    __table_args__: ClassVar[dict[str, bool]] = {"sqlite_with_rowid": False}

    source: str = Field(primary_key=True, foreign_key="source_key.source")
    key: bytes = Field(primary_key=True, sa_type=LargeBinary)


class StreamMemoRow(SQLModel, table=True):
    """What a stream has to remember, sealed with its source's key; `name` is a keyed hash: it may be that of a file."""

    __tablename__: ClassVar[str] = "stream_memo"

    source: str = Field(primary_key=True, foreign_key="source_key.source")
    name: str = Field(primary_key=True)
    sealed: bytes = Field(sa_type=LargeBinary)


class AttentionRow(SQLModel, table=True):
    """A twin that a stream has changed and whose warnings nobody has looked at since; `version` is the changed one."""

    __tablename__: ClassVar[str] = "attention"

    twin: str = Field(primary_key=True, foreign_key="twin.id")
    version: int


class AuditEventRow(SQLModel, table=True):
    """One sealed AuditEvent and its leaf of the Merkle tree (security.audit.log)."""

    __tablename__: ClassVar[str] = "audit_event"

    sequence: int = Field(primary_key=True, sa_type=Number, sa_column_kwargs=_GIVEN)
    sealed: bytes = Field(sa_type=LargeBinary)
    leaf: bytes = Field(sa_type=LargeBinary)


class CheckpointRow(SQLModel, table=True):
    """A signed checkpoint over the first `size` events."""

    __tablename__: ClassVar[str] = "audit_checkpoint"

    size: int = Field(primary_key=True, sa_type=Number, sa_column_kwargs=_GIVEN)
    text: str


class AuditNodeRow(SQLModel, table=True):
    """The root over 256**level events that lie together, counted from 0: what proofs are made of; derived."""

    __tablename__: ClassVar[str] = "audit_node"
    __table_args__: ClassVar[dict[str, bool]] = {"sqlite_with_rowid": False}

    level: int = Field(primary_key=True, sa_column_kwargs=_GIVEN)
    number: int = Field(primary_key=True, sa_type=Number, sa_column_kwargs=_GIVEN)
    hash: bytes = Field(sa_type=LargeBinary)


class CosignatureRow(SQLModel, table=True):
    """A signature line on the checkpoint over the first `size` events, by the witness of that public key."""

    __tablename__: ClassVar[str] = "audit_cosignature"

    size: int = Field(primary_key=True, sa_type=Number, sa_column_kwargs=_GIVEN)
    line: str = Field(primary_key=True)
    witness: str


class AuditStateRow(SQLModel, table=True):
    """The one row that says where the log goes on."""

    __tablename__: ClassVar[str] = "audit_state"

    id: int = Field(primary_key=True, sa_column_kwargs=_GIVEN)
    frontier: bytes = Field(sa_type=LargeBinary)


class AuditPostingRow(SQLModel, table=True):
    """Which events of one transaction share a trait, whose keyed hash is `key` (gateway.store.audit_index).

    It can be made anew from the events: rules of the database do not hold it, `twin audit reindex --check` does.
    """

    __tablename__: ClassVar[str] = "audit_posting"
    __table_args__: ClassVar[dict[str, bool]] = {"sqlite_with_rowid": False}

    key: bytes = Field(primary_key=True, sa_type=LargeBinary)
    last: int = Field(primary_key=True, sa_type=Number, sa_column_kwargs=_GIVEN)
    runs: bytes = Field(sa_type=LargeBinary)


class AuditHourRow(SQLModel, table=True):
    """From event number `first` on, events tell of this hour (UTC, "2026-11-29T21"), until the next row."""

    __tablename__: ClassVar[str] = "audit_hour"

    first: int = Field(primary_key=True, sa_type=Number, sa_column_kwargs=_GIVEN)
    hour: str


class GuardRow(SQLModel, table=True):
    """What is not to be done with a twin: "hold" (not erased), "restriction" (kept, and not processed any further).

    `why` is a code, never a text.
    """

    __tablename__: ClassVar[str] = "guard"

    twin: str = Field(primary_key=True, foreign_key="twin.id")
    kind: str = Field(primary_key=True)
    since: datetime = Field(sa_type=Instant)
    why: str


class ErasureRow(SQLModel, table=True):
    """What is left of a twin that was erased: its tombstone in the data (another one is in the key store).

    `state` is "dropped" (its rows are gone, its keys not yet), or "done". `number` is the audit event of the erasure.
    `owners` names the keys that go with it, `led` the twin that was asked for, where this one went along; `told` holds
    the lines of the receipt, and `receipt` is the signed one. Nothing of it tells who it was.
    """

    __tablename__: ClassVar[str] = "erasure"

    twin: str = Field(primary_key=True)
    id: str = Field(index=True)
    begun: datetime = Field(sa_type=Instant)
    state: str
    owners: str
    told: str
    number: int | None = None
    receipt: str | None = None


class ErasedNameRow(SQLModel, table=True):
    """A keyed hash of a name under which a source knows an erased person, or a resource about them.

    Whatever comes from the source and names it is refused before it is stored.
    """

    __tablename__: ClassVar[str] = "erased_name"
    __table_args__: ClassVar[dict[str, bool]] = {"sqlite_with_rowid": False}

    key: bytes = Field(primary_key=True, sa_type=LargeBinary)
    twin: str = Field(index=True)


class RegisterRow(SQLModel, table=True):
    """One thing that is registered for the API: a client, an account, a code, a job (gateway.store.register).

    `name` is a keyed hash, `sealed` all that it says; `until` is when it ends by itself.
    """

    __tablename__: ClassVar[str] = "register"

    kind: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    revision: int
    since: datetime = Field(sa_type=Instant)
    until: datetime | None = Field(default=None, sa_type=Instant, index=True)
    sealed: bytes = Field(sa_type=LargeBinary)


class KeyCopyRow(SQLModel, table=True):
    """A copy of the key store that somebody made; where it is, is sealed with the key of the audit."""

    __tablename__: ClassVar[str] = "key_copy"

    id: str = Field(primary_key=True)
    made: datetime = Field(sa_type=Instant)
    place: bytes = Field(sa_type=LargeBinary)


GROWING = {
    "audit_event": "NEW.sequence = 1 + (SELECT coalesce(max(sequence), 0) FROM {table})",
    "audit_checkpoint": "NEW.size > (SELECT coalesce(max(size), 0) FROM {table})",
    "audit_node": "NEW.number = (SELECT coalesce(max(number) + 1, 0) FROM {table} WHERE level = NEW.level)",
}
"""The tables whose rows are added at the end and never changed (security requirement K6), each with what has to be true
of a new row. `sqlite` and `script` of gateway.store make rules of the database of it."""
