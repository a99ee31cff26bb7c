"""What an owner holds is found in packed contents as in a plain dictionary, however much is asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.store.contents import Contents, Entry, Remembered, pack

_names = st.sampled_from([bytes([n]) * 16 for n in range(4)] + [b"ab" * 8, b"ba" * 8])
_entries = st.builds(Entry, _names, _names, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))


@given(st.lists(st.lists(_entries, max_size=6), max_size=4), st.lists(_entries, max_size=3), st.booleans())
def test_packed_contents_are_a_dictionary(blocks, newer, unpacked):
    """Names and versions are made of the same bytes, so that a name is found across two fields, too."""
    plain = {entry.name: entry for block in blocks for entry in block}
    contents = Contents(map(pack, blocks))
    if unpacked:
        for n in range(200):
            contents.get(n.to_bytes(16))
    for entry in newer:
        contents.note(entry)
        plain[entry.name] = entry
    for name in [bytes([n]) * 16 for n in range(6)] + [b"ab" * 8, b"ba" * 8]:
        assert contents.get(name) == plain.get(name)
        assert (name in contents) is (name in plain)


@given(st.lists(st.lists(_entries, max_size=6), max_size=4), st.lists(_entries, max_size=3))
def test_light_contents_are_a_dictionary_too(blocks, newer):
    packed = list(map(pack, blocks))
    plain = {entry.name: entry for block in blocks for entry in block}
    contents = Contents(packed)
    contents.again = lambda: packed
    contents.lighten()
    for entry in newer:
        contents.expect([entry.name])
        assert contents.get(entry.name) == plain.get(entry.name)
        contents.note(entry)
        plain[entry.name] = entry
        packed.append(pack([entry]))
        contents.lighten()
    for name in [bytes([n]) * 16 for n in range(6)] + [b"ab" * 8, b"ba" * 8]:
        assert contents.get(name) == plain.get(name)


def test_light_contents_take_a_fifth_of_the_packed_ones_and_are_read_again_only_for_what_is_there():
    entries = [Entry(n.to_bytes(16), bytes(16), 1, 0) for n in range(1 << 64, (1 << 64) * 1001, 1 << 64)]
    contents, read = Contents([pack(entries)]), []
    contents.again = lambda: (read.append(1), [pack(entries)])[1]
    before = contents.bytes_held
    contents.lighten()
    assert contents.bytes_held * 5 == before
    assert contents.get(bytes(16)) is None
    assert not read
    assert contents.get(entries[500].name) == entries[500]
    assert len(read) == 1


def test_memory_is_bounded_by_bytes_and_keeps_who_was_used_last():
    remembered = Remembered(limit=1000)
    block = pack([Entry(bytes(16), bytes(16), 1, 0)] * 10)
    for owner in "abc":
        remembered.keep(owner, 1, Contents([block]))
    assert [owner for owner in "abc" if remembered.get(owner, 1)] == ["b", "c"]
    assert remembered.get("c", 2) is None
