"""A sealed value opens under one key, for one place, and no nonce is used twice (L2, L3, L4, L11)."""

from __future__ import annotations

import hashlib
import hmac
import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from security import commitment
from security.commitment import OVERHEAD_BYTES, open_committed, seal_committed
from security.errors import Sealed
from security.keys import SecretKeyRing
from security.packing import pack, padded_length, unpack
from security.vault import Place, SealingKey, Vault
from tests.security.salamander import salamander

ONE, OTHER = bytes(range(32)), bytes(range(32, 64))
HERE = Place("block", "7:1", "sealed")
GOLDEN = (
    "020000027c23f75755f7801a72e74a8f3d7513db2025ee6216b9f3f6f78fa95e14c377accb2675df70554788a7e2ecc6647a"
    "535caa5ffa13b00ffce2a84ebac2cf9d811f3c3f3dc43d9ba53aaeea77afa11a818c64b97d9bbd10251ab3857d"
)


def framed(*parts: bytes) -> bytes:
    """`security.framing`, written a second time."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def derived(key: bytes, message: bytes, context: bytes) -> tuple[bytes, bytes]:
    """HKDF-SHA-512 (RFC 5869) by hand: extract with the message id as salt, expand to one block of 64 bytes."""
    secret = hmac.new(message, key, hashlib.sha512).digest()
    info = framed(b"fhirtwin", b"2", b"message", context)
    both = hmac.new(secret, info + b"\1", hashlib.sha512).digest()
    return both[:32], both[32:]


def context_of(owner: bytes, version: int, header: bytes, place: Place = HERE) -> bytes:
    where = (place.table.encode(), place.row.encode(), place.column.encode())
    return framed(header, owner, *where, str(version).encode())


def test_the_format_opens_with_nothing_but_the_primitives():
    """L11: the docstrings of security.vault and security.commitment, implemented a second time."""
    sealed = SealingKey(ONE, "twin:a", 2).seal(b"7.10", HERE)
    header, message, stated, body = sealed[:4], sealed[4:36], sealed[36:68], sealed[68:]
    assert header == bytes([2, 0, 0, 2])
    context = context_of(b"twin:a", 2, header)
    own, commit = derived(ONE, message, context)
    assert commit == stated
    assert AESGCM(own).decrypt(bytes(12), body, context) == b"7.10"


def test_what_this_release_sealed_opens_for_ever():
    """L1: golden bytes; a later release that cannot read them fails here."""
    golden = bytes.fromhex(GOLDEN)
    assert SealingKey(ONE, "twin:a", 2).open(golden, HERE) == b"7.10 mmol/L"


def test_what_opens_under_two_keys_is_refused():
    """L3: the bytes are made so that AES-GCM takes them under both derived keys; only one of them is committed to."""
    header, message = bytes([2, 0, 0, 2]), b"m" * 32
    contexts = context_of(b"twin:a", 2, header), context_of(b"twin:b", 2, header)
    (own_a, commit_a), (own_b, _) = derived(ONE, message, contexts[0]), derived(OTHER, message, contexts[1])
    both = salamander(own_a, own_b, bytes(12), contexts)
    plain_a, plain_b = (
        AESGCM(own_a).decrypt(bytes(12), both, contexts[0]),
        AESGCM(own_b).decrypt(bytes(12), both, contexts[1]),
    )
    assert plain_a != plain_b, "AES-GCM alone takes it as two different texts"
    sealed = header + message + commit_a + both
    assert SealingKey(ONE, "twin:a", 2).open(sealed, HERE) == plain_a
    with pytest.raises(Sealed):
        SealingKey(OTHER, "twin:b", 2).open(sealed, HERE)


def test_the_old_format_which_does_not_commit_is_refused_by_keys_that_never_used_it():
    header, nonce = bytes([1, 0, 0, 2]), b"n" * 12
    both = salamander(ONE, OTHER, nonce, (context_of(b"twin:a", 2, header), context_of(b"twin:b", 2, header)))
    for key, owner in ((ONE, "twin:a"), (OTHER, "twin:b")):
        assert AESGCM(key).decrypt(nonce, both, context_of(owner.encode(), 2, header))
        with pytest.raises(Sealed):
            SealingKey(key, owner, 2).open(header + nonce + both, HERE)
    wrapped, drawn = Vault(SecretKeyRing.new()).draw("twin:c")
    assert drawn.version == 2
    assert wrapped[:2] == b"\0\2"


def test_nothing_is_decrypted_before_the_commitment_is_compared(monkeypatch):
    sealed = seal_committed(ONE, b"x", b"here")
    asked = []

    class Watched:
        def __init__(self, key: bytes) -> None:
            self.cipher = AESGCM(key)

        def decrypt(self, *parts):
            asked.append(parts)
            return self.cipher.decrypt(*parts)

    monkeypatch.setattr(commitment, "AESGCM", Watched)
    for key, context in ((OTHER, b"here"), (ONE, b"there")):
        with pytest.raises(InvalidTag):
            open_committed(key, sealed, context)
    assert not asked
    assert open_committed(ONE, sealed, b"here") == b"x"
    assert len(asked) == 1


def test_a_value_opens_in_its_own_place_only_over_every_pair_of_places():
    """L2: owner, table, row, column, key version and key; each pair of all combinations of two of each."""
    keys = [
        SealingKey(key, owner, version)
        for key, owner, version in itertools.product((ONE, OTHER), ("twin:a", "twin:b"), (2, 3))
    ]
    places = [Place(*p) for p in itertools.product(("block", "run"), ("1", "11"), ("sealed", "1sealed"))]
    spots = list(itertools.product(keys, places))
    sealed = [key.seal(b"x", place) for key, place in spots]
    for (at, (key, place)), (of, value) in itertools.product(enumerate(spots), enumerate(sealed)):
        if at == of:
            assert key.open(value, place) == b"x"
        else:
            with pytest.raises(Sealed):
                key.open(value, place)


def test_no_nonce_is_ever_used_twice(monkeypatch):
    """L4: a derived key seals one message. Even a broken source of chance gives each place a key of its own."""
    used: list[bytes] = []

    def watched(key: bytes) -> AESGCM:
        used.append(key)
        return AESGCM(key)

    monkeypatch.setattr(commitment, "AESGCM", watched)
    key = SealingKey(ONE, "twin:a", 2)
    for _ in range(2000):
        key.seal(b"the same", HERE)
    assert len(set(used)) == 2000
    used.clear()
    monkeypatch.setattr(commitment.os, "urandom", lambda count: b"z" * count)
    for owner, row in itertools.product(("twin:a", "twin:b"), range(500)):
        SealingKey(ONE, owner, 2).seal(b"the same", Place("block", str(row), "sealed"))
    assert len(set(used)) == 1000


def test_every_cut_and_every_changed_byte_is_refused():
    sealed = seal_committed(ONE, b"plain", b"here")
    assert len(sealed) == 5 + OVERHEAD_BYTES
    for at in range(len(sealed)):
        for wrong in (sealed[:at], sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]):
            with pytest.raises(InvalidTag):
                open_committed(ONE, wrong, b"here")


def test_a_packed_length_tells_a_step_and_not_a_byte():
    """A guess that is right by a few bytes does not show in the length, and at most an eighth is added."""
    assert [padded_length(n) for n in (0, 1, 2, 9, 17, 129, 1000, 65_537)] == [0, 1, 2, 10, 18, 144, 1024, 67_584]
    assert max(padded_length(n) / n for n in range(1, 100_000)) < 1.12
    noise = b"".join(hashlib.sha512(bytes([n % 256, n // 256])).hexdigest().encode() for n in range(1000))
    said = b'{"code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10","code":"%s"}]}}'
    texts = [
        said % b"F32.2 severe" + said % guess + noise for guess in (b"F32.2 severe", b"Q99.9 broken", b"A15.0 tested")
    ]
    assert len({len(zstandard.compress(text, 1)) for text in texts}) > 1, "the bare length tells the right guess"
    assert len({len(pack(text) or b"") for text in texts}) == 1
    assert [unpack(pack(text) or b"") for text in texts] == texts


def test_packing_is_safe_in_many_threads():
    texts = [bytes([n]) * (5000 + n) for n in range(64)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda text: unpack(pack(text) or b""), texts * 5)) == texts * 5
