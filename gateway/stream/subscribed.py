"""A subscription as a way in: asks an EHR to tell what changes, takes what it tells, and gets what it did not.

How the subscription stands (`Standing`) is kept sealed in the same transaction as the resources that moved it, so that
after a kill both are as of one instant, and what is owed is owed again.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.home import Home, now
from gateway.pull.connection import Connection
from gateway.pull.metadata import Capability, fetch_capability
from gateway.pull.page import Entry
from gateway.settings import SourceSettings, StreamSettings
from gateway.sources import connect
from gateway.stream.delivery import Accept, Delivery
from gateway.stream.post import read_token
from gateway.stream.resources import deletion
from gateway.stream.subscriptions.actions import Action, Outcome, Renew, Renewed
from gateway.stream.subscriptions.catch_up import Desk
from gateway.stream.subscriptions.hearing import Heard, hear
from gateway.stream.subscriptions.memo import has_moved, key_of, key_of_asked, recalled, what_of
from gateway.stream.subscriptions.news import News
from gateway.stream.subscriptions.notification import Notification, Part
from gateway.stream.subscriptions.receiver import LARGEST_BODY, receive
from gateway.stream.subscriptions.request import SPOKEN, SubscriptionVersion, subscription_resource
from gateway.stream.subscriptions.secret import Door, Secret, knock
from gateway.stream.subscriptions.standing import Rules, Standing
from gateway.stream.subscriptions.topic import Filter, Topic
from gateway.stream.subscriptions.upkeep import keep_up
from security.errors import BadSettings, Fault, Unreachable

__all__ = ["Subscribed"]

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds after a failure


class Subscribed:
    """One subscription of one source. Serve `routes`, and run `run` beside.

    The EHR is answered 204 only when `accept` has returned. `told` gets sentences for people, without patient data.
    Raises `BadSettings` at once for settings that no EHR could take, or a token that cannot be read. `every` is the
    number of seconds after which what is due is looked for, also where nothing came.
    """

    def __init__(
        self,
        home: Home,
        name: str,
        settings: StreamSettings,
        source: SourceSettings,
        accept: Accept,
        told: Callable[[str], None],
        *,
        clock: Callable[[], datetime] = now,
        rules: Rules | None = None,
        every: float = 2.0,
    ) -> None:
        self._name, self._settings, self._known, self._accept = name, settings, source, accept
        self._news = News(name, told, clock)
        self._clock, self._every = clock, every
        self._home, self._source = home, settings.source or name
        self._topic = _topic(settings, source)
        self._rules = rules or Rules(heartbeat=self._topic.heartbeat_seconds)
        self._secret = _secret(settings, name)
        self._fhir: SubscriptionVersion = "r4"  # what the EHR speaks, from when it said so
        self._fhir_version: str = source.fhir_version or ""
        self._asked = hashlib.sha256(msgspec.json.encode(self._resource("", Secret("")))).digest()
        self._is_asking = False
        self._one = asyncio.Lock()
        self._wake = asyncio.Event()
        self._place = f"subscription {name}"
        self._memo, self._former = recalled(home, self._source, self._place, self._asked, self._secret)

    @property
    def routes(self) -> list[BaseRoute]:
        """Where the EHR delivers: the path of `endpoint`."""
        path = (self._settings.endpoint.path if self._settings.endpoint else None) or "/"
        return [Route(path, self._receive, methods=["POST"])]

    @property
    def standing(self) -> Standing:
        """How the subscription stands. It holds patient data."""
        return self._memo.standing

    async def run(self) -> None:
        """Ask for the subscription and keep it, until cancelled; get what the EHR did not tell.

        Raises the Fault of an EHR that cannot be subscribed to at all, and that of a store where trying again would not
        help; everything else is told and tried again.
        """
        was_up, tries = False, 0
        while True:
            is_up = False
            try:
                async with connect(self._known, home=self._home, name=self._source) as connection:
                    desk = self._desk(connection, await fetch_capability(connection))
                    is_up = was_up = True
                    while True:
                        self._wake.clear()
                        await keep_up(
                            self.standing, desk, self._clock, self._rules, self._take, self._change, self._note
                        )
                        tries = 0
                        await self._turn()
            except Fault as fault:
                if not fault.retryable and (is_up or not was_up):
                    raise
                self._news.say(f"{fault} It is tried again.")
            tries += 1
            longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(tries - 1, 10))
            await asyncio.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - spreads out retries; no secret

    async def _turn(self) -> None:
        """Wait for a notification, a few seconds at most."""
        try:
            async with asyncio.timeout(self._every):  # asyncio.wait_for may swallow a cancellation
                await self._wake.wait()
        except TimeoutError:
            return

    # What the EHR sends

    async def _receive(self, request: Request) -> Response:
        door, headers = self._door(), dict(request.headers)
        largest = min(LARGEST_BODY, self._settings.largest_mb << 20)
        try:
            # Who does not have the secret is not listened to.
            body = await _body(request, largest) if knock(headers, [door]) is not None else b""
        except ClientDisconnect:
            return Response(status_code=400)
        answer = await receive(headers, body, [door], self._hear, largest=largest)
        if answer.notification is not None:
            self._wake.set()
        else:
            self._news.say(f"a notification was answered {answer.status}.")
        return Response(answer.outcome, answer.status, dict(answer.headers))

    def _door(self) -> Door:
        is_known = self.standing.status not in ("off", "entered-in-error") and not self._is_asking
        known = self.standing.subscription if is_known else ""
        return Door(self._name, self._secret.digest, known, self._former)

    async def _hear(self, door: Door, notification: Notification, raw: bytes) -> None:
        patience = max(1.0, 0.8 * self._topic.timeout_seconds)
        try:
            async with asyncio.timeout(patience):
                await self._change(lambda newest: hear(newest, notification, self._clock()))
        except TimeoutError:
            raise Unreachable("Too many deliveries wait to be mapped.") from None

    # What we ask of it

    def _desk(self, connection: Connection, capability: Capability) -> Desk:
        version = next((known for known in SPOKEN if known == capability.fhir_version), None)
        if version is None:
            raise BadSettings(
                f"Subscriptions by topic need R4 or later, and this EHR speaks {capability.fhir_version.upper()}.",
                hint="Pull from it at intervals instead.",
            )
        self._fhir = self._fhir_version = version
        return Desk(self._source, connection, capability, self._topic, self._request)

    def _request(self, id_: str) -> Mapping[str, Any]:
        self._is_asking = self._is_asking or not id_
        return self._resource(id_, self._secret)

    def _resource(self, id_: str, secret: Secret) -> Mapping[str, Any]:
        endpoint = str(self._settings.endpoint or "")
        return subscription_resource(self._fhir, self._topic, endpoint, secret.header, id_=id_)

    def _note(self, action: Action, outcome: Outcome) -> None:
        if isinstance(action, Renew):
            self._is_asking = False
            if isinstance(outcome, Renewed):
                self._memo = msgspec.structs.replace(self._memo, asked=self._asked, secret=self._secret.digest)
        self._news.done(action, outcome)

    async def _take(self, entries: tuple[Entry, ...]) -> None:
        """Keep what was fetched or searched."""
        await self._accept(Delivery(self._source, key_of_asked(entries), "asked for beside a subscription", entries))

    # How it stands

    async def _change(self, step: Callable[[Standing], Heard]) -> Standing:
        async with self._one:
            before = self._memo.standing
            heard = step(before)
            memo = msgspec.structs.replace(self._memo, standing=heard.standing)
            entries = tuple(self._entries((*heard.past, *heard.current)))
            if entries or has_moved(before, heard.standing):
                kept = (self._place, msgspec.json.encode(memo))
                await self._accept(Delivery(self._source, key_of(heard), what_of(heard), entries, kept))
            # What was noted of a renewal in the meantime stands.
            self._memo = msgspec.structs.replace(self._memo, standing=heard.standing)
        self._news.changed(before, heard.standing)
        return heard.standing

    def _entries(self, parts: Iterable[Part]) -> Iterable[Entry]:
        for part in parts:
            if part.raw:
                url = part.full_url if "://" in part.full_url else ""
                yield Entry(part.raw, url, "notification", version=self._fhir_version)
            elif part.deleted:
                yield deletion(part.full_url)


def _topic(settings: StreamSettings, source: SourceSettings) -> Topic:
    """Read `criteria`: each is a type ("Observation"), or a filter of one ("Observation?patient=Patient/1")."""
    filters = tuple(Filter.read(each) for each in settings.criteria if "?" in each)
    types = dict.fromkeys(each.partition("?")[0] for each in settings.criteria)
    return Topic(settings.topic, tuple(types) or source.types, filters, settings.payload)


def _secret(settings: StreamSettings, name: str) -> Secret:
    token = read_token(settings.token_file, name)
    if not all(0x21 <= byte <= 0x7E for byte in token) or len(token) > 512:
        raise BadSettings(
            f"The token of the stream {name} cannot be sent in a header.",
            hint="It has up to 512 letters, digits and marks of ASCII, without blanks.",
        )
    return Secret(token.decode("ascii"))


async def _body(request: Request, largest: int) -> bytes:
    """Read a body, and stop where it is larger than we take: what is read then is larger, too."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > largest:
            break
    return bytes(body)
