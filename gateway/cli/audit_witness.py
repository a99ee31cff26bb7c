"""twin audit witness: sign what somebody's audit log shows, if it continues what it showed before."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gateway.cli.terminal import Options, note, print_json, say
from gateway.files import write_new
from gateway.home import now
from gateway.texts import key_or_file, read_small
from gateway.witness import Witness
from security.audit import Cosigner
from security.errors import BadSettings, Misuse

__all__ = ["witness_"]


def witness_(
    request: Path | None = None,
    *,
    state: Path,
    key: Path,
    name: str = "",
    log_key: str = "",
    options: Options = Options(),
) -> None:
    """Sign a checkpoint of somebody's audit log as a witness, if it continues the one that was signed before.

    Needs no store: run it on another machine, by other people. Prints the checkpoint with the line of the witness,
    which twin audit cosign takes. A log that shows a second history, or a shorter one, is refused, and what it showed
    is kept. Without a request, it prints the public key of the witness.

    Parameters
    ----------
    request
        What twin audit consistency wrote: the checkpoint, and the proof that it continues the last one.
    state
        The folder of the witness. Never put an older copy of it back.
    key
        The file with the private key of the witness; with --name, it is made.
    name
        What the witness is called, such as example.org/w1; only to make the key.
    log_key
        The public key of the log, or the file that has it; only the first time.
    """
    cosigner = _make(key, name) if name else _read(key)
    if request is None:
        say(cosigner.public_key)
        return
    signed = Witness(state, cosigner).cosign(read_small(request), now(), key_or_file(log_key) if log_key else "")
    if options.json:
        print_json({"witness": cosigner.name, "public_key": cosigner.public_key, "checkpoint": signed})
    else:
        say(signed.removesuffix("\n"))


def _make(file: Path, name: str) -> Cosigner:
    cosigner = Cosigner(name, os.urandom(32))
    write_new(file, cosigner.to_text().encode())
    note(f"The key of {name} was made. Its public key is {cosigner.public_key}")
    return cosigner


def _read(file: Path) -> Cosigner:
    if not file.exists():
        raise Misuse("There is no such key file.", hint="Make one with --name NAME.", detail=file)
    if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise BadSettings(
            "The key file of the witness can be read by others.",
            hint="Run chmod 600 on it, and think of who may have read it.",
            detail=file,
        )
    return Cosigner.from_text(read_small(file))
