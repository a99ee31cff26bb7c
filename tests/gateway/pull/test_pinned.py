"""What we fetch for others is fetched from the address that was checked, and from no private one (C5, SSRF)."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.pull.pinned import ask
from security.errors import Fault, Refused, Unreachable
from tests.gateway.pull.certificates import self_signed
from tests.gateway.pull.conftest import serving


def fetch(url: str, **said: Any) -> str:
    return asyncio.run(ask("GET", url, {}, **said)).body.decode()


def named(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let a name lead to these addresses, one answer after the other: what an attacker's DNS server does."""
    asked: list[str] = []

    def resolve(host: str, port: int, *_: object, **__: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


async def echo(request: Request) -> Response:
    return PlainTextResponse(f"{request.headers['host']} {request.url.path}")


APP = Starlette(routes=[Route("/{path:path}", echo)])


def test_tls_is_for_the_name_though_the_address_is_connected_to(tmp_path: Path) -> None:
    key, certificate = self_signed(tmp_path)
    with serving(APP, ssl_keyfile=key, ssl_certfile=certificate) as address:
        url = address.replace("127.0.0.1", "localhost")
        assert fetch(f"{url}/jwks", ca_file=certificate) == f"{url.removeprefix('https://')} /jwks"
        with pytest.raises(Unreachable, match="not trusted"):
            fetch(f"{url}/jwks")
        with pytest.raises(Fault, match="not trusted"):
            fetch(f"{address}/jwks", ca_file=certificate)  # the certificate is not for that name


def test_a_host_that_the_operator_named_may_be_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = self_signed(tmp_path, "keys.hospital.example")
    with serving(APP, ssl_keyfile=key, ssl_certfile=certificate) as address:
        port = address.rpartition(":")[2]
        named(monkeypatch, ["127.0.0.1"])
        url = f"https://keys.hospital.example:{port}/jwks"
        with pytest.raises(Refused, match="private network"):
            fetch(url, ca_file=certificate)
        assert "/jwks" in fetch(url, ca_file=certificate, inside=["keys.hospital.example"])


@pytest.mark.parametrize(
    "addresses",
    [
        *(
            ["10.1.2.3"],
            ["192.168.0.1"],
            ["172.16.0.1"],
            ["127.0.0.1"],
            ["169.254.169.254"],
            ["0.0.0.0"],  # noqa: S104 - an address that is to be refused
            ["100.64.0.1"],
        ),
        *(["::1"], ["fe80::1"], ["fc00::1"], ["::ffff:10.0.0.1"], ["224.0.0.1"], ["255.255.255.255"]),
        ["93.184.216.34", "10.0.0.1"],
    ],
)
def test_a_name_that_leads_inside_is_not_followed(addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, addresses)
    with pytest.raises(Refused, match="private network"):
        fetch("https://app.example.org/jwks")


def test_a_name_is_asked_for_once_so_that_it_cannot_lead_elsewhere_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(APP) as address:
        port = address.rpartition(":")[2]
        asked = named(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
        with pytest.raises(Unreachable):
            fetch(f"https://rebound.example.org:{port}/jwks", inside=["rebound.example.org"])
        assert asked == ["rebound.example.org"]


@pytest.mark.parametrize(
    "url",
    ["http://app.example.org/k", "ftp://localhost/k", "file:///etc/passwd", "https://u:p@app.example.org/k", "x", ""],
)
def test_what_is_not_https_is_not_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = named(monkeypatch, ["93.184.216.34"])
    with pytest.raises(Fault):
        fetch(url)
    assert asked == []
