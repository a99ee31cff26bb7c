"""twin audit bundle: the log for an auditor to take away."""

from __future__ import annotations

from pathlib import Path

from gateway.audit_bundle import write_bundle
from gateway.cli.terminal import Options, print_json, say
from gateway.home import Home
from gateway.settings import load_settings
from gateway.texts import read_small
from security.audit import log_export_event, open_checkpoint

__all__ = ["bundle_"]


def bundle_(folder: Path, *, since: Path | None = None, options: Options = Options()) -> None:
    """Write the whole log, sealed as it is, into a folder that anyone can verify with the public key alone.

    It holds no secret and nothing that can be read without the keys. A folder that holds an older bundle of this log
    gets what is new. That it was written is recorded first, and is the last event in it.

    Parameters
    ----------
    folder
        An empty or new folder, or that of an older bundle.
    since
        A file with a checkpoint that the auditor has: a new folder gets only what came behind it.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        begun = read_small(since) if since else ""
        last = open_checkpoint(begun, home.store.audit_public_key).size if begun else 0
        home.store.append_audit([log_export_event(home.access(), archive="bundle", since=last)])
        with home.store.audit_view() as view:
            written = write_bundle(view, folder, begun)
        if options.json:
            print_json({"events": written.size, "first": written.first, "checkpoint": written.checkpoint})
            return
        say(f"{written.size} events are in the bundle; those from {written.first} on were written now.")
        say(f"Verify it anywhere: twin audit verify {folder} --public-key audit.pub")
        say("Hand out the public key by another way than the bundle.")
