"""What somebody can do to a bundle who knows the format as we do, hashes everything anew, and lacks the signing key."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gateway.audit_bundle import write_bundle
from gateway.store import Store
from security.audit import Frontier, Signer, leaf_hash
from security.audit.bundle import entries_path, notes_in, pack_entries, tile_path, tiles, unpack_entries, write_note
from security.audit.bundle_check import check_bundle
from security.audit.merkle import root_of
from security.keys import SecretKeyRing
from tests.gateway.audit.conftest import NOON, Kept, Log, make_log, second_verifier

THIEF = b"t" * 32


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Log:
    """700 events, three files of entries, a checkpoint each 25."""
    return make_log(tmp_path_factory.mktemp("large"), (25,) * 28, ())


def events_of(bundle: Kept, size: int) -> list[bytes]:
    found: list[bytes] = []
    for number, width in tiles(size, 0):
        found += unpack_entries(bundle.files[entries_path(number, width)], width, long=False)
    return found


def rebuilt(bundle: Kept, events: Sequence[bytes], notes: Sequence[str]) -> Kept:
    """Write a bundle of other events, every hash of which is right, as many as the last checkpoint says."""
    events = events[: int(notes[-1].splitlines()[1])]
    files = {name: content for name, content in bundle.files.items() if not name.startswith("tile/")}
    leaves = [leaf_hash(event) for event in events]
    levels = {0: leaves}
    for node in Frontier().extend(leaves)[1]:
        levels.setdefault(node.level, []).append(node.hash)
    for level, hashes in levels.items():
        for number, width in tiles(len(events), level):
            part = slice(number * 256, number * 256 + width)
            files[tile_path(level, number, width)] = b"".join(hashes[part])
            if level == 0:
                files[entries_path(number, width)] = pack_entries(events[part])[0]
    files["checkpoints"] = "".join(map(write_note, notes)).encode()
    files["checkpoint"] = notes[-1].encode()
    return Kept(files)


def forged(log: Log, events: Sequence[bytes], sizes: Sequence[int], seed: bytes = THIEF) -> list[str]:
    """Sign a history under the name of the log, with another key."""
    name = log.public_key.partition("+")[0].removeprefix("fhirtwin-audit/")
    signer = Signer(name, seed)
    return [signer.sign(size, root_of(leaf_hash(event) for event in events[:size])) for size in sizes]


@pytest.fixture(scope="module")
def events(large) -> list[bytes]:
    return events_of(large.bundle, 700)


def judge(large: Log, bundle: Kept, **more):
    """Ask our verifier and, where nothing else was kept, the one of one file: they have to agree (K5)."""
    verdict = check_bundle(bundle, large.public_key, **more)
    if not more:
        with TemporaryDirectory() as folder, redirect_stdout(StringIO()) as said:
            status = second_verifier().main([str(bundle.write(Path(folder))), large.public_key])
        assert status == (0 if verdict.ok else 5 if verdict.problem == "incomplete" else 1), (verdict, said.getvalue())
        named = f"First bad event: {verdict.first_bad}. "
        assert status != 1 or (named in said.getvalue()) is bool(verdict.first_bad), (verdict, said.getvalue())
    return verdict


def test_the_thief_can_write_a_bundle_that_is_sound(large, events):
    same = rebuilt(large.bundle, events, large.checkpoints)
    assert same.files == large.bundle.files
    assert judge(large, same).ok


@pytest.mark.parametrize("number", [1, 255, 256, 257, 512, 513, 699, 700])
def test_a_changed_event_is_found_between_its_two_checkpoints(large, events, number):
    changed = [*events[: number - 1], b"forged", *events[number:]]
    verdict = judge(large, rebuilt(large.bundle, changed, large.checkpoints))
    first = (number - 1) // 25 * 25 + 1
    assert (verdict.ok, verdict.first_bad, verdict.size) == (False, first, first - 1)


@pytest.mark.parametrize("number", [1, 256, 257, 600])
def test_a_dropped_event_is_found_though_the_rest_closes_ranks(large, events, number):
    fewer = [*events[: number - 1], *events[number:]]
    verdict = judge(large, rebuilt(large.bundle, fewer, large.checkpoints[:-1]))
    assert (verdict.ok, verdict.first_bad) == (False, (number - 1) // 25 * 25 + 1)


def test_events_that_changed_places_are_found(large, events):
    for one, two in [(1, 2), (256, 257), (3, 690)]:
        swapped = list(events)
        swapped[one - 1], swapped[two - 1] = swapped[two - 1], swapped[one - 1]
        verdict = judge(large, rebuilt(large.bundle, swapped, large.checkpoints))
        assert (verdict.ok, verdict.first_bad) == (False, (one - 1) // 25 * 25 + 1)


def test_an_added_event_is_found_wherever_it_is_put(large, events):
    for number in (1, 256, 300, 700):
        more = [*events[: number - 1], b"added", *events[number - 1 :]]
        assert not judge(large, rebuilt(large.bundle, more, large.checkpoints)).ok


def test_a_log_that_was_cut_off_behind_its_newest_checkpoint_is_found(large, events):
    for left in (699, 512, 256, 0):
        cut = rebuilt(large.bundle, events[:left], large.checkpoints)
        verdict = judge(large, cut)
        assert (verdict.ok, verdict.problem) == (False, "incomplete"), left
        assert verdict.size <= left


def test_a_log_that_was_cut_off_with_its_checkpoints_is_found_by_any_that_was_kept(large, events):
    cut = rebuilt(large.bundle, events[:600], large.checkpoints[:24])
    assert judge(large, cut).ok, "it is the log as it once was: nothing in it can tell"
    for how in ({"kept": [large.checkpoints[-1]]}, {"since": large.checkpoints[-1]}):
        verdict = judge(large, cut, **how)
        assert (verdict.ok, verdict.first_bad, verdict.problem) == (False, 601, "missing")


def test_a_log_that_was_forked_and_signed_by_the_true_key_is_found_by_whoever_saw_the_other(large, events):
    """The operator himself rewrites history: only what others kept can tell."""
    other = [*events[:400], *(b"rewritten %d" % n for n in range(300))]
    sizes = range(25, 701, 25)
    with_the_key = forged(large, other, sizes, seed=_seed())
    fork = rebuilt(large.bundle, other, with_the_key)
    assert judge(large, fork).ok, "by itself it is a sound log"
    verdict = judge(large, fork, kept=[large.checkpoints[19]])  # over 500 events
    assert (verdict.ok, verdict.problem, verdict.first_bad) == (False, "forked", 476)
    verdict = judge(large, fork, since=large.checkpoints[19])
    assert (verdict.ok, verdict.problem) == (False, "forked")
    assert judge(large, fork, since=large.checkpoints[15]).ok, "up to 400 events the two are one"


def _seed() -> bytes:
    """Give the key of the logs that conftest makes."""
    return SecretKeyRing(b"r" * 32, [b"k" * 32]).derive("audit-sign")


def test_a_history_of_the_thiefs_own_under_a_key_of_his_own_is_found(large, events):
    other = [b"nothing happened %d" % n for n in range(700)]
    mine = forged(large, other, range(25, 701, 25))
    bundle = rebuilt(large.bundle, other, mine)
    assert judge(large, bundle).problem == "checkpoint"
    name = large.public_key.partition("+")[0].removeprefix("fhirtwin-audit/")
    swapped = bundle.changed("key", f"{Signer(name, THIEF).public_key}\n".encode())
    assert judge(large, swapped).problem == "checkpoint", "a key that comes with the bundle is not believed"


def test_a_smaller_tree_that_was_signed_after_a_larger_one_is_found(large, events):
    smaller = [*large.checkpoints, large.checkpoints[3]]
    verdict = judge(large, rebuilt(large.bundle, events, smaller))
    assert (verdict.ok, verdict.problem, verdict.first_bad) == (False, "missing", 101)


def test_an_older_head_is_not_taken_for_the_newest(large, events):
    old_head = large.bundle.changed("checkpoint", large.checkpoints[10].encode())
    assert not judge(large, old_head).ok


def test_an_edited_checkpoint_is_found_and_costs_no_event_its_voucher(large, events):
    for number in (0, 13, 27):
        notes = list(notes_in(large.bundle.lines("checkpoints")))
        notes[number] = notes[number].replace(f"\n{25 * (number + 1)}\n", f"\n{25 * (number + 1) - 1}\n")
        verdict = judge(large, large.bundle.changed("checkpoints", "".join(map(write_note, notes)).encode()))
        assert (verdict.ok, verdict.problem, verdict.first_bad, verdict.size) == (False, "checkpoint", None, 700)


def test_checkpoints_without_an_end_take_no_memory_and_no_belief(large):
    endless = large.bundle.changed("checkpoints", b"x\n" * 100_000)
    verdict = judge(large, endless)
    assert (verdict.ok, verdict.problem, verdict.first_bad) == (False, "checkpoint", None)


def test_a_size_that_no_log_has_is_answered_at_once(large, events):
    for size in (10**18, 2**63):
        [note] = forged(large, events, [700], seed=_seed())
        told = note.replace("\n700\n", f"\n{size}\n")
        assert not judge(large, large.bundle.changed("checkpoint", told.encode())).ok
        signed = Signer(large.public_key.partition("+")[0].removeprefix("fhirtwin-audit/"), _seed()).sign(
            size, bytes(32)
        )
        assert judge(large, large.bundle.changed("checkpoint", signed.encode())).problem == "incomplete"


def test_a_changed_upper_tile_is_found(large):
    for path in (name for name in large.bundle.files if name.startswith("tile/1/")):
        content = large.bundle.files[path]
        for place in range(len(content)):
            bent = content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]
            if place % 16 == 0:
                assert judge(large, large.bundle.changed(path, bent)).problem == "tree"
        assert judge(large, large.bundle.changed(path, content[:-1])).problem == "tree"
        assert judge(large, large.bundle.without(path)).problem == "incomplete"


def test_a_missing_file_is_named_as_missing_and_what_is_there_is_not_called_tampered(large):
    for path in ("tile/entries/001", "tile/0/001"):
        verdict = judge(large, large.bundle.without(path))
        assert (verdict.ok, verdict.first_bad, verdict.problem) == (False, 257, "incomplete")
        assert path in verdict.what


def test_an_event_that_is_too_long_for_two_bytes_is_carried_and_checked(tmp_path):
    with Store.create_or_open(tmp_path / "twin.db", SecretKeyRing.new(), NOON) as store:
        store.append_audit([{"n": 1}, {"long": os.urandom(80_000).hex()}, {"n": 3}])
        with store.audit_view() as view:
            write_bundle(view, tmp_path / "bundle")
        bundle = Kept.of(tmp_path / "bundle")
        path = "tile/long-entries/000.p/3"
        assert path in bundle.files
        assert check_bundle(bundle, store.audit_public_key).ok
        for place in (0, 3, 60, 5_000, len(bundle.files[path]) - 1):
            content = bundle.files[path]
            bent = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
            assert not check_bundle(bundle.changed(path, bent), store.audit_public_key).ok
