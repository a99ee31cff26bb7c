"""twin source keys."""

from __future__ import annotations

import json
from pathlib import Path

from gateway.cli.terminal import Options, note, print_json, print_table, say
from gateway.credentials import key_set
from gateway.home import Home
from gateway.kept_files import replace_text
from gateway.published_keys import KEPT_SECONDS, has_keys, public_keys
from gateway.pull.keys import KeySet, SigningKey
from gateway.settings import Settings, SourceSettings, load_settings
from security.audit import KeyStep, key_event
from security.errors import Misuse

__all__ = ["keys_"]


def keys_(
    source: str | None = None,
    /,
    *,
    new: bool = False,
    use: str | None = None,
    retire: str | None = None,
    output: Path | None = None,
    options: Options = Options(),
) -> None:
    """Show the public keys by which servers know us, or change them: publish a new one, use it, retire the old one.

    Three steps, so that nothing is signed with a key that a server does not know: `--new`, then `--use` once the server
    has the new key, then `--retire` of the old one. Only public halves are ever shown.

    Parameters
    ----------
    source
        A name from [sources] in twin.toml; without it, all that sign.
    new
        Add a key (ES384) to the source's key_file: it is published, and does not sign yet.
    use
        Let the key with this kid or thumbprint sign from now on.
    retire
        Drop the key with this kid or thumbprint, which does not sign.
    output
        Write the public JWK Set to this file, to be served from a static host.
    """
    settings = load_settings(options.home)
    if sum((new, use is not None, retire is not None)) > 1:
        raise Misuse("These are steps of their own.", hint="Say one of --new, --use and --retire.")
    if source is None and (new or use or retire):
        raise Misuse("Each source has keys of its own.", hint="Say whose: twin source keys NAME.")
    wanted = {source: settings.source(source)} if source else settings.sources
    signing = {name: told for name, told in wanted.items() if has_keys(told)}
    if not signing:
        raise Misuse("There is no key: no such source has auth backend-services.", hint="See docs/connections.md.")
    if source and (new or use or retire):
        _record(settings, source, "make" if new else "rotate" if use else "retire")
        _change(source, signing[source], new=new, use=use, retire=retire)
    sets = {name: key_set(told) for name, told in signing.items()}
    public = public_keys(signing)
    if output:
        replace_text(output.expanduser(), json.dumps(public, indent=2) + "\n", mode=0o644)
    if options.json:
        signs = {name: keys.signing.kid for name, keys in sets.items()}
        prints = {key.kid: key.thumbprint for keys in sets.values() for key in keys.keys}
        print_json({**public, "signs": signs, "thumbprints": prints})
        return
    print_table(
        "",
        ["Source", "Key (kid)", "Algorithm", "Thumbprint (RFC 7638)", "It"],
        (
            (name, key.kid, key.alg, key.thumbprint, "signs" if key is keys.signing else "is published")
            for name, keys in sets.items()
            for key in keys.keys
        ),
    )
    if not output:
        say(json.dumps(public, indent=2))


def _record(settings: Settings, source: str, step: KeyStep) -> None:
    """Record that keys of a source will be changed, where there is a store that can hold it."""
    if Home.exists(settings):
        with Home.open(settings, create=False) as home:
            home.store.append_audit([key_event(home.access(peer=home.peer(source)), key=f"source:{source}", step=step)])


def _change(name: str, told: SourceSettings, *, new: bool, use: str | None, retire: str | None) -> None:
    keys = key_set(told)
    if new:
        added = SigningKey.new()
        keys = keys.with_next(added)
        note(f"Give the set below to the server's operator, or wait {KEPT_SECONDS // 60} minutes where it fetches it.")
        note(f"Then run: twin source keys {name} --use={added.kid}")
    elif use is not None:
        before = keys.signing
        keys = keys.signing_with(use)
        if before is not keys.signing:
            note(f"Once a pull went well, run: twin source keys {name} --retire={before.kid}")
    elif retire is not None:
        keys = keys.without(retire)
    write_keys(told.key_file or Path(), keys)


def write_keys(file: Path, keys: KeySet) -> None:
    """Write private keys where only we may read them, whole or not at all."""
    replace_text(file, keys.private_set() + "\n", mode=0o600)
