"""What an auditor takes away: the whole log as a folder of plain files, without any secret, to be checked anywhere.

The folder is laid out as c2sp.org/tlog-tiles says, so that others' tools read it, too:

    format                     the line "fhirtwin-audit-bundle 1"
    key                        the public key of the log
    checkpoint                 the newest checkpoint
    tile/entries/000 …         the sealed events, 256 to a file, each behind its length (2 bytes, big-endian)
    tile/0/000 …               their leaf hashes, 256 to a file, 32 bytes each
    tile/1/000 …               one hash for each full file of the level below, and so on upwards
    checkpoints                all checkpoints, smallest first, an empty line behind each
    cosigned, witnesses        the checkpoints that witnesses signed, too, and the public keys of these witnesses

The last file of a level may be partial, as 007.p/12 with 12 entries. A file of entries that holds one of more than
65,535 bytes has lengths of 4 bytes, and is tile/long-entries/NNN.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from security.audit.merkle import HASH_BYTES, TILE_HEIGHT, TILE_WIDTH

__all__ = [
    "FORMAT",
    "entries_path",
    "notes_in",
    "pack_entries",
    "split_hashes",
    "tile_path",
    "tiles",
    "unpack_entries",
    "write_note",
]

FORMAT = "fhirtwin-audit-bundle 1\n"

_SHORT, _LONG = 2, 4  # bytes of a length
_MOST_SHORT = 0xFFFF
_MOST_LINES = 32  # of a note: with 16 signatures, it has 20


def tile_path(level: int | str, number: int, width: int) -> str:
    """Name the file of a tile: 1234067 is x001/x234/067, and a partial one says how many entries it has."""
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
    return f"tile/{level}/{path}" + (f".p/{width}" if width < TILE_WIDTH else "")


def entries_path(number: int, width: int, *, long: bool = False) -> str:
    """Name the file of 256 events."""
    return tile_path("long-entries" if long else "entries", number, width)


def tiles(size: int, level: int, behind: int = 0) -> Iterator[tuple[int, int]]:
    """List number and width of the tiles of one level of a tree, from the one that event `behind` + 1 is in."""
    count = size >> (TILE_HEIGHT * level)
    for number in range(behind >> (TILE_HEIGHT * (level + 1)), -(-count // TILE_WIDTH)):
        yield number, min(TILE_WIDTH, count - number * TILE_WIDTH)


def pack_entries(entries: Sequence[bytes]) -> tuple[bytes, bool]:
    """Write events one behind the other. The second value says whether the lengths are long ones."""
    long = any(len(entry) > _MOST_SHORT for entry in entries)
    size = _LONG if long else _SHORT
    return b"".join(part for entry in entries for part in (len(entry).to_bytes(size, "big"), entry)), long


def unpack_entries(data: bytes, width: int, *, long: bool) -> list[bytes]:
    """Read `width` events. Where the file is damaged, what cannot be told apart counts to the event it starts in.

    The last event ends where the file ends, or else it is none that anybody signed.
    """
    size, at, found = _LONG if long else _SHORT, 0, []
    for _ in range(width):
        start = at + size
        at = start + int.from_bytes(data[at:start], "big")
        found.append(data[start:at])
    if at != len(data):
        found[-1] = data
    return found


def split_hashes(data: bytes, width: int) -> list[bytes]:
    """Read the `width` hashes of a tile; what is too much or too little belongs to the last one that there is."""
    found = [data[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)]
    found[-1] += data[width * HASH_BYTES :]
    return found


def write_note(note: str) -> str:
    """Write one of several notes."""
    return f"{note}\n"


def notes_in(lines: Iterable[bytes]) -> Iterator[str]:
    """Read several notes; of what is no whole note an empty text is made, which nobody signed."""
    note: list[bytes] = []
    ends = 0
    for line in lines:
        if line == b"\n" and ends:
            yield b"".join(note).decode("utf-8", "replace")
            note, ends = [], 0
        else:
            note.append(line)
            ends += line == b"\n"
        if len(note) > _MOST_LINES:
            yield ""
            note, ends = [], 0
    if note:
        yield ""
