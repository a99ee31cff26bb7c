"""The Bundle of one page of a search, a history or a record, as honest or as wrong as the switches of the EHR say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from conformance.hostile import wire
from conformance.hostile.faults.subjects import Counting, Finding, Leaf, Looking, Question, Turning
from conformance.hostile.interactions import Interactions
from conformance.hostile.paging import Page
from conformance.hostile.problem import Problem
from conformance.hostile.search import find, read_query

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["PAGE_PARAMETERS", "bundle", "search", "show", "turn"]

PAGE_PARAMETERS = {"typed": "ct", "base": "_getpages"}


def search(
    ehr: Ehr, interactions: Interactions, type_: str, pairs: Sequence[tuple[str, str]], prefer: str = "", path: str = ""
) -> dict[str, Any]:
    """Answer a search with its first page, or with its count alone; `path` is where its pages are asked for."""
    interactions.permit("s", type_)
    settings = ehr.settings
    unknown = settings.unknown_parameters
    if settings.honours_prefer and "handling=" in prefer:
        unknown = "ignore" if "handling=lenient" in prefer else "refuse"
    question = Question(ehr, type_, list(pairs), unknown, settings.without, settings.max_page_size)
    ehr.misbehaviours.bend("asked", type_, question)
    looking = Looking(ehr, type_, question.pairs, is_condition=False)
    ehr.misbehaviours.bend("looked-for", type_, looking)
    query = read_query(type_, looking.pairs, unknown=question.unknown, without=question.without)
    needed = settings.required.get(type_, ())
    told = {name for name, _ in query.understood}
    if needed and not told & {*needed, "_id"}:
        raise Problem(400, "required", f"A search of {type_} needs {' or '.join(needed)} on this server.")
    finding = Finding(ehr, query, find(ehr.store, query, looking.until))
    ehr.misbehaviours.bend("found", type_, finding)
    if query.summary == "count" or query.count == 0:
        counting = Counting(ehr, len(finding.found))
        ehr.misbehaviours.bend("count", type_, counting)
        url = _self(ehr, type_, query.self_link)
        return bundle(ehr, "searchset", counting.total, [{"relation": "self", "url": url}])
    size = min(query.count or settings.page_size, question.largest)
    return show(ehr, ehr.pages.open(query, finding.found, size, path=path), pairs)


def turn(ehr: Ehr, interactions: Interactions, token: str) -> dict[str, Any] | Response:
    """Answer a next link."""
    turning = Turning(ehr, token, ehr.pages.turn(token))
    interactions.permit("s", turning.page.query.type)
    answer = ehr.misbehaviours.bend("turn", turning.page.query.type, turning)
    return answer if isinstance(answer, Response) else show(ehr, turning.page, ())


def show(ehr: Ehr, page: Page, asked: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Make the Bundle of a page."""
    here = _page_url(ehr, page, page.token)
    leaf = Leaf(
        ehr=ehr,
        page=page,
        asked=asked,
        entries=[],
        self_url=here if page.number else _self(ehr, page.path, page.query.self_link),
        next_url=_page_url(ehr, page, page.next_token) if page.next_token else "",
        total=_total(ehr, page),
        kind=page.kind,
        first_url=here,
    )
    modes = ["match" if place < page.own else "include" for place in range(len(page.rows))]
    leaf.entries += [leaf.entry(held, mode) for held, mode in zip(page.rows, modes, strict=True)]
    ehr.misbehaviours.bend("page", page.query.type, leaf)
    told = (("self", leaf.self_url), ("next", leaf.next_url))
    links = [{"relation": relation, "url": url.strip()} for relation, url in told if url]
    return bundle(ehr, leaf.kind, leaf.total, links, leaf.entries)


def bundle(
    ehr: Ehr, kind: str, total: int | None, links: list[dict[str, str]], entries: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Make a Bundle; an empty array is not allowed in FHIR JSON (json.html)."""
    made: dict[str, Any] = {
        "resourceType": "Bundle",
        "id": ehr.new_id("Bundle"),
        "meta": {"lastUpdated": wire.instant(ehr.clock())},
        "type": kind,
    }
    if total is not None:
        made["total"] = total
    if links:
        made["link"] = links
    if entries:
        made["entry"] = list(entries)
    return made


def _total(ehr: Ehr, page: Page) -> int | None:
    told = ehr.settings.includes_total or page.query.total in ("accurate", "estimate")
    return page.total if told and page.query.total != "none" else None


def _page_url(ehr: Ehr, page: Page, token: str) -> str:
    style = ehr.settings.paging
    path = f"{ehr.base_url}/{page.path}" if style == "typed" else ehr.base_url
    return f"{path}?{PAGE_PARAMETERS[style]}={token}"


def _self(ehr: Ehr, path: str, query: str) -> str:
    url = f"{ehr.base_url}/{path.removesuffix('/_search')}"
    return f"{url}?{query}" if query else url
