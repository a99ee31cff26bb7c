"""twin restore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateway.cli.terminal import Options, print_json, progress, say
from gateway.files import read_text
from gateway.restore import Restored, Verified, go_on, restore_backup, verify_backup
from gateway.settings import load_settings
from security.errors import Misuse

__all__ = ["restore_"]

_Flag = Annotated[bool, Parameter(negative="")]


def restore_(
    backup: Path | None = None,
    /,
    *,
    verify: _Flag = False,
    keys: Path | None = None,
    checkpoint: Path | None = None,
    go_on: _Flag = False,
    options: Options = Options(),
) -> int:
    """Check a backup, or put it into a new home. What was erased since stays erased.

    The audit log of a restored store goes on under a new name, and its first event says from where: give the new
    audit.pub to whoever verifies.

    Parameters
    ----------
    backup
        What twin backup wrote: a folder, or a .tar file.
    verify
        Only check it, with the keys of --home; nothing is put anywhere.
    keys
        The folder with the copies of twin.key and keys.db (and of receipts), where the new home does not have them.
    checkpoint
        A checkpoint of the audit log that was kept elsewhere.
    go_on
        Without a backup: go on with the store in --home although its audit log is older than what was signed.
    """
    settings = load_settings(options.home)
    kept = [read_text(checkpoint)] if checkpoint else []
    if backup is None:
        if not go_on:
            raise Misuse("Restore what?", hint="Say what twin backup wrote; or --go-on for the store as it is here.")
        _say_restored(_go_on(settings), options)
        return 0
    with progress("Restoring") as tell:
        if verify:
            verified = verify_backup(backup, settings, kept, tell)
        else:
            restored = restore_backup(backup, settings, kept, tell, keys)
    if verify:
        _say_verified(verified, options)
        return 0 if verified.is_sound else 1
    _say_restored(restored, options)
    return 0


_go_on = go_on


def _say_verified(verified: Verified, options: Options) -> None:
    if options.json:
        print_json({"ok": verified.is_sound, **_verified(verified)})
        return
    say(f"Backup {verified.backup} of {verified.made[:19]}: {verified.events} audit events.")
    for check in verified.checks:
        say(f"{'yes' if check.is_so else 'NO '}  {check.said}")
    if verified.newest > verified.events:
        say(f"The log went on after it: {verified.newest} events are known, and what they tell of is not in it.")


def _say_restored(restored: Restored, options: Options) -> None:
    verified = restored.verified
    if options.json:
        print_json(
            {
                **_verified(verified),
                "public_key": restored.public_key,
                "erased": list(restored.erased),
                "keys_destroyed_again": restored.keys_destroyed_again,
            }
        )
        return
    say(f"Restored: {verified.events} audit events, and one that tells of this.")
    if verified.newest > verified.events:
        say(f"The log had gone on to {verified.newest} events: what those tell of is lost. Pull again.")
    if restored.erased or restored.keys_destroyed_again:
        say(
            f"Twins that were erased since, and stay it: {len(restored.erased)}. "
            f"Keys that had come back, and are destroyed again: {restored.keys_destroyed_again}."
        )
    say("The audit log goes on under a new name. Give its public key (audit.pub) to whoever verifies it:")
    say(restored.public_key)


def _verified(verified: Verified) -> dict[str, object]:
    return {
        "backup": verified.backup,
        "made": verified.made,
        "events": verified.events,
        "newest_known": verified.newest,
        "checks": {check.said: check.is_so for check in verified.checks},
    }
