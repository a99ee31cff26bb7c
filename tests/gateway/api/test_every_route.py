"""No way around the door: each route is the door's or is named here, and each answer asks its view and is recorded."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.routing import Route

from gateway.api.app import API_PATH, fhir_app
from gateway.api.call import Offer
from gateway.api.offers import offers_of
from tests.gateway.api.visiting import BASE, Visited, visited

API = Path(__file__).resolve().parents[3] / "gateway" / "api"
WITHOUT_PATIENTS = {
    # The authorization server: it knows accounts, clients and tokens. Its pages see patients through a View.
    *("/", "/auth/jwks", "/auth/style.json", "/auth/authorize", "/auth/token", "/auth/introspect", "/auth/revoke"),
    *("/fhir/.well-known/smart-configuration", "/fhir/.well-known/oauth-authorization-server"),
    *("/fhir/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/fhir"),
    *("/.well-known/openid-configuration/fhir", "/auth/login", "/auth/logout", "/auth/pick", "/auth/consent"),
    *("/auth/deny", "/auth/end", "/auth/launch", "/auth/manage", "/auth/passkey-login", "/auth/passkey-add"),
    *("/auth/passkey-remove", "/auth/style.css", "/auth/passkeys.js"),
}
OPENS_TWINS = re.compile(r"\b(twin_record|twin_versions|twin_news|unlinked|told_of|strays_of|StoreCharts)\b")
MAY_OPEN = {
    "app.py",  # makes the charts
    "charts.py",  # is the charts
    "opened.py",  # is the charts
}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    with visited(tmp_path_factory.mktemp("routes")) as made:
        yield made


def asked(offer: Offer, there: Visited) -> list[str]:
    """The addresses of an offer, one for each of its types, about somebody who is there."""
    told = {"id": there.twins["a"], "version": "1", "job": "x", "name": "x", "number": "1"}
    found = []
    for type_ in offer.types or ("",):
        path = offer.path.replace("{type}", type_)
        found.append(re.sub(r"\{(\w+)(:\w+)?\}", lambda name: told.get(name[1], "x"), path))
    return found


def test_each_route_is_the_doors_or_shows_no_patient(there: Visited) -> None:
    app = fhir_app(there.home, BASE)
    paths = {route.path for route in app.routes if isinstance(route, Route)}
    assert len(paths) == len({route.path for route in app.routes if isinstance(route, Route)})  # nothing but routes
    assert all(isinstance(route, Route) for route in app.routes)
    assert paths - WITHOUT_PATIENTS == {API_PATH, f"{API_PATH}/{{path:path}}"}


async def test_each_offer_wants_a_token_and_records_who_had_none(there: Visited) -> None:
    offers = [offer for offer in offers_of(there.home, BASE) if not offer.everybody]
    assert len(offers) > 30
    async with there.caller() as nobody:
        for offer in offers:
            path = asked(offer, there)[0]
            before = there.home.store.audit_events(1)[0].sequence
            answer = await nobody.request(offer.method, path)
            assert answer.status_code == 401, (offer.method, path, answer.text)
            event = there.home.store.audit_events(1)[0]
            assert event.sequence == before + 1, (offer.method, path)
            assert event.event["outcomeDesc"] == "login"


async def test_what_everybody_may_have_tells_of_nobody(there: Visited) -> None:
    async with there.caller() as nobody:
        for offer in offers_of(there.home, BASE):
            if offer.everybody:
                assert offer.event == "none"
                answer = await nobody.request(offer.method, asked(offer, there)[0])
                assert not any(twin in answer.text for twin in there.twins.values())


async def test_no_offer_shows_anything_to_who_has_no_scope_for_it(there: Visited) -> None:
    """With scopes for one type that nobody has anything of, no answer tells of a patient, and each is recorded."""
    async with there.caller(there.token("user/Coverage.rs")) as caller:
        for offer in offers_of(there.home, BASE):
            if offer.everybody:
                continue
            for path in asked(offer, there):
                before = there.home.store.audit_events(1)[0].sequence
                answer = await caller.request(offer.method, path, json={} if offer.method in ("POST", "PUT") else None)
                assert answer.status_code < 500, (offer.method, path, answer.text)
                assert not any(told in answer.text for told in ("Silva", "Brown", "2339-0", "mrn-")), (
                    path,
                    answer.text,
                )
                assert there.home.store.audit_events(1)[0].sequence > before, (offer.method, path, answer.text)


def test_no_answer_opens_a_twin_but_through_its_view() -> None:
    opens = {
        file.relative_to(API).as_posix()
        for file in API.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if (isinstance(node, ast.Attribute) and OPENS_TWINS.fullmatch(node.attr))
        or (isinstance(node, ast.Name) and OPENS_TWINS.fullmatch(node.id))
    }
    assert opens - MAY_OPEN == set()
