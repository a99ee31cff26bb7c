"""The Bundle of one page of a search, as honest or as wrong as the switches of the EHR say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import msgspec

from conformance.hostile import wire
from conformance.hostile.interactions import Interactions
from conformance.hostile.misbehaviour import Misbehaviour
from conformance.hostile.paging import Page
from conformance.hostile.problem import Problem, operation_outcome
from conformance.hostile.search import Query, find, read_query
from conformance.hostile.store import Held

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["PAGE_PARAMETERS", "search", "turn"]

PAGE_PARAMETERS = {"typed": "ct", "base": "_getpages"}


def search(
    ehr: Ehr, interactions: Interactions, type_: str, pairs: Sequence[tuple[str, str]], prefer: str = ""
) -> dict[str, Any]:
    """Answer a search with its first page, or with its count alone."""
    interactions.permit("s", type_)
    settings = ehr.settings
    unknown = settings.unknown_parameters
    if settings.honours_prefer and "handling=" in prefer:
        unknown = "ignore" if "handling=lenient" in prefer else "refuse"
    if ehr.misbehaviours.take("ignored-parameter", type_):
        unknown = "ignore"
    query = read_query(type_, pairs, unknown=unknown, without=settings.without)
    needed = settings.required.get(type_, ())
    told = {name for name, _ in query.understood}
    if needed and not told & {*needed, "_id"}:
        raise Problem(400, "required", f"A search of {type_} needs {' or '.join(needed)} on this server.")
    found = find(ehr.store, query)
    if query.summary == "count" or query.count == 0:
        return _bundle(ehr, len(found), [_link("self", _self(ehr, query))])
    size = min(query.count or settings.page_size, settings.max_page_size)
    return _page(ehr, ehr.pages.open(query, found, size), pairs)


def turn(ehr: Ehr, interactions: Interactions, token: str) -> dict[str, Any]:
    """Answer a next link."""
    page = ehr.pages.turn(token)
    interactions.permit("s", page.query.type)
    return _page(ehr, page, ())


def _page(ehr: Ehr, page: Page, asked: Sequence[tuple[str, str]]) -> dict[str, Any]:
    def take(name: str) -> Misbehaviour | None:
        return ehr.misbehaviours.take(name, page.query.type)

    rows = list(page.rows)
    if rows and take("missing-row"):
        rows.pop()
    if page.before and take("repeated-row"):
        rows.insert(0, page.before)
    entries = [_entry(ehr, held, "match") for held in rows]
    if entries and (other := take("wrong-resource-type")):
        entries[0]["resource"] = {**rows[0].resource(), "resourceType": other.setting}
    if entries and (other := take("duplicate-keys")):
        twice = b'{"id":' + wire.encode(other.setting) + b"," + rows[0].body[1:]
        entries[0]["resource"] = msgspec.Raw(twice)
    if rows and take("included-resource") and (patient := _someone(ehr)):
        entries.append(_entry(ehr, patient, "include"))
    if take("outcome-entry"):
        warning = operation_outcome("informational", "Something was looked at twice.", "warning")
        entries.append({"resource": warning, "search": {"mode": "outcome"}})
    links = [_link("self", _page_url(ehr, page, page.token) if page.number else _self(ehr, page.query))]
    if page.number == 0 and take("wrong-self-link"):
        links = [_link("self", f"{ehr.base_url}/{page.query.type}?{urlencode(asked)}")]
    if page.next_token and not take("no-next-link"):
        links.append(_link("next", _next(ehr, page)))
    return _bundle(ehr, _total(ehr, page), links, entries)


def _total(ehr: Ehr, page: Page) -> int | None:
    told = ehr.settings.includes_total or page.query.total in ("accurate", "estimate")
    if not told or page.query.total == "none" or ehr.misbehaviours.take("no-total", page.query.type):
        return None
    wrong = ehr.misbehaviours.take("wrong-total", page.query.type)
    return page.total + (int(wrong.setting) if wrong else 0)


def _next(ehr: Ehr, page: Page) -> str:
    """Return the next link, bent by the first switch that strikes."""
    honest = _page_url(ehr, page, page.next_token)
    parts = urlsplit(honest)
    take, type_ = ehr.misbehaviours.take, page.query.type
    if foreign := take("foreign-next-link", type_):
        return f"{foreign.setting}/{type_}?{parts.query}"
    if take("relative-next-link", type_):
        return honest.removeprefix(f"{ehr.base_url}/") if parts.path != "/fhir" else f"?{parts.query}"
    if take("looping-next-link", type_):
        return _page_url(ehr, page, page.token)
    if take("doubled-port-next-link", type_):
        return parts._replace(netloc=f"{parts.hostname}:443:443").geturl()
    return honest


def _page_url(ehr: Ehr, page: Page, token: str) -> str:
    style = ehr.settings.paging
    path = f"{ehr.base_url}/{page.query.type}" if style == "typed" else ehr.base_url
    return f"{path}?{PAGE_PARAMETERS[style]}={token}"


def _self(ehr: Ehr, query: Query) -> str:
    url = f"{ehr.base_url}/{query.type}"
    return f"{url}?{query.self_link}" if query.self_link else url


def _link(relation: str, url: str) -> dict[str, str]:
    return {"relation": relation, "url": url}


def _entry(ehr: Ehr, held: Held, mode: str) -> dict[str, Any]:
    return {
        "fullUrl": f"{ehr.base_url}/{held.reference}",
        "resource": msgspec.Raw(held.body),
        "search": {"mode": mode},
    }


def _someone(ehr: Ehr) -> Held | None:
    return next(iter(ehr.store.live("Organization") or ehr.store.live("Patient")), None)


def _bundle(
    ehr: Ehr, total: int | None, links: list[dict[str, str]], entries: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "id": ehr.new_id("Bundle"),
        "meta": {"lastUpdated": wire.instant(ehr.clock())},
        "type": "searchset",
    }
    if total is not None:
        bundle["total"] = total
    bundle["link"] = links
    if entries:  # an empty array is not allowed in FHIR JSON (json.html)
        bundle["entry"] = list(entries)
    return bundle
