"""A bundle of a small audit log, as files and as bytes in memory."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from gateway.audit_bundle import write_bundle
from gateway.store import Store
from security.audit import Cosigner, read_request, write_request
from security.keys import SecretKeyRing

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
BATCHES = (1, 4, 7, 2, 1, 5, 3, 6, 4, 1, 8, 5, 2, 7, 4)  # 60 events in 15 transactions


class Kept:
    """The files of a bundle in memory."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    @classmethod
    def of(cls, folder: Path) -> Kept:
        found = sorted(each for each in folder.rglob("*") if each.is_file())
        return cls({each.relative_to(folder).as_posix(): each.read_bytes() for each in found})

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def lines(self, path: str) -> Iterator[bytes]:
        yield from self.files.get(path, b"").splitlines(keepends=True)

    def changed(self, path: str, content: bytes) -> Kept:
        return Kept({**self.files, path: content})

    def without(self, path: str) -> Kept:
        return Kept({name: content for name, content in self.files.items() if name != path})

    def write(self, folder: Path) -> Path:
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder


@dataclass
class Log:
    """A log with its bundle: checkpoints, public key, and the witness that signed two of the checkpoints."""

    bundle: Kept
    checkpoints: list[str]
    public_key: str
    witness: str


@pytest.fixture(scope="session")
def log(tmp_path_factory) -> Log:
    """60 events under 15 checkpoints, of which a witness signed those over 12 and over 48 events."""
    return make_log(tmp_path_factory.mktemp("log"), BATCHES)


def make_log(folder: Path, batches: tuple[int, ...], cosigned: tuple[int, ...] = (12, 49)) -> Log:
    with Store.create_or_open(folder / "twin.db", SecretKeyRing(b"r" * 32, [b"k" * 32]), NOON) as store:
        number = 0
        for many in batches:
            store.append_audit([{"n": number + each} for each in range(many)])
            number += many
        witness = Cosigner("example.org/w1", b"w" * 32)
        last = None
        for size in cosigned:
            with store.audit_view() as view:
                old = last.size if last else 0
                proof = view.tree.consistency(old, size) if old else []
                note = view.checkpoint(size)
            request = read_request(write_request(old, proof, note))
            last, line = witness.cosign(request, store.audit_public_key, last, NOON)
            store.keep_cosignature(note + line, witness.public_key)
        with store.audit_view() as view:
            write_bundle(view, folder / "bundle")
            checkpoints = list(view.checkpoints())
        return Log(Kept.of(folder / "bundle"), checkpoints, store.audit_public_key, witness.public_key)


@cache
def second_verifier() -> ModuleType:
    """Load the verifier of one file (docs/verify_audit.py), of which nothing is ours but the format."""
    path = Path(__file__).parents[3] / "docs" / "verify_audit.py"
    spec = importlib.util.spec_from_file_location("verify_audit", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bend(text: bytes, place: int, by: int) -> bytes:
    return text[:place] + bytes([text[place] ^ by]) + text[place + 1 :]
