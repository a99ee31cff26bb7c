"""Backups: a copy of the store, made while it serves, with a signed manifest; and copies of the key store, apart.

A backup is a folder, or a tar archive, of two files: twin.db, sealed as the store is, and manifest.txt, which says what
the first one has to be. It holds no key. Whoever has it and no keys learns sizes, counts and times.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import uuid4

from gateway import __version__
from gateway.files import sync_folder, write_new
from gateway.home import Home, now
from gateway.store import copy_file, inspect_copy
from security.audit import backup_event
from security.errors import Misuse, Tampered

__all__ = ["DATA", "MANIFEST", "Backup", "copy_keys", "make_backup", "opened"]

DATA, MANIFEST = "twin.db", "manifest.txt"
_MOST_MANIFEST = 64 * 1024
_PIECE = 1 << 20

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made: its id, what it holds, and the SHA-256 of its data."""

    id: str
    place: Path
    events: int
    twins: int
    bytes: int
    sha256: str


def make_backup(home: Home, place: Path, tell: Tell) -> Backup:
    """Back the store up into a new folder, or into a new file whose name ends in .tar; others go on writing meanwhile.

    It is recorded first. Raises `Misuse` where something is there already, and for a store on a server.
    """
    if home.settings.store.url:
        raise Misuse("This store is on a PostgreSQL server.", hint="Back it up with pg_dump: docs/backup.md says how.")
    place = place.expanduser().absolute()
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        raise Misuse(f"{place.name} is there already.", hint="Say a new folder or file: nothing is written over.")
    identity = str(uuid4())
    home.store.append_audit([backup_event(home.access(), backup=identity)])
    with _beside(place) as folder:
        home.store.copy_to(
            folder / DATA, lambda left, total: tell(f"Copying: {100 * (total - left) // max(total, 1)} %")
        )
        tell("Hashing")
        copy, size, digest = inspect_copy(folder / DATA), (folder / DATA).stat().st_size, sha256_of(folder / DATA)
        twins = len(home.store.twins())
        lines = [
            ("backup", identity),
            ("made", now().isoformat()),
            ("by", f"fhirtwin {__version__}"),
            ("schema", str(copy.schema)),
            ("log", copy.log),
            ("events", str(copy.events)),
            ("checkpoint", base64.b64encode(copy.checkpoint.encode()).decode()),
            ("size", str(size)),
            ("sha256", digest),
        ]
        write_new(folder / MANIFEST, home.store.statement("fhirtwin backup 1", lines).encode())
        tell("Writing")
        _put(folder, place)
    return Backup(identity, place, copy.events, twins, size, digest)


def copy_keys(home: Home, place: Path, data: Path | None = None) -> str:
    """Copy the key store into a new file, and remember where, so that an erasure reaches it; returns the copy's id.

    The key ring, without which nothing in it opens, is not copied. Refuses with `Misuse` a place in the backup itself.
    """
    place = place.expanduser().absolute()
    if data is not None and place.is_relative_to(data.expanduser().absolute()):
        raise Misuse("Keys and data are kept apart.", hint="Say another place for --keys, best on another medium.")
    if place.exists():
        raise Misuse(f"{place.name} is there already.", hint="Say a new file: nothing is written over.")
    name = str(uuid4())
    event = backup_event(home.access(), backup=name, keys=1)
    home.store.register_key_copy(name, str(place), now(), [event])
    try:
        copy_file(home.store.keys.path, place)
    except OSError as error:
        raise Misuse(f"{place.name} cannot be written: {error.strerror}.", hint="Choose another file.") from error
    return name


@contextmanager
def opened(place: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Open a backup, folder or archive: its manifest, and its data as a stream. Nothing of it is believed yet.

    Of an archive two plain members of our names are read, and nothing is unpacked by any name that stands in it. Raises
    `Misuse` for what is no backup, `Tampered` for one that holds anything else: a link, a path, a third member.
    """
    try:
        if place.is_dir():
            with _plain(place / MANIFEST) as manifest, _plain(place / DATA) as data:
                yield _text(manifest), data
            return
        with tarfile.open(place, "r:") as archive:
            members = archive.getmembers()
            if sorted(member.name for member in members) != [MANIFEST, DATA] or not all(m.isreg() for m in members):
                raise Tampered("This archive holds something else than a backup.", hint="Do not restore it.")
            told, held = archive.extractfile(MANIFEST), archive.extractfile(DATA)
            if told is None or held is None:
                raise Tampered("This archive holds something else than a backup.", hint="Do not restore it.")
            yield _text(told), held
    except (OSError, tarfile.TarError) as error:
        raise Misuse(
            "No backup can be read there.", hint="Say the folder or file that twin backup wrote.", detail=error
        ) from error


def sha256_of(file: Path) -> str:
    """Hash a file, in hex."""
    with file.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()


@contextmanager
def _plain(file: Path) -> Iterator[IO[bytes]]:
    """Open a file of a folder, and no link or device of that name."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if file.is_symlink():
            raise Tampered("A file of this backup is a link.", hint="Do not restore it.") from error
        raise
    with os.fdopen(handle, "rb") as read:
        if not file.is_file():
            raise Tampered("A file of this backup is no file.", hint="Do not restore it.")
        yield read


def _text(manifest: IO[bytes]) -> str:
    return manifest.read(_MOST_MANIFEST).decode("utf-8", "replace")


@contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """Give a folder beside the place, for the owner only, that is gone afterwards."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    except OSError as error:
        raise Misuse(f"{place.name} cannot be written: {error.strerror}.", hint="Choose another place.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(folder: Path, place: Path) -> None:
    """Let the finished backup appear at its place, whole or not at all."""
    if place.suffix != ".tar":
        if place.exists():
            place.rmdir()  # it is empty
        folder.rename(place)
        sync_folder(place.parent)
        return
    part = folder / place.name
    with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in (MANIFEST, DATA):
            archive.add(folder / name, arcname=name, filter=_anonymous)
    part.chmod(0o600)
    with part.open("rb") as written:
        os.fsync(written.fileno())
    os.link(part, place)  # it fails where something is there by now
    sync_folder(place.parent)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member
