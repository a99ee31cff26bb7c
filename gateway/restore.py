"""Putting a backup back: looked at as a stranger's file first, and never over a store that is there.

A store that is put back goes on under a new name of its audit log, whose first event says from where: the log that was
there may have gone on after the backup was made (gateway.store.restoring). What was erased since stays erased: the keys
are gone, and a copy of the key store from before loses them again.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gateway.backup import DATA, opened
from gateway.erasure import Check, read_receipt
from gateway.files import sync_folder
from gateway.home import Home, now
from gateway.keyrings import kept_ring
from gateway.settings import Settings
from gateway.store import Store, copy_file, inspect_copy
from gateway.store_place import Where
from security.audit import Checkpoint, Signer, erase_event, open_checkpoint, restore_event
from security.audit.notes import read_note
from security.audit.statement import Statement, open_statement
from security.errors import BadSettings, Fault, Misuse, StoreFull, Tampered
from security.keys import KeyRing

__all__ = ["Restored", "Verified", "go_on", "restore_backup", "verify_backup"]

_PIECE = 1 << 20

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Verified:
    """What a backup is, and what was checked of it; `newest` is how far its log is known to have gone elsewhere."""

    backup: str
    made: str
    log: str
    events: int
    newest: int
    checks: tuple[Check, ...]

    @property
    def is_sound(self) -> bool:
        """Say whether it may be restored."""
        return all(check.is_so for check in self.checks)


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of it: the new name of the log, twins that were erased since, and keys that had come back."""

    verified: Verified
    public_key: str
    erased: tuple[str, ...]
    keys_destroyed_again: int


def verify_backup(place: Path, settings: Settings, kept: Sequence[str], tell: Tell) -> Verified:
    """Check a backup with the keys of a home, in a folder that is gone afterwards; nothing is put anywhere.

    `kept` are checkpoints that were kept elsewhere. Raises a `Fault` where it cannot even be opened.
    """
    ring = kept_ring(settings.keys, settings.home).open(fresh=False)
    with _somewhere(None) as folder:
        manifest = _take(place, folder / DATA, ring, tell)
        with _store(folder / DATA, ring, settings) as store:
            return _verified(store, manifest, _known(kept, settings, ring, manifest), tell)


def restore_backup(place: Path, into: Settings, kept: Sequence[str], tell: Tell, keys: Path | None = None) -> Restored:
    """Put a backup into a home that has no store, with the keys that are there, or are in the folder `keys`.

    Killed at any moment, there is no store in the new home, or a whole one. Raises `Misuse` where one is there,
    `Tampered` where the backup is not sound.
    """
    home = into.home
    if into.store.url:
        raise Misuse(
            "This home has its store on a server.",
            hint="Restore that with pg_restore, then run: twin restore --go-on (docs/backup.md).",
        )
    if (home / DATA).exists():
        raise Misuse("There is a store in this home already.", hint="Say a new --home: nothing is written over.")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if keys is not None:
        _bring_keys(keys, into)
    kept_keys = kept_ring(into.keys, home)
    ring = kept_keys.open(fresh=False)
    with _somewhere(home) as folder:
        manifest = _take(place, folder / DATA, ring, tell)
        with _store(folder / DATA, ring, into) as store:
            known = _known(kept, into, ring, manifest)
            verified = _verified(store, manifest, known, tell)
            if not verified.is_sound:
                bad = next(check.said for check in verified.checks if not check.is_so)
                raise Tampered(f"The backup is not restored. {bad}", hint="See twin restore --verify.")
            tell("Going on under a new name of the log")
            restored = _begin(Home.around(into, store, kept_keys, ring), verified, ring, known)
        (folder / DATA).rename(home / DATA)
    sync_folder(home)
    (home / "audit.pub").write_text(restored.public_key + "\n", "utf-8")
    _set_aside(into)
    return restored


