#!/usr/bin/env python3
# ruff: noqa: T201
"""Verify a bundle of a fhirtwin audit log, with nothing of fhirtwin: Python, and the package `cryptography`.

    python verify_audit.py BUNDLE PUBLIC-KEY [WITNESS-KEY ...]

BUNDLE is the folder that `twin audit bundle` wrote. PUBLIC-KEY is the line in audit.pub, or a file with it: get it from
somebody you trust, and not from the bundle. The bundle is laid out as c2sp.org/tlog-tiles says, the tree is that of RFC
9162, checkpoints are those of c2sp.org/tlog-checkpoint, witnesses sign as c2sp.org/tlog-cosignature says.

Exit status: 0 all is as it was signed; 1 it is not, and the first bad event is named where that can be told; 2 wrong
use; 5 what is there is sound, but something is missing.
"""

import base64
import hashlib
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LOG, WITNESS = 1, 4  # types of keys


class Bad(Exception):
    """Something was changed. The number is that of the first bad event, or None."""


class Absent(Exception):
    """A file is not there. The number is that of the first event in it, or None."""


def main(arguments):
    """Check one bundle; return the exit status."""
    try:
        folder, log, *witnesses = arguments
        keys = [read_key(text, LOG if n == 0 else WITNESS) for n, text in enumerate([log, *witnesses])]
    except ValueError:
        print(__doc__)
        return 2
    try:
        size = verify(Path(folder), keys[0], keys[1:])
    except Bad as bad:
        number, said = bad.args
        print(f"TAMPERED. {f'First bad event: {number}. ' if number else ''}{said}")
        return 1
    except Absent as absent:
        print(f"INCOMPLETE. {absent.args[1]}")
        return 5
    print(f"OK. All {size} events are as they were signed by {keys[0][0]}.")
    return 0


def verify(folder, log, witnesses):
    """Check everything; return the number of events."""
    need = lambda name, number=None: read(folder / name, number)  # noqa: E731
    if need("format") != b"fhirtwin-audit-bundle 1\n" or need("key") != f"{vkey(log, LOG)}\n".encode():
        raise Bad(None, "Another format, or another key.")
    newest = need("checkpoint")
    size, newest_root, _, _ = open_checkpoint(newest, log)
    vouching = check_witnesses(folder, log, witnesses)
    notes = split_notes(folder / "checkpoints")
    checkpoints, forged = {}, 0
    for note in notes:
        try:
            count, root, _, _ = open_checkpoint(note, log)
            if count <= max(checkpoints, default=-1):
                raise Bad(None, "out of order")
            checkpoints[count] = root
        except Bad:
            forged += 1
    signed = {count: {root} for count, root in checkpoints.items()}
    for count, root, _ in [(size, newest_root, ()), *vouching]:
        signed.setdefault(count, set()).add(root)

    sound = walk(folder, size, signed, forged)
    if forged or not notes or notes[-1] != newest:
        raise Bad(sound + 1 if sound < size else None, "A checkpoint is not signed by this key, or not in order.")
    reach = {key: count for count, _, keys in vouching for key in keys if key in witnesses}
    if len(reach) < len(witnesses):
        raise Absent(None, f"Only {len(reach)} of {len(witnesses)} witnesses vouch for it.")
    return size


