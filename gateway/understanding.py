"""Understanding a landed page: which facts and refusals are in it, and whose they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from gateway.census import Census, origin_of
from gateway.home import Home
from gateway.pull.page import Entry, Page
from gateway.store import StoredResource, name_of
from gateway.store.holders import Holders
from gateway.store.values import AnyResource, FilledResource
from mappers import Unreadable, as_fhir_version, as_link, by_resource, map_resource, read_json, subject_of
from mappers.bundles import items_of, place_of
from mappers.codes import Codes
from mappers.facts import Fact, Link, Origin, Outcome, Refusal
from mappers.forms import Form, Forms
from mappers.ledger import Ledger

__all__ = ["understand", "understand_by_forms"]


def understand(
    home: Home, source: str, census: Census, page: Page, holders: Holders | None = None
) -> tuple[dict[str, list[StoredResource]], list[StoredResource], Ledger]:
    """Map one page: what belongs to which twin, what belongs to none, and the count.

    `holders` are given for files: what another twin holds under the same id is not taken over, and not counted twice.
    """
    writes, unlinked, ledger = understand_by_forms(home, source, census, page, holders, None)
    return {twin: _written_out(theirs) for twin, theirs in writes.items()}, _written_out(unlinked), ledger


def _written_out(resources: Iterable[AnyResource]) -> list[StoredResource]:
    return [each if isinstance(each, StoredResource) else each.stored() for each in resources]


def understand_by_forms(
    home: Home, source: str, census: Census, page: Page, holders: Holders | None, forms: Forms | None
) -> tuple[dict[str, list[AnyResource]], list[AnyResource], Ledger]:
    """Map one page, by `forms` where they are given: it is worth learning them where many resources come."""
    writes: dict[str, list[AnyResource]] = defaultdict(list)
    unlinked: list[AnyResource] = []
    ledger = Ledger()
    filled_in: dict[Form, int] = {}
    codes = home.codes.current()
    who: dict[str, tuple[str | None, bool]] = {"": (None, False)}  # by reference, as it is written
    is_held = holders if holders is not None and len(holders) else None
    again, mixed, number = census.last.again, census.mixed, page.number
    for index, entry in enumerate(page.entries):
        filled = forms.read(entry.raw, entry.version) if forms is not None and not entry.problem else None
        if filled is not None:
            subject, form = filled.subject, filled.form
            if subject not in who:
                who[subject] = census.twin_of(home, subject), census.is_mixed(subject)
            twin, is_mixed = who[subject]
            is_plain = not is_mixed and (twin is not None or not form.facts)
            if is_plain and (again or mixed or is_held is not None):
                key = filled.key
                is_plain = (
                    key not in mixed
                    and (key not in again or again[key] == (number, index))
                    and (is_held is None or not twin or not _is_anothers(is_held, source, key, twin))
                )
            if is_plain:
                filled_in[form] = filled_in.get(form, 0) + 1
                (writes[twin] if twin else unlinked).append(
                    FilledResource(filled, entry.raw, entry.full_url, entry.place)
                )
                continue
        place = entry.place or f"page {page.number} entry {index}"
        origin, outcomes, subject = _outcomes(entry, source, census, place, codes)
        if subject not in who:
            who[subject] = census.twin_of(home, subject), census.is_mixed(subject)
        twin, is_mixed = who[subject]
        key = origin.resource
        if (
            is_mixed
            or key in census.mixed
            or (twin and holders is not None and origin.id and _is_anothers(holders, source, key, twin))
        ):
            twin, outcomes = None, [Refusal("reused-id", origin)]
        elif twin is None and any(isinstance(outcome, Fact) for outcome in outcomes):
            outcomes = [Refusal("unknown-patient", origin)]
        if not census.is_newest(key, page.number, index):
            # it comes again further on: counted as a link to that occurrence, so that no fact is counted twice
            ledger.add(origin.type, [o for o in outcomes if isinstance(o, Refusal)] or [Link(origin, key)])
            continue
        for type_, some in by_resource(origin, outcomes):
            ledger.add(type_, some)
        stored = StoredResource(source, key, entry.version, entry.raw, tuple(outcomes), entry.full_url, entry.place)
        (writes[twin] if twin else unlinked).append(stored)
    for form, times in filled_in.items():
        ledger.add(form.type, form.outcomes, times)
    return dict(writes), unlinked, ledger


def _without_copies(
    outcomes: list[Outcome], census: Census, origin: Origin, bundle: Mapping[str, Any]
) -> list[Outcome]:
    """Take what stands in a document and came by itself, too, for a link to what came: one statement is one fact."""
    came = {item.place: name for item in items_of(bundle) if (name := census.own_name(item)) and name in census.last}
    kept = [outcome for outcome in outcomes if place_of(outcome) not in came]
    return kept + [Link(replace(origin, path=place), name) for place, name in came.items()]


def _is_anothers(holders: Holders, source: str, key: str, twin: str) -> bool:
    held = {holder for holder in holders.of(name_of(source, key)) if holder}
    return bool(held) and twin not in held


def _outcomes(entry: Entry, source: str, census: Census, place: str, codes: Codes) -> tuple[Origin, list[Outcome], str]:
    nameless = Origin(source, "", "", place=place)
    if entry.problem:
        return nameless, [Refusal(entry.problem, nameless)], ""
    try:
        resource = read_json(entry.raw)
    except Unreadable as error:
        return nameless, [Refusal(error.reason, nameless)], ""
    origin = origin_of(entry, resource, source)
    if census.is_promise and not origin.id:  # kept by its place, it would count again as soon as it has one
        return origin, [Refusal("no-id", origin)], ""
    version = as_fhir_version(entry.version)
    if version is None:
        return origin, [Refusal("version-unknown", origin)], subject_of(resource) or ""
    outcomes = map_resource(resource, version, origin, census.resolved, codes)
    if census.copies and origin.type == "Bundle":
        outcomes = _without_copies(outcomes, census, origin, resource)
    if outcomes == [Refusal("unused-link", origin)] and (user := census.user_of(entry, origin, resource)) is not None:
        outcomes = [as_link(origin, user)]
    key = origin.resource
    if key in census.merged:  # who they are, the survivor says
        outcomes = [Link(origin, census.merged[key])]
    if key in census.doubtful:
        outcomes = [*outcomes, Refusal("identity-conflict", origin)]
    if key in census.unmet:
        outcomes = [*outcomes, Refusal("unresolved-reference", origin)]
    return origin, outcomes, key if origin.type == "Patient" else subject_of(resource) or ""
