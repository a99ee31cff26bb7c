from __future__ import annotations

import json

import pytest
import rfc8785

from security.audit import (
    AuditLog,
    AuditRow,
    Signer,
    audit_key,
    inclusion_proof,
    leaf_hash,
    open_checkpoint,
    verify,
    verify_consistency,
    verify_inclusion,
)
from security.audit.proofs import consistency_proof
from security.errors import Sealed, Tampered
from security.keys import SecretKeyRing

RING = SecretKeyRing(b"r" * 32, [b"k" * 32])
KEY = audit_key(RING)
SIGNER = Signer("log-1", RING.derive("audit-sign"))


def event(number: int) -> dict[str, object]:
    return {"resourceType": "AuditEvent", "action": "R", "entity": [{"what": {"reference": f"Patient/{number}"}}]}


def grown(*batches: int):
    """A log after several appends: the log, its rows, its checkpoints."""
    log, rows, checkpoints = AuditLog(KEY, SIGNER), [], []
    for many in batches:
        appended = log.append([event(log.size + n + 1) for n in range(many)])
        rows += appended.rows
        checkpoints.append(appended.checkpoint)
        log = log.after(appended)
    return log, rows, checkpoints


def test_events_are_numbered_from_one_and_read_back():
    log, rows, _ = grown(2, 1)
    assert [row.sequence for row in rows] == [1, 2, 3]
    assert [log.read(row) for row in rows] == [event(1), event(2), event(3)]


def test_what_is_stored_shows_nothing():
    _, [row], _ = grown(1)
    assert b"Patient" not in row.sealed


def test_the_leaf_is_the_hash_of_the_stored_bytes_and_these_are_the_canonical_event():
    _, [row], _ = grown(1)
    assert row.leaf == leaf_hash(row.sealed)
    assert KEY.open(row.sealed, row.place) == rfc8785.dumps(event(1))


def test_an_event_that_is_given_another_number_does_not_open():
    log, rows, _ = grown(2)
    with pytest.raises(Sealed):
        log.read(AuditRow(2, rows[0].sealed, rows[0].leaf))


def test_an_auditor_proves_one_event_with_the_public_key_alone():
    log, rows, checkpoints = grown(5, 3)
    signed = open_checkpoint(checkpoints[-1], log.public_key)
    leaves = [row.leaf for row in rows]
    proof = inclusion_proof(leaves, 3)
    assert verify_inclusion(leaf_hash(rows[3].sealed), 3, signed.size, proof, signed.root)
    earlier = open_checkpoint(checkpoints[0], log.public_key)
    assert verify_consistency(earlier.size, signed.size, earlier.root, signed.root, consistency_proof(leaves, 5))


def test_a_log_goes_on_from_what_was_stored():
    log, rows, checkpoints = grown(3)
    stored = log.append([event(4)])
    resumed = AuditLog(KEY, SIGNER, stored.frontier, stored.checkpoint)
    assert resumed.size == 4
    last = resumed.append([event(5)])
    assert verify(
        [*rows, *stored.rows, *last.rows], [*checkpoints, stored.checkpoint, last.checkpoint], log.public_key
    ).ok


def test_an_append_that_was_not_stored_leaves_the_log_as_it_was():
    log, rows, checkpoints = grown(2)
    log.append([event(99)])
    again = log.append([event(3)])
    assert again.rows[0].sequence == 3
    assert verify([*rows, *again.rows], [*checkpoints, again.checkpoint], log.public_key).ok


def test_nothing_is_signed_on_top_of_a_log_that_was_changed_or_put_back():
    _, _, [first, second] = grown(2, 2)
    other = AuditLog(KEY, SIGNER).append([event(n) for n in (7, 8, 9, 10)])
    earlier = AuditLog(KEY, SIGNER).append([event(1)])
    forged = Signer("log-1", b"s" * 32).sign(4, bytes(32))
    for frontier, checkpoint in [
        (other.frontier, second),
        (earlier.frontier, second),
        (other.frontier, first),
        (other.frontier, ""),
        (b"", second),
        (other.frontier, forged),
        (other.frontier[:-1], second),
    ]:
        with pytest.raises(Tampered):
            AuditLog(KEY, SIGNER, frontier, checkpoint)


def test_an_event_that_has_no_single_spelling_is_never_sealed():
    with pytest.raises(ValueError, match="audit event"):
        AuditLog(KEY, SIGNER).append([{"value": 1.5}])


def test_the_public_key_shows_no_secret():
    text = json.dumps([SIGNER.public_key, repr(SIGNER), repr(KEY)])
    assert RING.derive("audit-sign").hex() not in text
    assert RING.derive("audit-seal").hex() not in text
