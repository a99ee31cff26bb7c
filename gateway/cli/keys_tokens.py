"""twin keys tokens."""

from __future__ import annotations

from gateway.cli.terminal import Options, print_json, say
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.smart.token_keys import rotate_signing_key, signing_keys
from security.audit import key_event

__all__ = ["tokens_"]


def tokens_(*, rotate: bool = False, options: Options = Options()) -> None:
    """Show the keys that access tokens are signed with, or publish a new one that will sign in a few minutes.

    The old key stays published until the last token under it has ended, so that nobody notices.

    Parameters
    ----------
    rotate
        Make a new key.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        when = now()
        if rotate:
            current = signing_keys(home.store, when).rotation(when)
            event = key_event(home.access(), key=current.kid, step="rotate")
            rotate_signing_key(home.store, when, [event])
        keys = signing_keys(home.store, when)
        signing = keys.rotation(when)
        rows = [
            {
                "kid": each.kid,
                "state": "signs" if each is signing else "next" if each.signs > when else "published",
                "signs_from": each.signs.isoformat(timespec="seconds"),
                "published_until": each.published.isoformat(timespec="seconds") if each.published else None,
            }
            for each in keys.rotations
            if each.published is None or each.published > when
        ]
    if options.json:
        print_json(rows)
        return
    for row in rows:
        until = f", published until {row['published_until']}" if row["published_until"] else ""
        say(f"{row['kid']}  {row['state']}: signs from {row['signs_from']}{until}")
