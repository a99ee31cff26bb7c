"""twin keys protect."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from gateway.cli.terminal import Options, print_json, say
from gateway.home import Home
from gateway.kept_files import read_secret
from gateway.keyrings.filed import FiledRing
from gateway.keyrings.kept import lock_of
from gateway.keyrings.ring_file import RingFile
from gateway.settings import KeysSettings, load_settings
from security.audit import key_event
from security.errors import BadSettings
from security.keyrings import Lock, PassphraseLock

__all__ = ["protect_"]


def protect_(*, new_passphrase_file: Path | None = None, options: Options = Options()) -> None:
    """Lock the key file in the way that [keys] in twin.toml says: as it is, by a passphrase, a token or a key server.

    First write into twin.toml how it is to be; then run this. It also changes a passphrase, raises its costs, and
    follows a key server that rotated its own key. Copies of the key file open as they did: destroy them. For kind
    "env" it prints what the variable is to be set to, which is a secret.

    Parameters
    ----------
    new_passphrase_file
        The new passphrase; else the one in [keys] passphrase_file or TWIN_PASSPHRASE, or the terminal is asked.
    """
    settings = load_settings(options.home)
    keys, home = settings.keys, settings.home
    file = RingFile(keys.ring_file(home))
    kept = FiledRing(file, keys.kind, lambda kind: lock_of(kind, keys))
    kept.take_as_it_is()
    lock = None if keys.kind == "env" else _lock(keys, new_passphrase_file)
    with Home.open(settings, create=False, ring=kept) as opened:
        opened.store.append_audit([key_event(opened.access(), key=keys.kind, step="protect")])
        if keys.kind == "env":
            say(kept.free().to_line())
            return
        before = kept.protect(keys.kind, lock)
    if options.json:
        print_json({"file": str(file.path), "before": before, "kind": keys.kind})
        return
    say(f'{file.path.name} was of kind "{before}" and is of kind "{keys.kind}".')
    say("  Copies that were made before open as they did: destroy them, and make new ones.")
    if keys.kind != "file":
        say("  Without what locks it nothing in the store can be read: keep that safe, too.")


def _lock(keys: KeysSettings, new_passphrase_file: Path | None) -> Lock | None:
    """Make the lock that the file gets; ask for a new passphrase twice where it comes from the terminal."""
    if keys.kind != "passphrase":
        return lock_of(keys.kind, keys)
    if new_passphrase_file:
        return PassphraseLock(read_secret(new_passphrase_file, "--new-passphrase-file").rstrip("\r\n"))
    if not keys.passphrase_file and sys.stdin.isatty():
        first = getpass.getpass("New passphrase: ")
        if first != getpass.getpass("Once more: "):
            raise BadSettings("The two passphrases differ.", hint="Run it again.")
        return PassphraseLock(first)
    return lock_of("passphrase", keys)