def go_on(settings: Settings) -> Restored:
    """Go on with a store whose log is older than what was signed (somebody put an older one there): on a person's word.

    What was kept of the newer log stays, as evidence. Raises `Tampered` where the log itself is not whole.
    """
    home = settings.home
    kept_keys = kept_ring(settings.keys, home)
    ring = kept_keys.open(fresh=False)
    if not Home.exists(settings):
        raise BadSettings("There is no store here.", hint="Say --home, or name a backup.")
    with _store(settings.store.where(home), ring, settings) as store:
        known = _known((), settings, ring, None)
        verdict = store.verify_audit()
        if not verdict.ok:
            raise Tampered(f"The audit log is not whole. {verdict.what}", hint="Restore a backup instead.")
        newest = max((each.size for each in known), default=0)
        verified = Verified("in-place", "", store.log_id, verdict.size, newest, ())
        restored = _begin(Home.around(settings, store, kept_keys, ring), verified, ring, known)
    (home / "audit.pub").write_text(restored.public_key + "\n", "utf-8")
    _set_aside(settings)
    return restored


def _take(place: Path, to: Path, ring: KeyRing, tell: Tell) -> Statement:
    """Copy the data of a backup to a place of ours, once its manifest is known to be ours; compare it with that."""
    with opened(place) as (text, data):
        manifest = _ours(text, ring)
        tell("Copying")
        size, digest = _copy(data, to, int(manifest.get("size")))
    if (str(size), digest) != (manifest.get("size"), manifest.get("sha256")):
        raise Tampered(
            "The data of this backup are not those that were backed up.",
            hint="Somebody changed them, or the copy is damaged. Use another copy.",
        )
    tell("Looking at it")
    copy = inspect_copy(to)
    said = tuple(manifest.get(name) for name in ("log", "events", "schema"))
    if (copy.log, str(copy.events), str(copy.schema)) != said:
        raise Tampered("The data of this backup are not what its manifest says.", hint="Use another copy.")
    return manifest


def _ours(text: str, ring: KeyRing) -> Statement:
    """Read a manifest, signed by this installation under whichever name its log had then."""
    try:
        body, _ = read_note(text)
        name = next(line[5:] for line in body.split("\n") if line.startswith("log: "))
        key = _public_key(name, ring)
    except (ValueError, StopIteration) as error:
        raise Tampered("The manifest of this backup cannot be read.", hint="Use another copy.", detail=error) from error
    return open_statement(text, key, "fhirtwin backup 1")


def _public_key(log: str, ring: KeyRing) -> str:
    return Signer(log, ring.derive("audit-sign")).public_key


def _copy(data: IO[bytes], to: Path, most: int) -> tuple[int, str]:
    """Copy no more than is expected (and one byte, so that more is noticed)."""
    digest, size = hashlib.sha256(), 0
    try:
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            while piece := data.read(min(_PIECE, most + 1 - size)):
                out.write(piece)
                digest.update(piece)
                size += len(piece)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise StoreFull("The backup cannot be copied.", hint="Make room or rights there.", detail=error) from error
    return size, digest.hexdigest()


@contextmanager
def _store(where: Where, ring: KeyRing, settings: Settings) -> Iterator[Store]:
    with Store.create_or_open(where, ring, now(), keys=settings.keys.store_file(settings.home)) as store:
        yield store


def _known(kept: Sequence[str], settings: Settings, ring: KeyRing, manifest: Statement | None) -> list[Checkpoint]:
    """Read what is known of the log outside of the backup: what was handed over, and what stands beside the store."""
    notes = list(kept)
    for file in _anchors(settings):
        if file.is_file():
            notes.append(file.read_text("utf-8", "replace"))
    if manifest is not None:
        notes.append(base64.b64decode(manifest.get("checkpoint")).decode())
    found = []
    for note in notes:
        try:
            name = note.partition("\n")[0].removeprefix("fhirtwin-audit/")
            found.append(open_checkpoint(note, _public_key(name, ring)))
        except ValueError as error:
            raise Tampered("A kept checkpoint cannot be read.", hint="Leave it out, or get it again.") from error
    return found


def _anchors(settings: Settings) -> list[Path]:
    return [file for file in (settings.home / "audit.checkpoint", settings.audit.anchor) if file is not None]


