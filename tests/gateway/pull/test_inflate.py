from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pull.inflate import DamagedError, Inflater, Limits, TooLarge

LIMITS = Limits()


def unpack(data: bytes, encoding, limits: Limits = LIMITS, step: int = 1 << 16) -> bytes:
    inflater, out = Inflater(encoding, limits), bytearray()
    for start in range(0, len(data), step):
        for piece in inflater.feed(data[start : start + step]):
            assert len(piece) <= max(1 << 16, step)
            out += piece
    inflater.end()
    return bytes(out)


@settings(deadline=None)
@given(st.binary(max_size=3000), st.integers(1, 500), st.integers(1, 40))
def test_what_was_packed_comes_back_however_it_is_cut(data, step, repeats):
    data = data * repeats
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    two_members = gzip.compress(data) + gzip.compress(data) + b"\0" * 7
    assert unpack(gzip.compress(data), "gzip", step=step) == data
    assert unpack(two_members, "gzip", step=step) == data * 2
    assert unpack(zlib.compress(data), "deflate", step=step) == data
    assert unpack(raw.compress(data) + raw.flush(), "deflate", step=step) == data
    assert unpack(data, "identity", step=step) == data


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=500), st.data())
def test_what_is_cut_is_never_taken_for_whole(data, draw):
    packed = gzip.compress(data)
    end = draw.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(DamagedError):
        unpack(packed[:end], "gzip")


def test_a_changed_byte_is_noticed():
    packed = bytearray(gzip.compress(b"0123456789" * 100))
    packed[-6] ^= 1
    with pytest.raises(DamagedError):
        unpack(bytes(packed), "gzip")


def taken(pieces) -> int:
    """Count the bytes that came before it was too large."""
    count = 0
    try:
        for piece in pieces:
            count += len(piece)
    except TooLarge:
        return count
    pytest.fail("it was taken whole")


def test_a_bomb_is_stopped_by_its_ratio_before_it_is_unpacked():
    packed = gzip.compress(bytes(50 << 20))
    assert taken(Inflater("gzip", LIMITS).feed(packed)) <= 100 * len(packed) + (1 << 16)


def test_no_more_is_unpacked_than_is_allowed():
    limits = Limits(decoded_bytes=1 << 20, ratio=None)
    assert taken(Inflater("gzip", limits).feed(gzip.compress(bytes(50 << 20)))) <= 1 << 20


def test_no_more_is_read_than_is_allowed():
    with pytest.raises(TooLarge):
        unpack(bytes(2000), "identity", Limits(raw_bytes=1000))