def walk(folder, size, signed, forged):
    """Read all events, and compare the tree with what was signed of it; return how many are vouched for."""
    tree, told, upper = [], [], {}
    sound, first_damaged = 0, None
    todo = sorted(signed)
    compare(0, tree, told, signed, sound, first_damaged)
    for start in range(0, size, 256):
        width = min(256, size - start)
        try:
            leaves = read(folder / tile(0, start // 256, width), start + 1)
            pairs = zip(entries(folder, start // 256, width), hashes(leaves, width), strict=True)
        except Absent:
            if first_damaged:
                raise Bad(first_damaged, "An event is not what was signed.") from None
            raise
        for number, (entry, leaf) in enumerate(pairs, start + 1):
            if hashlib.sha256(b"\0" + entry).digest() != leaf and first_damaged is None:
                first_damaged, told = number, list(tree)
            grow(tree, hashlib.sha256(b"\0" + entry).digest(), upper, number)
            if first_damaged:
                grow(told, leaf, None, number)
            if number in signed:
                compare(number, tree, told, signed, sound, first_damaged)
                sound = number
    if first_damaged:
        raise Bad(first_damaged, "An event is not what was signed.")
    if todo and todo[-1] > size:
        raise Bad(size + 1, "An event is missing.")
    if sound < size and not forged:
        raise Bad(sound + 1, "Events stand behind the last checkpoint.")
    if sound == size:
        check_upper(folder, size, upper, forged)
    return sound


def compare(number, tree, told, signed, sound, first_damaged):
    """Compare the root over the first `number` events with what was signed."""
    if number not in signed:
        return
    if len(signed[number]) > 1:
        raise Bad(sound + 1, f"Two histories of {number} events were signed.")
    [expected] = signed[number]
    if root(tree) == expected and first_damaged is None:
        return
    if first_damaged and expected in (root(tree), root(told)):
        raise Bad(first_damaged, "An event is not what was signed.")
    raise Bad(sound + 1, f"One of the events {sound + 1} to {number} is not what was signed.")


def grow(tree, leaf, upper, number):
    """Add a leaf: `tree` holds (height, hash) of full subtrees, two of one height become one (RFC 9162, 2.1.2)."""
    tree.append((0, leaf))
    while len(tree) > 1 and tree[-1][0] == tree[-2][0]:
        (height, left), (_, right) = tree[-2:]
        tree[-2:] = [(height + 1, hashlib.sha256(b"\1" + left + right).digest())]
        if upper is not None and (height + 1) % 8 == 0:
            upper.setdefault((height + 1) // 8, []).append(tree[-1][1])


def root(tree):
    """Return the root over all leaves that were added."""
    if not tree:
        return hashlib.sha256(b"").digest()
    value = tree[-1][1]
    for _, left in reversed(tree[:-1]):
        value = hashlib.sha256(b"\1" + left + value).digest()
    return value


def check_upper(folder, size, upper, forged):
    """Compare the upper tiles with what the events give."""
    level = 1
    while size >> (8 * level):
        expected = upper[level]
        for number in range(0, len(expected), 256):
            part = expected[number : number + 256]
            if read(folder / tile(level, number // 256, len(part)), None) != b"".join(part) and not forged:
                raise Bad(None, f"Level {level} of the tiles is not what the events give.")
        level += 1


def tile(level, number, width):
    """Name the file of a tile."""
    text = f"{number:0{-(-len(str(number)) // 3) * 3}d}"
    parts = [text[i : i + 3] for i in range(0, len(text), 3)]
    path = "/".join([f"x{part}" for part in parts[:-1]] + parts[-1:])
    return f"tile/{level}/{path}" + (f".p/{width}" if width < 256 else "")


def entries(folder, number, width):
    """Read the events of a file; what cannot be told apart belongs to the event that it begins in."""
    short, long = (folder / tile(name, number, width) for name in ("entries", "long-entries"))
    data, prefix = (read(short, number * 256 + 1), 2) if short.is_file() or not long.is_file() else (read(long), 4)
    found = []
    rest = data
    for _ in range(width):
        end = prefix + int.from_bytes(rest[:prefix], "big")
        found.append(rest[prefix:end])
        whole, rest = end == len(rest), rest[end:]
    return found if whole else [*found[:-1], data]  # the last event ends where the file ends


def hashes(data, width):
    """Read the hashes of a tile."""
    return [data[i * 32 : (i + 1) * 32] for i in range(width - 1)] + [data[(width - 1) * 32 :]]


def read(path, number=None):
    """Read a file of a bundle."""
    try:
        return path.read_bytes()
    except OSError:
        raise Absent(number, f"The bundle has no file {path.name} of {path.parent.name}.") from None


def split_notes(path):
    """Part a file of notes, with an empty line behind each, into notes."""
    parts = (path.read_bytes() if path.is_file() else b"").split(b"\n\n")
    notes = [text + b"\n\n" + signatures + b"\n" for text, signatures in zip(parts[::2], parts[1::2], strict=False)]
    return notes if len(parts) % 2 and parts[-1] == b"" else [*notes, b""]


def check_witnesses(folder, log, trusted):
    """Check all that witnesses signed; return size, root and keys of each."""
    lines = (folder / "witnesses").read_bytes() if (folder / "witnesses").is_file() else b""
    found, last = [], -1
    try:
        named = [read_key(line, WITNESS, strict=True) for line in lines.decode().splitlines()]
        if lines.decode() != "".join(f"{line}\n" for line in sorted({vkey(key, WITNESS) for key in named})):
            raise ValueError
        for note in split_notes(folder / "cosigned") if (folder / "cosigned").is_file() else []:
            count, root_, text, others = open_checkpoint(note, log)
            signers = [{key for key in named if cosigned(key, other, text)} for other in others]
            first, *order = note.decode().split("\n")[4:-1]  # the log itself signed first
            if not first.startswith(f"— {log[0]} ") or order != sorted(order):
                raise ValueError
            if not signers or not all(signers) or count <= last:
                raise ValueError
            found.append((count, root_, set.union(*signers)))
            last = count
        if set(named) != {key for _, _, keys in found for key in keys}:
            raise ValueError
    except (ValueError, Bad):
        raise Bad(None, "What witnesses signed does not hold.") from None
    return found


def open_checkpoint(note, log):
    """Check the signature of the log; return size, root, the signed text and the other signature lines."""
    try:
        text, end, rest = note.decode().rpartition("\n\n")
        origin, size, value = text.split("\n")
        text, count = text + "\n", int(size)
        signatures = []
        if not rest.endswith("\n") or not end:
            raise ValueError
        for line in rest[:-1].split("\n"):
            dash, name, encoded = line.split(" ")
            raw = decode(encoded)
            if dash != "—" or not name or len(raw) <= 4:
                raise ValueError
            signatures.append((name, raw[:4], raw[4:]))
        ours = [raw for name, number, raw in signatures if (name, number) == (log[0], key_id(log, LOG))]
        twice = len({s[:2] for s in signatures}) != len(signatures)
        if origin != log[0] or str(count) != size or count < 0 or len(decode(value)) != 32 or len(ours) != 1 or twice:
            raise ValueError
        Ed25519PublicKey.from_public_bytes(log[1]).verify(ours[0], text.encode())
    except (ValueError, InvalidSignature):
        raise Bad(None, "A checkpoint is not signed by this key.") from None
    return count, decode(value), text, [s for s in signatures if s[2] is not ours[0]]


def cosigned(key, signature, text):
    """Say whether a witness signed a checkpoint."""
    name, number, raw = signature
    if (name, number) != (key[0], key_id(key, WITNESS)) or len(raw) != 8 + 64:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key[1]).verify(
            raw[8:], f"cosignature/v1\ntime {int.from_bytes(raw[:8], 'big')}\n{text}".encode()
        )
    except InvalidSignature:
        return False
    return True


def read_key(text, kind, strict=False):
    """Read the line of a public key, or a file with it: name+id+key."""
    if not strict and Path(text).is_file():
        text = Path(text).read_text("utf-8")
    name, number, encoded = (text if strict else text.strip()).split("+", 2)
    raw = decode(encoded)
    key = (name, raw[1:])
    if not name or len(raw) != 33 or raw[0] != kind or key_id(key, kind).hex() != number:
        raise ValueError
    return key


def vkey(key, kind):
    """Write the line of a public key."""
    return f"{key[0]}+{key_id(key, kind).hex()}+{base64.b64encode(bytes([kind]) + key[1]).decode()}"


def key_id(key, kind):
    """Give the four bytes that name a key (c2sp.org/signed-note)."""
    return hashlib.sha256(key[0].encode() + b"\n" + bytes([kind]) + key[1]).digest()[:4]


def decode(text):
    """Read base64 in its only spelling."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError
    return raw


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
