"""twin keys rotate."""

from __future__ import annotations

import os

from gateway.cli.terminal import Options, print_json, progress, say
from gateway.home import Home
from gateway.key_rotation import rotate
from gateway.settings import load_settings
from security.errors import Misuse
from security.keys import SecretKeyRing

__all__ = ["rotate_"]


def rotate_(*, retire: bool = False, print_ring: bool = False, options: Options = Options()) -> None:
    """Draw a new key-encryption key and wrap all twins' keys anew under it, while twin serves; no data is rewritten.

    Killed anywhere, run it again: it goes on. Copy the key ring and the key store anew afterwards.

    Parameters
    ----------
    retire
        Destroy the old key-encryption keys once they wrap nothing: older copies of the key store are unreadable then.
    print_ring
        For a key ring in the environment: print what the variable is to be set to next, with a new key in it, and do
        nothing else. It is a secret.
    """
    settings = load_settings(options.home)
    if print_ring:
        if settings.keys.kind != "env":
            raise Misuse("The key ring is in a file, which twin changes itself.", hint="Leave out --print-ring.")
        text = os.environ.get(settings.keys.variable, "").replace(";", "\n")
        ring = SecretKeyRing.from_text(text).with_new_key()
        say(ring.to_line())
        return
    with Home.open(settings, create=False) as home, progress("Wrapping keys anew") as tell:
        done = rotate(home, retire=retire, tell=lambda so_far, of: tell(f"{so_far} of {of} keys"))
    if options.json:
        told = {"current": done.kek, "new": done.is_new, "rewrapped": done.rewrapped, "retired": list(done.retired)}
        print_json(told)
        return
    say(f"{'New key-encryption key' if done.is_new else 'Went on with key-encryption key'} {done.kek}.")
    say(f"  {done.rewrapped} keys wrapped anew.")
    for kek in done.retired:
        say(f"  Retired {kek}: what it wrapped, in older copies of the key store, is unreadable now.")
    if not done.retired:
        say("  The old one is still in the key ring. When older copies may go: twin keys rotate --retire")
    say("Copy the key ring and the key store anew to where you keep their copies.")
