"""twin audit cosign: take back what a witness signed."""

from __future__ import annotations

from pathlib import Path

from gateway.cli.terminal import Options, print_json, say
from gateway.home import Home
from gateway.settings import load_settings
from gateway.texts import key_or_file, read_small
from security.audit import cosignature_in, witness_event
from security.audit.notes import COSIGNED, read_public_key

__all__ = ["cosign_"]


def cosign_(file: Path, *, witness_key: str, options: Options = Options()) -> None:
    """Keep the signature of a witness on one of the log's checkpoints; bundles carry it from then on.

    Parameters
    ----------
    file
        What twin audit witness wrote: the checkpoint with the line of the witness below it.
    witness_key
        The public key of the witness, or the file that has it.
    """
    key = key_or_file(witness_key)
    name = read_public_key(key, COSIGNED).name
    with Home.open(load_settings(options.home), create=False) as home:
        signed = read_small(file)
        over, _, when = cosignature_in(signed, home.store.audit_public_key, key)
        home.store.keep_cosignature(signed, key, [witness_event(home.access(), witness=name, size=over.size)])
        if options.json:
            print_json({"witness": name, "events": over.size, "signed": when.isoformat()})
        else:
            say(f"{name} vouches for the first {over.size} events, as of {when.isoformat()}.")