def _set_aside(settings: Settings) -> None:
    """Keep what was kept of the log under its former name, and let its place be free for the new one."""
    for file in _anchors(settings):
        if file.is_file():
            file.rename(file.with_name(f"{file.name}.before-{now():%Y%m%dT%H%M%S}"))


def _verified(store: Store, manifest: Statement, known: Sequence[Checkpoint], tell: Tell) -> Verified:
    tell("Verifying the audit log")
    log, events = manifest.get("log"), int(manifest.get("events"))
    verdict = store.verify_audit()
    same = [each for each in known if each.origin.removeprefix("fhirtwin-audit/") == log]
    newest = max((each.size for each in same), default=events)
    agreeing = all(store.continues(each) for each in same if each.size <= events)
    tell("Trying the keys")
    keys = store.keys_found()
    checks = (
        Check("It was signed by this installation, and its data are what was signed.", True),
        Check(f"Its audit log is whole: {verdict.size} events.", verdict.ok and verdict.size == events),
        Check(f"Its log agrees with {len(same)} checkpoints that were kept.", agreeing),
        Check(f"Keys: {keys.opened} open, {keys.erased} were destroyed by erasures.", keys.missing == 0),
    )
    if keys.missing:
        checks = (*checks[:3], Check(f"{keys.missing} keys are missing: the key store is older.", False))
    return Verified(manifest.get("backup"), manifest.get("made"), log, events, newest, checks)


def _begin(home: Home, verified: Verified, ring: KeyRing, known: Sequence[Checkpoint]) -> Restored:
    """Go on under a new name, whose first event tells what is known of the former; keep erased what was erased."""
    basis = " ".join(
        f"urn:fhirtwin:checkpoint:{each.origin.removeprefix('fhirtwin-audit/')}:{each.size}:{each.root.hex()}"
        for each in sorted(known, key=lambda each: each.size)[-2:]
    )
    event = restore_event(home.access(basis=basis), backup=verified.backup, events=verified.events)
    public_key = home.store.begin_epoch(ring, [event])
    again = home.store.destroy_again(_receipts(home, ring), now())
    dropped = home.store.drop_erased(
        now(), lambda twin: [erase_event(home.access(patient=twin), receipt="of-before-the-restore")]
    )
    return Restored(verified, public_key, tuple(dropped), again)


def _receipts(home: Home, ring: KeyRing) -> list[tuple[str, str]]:
    """Name the keys that receipts in the home say were destroyed, each with its receipt."""
    found: list[tuple[str, str]] = []
    for file in sorted((home.settings.home / "receipts").glob("*.txt")):
        try:
            text = file.read_text("utf-8")
            _, signatures = read_note(text)
            name = signatures[0].name.removeprefix("fhirtwin-audit/")
            receipt = read_receipt(text, _public_key(name, ring))
        except (Fault, ValueError, OSError):
            continue  # it is no receipt of ours
        found += [(owner, receipt.get("receipt")) for owner in receipt.all("key")]
    return found


def _bring_keys(folder: Path, into: Settings) -> None:
    """Copy key ring, key store and receipts from the folder where their copies are kept."""
    ring, table = into.keys.ring_file(into.home), into.keys.store_file(into.home)
    for source, to in ((folder / "twin.key", ring), (folder / "keys.db", table)):
        if not source.is_file() or source.is_symlink():
            raise Misuse(f"{source.name} is not in the folder of the keys.", hint="Say the folder of their copies.")
        if to.exists():
            raise Misuse(f"{to.name} is in the new home already.", hint="Leave --keys out, or use another home.")
    with os.fdopen(os.open(ring, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write((folder / "twin.key").read_bytes())
        out.flush()
        os.fsync(out.fileno())
    copy_file(folder / "keys.db", table)
    if (folder / "receipts").is_dir():
        shutil.copytree(folder / "receipts", into.home / "receipts", dirs_exist_ok=True)


@contextmanager
def _somewhere(beside: Path | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir=beside, prefix=".restoring."))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
