"""What can be done to a stored log, and what the verifier says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.audit import AuditLog, AuditRow, Signer, audit_key, leaf_hash, verify
from security.keys import SecretKeyRing

RING = SecretKeyRing(b"r" * 32, [b"k" * 32])
KEY = audit_key(RING)
SIGNER = Signer("log-1", RING.derive("audit-sign"))
PUBLIC = SIGNER.public_key
THIEF = Signer("log-1", b"t" * 32)


def grown(*batches: int) -> tuple[list[AuditRow], list[str]]:
    log, rows, checkpoints = AuditLog(KEY, SIGNER), [], []
    for many in batches:
        appended = log.append([{"resourceType": "AuditEvent", "n": str(log.size + n)} for n in range(many)])
        rows += appended.rows
        checkpoints.append(appended.checkpoint)
        log = log.after(appended)
    return rows, checkpoints


SINGLE = grown(*[1] * 12)  # each access on its own, as it is in practice
BATCHED = grown(5, 4, 3)  # several events to a checkpoint


def renumbered(rows: list[AuditRow]) -> list[AuditRow]:
    return [replace(row, sequence=n) for n, row in enumerate(rows, 1)]


def rehashed(rows: list[AuditRow]) -> list[AuditRow]:
    return [replace(row, leaf=leaf_hash(row.sealed)) for row in rows]


def bend(blob: bytes, place: int, by: int) -> bytes:
    return blob[:place] + bytes([blob[place] ^ by]) + blob[place + 1 :]


def changed(rows: list[AuditRow], number: int, **parts: object) -> list[AuditRow]:
    return [replace(row, **parts) if row.sequence == number else row for row in rows]


both = pytest.mark.parametrize("log", [SINGLE, BATCHED], ids=["single", "batched"])
numbers = st.integers(1, 12)


@both
@pytest.mark.parametrize("key", [None, KEY], ids=["public key", "sealing key"])
def test_an_untouched_log_is_confirmed(log, key):
    verdict = verify(*log, PUBLIC, key)
    assert (verdict.ok, verdict.size, verdict.first_bad, verdict.problem) == (True, 12, None, "")
    assert verdict.what == "All 12 events are as they were signed."


def test_an_empty_log_is_confirmed():
    assert verify([], [], PUBLIC).ok
    assert verify([], [AuditLog(KEY, SIGNER).append([]).checkpoint], PUBLIC).ok


@both
@given(data=st.data())
def test_one_changed_byte_anywhere_in_an_event_names_that_event(log, data):
    rows, checkpoints = log
    number = data.draw(numbers)
    row = rows[number - 1]
    sealed = bend(row.sealed, data.draw(st.integers(0, len(row.sealed) - 1)), data.draw(st.integers(1, 255)))
    verdict = verify(changed(rows, number, sealed=sealed), checkpoints, PUBLIC)
    assert (verdict.ok, verdict.first_bad, verdict.problem) == (False, number, "changed")


@both
@given(number=numbers, place=st.integers(0, 31), by=st.integers(1, 255))
def test_one_changed_byte_in_a_leaf_names_that_event(log, number, place, by):
    rows, checkpoints = log
    verdict = verify(changed(rows, number, leaf=bend(rows[number - 1].leaf, place, by)), checkpoints, PUBLIC)
    assert (verdict.ok, verdict.first_bad, verdict.problem) == (False, number, "changed")


def test_every_byte_of_one_event_counts():
    rows, checkpoints = SINGLE
    for place in range(len(rows[4].sealed)):
        bent = changed(rows, 5, sealed=bend(rows[4].sealed, place, 1))
        assert verify(bent, checkpoints, PUBLIC).first_bad == 5


@given(number=numbers, place=st.integers(0, 60))
def test_an_event_that_was_changed_and_hashed_again_is_named(number, place):
    for (rows, checkpoints), key in [(SINGLE, None), (BATCHED, KEY)]:
        forged = rehashed(changed(rows, number, sealed=bend(rows[number - 1].sealed, place, 1)))
        verdict = verify(forged, checkpoints, PUBLIC, key)
        assert (verdict.ok, verdict.first_bad, verdict.problem) == (False, number, "changed")


@given(number=numbers)
def test_without_the_sealing_key_a_rehashed_event_is_named_up_to_its_checkpoint(number):
    rows, checkpoints = BATCHED
    verdict = verify(rehashed(changed(rows, number, sealed=b"forged")), checkpoints, PUBLIC)
    first, last = next((f, t) for f, t in [(1, 5), (6, 9), (10, 12)] if f <= number <= t)
    assert (verdict.ok, verdict.first_bad, verdict.size) == (False, first, first - 1)
    assert f"{first} to {last}" in verdict.what


@both
@given(number=numbers)
def test_a_dropped_event_is_named(log, number):
    rows, checkpoints = log
    verdict = verify([row for row in rows if row.sequence != number], checkpoints, PUBLIC)
    assert (verdict.ok, verdict.first_bad, verdict.problem) == (False, number, "missing")


@given(number=numbers)
def test_a_dropped_event_is_named_even_if_the_rest_closes_ranks(number):
    for (rows, checkpoints), key in [(SINGLE, None), (BATCHED, KEY)]:
        verdict = verify(renumbered([row for row in rows if row.sequence != number]), checkpoints, PUBLIC, key)
        assert (verdict.ok, verdict.first_bad) == (False, number)


@given(number=numbers)
def test_an_added_event_is_named_whether_or_not_the_rest_makes_room(number):
    for (rows, checkpoints), key in [(SINGLE, None), (BATCHED, KEY)]:
        forged = AuditRow(number, b"forged", leaf_hash(b"forged"))
        room_made = renumbered([*rows[: number - 1], forged, *rows[number - 1 :]])
        assert verify(room_made, checkpoints, PUBLIC, key).first_bad == number
        squeezed_in = [*rows[:number], forged, *rows[number:]]
        assert verify(squeezed_in, checkpoints, PUBLIC, key).first_bad == number


def test_an_event_added_at_the_end_is_named():
    for rows, checkpoints in (SINGLE, BATCHED):
        genuine = AuditRow(13, KEY.seal(b"{}", rows[0].place), b"")
        added = [*rows, replace(genuine, leaf=leaf_hash(genuine.sealed))]
        verdict = verify(added, checkpoints, PUBLIC)
        assert (verdict.ok, verdict.first_bad, verdict.size, verdict.problem) == (False, 13, 12, "unsigned")


@given(a=numbers, b=numbers)
def test_two_events_that_changed_places_are_named_by_the_first(a, b):
    if a == b:
        return
    for (rows, checkpoints), key in [(SINGLE, None), (BATCHED, KEY)]:
        swapped = list(rows)
        swapped[a - 1], swapped[b - 1] = swapped[b - 1], swapped[a - 1]
        assert verify(renumbered(swapped), checkpoints, PUBLIC, key).first_bad == min(a, b)
        assert verify(swapped, checkpoints, PUBLIC, key).first_bad == min(a, b)


@both
@given(kept=st.integers(0, 11))
def test_a_log_that_was_cut_off_is_found(log, kept):
    rows, checkpoints = log
    verdict = verify(rows[:kept], checkpoints, PUBLIC)
    assert (verdict.ok, verdict.first_bad, verdict.problem) == (False, kept + 1, "missing")


def test_the_last_checkpoint_cannot_be_dropped():
    for rows, checkpoints in (SINGLE, BATCHED):
        verdict = verify(rows, checkpoints[:-1], PUBLIC)
        assert not verdict.ok
        assert verdict.first_bad == (12 if rows is SINGLE[0] else 10)
    assert verify(SINGLE[0], [], PUBLIC).first_bad == 1


@given(number=numbers, dropped=st.integers(0, 10))
def test_without_an_earlier_checkpoint_the_later_ones_still_vouch_for_everything(number, dropped):
    rows, checkpoints = SINGLE
    fewer = checkpoints[:dropped] + checkpoints[dropped + 1 :]
    assert verify(rows, fewer, PUBLIC).ok
    assert verify(changed(rows, number, sealed=b"forged"), fewer, PUBLIC).first_bad == number


@pytest.mark.parametrize("number", range(12))
def test_a_checkpoint_by_another_key_is_found(number):
    rows, checkpoints = SINGLE
    forged = [*checkpoints[:number], THIEF.sign(number + 1, bytes(32)), *checkpoints[number + 1 :]]
    verdict = verify(rows, forged, PUBLIC)
    assert (verdict.ok, verdict.problem) == (False, "checkpoint")
    assert verdict.first_bad == (12 if number == 11 else None)


def test_a_log_that_was_rewritten_and_signed_by_another_key_is_found():
    log = AuditLog(KEY, THIEF)
    appended = log.append([{"resourceType": "AuditEvent"}] * 3)
    verdict = verify(appended.rows, [appended.checkpoint], PUBLIC)
    assert (verdict.ok, verdict.first_bad, verdict.problem) == (False, 1, "checkpoint")


def test_a_checkpoint_that_we_signed_for_another_history_is_found():
    rows, checkpoints = SINGLE
    verdict = verify(rows, [*checkpoints[:3], SIGNER.sign(4, bytes(32)), *checkpoints[4:]], PUBLIC)
    assert (verdict.ok, verdict.first_bad) == (False, 4)
    verdict = verify(rows, checkpoints, PUBLIC, kept=[SIGNER.sign(4, bytes(32))])
    assert (verdict.ok, verdict.first_bad, verdict.problem) == (False, 4, "forked")


def test_a_log_that_was_put_back_as_a_whole_is_found_by_a_checkpoint_kept_elsewhere():
    rows, checkpoints = SINGLE
    rolled_back = rows[:7], checkpoints[:7]
    assert verify(*rolled_back, PUBLIC).ok, "nothing in the store itself can tell"
    verdict = verify(*rolled_back, PUBLIC, kept=[checkpoints[9]])
    assert (verdict.ok, verdict.first_bad, verdict.problem) == (False, 8, "missing")


def test_of_two_faults_the_earlier_is_named():
    rows, checkpoints = BATCHED
    both_faults = [row for row in changed(rows, 2, sealed=b"forged") if row.sequence != 4]
    assert verify(both_faults, checkpoints, PUBLIC).first_bad == 2
    assert verify(rehashed(both_faults), checkpoints, PUBLIC, KEY).first_bad == 2
    assert verify(changed(changed(rows, 2, sealed=b"x"), 4, sealed=b"y"), checkpoints, PUBLIC).first_bad == 2


def test_checkpoints_that_changed_places_are_found():
    rows, checkpoints = BATCHED
    verdict = verify(rows, [checkpoints[1], checkpoints[0], checkpoints[2]], PUBLIC)
    assert (verdict.ok, verdict.problem) == (False, "checkpoint")


def test_checkpoints_that_were_kept_elsewhere_come_in_any_order():
    rows, checkpoints = BATCHED
    assert verify(rows, checkpoints, PUBLIC, kept=list(reversed(checkpoints))).ok


@given(st.lists(st.integers(0, 11), min_size=1, max_size=16))
def test_any_other_selection_or_order_of_the_events_is_found(selection):
    rows, checkpoints = SINGLE
    chosen = [rows[n] for n in selection]
    for attempt in (chosen, renumbered(chosen)):
        assert verify(attempt, checkpoints, PUBLIC).ok is (attempt == rows)
