"""A server with the pages and the authorization server, over twins in memory; a browser without scripts."""

from __future__ import annotations

import html
import re
import secrets
import socket
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import uvicorn
from starlette.applications import Starlette

from gateway.api.shown import Gone, Shown
from gateway.api.view import View
from gateway.home import Home
from gateway.smart.accounts import Accounts
from gateway.smart.app import routes
from gateway.smart.people import people_routes
from gateway.smart.registration import Clients, hash_secret
from gateway.smart.values import Account, Client
from security.grants import compile_grants
from security.passwords import hash_password
from security.policy import Caller

PASSWORD = "seven quiet herons wade"
HASHED = hash_password(PASSWORD)
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Memory:
    """Twins of tenants, each with a Patient: what `Charts` promises, without a store."""

    people: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def add(self, twin: str, tenant: str = "", **patient: Any) -> str:
        self.people[twin] = (tenant, {"resourceType": "Patient", "id": twin, **patient})
        return twin

    def twins(self, tenant: str, after: str = "") -> Iterator[str]:
        return (twin for twin in sorted(self.people) if twin > after and self.people[twin][0] == tenant)

    def tenant_of(self, twin: str) -> str | None:
        return self.people[twin][0] if twin in self.people else None

    def twin_of(self, type_: str, id_: str) -> str:
        return id_

    def chart(self, twin: str) -> Page:
        return Page(twin, self.people[twin][1])

    def shared(self, tenant: str) -> Page:
        return Page("", {})


@dataclass(frozen=True)
class Page:
    """The chart of one twin: their Patient."""

    twin: str
    patient: Mapping[str, Any]
    version: str = "1"

    def of_type(self, type_: str) -> tuple[Shown, ...]:
        if type_ != "Patient" or not self.patient:
            return ()
        return (Shown("Patient", self.twin, 1, BEGUN, self.twin, self.patient, b""),)

    def types(self) -> frozenset[str]:
        return frozenset({"Patient"})

    def get(self, type_: str, id_: str) -> Shown | Gone | None:
        return next((each for each in self.of_type(type_) if each.id == id_), None)

    def versions(self, type_: str, id_: str) -> tuple[Shown | Gone, ...]:
        return self.of_type(type_)

    def gone(self) -> tuple[Gone, ...]:
        return ()


class Agreed:
    """Consents that all patients gave."""

    def permits(self, *told: Any) -> bool:
        return True

    def permits_write(self, *told: Any) -> bool:
        return True


def _never(type_: str, query: str, resource: Mapping[str, Any]) -> bool:
    raise ValueError(query)


@dataclass
class Server:
    """A running one. `base` is the address of its FHIR API."""

    home: Home
    base: str
    memory: Memory

    @property
    def root(self) -> str:
        return self.base.rpartition("/")[0]

    def user(self, name: str = "ana", **told: Any) -> Account:
        account = Account(
            **{
                "name": name,
                "display": f"Dr {name.title()}",
                "roles": ("clinician",),
                "password": HASHED,
                "fhir_user": "Practitioner/17",
                "created": BEGUN,
                **told,
            }
        )
        Accounts(self.home).add(account, datetime.now(UTC))
        return account

    def client(self, id_: str = "growth", **told: Any) -> Client:
        client = Client(
            **{
                "id": id_,
                "name": "Growth chart",
                "kind": "public",
                "redirect_uris": ("http://127.0.0.1:9/callback",),
                "launch_url": "http://127.0.0.1:9/launch",
                "scopes": ("launch", "launch/patient", "openid", "fhirUser", "offline_access", "patient/*.cruds"),
                "created": BEGUN,
                **told,
            }
        )
        Clients(self.home).add(client, datetime.now(UTC))
        return client

    def secret(self, id_: str) -> str:
        secret = secrets.token_urlsafe(32)
        self.client(id_, kind="symmetric", secrets=(hash_secret(secret),))
        return secret

    def events(self, kind: str) -> list[Mapping[str, Any]]:
        from security.audit.entry import read_entry

        page = self.home.store.search_audit(limit=1000)
        return [each.event for each in page.entries if read_entry(each.sequence, each.event).kind == kind]


class Surfer(httpx.Client):
    """A browser without scripts: it keeps cookies, and fills in the forms that it was shown."""

    def __init__(self, server: Server) -> None:
        super().__init__(base_url=server.root, timeout=30)
        self.server = server

    def ask(self, client: str = "growth", **told: str) -> httpx.Response:
        """Begin as an app does, and return what the browser shows then."""
        self.verifier = secrets.token_urlsafe(48)
        digest = urlsafe_b64encode(sha256(self.verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": "http://127.0.0.1:9/callback",
            "scope": "launch/patient openid fhirUser offline_access patient/Observation.rs patient/Patient.rs",
            "state": "of the app",
            "aud": self.server.base,
            "code_challenge": digest,
            "code_challenge_method": "S256",
            **told,
        }
        return self.follow(self.get("/auth/authorize", params=asked))

    def follow(self, response: httpx.Response) -> httpx.Response:
        """Follow redirects within the server; one to elsewhere is returned."""
        while response.next_request is not None and str(response.next_request.url).startswith(self.server.root):
            response = self.send(response.next_request)
        return response

    def fill(self, page: httpx.Response, action: str, **fields: Any) -> httpx.Response:
        """Send a form that a page has, with its own fields and some others; `None` leaves one out."""
        return self.follow(self.press(page, action, **fields))

    def press(self, page: httpx.Response, action: str, **fields: Any) -> httpx.Response:
        told: dict[str, Any] = {**hidden(page, action), **fields}
        url = urlsplit(str(page.url))._replace(path=f"/auth/{action}", query="").geturl()
        return self.post(url, data={name: value for name, value in told.items() if value is not None})

    def enter(self, page: httpx.Response, name: str = "ana", password: str = PASSWORD) -> httpx.Response:
        """Fill in the login form."""
        return self.fill(page, "login", name=name, password=password)


def hidden(page: httpx.Response, action: str) -> dict[str, Any]:
    """Return the fields that the form to `action` has by itself: hidden ones, and boxes that are ticked."""
    forms = re.findall(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', page.text, re.S)
    assert forms, f"no form to {action} on this page: {page.status_code} {page.text[:2000]}"
    found: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", forms[-1] if action != "logout" else forms[0]):
        told = {name: html.unescape(value) for name, value in re.findall(r'(\w+)="([^"]*)"', tag)}
        if told.get("type") == "hidden" or (told.get("type") == "checkbox" and " checked" in tag):
            found.setdefault(told["name"], []).append(told["value"])
    return found


def said(url: str) -> dict[str, str]:
    """Return what an app is told by a redirect."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@contextmanager
def serving(home: Home, host: str = "127.0.0.1") -> Iterator[Server]:
    """Serve on loopback until the end."""
    memory = Memory()

    def view_of(caller: Caller, now: datetime, path: Mapping[str, str]) -> View:
        return View(caller, memory, compile_grants(caller, _never), Agreed(), now)

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        base = f"http://{host}:{listening.getsockname()[1]}/fhir"
        app = Starlette(routes=[*routes(home, base), *people_routes(home, base, view_of)])
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Server(home, base, memory)
        finally:
            server.should_exit = True
            thread.join()
