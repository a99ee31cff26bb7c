"""Which offer a method and a path find."""

from __future__ import annotations

import pytest

from gateway.api.call import Call, Offer, Reply
from gateway.api.routing import methods, route


async def _answer(call: Call) -> Reply:
    return Reply()


def _offer(method: str, path: str, name: str = "", types: tuple[str, ...] = ()) -> Offer:
    return Offer(
        method=method, path=path, interaction="operation", answer=_answer, event="read", types=types, name=name
    )


OFFERS = (
    _offer("GET", "/{type}/{id}", "read"),
    _offer("GET", "/{type}", "search"),
    _offer("POST", "/{type}/_search", "post-search"),
    _offer("POST", "/{type}", "create", ("Observation", "Consent")),
    _offer("PUT", "/{type}/{id}", "update", ("Observation", "Consent")),
    _offer("GET", "/{type}/{id}/_history/{version}", "vread"),
    _offer("GET", "/{type}/{id}/$everything", "everything", ("Patient",)),
    _offer("POST", "/Patient/$match", "match", ("Patient",)),
    _offer("GET", "/metadata", "metadata"),
    _offer("POST", "/", "batch"),
)


@pytest.mark.parametrize(
    ("method", "path", "name", "told"),
    [
        ("GET", "/Patient/7", "read", {"type": "Patient", "id": "7"}),
        ("HEAD", "/Patient/7", "read", {"type": "Patient", "id": "7"}),
        ("GET", "/metadata", "metadata", {}),
        ("POST", "/Observation/_search", "post-search", {"type": "Observation"}),
        ("POST", "/Observation", "create", {"type": "Observation"}),
        ("GET", "/Patient/7/_history/2", "vread", {"type": "Patient", "id": "7", "version": "2"}),
        ("GET", "/Patient/7/$everything", "everything", {"type": "Patient", "id": "7"}),
        ("POST", "/Patient/$match", "match", {}),
        ("POST", "/", "batch", {}),
    ],
)
def test_what_is_asked_finds_its_offer(method: str, path: str, name: str, told: dict[str, str]) -> None:
    for offers in (OFFERS, tuple(reversed(OFFERS))):
        found = route(method, path, offers)
        assert found is not None
        assert (found[0].name, dict(found[1])) == (name, told)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/Patient/" + "7" * 65),
        ("GET", "/Patient/$everything"),
        ("GET", "/Patient/7/"),
        ("GET", "//Patient/7"),
        ("GET", "/Patient/../Patient/7"),
        ("GET", "/Patient/.\n"),
        ("GET", "/Patient/7\r\nX: y"),
        ("GET", "/patient/7"),
        ("GET", "/Patient/7%2f8"),
        ("GET", "/Patient/٧"),
        ("POST", "/Patient"),
        ("PUT", "/Patient/7"),
        ("DELETE", "/Observation/7"),
        ("GET", "/Observation/7/$everything"),
        ("GET", ""),
        ("GET", "/"),
    ],
)
def test_what_is_not_offered_is_not_found(method: str, path: str) -> None:
    assert route(method, path, OFFERS) is None


def test_another_method_is_told_and_nothing_where_there_is_nothing() -> None:
    assert methods("/Observation/7", OFFERS) == ("GET", "HEAD", "PUT")
    assert methods("/Patient/7", OFFERS) == ("GET", "HEAD")
    assert methods("/nothing/at/all/here", OFFERS) == ()
