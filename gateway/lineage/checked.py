"""What an export says of itself, held against what is in it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gateway.lineage.kept import Kept
from security.audit.inclusion import check_proof
from security.audit.statement import open_statement
from security.errors import Fault

__all__ = ["Check", "check_manifest", "check_proofs", "check_raw"]


class Check(msgspec.Struct, frozen=True):
    """One thing that was checked, and whether it is so; `None` where it could not be: `said` tells what it takes."""

    said: str
    is_so: bool | None


class _Proof(msgspec.Struct):
    number: int
    proof: str


class _Exact(msgspec.Struct):
    sha256: str
    base64: str


class _Unreadable(msgspec.Struct):
    unreadable: str


def check_manifest(files: Mapping[str, bytes], note: str, public_key: str) -> list[Check]:
    """Compare the parts with the manifest, and the manifest with its signature, where the key is at hand."""
    told: dict[str, tuple[str, str]] = {}
    for line in note.split("\n"):
        if line.startswith("file: ") and len(values := line.removeprefix("file: ").split(" ", 3)) == 4:
            told[values[3]] = (values[0], values[1])
    parts = {name: content for name, content in files.items() if name != "manifest.txt"}
    bad = [
        name
        for name in sorted({*told, *parts})
        if name not in parts or told.get(name) != (hashlib.sha256(parts[name]).hexdigest(), str(len(parts[name])))
    ]
    said = f"All {len(told)} parts are as the manifest says (SHA-256 and size)"
    checks = [Check(f"{said}; these are not: {', '.join(bad)}." if bad else f"{said}.", not bad)]
    if not public_key:
        who = "Who signed the manifest: say --public-key with audit.pub of the installation, from somebody you trust."
        return [*checks, Check(who, None)]
    try:
        open_statement(note, public_key, "fhirtwin export 1")
        signed = True
    except Fault:
        signed = False
    return [*checks, Check("The manifest was signed with this key.", signed)]


def check_raw(files: Mapping[str, bytes], kept: Sequence[Kept]) -> list[Check]:
    """Look for the bytes of every version that the history tells, by their SHA-256."""
    there: set[str] = set()
    for name, content in files.items():
        if name.startswith("raw/"):
            for line in content.split(b"\n")[:-1]:
                there.add(hashlib.sha256(line).hexdigest())
                if line.startswith(b'{"unreadable":') and (raw := _unreadable(line)) is not None:
                    there.add(hashlib.sha256(raw).hexdigest())
    wrong = 0
    for line in files.get("exact.ndjson", b"").splitlines():
        exact = msgspec.json.decode(line, type=_Exact)
        raw = base64.b64decode(exact.base64)
        wrong += hashlib.sha256(raw).hexdigest() != exact.sha256
        there.add(hashlib.sha256(raw).hexdigest())
    told = {one.sha256 for each in kept for one in each.came if one.sha256}
    missing = sorted(
        {f"{one.key} of {one.source}" for each in kept for one in each.came if one.sha256 and one.sha256 not in there}
    )
    said = f"The bytes of all {len(told)} versions of raw resources have the SHA-256 that the history tells"
    named = f"; of these there are none such: {', '.join(missing)}" if missing else ""
    return [
        Check(
            f"{said}{named}{f'; {wrong} lines of exact.ndjson are wrong' if wrong else ''}.", not missing and not wrong
        )
    ]


def check_proofs(lines: Iterable[bytes], public_key: str) -> list[Check]:
    """Check that the events that results stand on are in the log that was signed."""
    proofs = [msgspec.json.decode(line, type=_Proof) for line in lines]
    if not proofs:
        return []
    if not public_key:
        return [Check(f"Whether {len(proofs)} audit events are in the signed log: say --public-key.", None)]
    bad = []
    for each in proofs:
        verdict = check_proof(each.proof, public_key)
        if not verdict.ok or f"event {each.number} " not in verdict.what:
            bad.append(str(each.number))
    said = f"{len(proofs)} audit events are proven to be in the log that was signed"
    return [Check(f"{said}; these are not: {', '.join(bad)}." if bad else f"{said}.", not bad)]


def _unreadable(line: bytes) -> bytes | None:
    try:
        return base64.b64decode(msgspec.json.decode(line, type=_Unreadable).unreadable, validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError):
        return None
