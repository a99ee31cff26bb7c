"""Devices by MQTT: each message is on disk before the broker hears that it came, so a crash loses none.

The broker keeps a session under our client id (QoS 1, no clean session) and holds what comes while we are away. A
message that the broker sends again has another packet id, so it is known by topic and content: two messages of one
topic with the very same bytes are one.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable

from paho.mqtt.client import topic_matches_sub

from gateway.pull.page import Entry
from gateway.settings import SourceSettings, StreamSettings
from gateway.stream.broker import Line, OldBroker, Subscribed
from gateway.stream.delivery import Accept, Delivery
from gateway.stream.resources import read_resources
from security.errors import BadSettings, Denied, Fault

__all__ = ["IN_FLIGHT", "delivery_of", "listen_mqtt"]

IN_FLIGHT = 20
"""How many messages are taken from the broker and not yet on disk, at most; fewer where `waiting` is less."""

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds between attempts; doubled each time, then shortened by chance


async def listen_mqtt(
    name: str, settings: StreamSettings, source: SourceSettings, accept: Accept, *, told: Callable[[str], None]
) -> None:
    """Take what a broker sends, until cancelled; `told` gets sentences for people, without patient data.

    A connection that ends is opened again. Raises `BadSettings` for files that cannot be read; `Denied` where the
    broker does not let us in at the first time (later it is told, and tried again); and what `accept` raises where
    trying again would not help.
    """
    if wrong := [str(place) for place, topic in enumerate(settings.topics, 1) if not _is_filter(topic)]:
        raise BadSettings(
            f"The topic number {' and '.join(wrong)} of topics cannot be subscribed to.",
            hint='"+" stands for one whole level, and "#" for all that follow, at the end only.',
        )
    client_id = settings.client_id or f"fhirtwin-{name}"
    is_v5, was_in, tries, last = True, False, 0, ""
    while True:
        try:
            async with Line(settings, client_id, in_flight=min(IN_FLIGHT, settings.waiting), is_v5=is_v5) as line:
                others = False
                async for came in line:
                    if isinstance(came, Subscribed):
                        was_in, tries, last = True, 0, ""
                        told(_greeting(name, came))
                        continue
                    if _is_ours(settings, came.topic):
                        await accept(delivery_of(name, settings, came.topic, bytes(came.payload)))
                    elif not others:
                        others = True
                        told(f"{name}: messages of topics that are no longer in the settings are not taken.")
                    line.acknowledge(came)
        except OldBroker:
            if not is_v5:
                raise Denied("The broker speaks neither MQTT 5 nor 3.1.1.") from None
            is_v5 = False
            continue
        except Fault as fault:
            if not fault.retryable and not (was_in and isinstance(fault, Denied)):
                raise
            if str(fault) != last:
                told(f"{name}: {fault} It is tried again.")
            last = str(fault)
        tries += 1
        await asyncio.sleep(_pause(tries))


def delivery_of(name: str, settings: StreamSettings, topic: str, payload: bytes) -> Delivery:
    """Make a delivery of one message; pure.

    What cannot be read in it is an entry with its problem, which is counted as a refusal when it is mapped.
    """
    digest = hashlib.sha256(payload).hexdigest()
    place = f"message, sha256 {digest[:32]}"
    if len(payload) > settings.largest_mb << 20:
        entries: tuple[Entry, ...] = (Entry(b"", place=place, problem="too-large"),)
    else:
        entries = read_resources(payload, place)
    return Delivery(settings.source or name, f"{topic}\0{digest}", "mqtt", entries)


def _is_filter(topic: str) -> bool:
    """Say whether a broker can read it (MQTT 5.0 section 4.7): empty, or a wildcard beside other letters, it cannot."""
    levels = topic.split("/")
    alone = all(level in ("+", "#") or not set(level) & set("+#") for level in levels)
    return bool(topic) and "\0" not in topic and alone and "#" not in levels[:-1] and len(topic.encode()) <= 65_535


def _is_ours(settings: StreamSettings, topic: str) -> bool:
    """Say whether the settings ask for a topic: a session may hold subscriptions of older settings.

    The name of the group comes off shared subscriptions ("$share/GROUP/TOPIC", MQTT 5.0 section 4.8.2).
    """
    plain = (each.split("/", 2)[2] if each.startswith("$share/") else each for each in settings.topics)
    return any(topic_matches_sub(each, topic) for each in plain)


def _greeting(name: str, came: Subscribed) -> str:
    if came.is_resumed:
        return f"{name}: listening; what came in the meantime comes now."
    return f"{name}: listening; the broker kept nothing of an earlier session."


def _pause(tries: int) -> float:
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(tries - 1, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - many clients shall not come back at once; no secret
