from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from security.audit.proofs import consistency_proof, inclusion_proof
from security.errors import Tampered

# The reference tree of Certificate Transparency (google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc,
# and google/trillian, merkle/inmemory/merkle_tree_test.go; Apache-2.0). Hashing: RFC 6962, RFC 9162 section 2.1.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
LEAVES = [leaf_hash(bytes.fromhex(text)) for text in INPUTS]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = [  # leaf (from 1), tree size, path
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (3, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        2,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CONSISTENCY = [  # earlier size, later size, proof
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]


def test_the_empty_tree_has_the_published_root():
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # RFC 6962 2.1
    assert root_of([]) == Frontier().root == EMPTY_ROOT


def test_the_reference_tree_has_the_published_roots():
    frontier = Frontier()
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        frontier = frontier.append(leaf)
        assert frontier.root.hex() == root
        assert root_of(LEAVES[: frontier.size]).hex() == root


@pytest.mark.parametrize(("leaf", "size", "path"), INCLUSION)
def test_inclusion_proofs_are_the_published_ones(leaf, size, path):
    assert [p.hex() for p in inclusion_proof(LEAVES[:size], leaf - 1)] == path


@pytest.mark.parametrize(("first", "second", "proof"), CONSISTENCY)
def test_consistency_proofs_are_the_published_ones(first, second, proof):
    assert [p.hex() for p in consistency_proof(LEAVES[:second], first)] == proof


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(n.to_bytes(2, "big")) for n in range(size)]


def simple_root(hashes: list[bytes]) -> bytes:
    """The definition of RFC 9162 section 2.1.1, word for word."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return node_hash(simple_root(hashes[:k]), simple_root(hashes[k:]))


@given(st.integers(0, 300))
def test_appending_one_by_one_gives_the_root_of_the_definition(size):
    assert root_of(leaves(size)) == simple_root(leaves(size))


def test_every_event_of_every_small_log_is_proved_to_be_in_it_and_no_other():
    for size in range(1, 24):
        tree, root = leaves(size), root_of(leaves(size))
        for index in range(size):
            proof = inclusion_proof(tree, index)
            assert verify_inclusion(tree[index], index, size, proof, root)
            assert not verify_inclusion(leaf_hash(b"forged"), index, size, proof, root)
            assert not verify_inclusion(tree[index], index, size, [*proof, root], root)
            assert not verify_inclusion(tree[index], size, size, proof, root)
            for wrong in {index ^ 1, index + 1} - {index}:
                assert not verify_inclusion(tree[index], wrong, size, proof, root)
            for n in range(len(proof)):
                assert not verify_inclusion(tree[index], index, size, proof[:n] + proof[n + 1 :], root)
                bent = bytes([proof[n][0] ^ 1]) + proof[n][1:]
                assert not verify_inclusion(tree[index], index, size, [*proof[:n], bent, *proof[n + 1 :]], root)


def test_every_later_log_is_proved_to_continue_every_earlier_one():
    for second in range(1, 24):
        tree = leaves(second)
        for first in range(1, second + 1):
            old, new = root_of(tree[:first]), root_of(tree)
            proof = consistency_proof(tree, first)
            assert verify_consistency(first, second, old, new, proof)
            assert not verify_consistency(first, second, leaf_hash(b"other history"), new, proof)
            assert not verify_consistency(first, second, old, leaf_hash(b"other future"), proof)
            assert not verify_consistency(first, second, old, new, [*proof, old])
            for n in range(len(proof)):
                assert not verify_consistency(first, second, old, new, proof[:n] + proof[n + 1 :])


@given(st.integers(1, 60), st.data())
def test_a_log_whose_past_was_rewritten_has_no_consistency_proof(second, data):
    first = data.draw(st.integers(1, second))
    changed = data.draw(st.integers(0, first - 1))
    rewritten = leaves(second)
    rewritten[changed] = leaf_hash(b"rewritten")
    old = root_of(leaves(first))
    assert not verify_consistency(first, second, old, root_of(rewritten), consistency_proof(rewritten, first))


@given(st.integers(0, 200), st.integers(0, 20))
def test_a_stored_frontier_goes_on_where_it_stopped(size, more):
    frontier = Frontier()
    for leaf in leaves(size):
        frontier = frontier.append(leaf)
    stored = frontier.to_bytes()
    assert len(stored) == 9 + 32 * size.bit_count()
    again = Frontier.from_bytes(stored)
    for leaf in leaves(size + more)[size:]:
        again = again.append(leaf)
    assert again.root == root_of(leaves(size + more))


@pytest.mark.parametrize("stored", [b"", b"\1", b"\2" + bytes(8), b"\1" + bytes(7) + b"\1", b"\1" + bytes(40)])
def test_a_stored_frontier_that_is_damaged_is_refused(stored):
    with pytest.raises(Tampered):
        Frontier.from_bytes(stored)


def test_a_leaf_is_never_taken_for_a_node():
    left, right = leaves(2)
    assert leaf_hash(left + right) != node_hash(left, right)


def test_there_is_no_proof_for_what_is_not_in_the_log():
    with pytest.raises(ValueError, match="no such leaf"):
        inclusion_proof(LEAVES, 8)
    with pytest.raises(ValueError, match="earlier tree"):
        consistency_proof(LEAVES, 9)
    assert not verify_consistency(0, 8, EMPTY_ROOT, root_of(LEAVES), [])
