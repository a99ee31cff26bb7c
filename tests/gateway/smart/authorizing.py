"""An authorization server on a port of this machine, with a clock of its own, and apps that ask it for tokens."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import msgspec
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.api.refusal import Refusal
from gateway.home import Home
from gateway.settings import read_settings
from gateway.smart.app import routes
from gateway.smart.approval import approve, find_pending
from gateway.smart.registration import hash_secret
from gateway.smart.resource_server import ResourceServer
from gateway.smart.values import Account, Client

START = datetime(2026, 11, 30, 12, tzinfo=UTC)
TWIN = "01234567-89ab-4def-8123-456789abcdef"
SECRET = "Zz9-canary-secret-of-the-app-aaaaaaaaaaaaaaa"
REDIRECT = "https://app.example.org/callback"
HTTP = httpx.Client(verify=False, timeout=30)  # noqa: S501 - no TLS on this machine, and its settings take long to load
LAUNCHED = "openid fhirUser launch/patient patient/*.rs offline_access"


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def on(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class App:
    """A browser app: what it keeps between its requests."""

    id: str = "app"
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    @property
    def challenge(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()

    def asks(self, base: str, **changes: str | None) -> dict[str, str]:
        asked: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": REDIRECT,
            "scope": LAUNCHED,
            "state": self.state,
            "aud": base,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: text for name, text in asked.items() if text is not None}


@dataclass
class Server:
    home: Home
    clock: Clock
    base: str = ""

    @property
    def root(self) -> str:
        return self.base.removesuffix("/fhir")

    def at(self, path: str) -> str:
        return self.root + path

    def register(self, **changes: Any) -> Client:
        told = {"id": "app", "name": "An app", "kind": "public", "created": START, "redirect_uris": (REDIRECT,)}
        client = Client(
            **{
                **told,
                "scopes": (
                    "openid",
                    "fhirUser",
                    "launch",
                    "launch/patient",
                    "launch/encounter",
                    "patient/*.cruds",
                    "user/*.cruds",
                    "offline_access",
                    "online_access",
                ),
                **changes,
            }
        )
        self._keep("client", client.id, client)
        return client

    def enrol(self, **changes: Any) -> Account:
        told = {"name": "ana", "display": "Dr. Ana", "roles": ("clinician",), "fhir_user": "Practitioner/7"}
        account = Account(**{**told, "created": START, "session": 5, **changes})
        self._keep("account", account.name, account)
        return account

    def _keep(self, kind: str, name: str, value: Client | Account) -> None:
        found = self.home.store.registered(kind, name, self.clock())
        content = msgspec.msgpack.encode(value)
        assert self.home.store.register(kind, name, content, self.clock(), after=found.revision if found else 0)

    def authorize(self, app: App, **changes: str | None) -> httpx.Response:
        return HTTP.get(self.at("/auth/authorize"), params=app.asks(self.base, **changes))

    def agree(
        self,
        response: httpx.Response,
        scopes: str = "",
        *,
        account: Account | None = None,
        patient: str = TWIN,
        browser: str = "",
    ) -> str:
        """Do what the pages do once somebody has logged in and agreed; return where the browser goes."""
        assert response.status_code == 302, response.text
        [id_] = parse_qs(urlsplit(response.headers["location"]).query)["request"]
        pending = find_pending(self.home, id_, self.clock())
        assert pending is not None
        if browser:
            pending = msgspec.structs.replace(pending, session=browser)
        person = account or self.enrol()
        return approve(self.home, pending, person, scopes.split() or pending.scopes, patient, now=self.clock())

    def code(self, app: App, **changes: Any) -> str:
        scopes, browser = changes.pop("agreed", ""), changes.pop("browser", "")
        where = self.agree(self.authorize(app, **changes), scopes, browser=browser)
        [code] = parse_qs(urlsplit(where).query)["code"]
        return code

    def redeem(self, app: App, code: str, **changes: str | None) -> httpx.Response:
        told: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "client_id": app.id,
            "code_verifier": app.verifier,
            **changes,
        }
        return self.post("/auth/token", {name: text for name, text in told.items() if text is not None})

    def tokens(self, app: App, **changes: Any) -> dict[str, Any]:
        answer = self.redeem(app, self.code(app, **changes))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def refresh(self, app: App, token: str, **changes: str) -> httpx.Response:
        return self.post(
            "/auth/token", {"grant_type": "refresh_token", "refresh_token": token, "client_id": app.id, **changes}
        )

    def post(self, path: str, form: dict[str, str], **said: Any) -> httpx.Response:
        return HTTP.post(self.at(path), data=form, **said)

    def who(self, token: str) -> httpx.Response:
        return HTTP.get(self.at("/who"), headers={"Authorization": f"Bearer {token}"} if token else {})

    def events(self) -> list[dict[str, Any]]:
        return [entry.event for entry in self.home.store.audit_events(1000)]

    def told(self) -> str:
        """All that the audit says, with what is coded in it decoded."""
        events = self.events()
        queries = [each["query"] for event in events for each in event.get("entity", []) if "query" in each]
        return json.dumps(events) + "".join(base64.b64decode(each).decode() for each in queries)


@contextmanager
def served(folder: Path, toml: str = "", *more: BaseRoute) -> Iterator[Server]:
    """Serve a new home, its authorization server, and one address behind a token: /who."""
    clock = Clock()
    with Home.open(read_settings(toml, folder)) as home, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = Server(home, clock, f"http://127.0.0.1:{listening.getsockname()[1]}/fhir")
        resources = ResourceServer(home, server.base)

        async def who(request: Request) -> Response:
            try:
                caller = await resources.who(request.headers.get("authorization", ""), clock())
            except Refusal as refusal:
                return JSONResponse(refusal.outcome(), refusal.status, refusal.headers)
            return JSONResponse(json.loads(msgspec.json.encode(caller)))

        app = Starlette(routes=[*routes(home, server.base, clock), Route("/who", who), *more])
        with _running(app, listening):
            yield server


@contextmanager
def _running(app: Starlette, listening: socket.socket) -> Iterator[None]:
    running = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False))
    thread = threading.Thread(target=running.run, args=([listening],))
    thread.start()
    while not running.started:
        time.sleep(0.005)
    try:
        yield
    finally:
        running.should_exit = True
        thread.join()


@contextmanager
def recorded(answers: dict[str, Response]) -> Iterator[tuple[str, list[str]]]:
    """Serve answers by path, and record which paths were asked for."""
    asked: list[str] = []

    async def answer(request: Request) -> Response:
        asked.append(request.url.path)
        return answers.get(request.url.path) or Response(status_code=404)

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        with _running(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])]), listening):
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked


EC = ECKey.generate_key("P-384", parameters={"kid": "ec-1", "alg": "ES384", "use": "sig"})
RSA = RSAKey.generate_key(2048, parameters={"kid": "rsa-1", "use": "sig"})


def public(*keys: ECKey | RSAKey) -> tuple[dict[str, Any], ...]:
    return tuple(dict(key.as_dict(private=False)) for key in keys)


def assertion(
    server: Server, *, key: Any = EC, alg: str = "ES384", header: dict[str, Any] | None = None, **changes: Any
) -> str:
    now = int(server.clock().timestamp())
    claims = {
        "iss": "robot",
        "sub": "robot",
        "aud": server.at("/auth/token"),
        "exp": now + 240,
        "iat": now,
        "jti": secrets.token_urlsafe(16),
        **changes,
    }
    head = {"alg": alg, "kid": key.kid, "typ": "JWT", **(header or {})}
    return jwt.encode(
        {n: v for n, v in head.items() if v is not None},
        {n: v for n, v in claims.items() if v is not None},
        key,
        algorithms=[alg],
    )


def robot(server: Server, **changes: Any) -> Client:
    told = {
        "id": "robot",
        "kind": "asymmetric",
        "backend": True,
        "redirect_uris": (),
        "keys": public(EC, RSA),
        "scopes": ("system/*.rs",),
        "grants": ("client_credentials",),
    }
    return server.register(**{**told, **changes})


def ask_as_robot(server: Server, signed: str, **changes: str) -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "scope": "system/Observation.rs",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": signed,
        **changes,
    }
    return server.post("/auth/token", form)


def with_secret(server: Server, **changes: Any) -> Client:
    return server.register(**{"id": "portal", "kind": "symmetric", "secrets": (hash_secret(SECRET),), **changes})


def query(url: str) -> dict[str, str]:
    return {name: texts[0] for name, texts in parse_qs(urlsplit(url).query).items()}


def address(base: str, **told: str) -> str:
    return f"{base}?{urlencode(told)}"
