"""Time does not tell whether a client is known (A17)."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator

import pytest

from gateway.smart.authentication import NotTheClient, authenticate
from gateway.smart.token_request import TokenAsked
from tests.gateway.smart.authorizing import SECRET, Server, served, with_secret


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("home")) as running:
        with_secret(running)
        yield running


def test_an_unknown_client_takes_as_long_as_a_wrong_secret(server: Server) -> None:
    took: dict[str, list[float]] = {"portal": [], "nobody": []}

    def ask(id_: str) -> None:
        form = {"grant_type": "refresh_token", "client_id": id_, "client_secret": SECRET[:-1] + "b"}
        asked = TokenAsked(server.at("/auth/token"), form, authorization="", source="here", keys=(), now=server.clock())
        begun = time.perf_counter()
        with pytest.raises(NotTheClient):
            authenticate(server.home.store, asked, ())
        took[id_].append(time.perf_counter() - begun)

    order = ["portal", "nobody"] * 2000
    random.Random(7).shuffle(order)  # noqa: S311 - an order, not a secret
    for each in order:
        ask(each)
    known, unknown = (statistics.median(took[each]) for each in ("portal", "nobody"))
    assert abs(known - unknown) < 1e-3
