"""twin audit verify: the log in the store, a bundle of it, or the proof of one event."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from gateway.bundle_folder import Folder
from gateway.cli.terminal import Options, note, print_json, say
from gateway.texts import key_or_file, read_small
from security.audit import Verdict, verify_event
from security.audit.bundle_check import check_bundle
from security.audit.inclusion import check_proof
from security.errors import Misuse, StoreFull, Tampered

__all__ = ["verify_"]

_INCOMPLETE = 5
_PARTS = ("format", "key", "checkpoint", "checkpoints", "tile")  # of which a bundle that lacks something has some


def verify_(
    bundle: Path | None = None,
    *,
    public_key: str = "",
    since: Path | None = None,
    kept: tuple[Path, ...] = (),
    witness_key: tuple[str, ...] = (),
    quorum: Annotated[int | None, Parameter(show_default=False)] = None,
    times: bool = False,
    options: Options = Options(),
) -> int:
    """Verify the log: every event, its number, every signed checkpoint, and what witnesses signed.

    Without a bundle, it is the log in the store. With one (from twin audit bundle, or a proof from twin audit prove),
    it takes nothing but the public key: no store, no secret.

    Exit status 0: all is as it was signed. 1: something was changed, dropped, moved, added or taken back; the first
    such event is named where that can be told. 2: wrong use. 5: what is there is sound, but something is missing.

    Parameters
    ----------
    bundle
        The folder of a bundle, or the file of a proof.
    public_key
        The public key of the log, or the file that has it (audit.pub); needed for a bundle.
    since
        A file with the checkpoint that was verified last: only what is newer is read.
    kept
        A file with a checkpoint that was kept elsewhere; may be told several times.
    witness_key
        The public key of a witness, or the file that has it; may be told several times.
    quorum
        How many of these witnesses have to vouch; all, if not told.
    times
        Open every event of the log in the store, and say whether their times go forward, too.
    """
    witnesses = list(dict.fromkeys(key_or_file(text) for text in witness_key))
    if quorum is not None and not 0 < quorum <= len(witnesses):
        raise Misuse("A quorum is a number of the witnesses told.", hint="Tell the keys with --witness-key.")
    if bundle is None:
        if since or public_key:
            raise Misuse(
                "Without a bundle, the log in the store is verified, whole and with the key of the store.",
                hint="Say the folder of the bundle first: twin audit verify BUNDLE --public-key audit.pub.",
            )
        return _in_store(kept, witnesses, quorum, times, options)
    if times:
        raise Misuse("The times of events are sealed, and a bundle has no key.", hint="Leave --times away.")
    if not public_key:
        raise Misuse(
            "A bundle is verified with a public key that did not come with it.",
            hint="Say --public-key audit.pub, from somebody you trust.",
        )
    if not bundle.exists():
        raise Misuse("There is no such bundle.", hint="Say the folder that twin audit bundle wrote.", detail=bundle)
    if bundle.is_dir() and not any((bundle / name).exists() for name in _PARTS):
        raise Misuse("This folder is no bundle.", hint="Say the folder that twin audit bundle wrote.", detail=bundle)
    key = key_or_file(public_key)
    if bundle.is_file():
        return _tell(check_proof(read_small(bundle), key, witnesses, quorum), options, proof=True)
    return _tell(
        check_bundle(
            Folder(bundle),
            key,
            since=read_small(since) if since else "",
            kept=[read_small(path) for path in kept],
            witnesses=witnesses,
            quorum=quorum,
        ),
        options,
    )


def _in_store(kept: tuple[Path, ...], witnesses: list[str], quorum: int | None, times: bool, options: Options) -> int:
    from gateway.home import Home
    from gateway.settings import load_settings

    with Home.open(load_settings(options.home), create=False) as home:
        verdict = home.store.verify_audit([read_small(path) for path in kept], witnesses, quorum)
        said: Literal["whole", "changed", "incomplete"]
        said = "whole" if verdict.ok else "incomplete" if verdict.problem == "incomplete" else "changed"
        try:
            home.store.append_audit([verify_event(home.access(), verdict=said, size=verdict.size)])
        except (Tampered, StoreFull) as fault:
            note(f"That the log was verified could not be recorded: {fault.message}")
        if times and verdict.ok:
            verdict = replace(verdict, what=f"{verdict.what} {home.store.audit_chronology().what}")
        return _tell(verdict, options)


def _tell(verdict: Verdict, options: Options, *, proof: bool = False) -> int:
    if options.json:
        print_json(
            {
                "verified": verdict.ok,
                "events": verdict.size,
                "checkpoints": verdict.checkpoints,
                "witnessed": verdict.witnessed,
                "first_bad": verdict.first_bad,
                "problem": verdict.problem,
                "what": verdict.what,
            }
        )
    elif proof:
        say(verdict.what)
    elif verdict.ok:
        say(f"The audit log is whole. {verdict.what}")
    elif verdict.problem == "incomplete":
        say(f"What is there of the audit log is sound, but not all is there. {verdict.what}")
    else:
        named = verdict.first_bad is None or f"vent {verdict.first_bad}" in verdict.what
        where = "" if named else f"Event {verdict.first_bad}: "
        say(f"The audit log is NOT whole. {where}{verdict.what}")
        say("Keep it as evidence, restore a backup beside it, and compare the two.")
    return 0 if verdict.ok else _INCOMPLETE if verdict.problem == "incomplete" else 1
