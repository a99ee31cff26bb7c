"""Faults of what stands in a row of a page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from conformance.hostile import wire
from conformance.hostile.faults.kind import fault
from conformance.hostile.faults.subjects import Leaf

__all__: list[str] = []


def _has_rows(leaf: Leaf) -> bool:
    return bool(leaf.matches)


@fault(
    "same-id-other-content",
    "page",
    "the first row has the id of the page before, and another content",
    "12: cerner/fhir.cerner.com#121; 7: blaze#324",
    fits=lambda leaf: leaf.page.before is not None and _has_rows(leaf),
)
def same_id_other_content(leaf: Leaf, struck: Any) -> None:
    if leaf.page.before is not None:
        leaf.rewrite(0, id=leaf.page.before.id)


@fault(
    "wrong-resource-type",
    "page",
    "the first row has another type (value), which FHIR does not know",
    "bad input, requirement D6",
    value="Observatory",
    fits=_has_rows,
)
def wrong_resource_type(leaf: Leaf, struck: Any) -> None:
    leaf.rewrite(0, resourceType=struck.setting)


@fault(
    "duplicate-keys",
    "page",
    "the first row has two ids (value: the other)",
    "requirement D6",
    value="twice",
    fits=_has_rows,
)
def duplicate_keys(leaf: Leaf, struck: Any) -> None:
    body = bytes(leaf.entries[0]["resource"])
    leaf.entries[0]["resource"] = msgspec.Raw(b'{"id":' + wire.encode(struck.setting) + b"," + body[1:])


@fault(
    "row-without-id",
    "page",
    "the first row has no id",
    "interop.md 2a, vendor quirks: resources without id",
    fits=_has_rows,
)
def row_without_id(leaf: Leaf, struck: Any) -> None:
    leaf.rewrite(0, id=None)


@fault(
    "row-without-meta",
    "page",
    "no row has meta: no lastUpdated, no version",
    "13: CMSgov/beneficiary-fhir-data#239",
    fits=_has_rows,
)
def row_without_meta(leaf: Leaf, struck: Any) -> None:
    for place in range(len(leaf.entries)):
        leaf.rewrite(place, meta=None)


@fault(
    "future-last-updated",
    "page",
    "the first row was last updated value days from now",
    "13: interop.md 2a, resumption: smart-fetch leaves typos in the future out",
    value="400",
    fits=_has_rows,
)
def future_last_updated(leaf: Leaf, struck: Any) -> None:
    meta = leaf.resource(0).get("meta", {})
    when = leaf.ehr.clock() + timedelta(days=struck.number)
    leaf.rewrite(0, meta={**meta, "lastUpdated": wire.instant(when)})


@fault(
    "entry-without-resource", "page", "the first entry has a fullUrl only", "bad input, requirement D6", fits=_has_rows
)
def entry_without_resource(leaf: Leaf, struck: Any) -> None:
    leaf.entries[0] = {name: value for name, value in leaf.entries[0].items() if name != "resource"}


@fault("entry-without-mode", "page", "no entry has search.mode", "search.html#entries: optional in R4", fits=_has_rows)
def entry_without_mode(leaf: Leaf, struck: Any) -> None:
    leaf.entries[:] = [{name: value for name, value in each.items() if name != "search"} for each in leaf.entries]


@fault(
    "foreign-full-url",
    "page",
    "fullUrl names another server (value: its base)",
    "12: cerner/fhir.cerner.com#121: ids mean nothing outside their base",
    value="http://elsewhere.invalid/fhir",
    fits=_has_rows,
)
def foreign_full_url(leaf: Leaf, struck: Any) -> None:
    for entry in leaf.entries:
        entry["fullUrl"] = struck.setting + entry["fullUrl"].removeprefix(leaf.ehr.base_url)


@fault(
    "deep-nesting",
    "page",
    "the first row has extensions nested value deep",
    "D5, D6: depth is bounded",
    value="2000",
    fits=_has_rows,
)
def deep_nesting(leaf: Leaf, struck: Any) -> None:
    depth = int(struck.number)
    nested = b'{"url":"http://deep.invalid","extension":[' * depth + b"]}" * depth
    leaf.entries[0]["resource"] = msgspec.Raw(
        bytes(leaf.entries[0]["resource"])[:-1] + b',"extension":[' + nested + b"]}"
    )


@fault(
    "huge-row", "page", "the first row carries value megabytes inline", "17: hapi-fhir#8374", value="5", fits=_has_rows
)
def huge_row(leaf: Leaf, struck: Any) -> None:
    text = "A" * int(struck.number * 1_000_000)
    leaf.rewrite(0, text={"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'})
