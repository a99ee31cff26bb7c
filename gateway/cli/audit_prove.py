"""twin audit prove, twin audit consistency: proofs that others check without the log."""

from __future__ import annotations

from pathlib import Path

from gateway.cli.terminal import Options, print_json, say
from gateway.home import Home
from gateway.settings import load_settings
from gateway.store.audit_view import AuditView
from gateway.texts import read_small
from security.audit import log_event, open_checkpoint, write_request
from security.audit.inclusion import write_proof
from security.errors import Misuse, Tampered, UnknownName

__all__ = ["consistency_", "prove_"]


def prove_(number: int, *, checkpoint: Path | None = None, options: Options = Options()) -> None:
    """Prove that an event is in the log: its sealed bytes, a few hashes and a signed checkpoint, as one text.

    Verify it with: twin audit verify FILE --public-key audit.pub.

    Parameters
    ----------
    number
        The number of the event, from 1.
    checkpoint
        A file with the checkpoint that somebody holds; the newest one, if not told.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        home.store.append_audit([log_event(home.access())])
        with home.store.audit_view() as view:
            note = _note(view, checkpoint)
            size = _agreed(view, note)
            if not 0 < number <= size:
                raise UnknownName("event", str(number), ["1", str(size)])
            row = next(view.rows(number - 1))
            text = write_proof(row.sealed, number - 1, view.tree.inclusion(number - 1, size), note)
        if options.json:
            print_json({"event": number, "events": size, "proof": text})
        else:
            say(text.removesuffix("\n"))


def consistency_(old: str, new: Path | None = None, *, options: Options = Options()) -> None:
    """Prove that the log continues an older checkpoint: what a witness is asked with (twin audit witness).

    Parameters
    ----------
    old
        A file with the older checkpoint, or over how many events it was; 0 for a witness that never signed.
    new
        A file with the newer checkpoint; the newest one, if not told.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        home.store.append_audit([log_event(home.access())])
        with home.store.audit_view() as view:
            first = int(old) if old.isdecimal() else _agreed(view, read_small(Path(old)))
            note = _note(view, new)
            second = _agreed(view, note)
            if first > second:
                raise Misuse(f"The older checkpoint has {first} events, and the newer {second}.", hint="Swap them.")
            proof = view.tree.consistency(first, second) if 0 < first < second else []
        request = write_request(first, proof, note)
        if options.json:
            print_json({"old": first, "new": second, "request": request})
        else:
            say(request.removesuffix("\n"))


def _note(view: AuditView, path: Path | None) -> str:
    note = read_small(path) if path else view.checkpoint()
    if note is None:
        raise Misuse("The audit log is empty.", hint="There is nothing to prove yet.")
    return note


def _agreed(view: AuditView, note: str) -> int:
    """Say over how many events a checkpoint is, where this log has them as it says."""
    held = open_checkpoint(note, view.public_key)
    if not view.continues(held):
        raise Tampered(
            f"This log does not continue the checkpoint over {held.size} events that was handed in.",
            hint="Keep both: the log was put back, or told in two ways. Run: twin audit verify.",
        )
    return held.size
