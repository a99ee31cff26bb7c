"""Faults of next links, and of following them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response

from conformance.hostile.faults.kind import fault
from conformance.hostile.faults.subjects import Leaf, Turning
from conformance.hostile.problem import Problem

__all__: list[str] = []


def _goes_on(leaf: Leaf) -> bool:
    return bool(leaf.next_url)


def _rebase(leaf: Leaf, base: str) -> str:
    """Name another base in the next link, path and query kept."""
    return base.rstrip("/") + leaf.next_url.removeprefix(leaf.ehr.base_url)


@fault("no-next-link", "page", "cut short without saying so; total stays", "8: medplum#6150", fits=_goes_on)
def no_next_link(leaf: Leaf, struck: Any) -> None:
    leaf.next_url = ""


@fault(
    "foreign-next-link",
    "page",
    "next names another host (value: URL)",
    "D1: client-py checks the origin, nobody else does",
    value="http://elsewhere.invalid",
    fits=_goes_on,
)
def foreign_next_link(leaf: Leaf, struck: Any) -> None:
    leaf.next_url = f"{struck.setting}/{leaf.page.path}?{urlsplit(leaf.next_url).query}"


@fault("relative-next-link", "page", "next is relative", "1: POLAR-fhiR/fhircrackr#110", fits=_goes_on)
def relative_next_link(leaf: Leaf, struck: Any) -> None:
    parts = urlsplit(leaf.next_url)
    leaf.next_url = leaf.next_url.removeprefix(f"{leaf.ehr.base_url}/") if parts.path != "/fhir" else f"?{parts.query}"


@fault("looping-next-link", "page", "next leads back to the same page", "D4; fasten-sources guards it", fits=_goes_on)
def looping_next_link(leaf: Leaf, struck: Any) -> None:
    leaf.next_url = leaf.first_url


@fault("doubled-port-next-link", "page", "next has :443:443", "4: opensrp/fhircore#1714", fits=_goes_on)
def doubled_port_next_link(leaf: Leaf, struck: Any) -> None:
    parts = urlsplit(leaf.next_url)
    leaf.next_url = parts._replace(netloc=f"{parts.hostname}:443:443").geturl()


@fault(
    "other-scheme-next-link",
    "page",
    "next says http where the base is https, or the other way round",
    "4: opensrp/fhircore#1714: a proxy that ends TLS",
    fits=_goes_on,
)
def other_scheme_next_link(leaf: Leaf, struck: Any) -> None:
    parts = urlsplit(leaf.next_url)
    leaf.next_url = parts._replace(scheme="https" if parts.scheme == "http" else "http").geturl()


@fault(
    "inner-host-next-link",
    "page",
    "next names the host behind the proxy (value: its base); path and query are right",
    "4: opensrp/fhircore#1714",
    value="http://fhir-internal:8080/fhir",
    fits=_goes_on,
)
def inner_host_next_link(leaf: Leaf, struck: Any) -> None:
    leaf.next_url = _rebase(leaf, struck.setting)


@fault(
    "typeless-next-link",
    "page",
    "next goes to the base without the resource type",
    "5: hapi-fhir#5427; 6: hapi-fhir#2165",
    fits=_goes_on,
)
def typeless_next_link(leaf: Leaf, struck: Any) -> None:
    leaf.next_url = f"{leaf.ehr.base_url}?_getpages={urlsplit(leaf.next_url).query.partition('=')[2]}"


@fault(
    "endless-next-link",
    "page",
    "next is longer than value characters",
    "3: microsoft/fhir-server#2250",
    value="4000",
    fits=_goes_on,
)
def endless_next_link(leaf: Leaf, struck: Any) -> None:
    leaf.next_url += "&_pad=" + "x" * int(struck.number)


@fault("empty-next-link", "page", 'the link next is there, its url is ""', "bad input, requirement D6", fits=_goes_on)
def empty_next_link(leaf: Leaf, struck: Any) -> None:
    leaf.next_url = " "


# Asked for by name where a search is read: the link is right, but GET does not lead there.
@fault(
    "next-after-post",
    "asked",
    "after POST _search, next is below _search, where GET finds nothing and only POST goes on",
    "2: microsoft/fhir-server#1115, FirelyTeam/firely-net-sdk#479",
    fits=lambda question: False,
)
def next_after_post(question: Any, struck: Any) -> None:
    """Do nothing here."""


@fault("wrong-self-link", "page", "self repeats what was asked, applied or not", "5: microsoft/fhir-server#561")
def wrong_self_link(leaf: Leaf, struck: Any) -> None:
    if leaf.page.number == 0:
        leaf.repeat_the_question()


@fault("no-self-link", "page", "there is no link self", "9: search.html#conformance asks for it; 5: fhir-server#561")
def no_self_link(leaf: Leaf, struck: Any) -> None:
    leaf.self_url = ""


@fault(
    "search-cache-expired",
    "turn",
    "410: the search behind the next link is forgotten",
    "6: hapi-fhir#7220",
)
def search_cache_expired(turning: Turning, struck: Any) -> None:
    turning.ehr.pages.forget(turning.token)
    raise Problem(410, "not-found", "That page has expired; search again.")


@fault("next-page-not-found", "turn", "404 to a next link", "6: hapi-fhir#2165")
def next_page_not_found(turning: Turning, struck: Any) -> None:
    raise Problem(404, "not-found", "There is no such page.")


@fault("next-page-broken", "turn", "500 to a next link; the search itself works", "14: cumulus-etl#334")
def next_page_broken(turning: Turning, struck: Any) -> None:
    raise Problem(500, "exception", "Something went wrong.")


@fault("next-page-empty", "turn", "200 with an empty body to a next link", "8: hapi-fhir#5198")
def next_page_empty(turning: Turning, struck: Any) -> Response:
    return Response(b"", 200, media_type=turning.ehr.version.media_type)
