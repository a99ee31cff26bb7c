"""Erasing a twin for good, on a person's word: what is asked for, what is recorded, and the receipt of it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from gateway.home import Home, now
from gateway.store import Erasure
from gateway.store.owners import twin_owner
from security.audit import (
    erase_event,
    hold_event,
    key_event,
    open_checkpoint,
    restriction_event,
    verify_inclusion,
)
from security.audit.statement import Statement, open_statement
from security.errors import Denied, Misuse, Tampered

__all__ = [
    "REASONS",
    "Check",
    "allow_again",
    "check_receipt",
    "counted",
    "erase",
    "hold",
    "read_receipt",
    "restrict",
    "told",
]

REASONS = {
    "request": "the person asked for it (GDPR 17(1)(b), (c))",
    "consent-withdrawn": "the consent that it rested on was withdrawn (GDPR 17(1)(b))",
    "no-longer-needed": "it is not needed any more for what it was collected for (GDPR 17(1)(a))",
    "unlawful": "it should never have been here (GDPR 17(1)(d))",
    "retention": "the time for which it is kept has passed",
    "test-data": "it is nobody's: made for a test",
}
"""Why a twin may be erased. The codes stand in the receipt and in the audit log."""

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a receipt says, and whether it is so."""

    said: str
    is_so: bool


def erase(home: Home, twin: str, why: str) -> str:
    """Erase a twin and return the signed receipt; one that is erased already gives the receipt that it gave.

    Refuses with `Denied` under a legal hold (that is recorded), with `Misuse` for an unknown reason.
    """
    if why not in REASONS:
        raise Misuse("That is no reason to erase a twin.", hint=f"Say --why with one of: {', '.join(REASONS)}.")
    done = home.store.erasure_of(twin)
    if done is None:
        done = _drop(home, twin, why)
    return _finish(home, done)


def _drop(home: Home, twin: str, why: str) -> Erasure:
    receipt = str(uuid4())

    def events(**counts: int) -> list[Mapping[str, Any]]:
        return [erase_event(home.access(patient=twin), receipt=receipt, **counts)]

    try:
        return home.store.drop_twin(twin, receipt, [("by", home.actor), ("why", why)], now(), events)
    except Denied:
        refused = home.access(patient=twin, outcome="8", reason="legal-hold")
        home.store.append_audit([erase_event(refused, receipt="none")])
        raise


def _finish(home: Home, erasure: Erasure) -> str:
    if erasure.is_done:
        return erasure.receipt
    destroyed = key_event(home.access(patient=erasure.twin), key=erasure.id, step="destroy")
    return home.store.finish_erasure(erasure, now(), [destroyed])


def allow_again(home: Home, twin: str) -> int:
    """Let an erased person come again, as a new twin; returns how many of their hashed names were forgotten."""
    if home.store.keys.tombstone(twin_owner(twin)) is None:
        raise Misuse("No twin of this id was erased.", hint="Say the whole id; the receipt names it.")
    opened = restriction_event(home.access(patient=twin), restriction="may-come-again")
    return home.store.allow_again(twin, [opened])


def hold(home: Home, twin: str, why: str, *, release: bool = False) -> bool:
    """Put a legal hold on a twin, or release it; `False` where that is so already."""
    _demand_code(why)
    event = hold_event(home.access(patient=twin), hold=why, lifted=release)
    if release:
        return home.store.lift(twin, "hold", [event])
    return home.store.guard(twin, "hold", why, now(), [event])


def restrict(home: Home, twin: str, why: str, *, lift: bool = False) -> bool:
    """Restrict what may be done with a twin (GDPR 18), or open it again; `False` where that is so already."""
    _demand_code(why)
    event = restriction_event(home.access(patient=twin), restriction="none" if lift else "read-only")
    if lift:
        return home.store.lift(twin, "restriction", [event])
    return home.store.guard(twin, "restriction", why, now(), [event])


def _demand_code(why: str) -> None:
    if not _CODE.fullmatch(why):
        raise Misuse(
            "A reason is a code or a reference number, such as case-2026-17.",
            hint="It is stored and audited, so that it must not tell of a patient.",
        )


def read_receipt(text: str, public_key: str) -> Statement:
    """Read a receipt and check, with the public key alone, who signed it and that the log held the erasure then.

    Raises `Tampered` where either is not so.
    """
    receipt = open_statement(text, public_key, "fhirtwin erasure receipt 1")
    try:
        checkpoint = open_checkpoint(base64.b64decode(receipt.get("checkpoint")).decode(), public_key)
        proof = [bytes.fromhex(node) for node in receipt.all("proof")]
        number, leaf = int(receipt.get("event")), bytes.fromhex(receipt.get("leaf"))
        is_in = verify_inclusion(leaf, number - 1, checkpoint.size, proof, checkpoint.root)
    except ValueError:
        is_in = False
    if not is_in:
        raise Tampered(
            "The receipt does not prove that the log holds the erasure.", hint="Get it from where it was kept again."
        )
    return receipt


def check_receipt(home: Home, receipt: Statement) -> list[Check]:
    """Hold a receipt against this store: its log, its key store, and its data."""
    store = home.store
    number, leaf = int(receipt.get("event")), receipt.get("leaf")
    kept = base64.b64decode(receipt.get("checkpoint")).decode()
    with store.audit_view() as view:
        row = next((row for row in view.rows(number - 1) if row.sequence == number), None)
    verdict = store.verify_audit([kept])
    stones = {stone.owner for stone in store.keys.tombstones()}
    owners = receipt.all("key")
    twins = (receipt.get("twin"), *receipt.all("along"))
    there = {summary.id for summary in store.twins()}
    return [
        Check(f"The audit log is whole and continues the receipt's ({verdict.size} events).", verdict.ok),
        Check(f"Event {number} of it is the erasure.", row is not None and row.leaf.hex() == leaf),
        Check(f"None of the {len(owners)} keys is in the key store.", not store.keys.get_many(owners)),
        Check("The key store has a tombstone of each, so that none comes back.", stones.issuperset(owners)),
        Check("No such twin is in the data.", there.isdisjoint(twins)),
    ]


def told(receipt: Statement) -> Iterator[tuple[str, str]]:
    """Say in words what a receipt says, line by line."""
    words = {
        "receipt": "Receipt",
        "twin": "Twin (a pseudonym)",
        "asked": "Erased at",
        "destroyed": "Keys destroyed at",
        "by": "By",
        "why": "Because",
        "along": "With it the twin",
        "shared-history": "Something may stand in the history of twin",
        "event": "Number of the audit event",
        "copy-purged": "Also purged: key copy",
        "copy-not-reached": "NOT reached, to be destroyed by hand: key copy",
    }
    for name, value in receipt.lines:
        if name in words:
            yield words[name], REASONS.get(value, value) if name == "why" else value


def counted(receipt: Statement) -> dict[str, int]:
    """Return the counts of what a receipt says was erased."""
    names: Sequence[str] = (
        *("resources", "facts", "blocks", "persons", "patients", "runs", "states", "deliveries"),
        *("unlinked", "waiting", "pulls-given-up"),
    )
    return {name: int(receipt.get(name)) for name in names}
