"""What is handed to auditors, from a file and from a server alike."""

from __future__ import annotations

import pytest

from gateway.audit_bundle import write_bundle
from gateway.bundle_folder import Folder
from gateway.store.audit_view import keep_nodes
from security.audit import (
    Cosigner,
    leaf_hash,
    open_checkpoint,
    read_request,
    verify_consistency,
    verify_inclusion,
    write_request,
)
from security.audit.bundle_check import check_bundle
from security.errors import Misuse, Tampered


@pytest.fixture
def recorded(store, event):
    """700 events in 7 transactions: two full tiles, and a part of the third."""
    for _ in range(7):
        store.append_audit([event()] * 100)
    return store


def test_a_bundle_from_the_store_is_confirmed_and_goes_on_later(recorded, event, tmp_path):
    with recorded.audit_view() as view:
        written = write_bundle(view, tmp_path / "b")
    assert (written.size, written.first) == (700, 1)
    recorded.append_audit([event()] * 100)
    with recorded.audit_view() as view:
        assert write_bundle(view, tmp_path / "b").first == 513
        write_bundle(view, tmp_path / "fresh")
        news = write_bundle(view, tmp_path / "news", written.checkpoint)
    assert (news.size, news.first) == (800, 513)
    assert _files(tmp_path / "b") == _files(tmp_path / "fresh")
    key = recorded.audit_public_key
    assert check_bundle(Folder(tmp_path / "b"), key).size == 800
    assert check_bundle(Folder(tmp_path / "news"), key, since=written.checkpoint).ok
    assert check_bundle(Folder(tmp_path / "news"), key).problem == "incomplete"


def _files(folder):
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_bundle_of_another_history_is_not_gone_on_with(recorded, tmp_path):
    with recorded.audit_view() as view:
        write_bundle(view, tmp_path / "b")
        (tmp_path / "b" / "checkpoint").write_text(recorded._signer.sign(600, bytes(32)))
        with pytest.raises(Tampered, match="does not continue the checkpoint over 600 events"):
            write_bundle(view, tmp_path / "b")
        (tmp_path / "b" / "key").write_text("another\n")
        with pytest.raises(Misuse):
            write_bundle(view, tmp_path / "b")


def test_proofs_come_from_the_store_for_any_two_sizes(recorded):
    with recorded.audit_view() as view:
        leaves = [leaf_hash(row.sealed) for row in view.rows()]
        notes = [open_checkpoint(note, view.public_key) for note in view.checkpoints()]
        for old in notes:
            for new in notes[notes.index(old) :]:
                proof = view.tree.consistency(old.size, new.size)
                assert verify_consistency(old.size, new.size, old.root, new.root, proof)
        for index in (0, 255, 256, 511, 512, 699):
            path = view.tree.inclusion(index, 700)
            assert verify_inclusion(leaves[index], index, 700, path, notes[-1].root)


@pytest.mark.parametrize("which", ["number = 1", "level = 1"])
def test_inner_hashes_that_are_missing_are_told_and_can_be_made_again(recorded, shell, drop_rules, which):
    drop_rules()
    shell(f"DELETE FROM audit_node WHERE {which}")  # noqa: S608 - our own words
    verdict = recorded.verify_audit()
    assert (verdict.ok, verdict.first_bad, verdict.problem) == (False, None, "tree")
    with recorded.audit_view() as view, pytest.raises(Tampered, match="a part is missing"):
        view.tree.consistency(600, 700)
    shell("DELETE FROM audit_node")
    with recorded.transaction() as work:
        keep_nodes(work.session.connection())  # as when an older store is opened
    assert recorded.verify_audit().ok


def test_an_inner_hash_that_was_changed_is_told(recorded, shell, drop_rules):
    drop_rules()
    shell("UPDATE audit_node SET hash = leaf FROM audit_event WHERE sequence = 1 AND number = 1")
    verdict = recorded.verify_audit()
    assert (verdict.ok, verdict.problem) == (False, "tree")
    assert "events 257 to 512" in verdict.what


def test_a_log_that_goes_on_under_a_new_name_is_bundled_under_it(recorded, ring, event, at, tmp_path):
    """After twin restore: what was signed under the former name, by witnesses too, is no part of the new one's."""
    witness = Cosigner("example.org/w1", b"w" * 32)
    with recorded.audit_view() as view:
        note = view.checkpoint()
    _, line = witness.cosign(read_request(write_request(0, [], note)), recorded.audit_public_key, None, at(0))
    recorded.keep_cosignature(note + line, witness.public_key)
    key = recorded.begin_epoch(ring, [event()])
    with recorded.audit_view() as view:
        write_bundle(view, tmp_path / "b")
    verdict = check_bundle(Folder(tmp_path / "b"), key)
    assert (verdict.ok, verdict.size) == (True, 701)
    assert recorded.verify_audit().ok


def test_times_of_the_log_are_compared_where_it_can_be_opened(store, event):
    for minute in (1, 2, 0, 3):
        store.append_audit([event(minutes=minute)])
    found = store.audit_chronology()
    assert (found.events, found.backward, found.first) == (4, 1, 3)
    assert found.largest.total_seconds() == 120
