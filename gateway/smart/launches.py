"""EHR launches: a person opens an app on a patient from here, and the app comes back with a name for that (A8).

The name is random and says nothing. It is good once, for five minutes, for one client, and for the browser in which it
was begun: an app that shows it in another one gets nothing.

A launch that was made at a terminal, for who builds an app, is bound to no browser but to an account.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from gateway.smart.values import Client, Pending
from gateway.store import Store
from gateway.store.audited import Events

__all__ = ["KEPT", "Launch", "begin_launch", "is_for", "launch_address", "take_launch"]

KIND: Final = "launch"
KEPT: Final = timedelta(minutes=5)


class Launch(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What an app is opened on (kind "launch", by its name).

    `session` is the hash of the browser's session, "" for one made at a terminal. `context` is what `Pending.launch`
    becomes: patient, encounter, intent, need_patient_banner, fhirContext.
    """

    client: str
    user: str
    session: str = ""
    context: dict[str, Any]


def begin_launch(store: Store, launch: Launch, now: datetime, events: Events = ()) -> str:
    """Keep a launch, and return its name."""
    name = secrets.token_urlsafe(32)
    store.register(KIND, name, msgspec.msgpack.encode(launch), now, until=now + KEPT, events=events)
    return name


def take_launch(store: Store, name: str, client: str, now: datetime) -> Launch | None:
    """Return a launch that is of this client, and use it up; `None` for an unknown, used, old or another's one."""
    found = store.take(KIND, name, now) if name else None
    launch = msgspec.msgpack.decode(found.content, type=Launch) if found else None
    return launch if launch is not None and launch.client == client else None


def is_for(pending: Pending, session: str, user: str) -> bool:
    """Say whether whoever is logged in is who began the launch of a request; a request without a launch is anybody's.

    `Pending.launch` says so under "session" and "user", which no app is told.
    """
    told = pending.launch
    return told.get("session", session) in (session, "") and told.get("user", user) == user


def launch_address(client: Client, name: str, base: str) -> str:
    """Return where the browser goes to open the app (SMART App Launch 2.2, EHR launch): iss and launch."""
    url = client.launch_url
    return f"{url}{'&' if '?' in url else '?'}{urlencode({'iss': base.rstrip('/'), 'launch': name})}"
