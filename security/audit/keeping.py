"""What is done to a record as a whole, and to its keys: export, erasure, hold, backup, restore, rotation.

Types are ISO 21089 lifecycle events: to extract is to take a record out for somebody; to archive, to keep a copy apart;
to destroy, to delete for good; a hold keeps from all three. DICOM's Security Alert 110113 is for use that breaks rules.
"""

from __future__ import annotations

from typing import Literal

from security.audit.access import Access
from security.audit.event import (
    DATA_REPOSITORY,
    JOB,
    RESOURCE,
    SECURITY_RESOURCE,
    Json,
    counted,
    make_event,
    thing,
)
from security.audit.kind import APPLICATION, AUTHOR, RECIPIENT, Kind, dicom, lifecycle, ours

__all__ = [
    "BACKUP",
    "ERASURE",
    "EXPORT",
    "HOLD",
    "KEYS",
    "RELEASE",
    "RESTORE",
    "RESTRICTION",
    "KeyStep",
    "backup_event",
    "erase_event",
    "export_event",
    "hold_event",
    "key_event",
    "restore_event",
    "restriction_event",
]

KeyStep = Literal["make", "rotate", "retire", "protect", "open", "destroy"]
"""What is done with a key: made; wrapped under a newer one; taken out of use for new data; kept under another secret or
keeper (passphrase, HSM, KMS); opened, or tried to be, where that is worth a record; destroyed."""

EXPORT = Kind(  # DICOM Export
    name="export",
    said="took a copy of your whole record out",
    type=dicom("110106"),
    subtype=lifecycle("extract"),
    action="R",
    us=APPLICATION,
    user=RECIPIENT,
)
ERASURE = Kind(
    name="erasure",
    said="erased your record",
    type=lifecycle("destroy"),
    subtype=ours("erasure"),
    action="D",
    us=APPLICATION,
    user=AUTHOR,
)
HOLD = Kind(
    name="hold",
    said="put a legal hold on your record: it cannot be erased until that is lifted",
    type=lifecycle("hold"),
    subtype=ours("hold"),
    action="U",
    us=APPLICATION,
    user=AUTHOR,
)
RELEASE = Kind(
    name="release",
    said="lifted the legal hold on your record",
    type=lifecycle("unhold"),
    subtype=ours("release"),
    action="U",
    us=APPLICATION,
    user=AUTHOR,
)
RESTRICTION = Kind(  # GDPR 18: kept, and not processed any further
    name="restriction",
    said="restricted, or opened again, what may be done with your record",
    type=lifecycle("hold"),
    subtype=ours("restriction"),
    action="U",
    us=APPLICATION,
    user=AUTHOR,
)
BACKUP = Kind(
    name="backup",
    said="kept an encrypted copy of the store",
    type=lifecycle("archive"),
    subtype=ours("backup"),
    action="R",
    us=APPLICATION,
    user=AUTHOR,
)
RESTORE = Kind(
    name="restore",
    said="put an encrypted copy of the store back",
    type=lifecycle("restore"),
    subtype=ours("restore"),
    action="U",
    us=APPLICATION,
    user=AUTHOR,
)
KEYS: dict[KeyStep, Kind] = {
    "make": Kind(
        name="key",
        said="made the key under which your record is encrypted",
        type=lifecycle("encrypt"),
        subtype=ours("key"),
        action="C",
        us=APPLICATION,
        user=AUTHOR,
    ),
    "rotate": Kind(
        name="key-rotate",
        said="wrapped the key of your record under a newer one",
        type=lifecycle("encrypt"),
        subtype=ours("key-rotate"),
        action="U",
        us=APPLICATION,
        user=AUTHOR,
    ),
    "retire": Kind(
        name="key-retire",
        said="took a key out of use",
        type=lifecycle("encrypt"),
        subtype=ours("key-retire"),
        action="U",
        us=APPLICATION,
        user=AUTHOR,
    ),
    "protect": Kind(
        name="key-protect",
        said="put the keys under another keeper",
        type=lifecycle("encrypt"),
        subtype=ours("key-protect"),
        action="U",
        us=APPLICATION,
        user=AUTHOR,
    ),
    "open": Kind(
        name="key-open",
        said="opened a key",
        type=lifecycle("decrypt"),
        subtype=ours("key-open"),
        action="E",
        us=APPLICATION,
        user=AUTHOR,
    ),
    "destroy": Kind(
        name="key-destroy",
        said="destroyed the key of your record",
        type=lifecycle("destroy"),
        subtype=ours("key-destroy"),
        action="D",
        us=APPLICATION,
        user=AUTHOR,
    ),
}


def export_event(access: Access, *, archive: str, **counts: int) -> Json:
    """Record that a person's whole record left as the file or archive `archive`: its id or SHA-256, no path.

    `counts` say how much of what went ("facts=812, runs=3"). Where it goes to anybody but the patient, add a
    `disclosure_event`.
    """
    return make_event(access, EXPORT, counted(thing(RESOURCE, "archive", archive), counts), also=access.what)


def erase_event(access: Access, *, receipt: str, **counts: int) -> Json:
    """Record that a twin (`access.patient`) was shredded, or that this was refused; `receipt` is the receipt's id."""
    return make_event(access, ERASURE, counted(thing(JOB, "receipt", receipt), counts), also=access.what)


def hold_event(access: Access, *, hold: str, lifted: bool = False) -> Json:
    """Record that a legal hold was put on a twin, or `lifted`; `hold` is its reference number or a code."""
    return make_event(access, RELEASE if lifted else HOLD, thing(SECURITY_RESOURCE, "hold", hold), also=access.what)


def restriction_event(access: Access, *, restriction: str) -> Json:
    """Record that processing of a twin was restricted ("read-only"), or opened again ("none")."""
    return make_event(access, RESTRICTION, thing(SECURITY_RESOURCE, "restriction", restriction), also=access.what)


def backup_event(access: Access, *, backup: str, **counts: int) -> Json:
    """Record that a backup was made; `backup` is its id or SHA-256, no path."""
    return make_event(access, BACKUP, counted(thing(DATA_REPOSITORY, "backup", backup), counts), also=access.what)


def restore_event(access: Access, *, backup: str, **counts: int) -> Json:
    """Record that a backup was put back or tried ("verified=1")."""
    return make_event(access, RESTORE, counted(thing(DATA_REPOSITORY, "backup", backup), counts), also=access.what)


def key_event(access: Access, *, key: str, step: KeyStep = "make", **counts: int) -> Json:
    """Record what was done with a key; `key` is its id, or the name of its owner.

    One event may tell of many keys: `keys=100000, version=3`.
    """
    return make_event(access, KEYS[step], counted(thing(SECURITY_RESOURCE, "key", key), counts), also=access.what)
