"""Who guesses at passwords is known by their address, which nobody can make up (M5)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.requests import Request

from gateway.smart.addresses import address_of
from gateway.smart.attempts import Attempts
from gateway.store import Store
from security.keys import SecretKeyRing

TLS, HERE = "https://twin.example.org/fhir", "http://127.0.0.1:8424/fhir"


def asked(peer: str, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    return Request({"type": "http", "client": (peer, 1), "headers": headers})


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "base", "address"),
    [
        ("192.0.2.7", ("198.51.100.1",), (), TLS, "192.0.2.7"),  # nobody named it: what it says is nothing
        ("127.0.0.1", ("198.51.100.1",), (), TLS, ""),
        ("127.0.0.1", (), (), HERE, "127.0.0.1"),
        ("127.0.0.1", ("198.51.100.1",), ("127.0.0.1",), TLS, "198.51.100.1"),
        ("127.0.0.1", ("203.0.113.9, 198.51.100.1",), ("127.0.0.1",), TLS, "198.51.100.1"),  # the first was made up
        ("127.0.0.1", ("203.0.113.9", "198.51.100.1"), ("127.0.0.1",), TLS, "198.51.100.1"),
        ("10.0.0.2", ("198.51.100.1, 10.0.0.3",), ("10.0.0.2", "10.0.0.3"), TLS, "198.51.100.1"),
        ("127.0.0.1", ("x' OR 1=1",), ("127.0.0.1",), TLS, ""),
        ("127.0.0.1", (), ("127.0.0.1",), TLS, ""),
        ("127.0.0.1", ("2001:db8::1",), ("127.0.0.1",), TLS, "2001:db8::1"),
    ],
)
def test_an_address_is_that_of_who_speaks_or_what_a_named_server_says(peer, forwarded, proxies, base, address):
    assert address_of(asked(peer, *forwarded), proxies, base) == address


def test_where_no_address_is_known_one_who_guesses_keeps_nobody_else_out(tmp_path: Path):
    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    with Store.create_or_open(tmp_path / "twin.db", SecretKeyRing.new(), at) as store:
        tried = Attempts(store, "password")
        for n in range(200):
            tried.begin(f"somebody-{n}", "", at)
        assert tried.begin("ana", "", at) == 0
        assert [tried.begin("", "192.0.2.2", at) for _ in range(41)][39:] == [0, 5]  # passkeys
        assert [tried.begin("ben", "192.0.2.1", at) for _ in range(6)][4:] == [0, 5]


def test_a_whole_hospital_behind_one_address_signs_in_as_often_as_it_wants(tmp_path: Path):
    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    with Store.create_or_open(tmp_path / "twin.db", SecretKeyRing.new(), at) as store:
        tried = Attempts(store, "password")
        for n in range(300):
            assert tried.begin(f"nurse-{n % 90}", "192.0.2.1", at) == 0
            tried.succeeded(f"nurse-{n % 90}", "192.0.2.1", at)
