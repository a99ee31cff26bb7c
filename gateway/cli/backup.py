"""twin backup."""

from __future__ import annotations

from pathlib import Path

from gateway.backup import copy_keys, make_backup
from gateway.cli.terminal import Options, print_json, progress, say
from gateway.home import Home
from gateway.settings import load_settings
from security.errors import Misuse

__all__ = ["backup_"]


def backup_(place: Path | None = None, /, *, keys: Path | None = None, options: Options = Options()) -> None:
    """Back up the store while it serves: a sealed copy with a signed manifest. It holds no key.

    For a store on a PostgreSQL server use its own tools (docs/backup.md), and this for the keys.

    Parameters
    ----------
    place
        A new folder, or a new file whose name ends in .tar.
    keys
        A new file for a copy of the key store, apart from the backup. Where it is, is remembered (sealed), so that an
        erasure reaches it. The key ring (twin.key) is copied by hand, to yet another place.
    """
    if place is None and keys is None:
        raise Misuse("Back up to where?", hint="Say a new folder, a file.tar, or --keys FILE.")
    with Home.open(load_settings(options.home), create=False) as home, progress("Backing up") as tell:
        made = make_backup(home, place, tell) if place is not None else None
        copy = copy_keys(home, keys, place) if keys is not None else ""
    if options.json:
        told = {name: getattr(made, name) for name in ("id", "events", "twins", "bytes", "sha256")} if made else None
        print_json({"backup": told, "place": str(place or ""), "key_copy": copy or None})
        return
    if made:
        say(f"Backed up {made.twins} twins and {made.events} audit events, {made.bytes / 1e6:.1f} MB, to {made.place}.")
        say("It holds no key. Check it now and then: twin restore BACKUP --verify")
    if copy:
        say(f"The key store was copied as {copy}. Without the key ring nothing in it opens: keep a copy of that, too.")
