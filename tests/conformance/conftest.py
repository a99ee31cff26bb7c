"""What the tests of the EHR simulator share: an EHR, and a client that talks to it without a network."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from conformance.hostile import Ehr, EhrSettings

pytest.register_assert_rewrite("tests.conformance.desk")

from tests.conformance.desk import Socket, sockets  # noqa: E402 - after its asserts are made to speak


@dataclass
class Bench:
    """An EHR and the client in front of it."""

    ehr: Ehr
    http: httpx.AsyncClient

    async def rows(self, path: str) -> list[dict[str, Any]]:
        """Return the matches on all pages."""
        found: list[dict[str, Any]] = []
        url: str | None = path
        while url:
            answer = await self.http.get(url)
            assert answer.status_code == 200, answer.text
            bundle = answer.json()
            found += [e["resource"] for e in bundle.get("entry", []) if e["search"]["mode"] == "match"]
            url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
        return found


@pytest.fixture
async def bench() -> AsyncIterator[Callable[..., Bench]]:
    """Make an EHR that asks for no token (unless told), loaded with the resources given."""
    clients: list[httpx.AsyncClient] = []

    def make(*resources: dict[str, Any], **settings: Any) -> Bench:
        clock = settings.pop("clock", None)
        ehr = Ehr(EhrSettings(**{"require_auth": False, **settings}), clock=clock)
        ehr.load(*resources)
        transport = httpx.ASGITransport(app=ehr.app)
        client = httpx.AsyncClient(transport=transport, base_url=f"{ehr.base_url}/")
        clients.append(client)
        return Bench(ehr, client)

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
def observation() -> Callable[..., dict[str, Any]]:
    """Make an R4 Observation of a haemoglobin A1c, with changes."""

    def make(**changes: Any) -> dict[str, Any]:
        return {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
            "subject": {"reference": "Patient/p1"},
            "effectiveDateTime": "2024-02-03",
            **changes,
        }

    return make


@dataclass
class Client:
    """A registered SMART client that can sign assertions."""

    name: str
    key: RSAKey | ECKey
    algorithm: str

    @property
    def jwks(self) -> dict[str, Any]:
        """The public key set to register."""
        return {"keys": [self.key.as_dict(private=False)]}

    def form(self, audience: str, scope: str = "system/*.rs", **changes: Any) -> dict[str, str]:
        """Return a token request; `changes` go to the claims, `header` to the header."""
        header = {"alg": self.algorithm, "kid": self.key.kid, "typ": "JWT", **changes.pop("header", {})}
        claims = {
            "iss": self.name,
            "sub": self.name,
            "aud": audience,
            "exp": int(time.time()) + 240,
            "jti": str(uuid.uuid4()),
            **changes,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        return {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(header, kept, self.key, algorithms=[str(header["alg"])]),
        }


@pytest.fixture(scope="session")
def ec_client() -> Client:
    """A client with a P-384 key."""
    return Client("twin", ECKey.generate_key("P-384", {"kid": "ec-1"}, private=True), "ES384")


@pytest.fixture(scope="session")
def rsa_client() -> Client:
    """A client with an RSA key."""
    return Client("twin-rsa", RSAKey.generate_key(2048, {"kid": "rsa-1"}, private=True), "RS384")


@pytest.fixture(scope="session")
def socket() -> Iterator[Socket]:
    """A port for one EHR at a time."""
    with sockets() as opened:
        yield opened
