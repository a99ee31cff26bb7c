"""Roots and proofs as others compute them: pymerkle, and the Go modules that certificate logs are run with (K1, K2)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from security.audit import (
    Cosigner,
    Frontier,
    Signer,
    Tree,
    leaf_hash,
    read_request,
    verify_consistency,
    verify_inclusion,
    write_request,
)
from security.audit.merkle import root_of
from security.audit.proofs import consistency_proof, inclusion_proof
from tests.security.audit.judging import Judge, make_judge

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DATA = [str(n).encode() for n in range(70)]
LEAVES = [leaf_hash(data) for data in DATA]


@pytest.fixture(scope="module")
def peer() -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    for data in DATA:
        tree.append_entry(data)
    return tree


def test_pymerkle_computes_the_same_roots(peer):
    for size in range(1, len(DATA) + 1):
        assert peer.get_root(size) == root_of(LEAVES[:size])


def test_pymerkle_makes_the_same_inclusion_proofs(peer):
    for size in range(1, 40):
        for index in range(size):
            proof = peer.prove_inclusion(index + 1, size)
            assert proof.path[1:] == inclusion_proof(LEAVES[:size], index)
            assert verify_inclusion(LEAVES[index], index, size, proof.path[1:], peer.get_root(size))


def test_pymerkle_is_convinced_by_our_roots_that_a_log_only_grew(peer):
    for first in range(1, 40):
        for second in range(first, 41):
            proof = peer.prove_consistency(first, second)
            proof.verify(root_of(LEAVES[:first]), root_of(LEAVES[:second]))
            ours = consistency_proof(LEAVES[:second], first)
            assert verify_consistency(first, second, peer.get_root(first), peer.get_root(second), ours)


@given(st.integers(1, 1400), st.data())
def test_a_proof_from_tiles_is_the_proof_from_leaves(size, data):
    leaves = [leaf_hash(b"%d" % n) for n in range(size)]
    _, nodes = Frontier().extend(leaves)
    levels = {0: leaves}
    for node in nodes:
        levels.setdefault(node.level, []).append(node.hash)
    asked: list[int] = []

    def kept(level: int, first: int, count: int) -> list[bytes]:
        asked.append(count)
        return levels[level][first : first + count]

    tree = Tree(kept)
    first, index = data.draw(st.integers(1, size)), data.draw(st.integers(0, size - 1))
    assert tree.consistency(first, size) == consistency_proof(leaves, first)
    assert tree.inclusion(index, size) == inclusion_proof(leaves, index)
    assert tree.frontier(first).root == root_of(leaves[:first])
    assert max(asked) <= 128, "no more is read than one half of a tile at once"


@pytest.fixture(scope="module")
def judge(tmp_path_factory) -> Judge:
    return make_judge(tmp_path_factory.mktemp("go"))


def b64(values: list[bytes]) -> list[str]:
    return [base64.b64encode(value).decode() for value in values]


def bent(values: list[bytes]) -> list[bytes]:
    return [bytes([values[0][0] ^ 1]) + values[0][1:], *values[1:]] if values else [bytes(32)]


def test_go_agrees_with_each_proof_and_with_each_damaged_one(judge):
    questions, expected = [], []
    for size in range(1, 40):
        root = root_of(LEAVES[:size])
        for index in range(size):
            proof = inclusion_proof(LEAVES[:size], index)
            for path, good in [(proof, True), (bent(proof), False)]:
                questions.append(
                    {
                        "kind": "inclusion",
                        "index": index,
                        "size": size,
                        "leaf": b64([LEAVES[index]])[0],
                        "root": b64([root])[0],
                        "proof": b64(path),
                    }
                )
                expected.append(good)
        for first in range(1, size + 1):
            proof = consistency_proof(LEAVES[:size], first)
            for path, good in [(proof, True), (bent(proof), False)]:
                questions.append(
                    {
                        "kind": "consistency",
                        "index": first,
                        "size": size,
                        "leaf": b64([root_of(LEAVES[:first])])[0],
                        "root": b64([root])[0],
                        "proof": b64(path),
                    }
                )
                expected.append(good)
    assert len(questions) == 3120
    assert judge(questions) == expected


def test_go_reads_checkpoints_and_what_a_witness_signed_on_them(judge):
    signer, witness = Signer("log-1", b"s" * 32), Cosigner("example.org/w1", b"w" * 32)
    note = signer.sign(70, root_of(LEAVES))
    _, line = witness.cosign(read_request(write_request(0, [], note)), signer.public_key, None, NOW)
    questions, expected = [], []
    for text, key, kind, good in [
        (note, signer.public_key, "note", True),
        (note + line, signer.public_key, "note", True),
        (note + line, witness.public_key, "cosignature", True),
        (note, witness.public_key, "cosignature", False),
        (note.replace("\n70\n", "\n71\n"), signer.public_key, "note", False),
        ((note + line).replace("\n70\n", "\n71\n"), witness.public_key, "cosignature", False),
        (note, Signer("log-1", b"t" * 32).public_key, "note", False),
    ]:
        questions.append({"kind": kind, "note": text, "key": key})
        expected.append(good)
    assert judge(questions) == expected
