"""Faults of which rows are on a page."""

from __future__ import annotations

from typing import Any

from conformance.hostile.faults.kind import fault
from conformance.hostile.faults.subjects import Leaf
from conformance.hostile.problem import operation_outcome

__all__: list[str] = []


def _has_rows(leaf: Leaf) -> bool:
    return bool(leaf.matches)


def _has_before(leaf: Leaf) -> bool:
    return leaf.page.before is not None


def _is_search(leaf: Leaf) -> bool:
    return leaf.kind == "searchset"


@fault("missing-row", "page", "leaves the last row of the page out; total stays", "7: hapi-fhir#3608", fits=_has_rows)
def missing_row(leaf: Leaf, struck: Any) -> None:
    leaf.entries.pop()


@fault(
    "repeated-row",
    "page",
    "begins with the last row of the page before",
    "7: microsoft/fhir-server#1792",
    fits=_has_before,
)
def repeated_row(leaf: Leaf, struck: Any) -> None:
    if leaf.page.before is not None:
        leaf.entries.insert(0, leaf.entry(leaf.page.before, "match"))


@fault(
    "empty-page",
    "page",
    "no rows, and a next link that goes on",
    "8: hapi-fhir#5198",
    fits=lambda leaf: bool(leaf.next_url),
)
def empty_page(leaf: Leaf, struck: Any) -> None:
    leaf.entries.clear()


@fault(
    "included-resource",
    "page",
    "adds an unasked resource, search.mode include",
    "29: microsoft/fhir-server#5683",
    fits=lambda leaf: _is_search(leaf) and _has_rows(leaf),
)
def included_resource(leaf: Leaf, struck: Any) -> None:
    held = next(iter(leaf.ehr.store.live("Organization") or leaf.ehr.store.live("Patient")), None)
    if held is not None:
        leaf.entries.append(leaf.entry(held, "include"))


@fault(
    "unasked-patient",
    "page",
    "a row that does not match: the first row of the type, whoever it is about",
    "29: microsoft/fhir-server#5636; 9: HealthClawGuardrails#94",
    fits=lambda leaf: _is_search(leaf) and bool(leaf.asked),
)
def unasked_patient(leaf: Leaf, struck: Any) -> None:
    held = next(iter(leaf.ehr.store.live(leaf.page.query.type)), None)
    if held is not None:
        leaf.entries.append(leaf.entry(held, "match"))


@fault(
    "outcome-entry",
    "page",
    "adds an OperationOutcome of information, search.mode outcome",
    "search.html#entries; onc-healthit/inferno-program#229",
    fits=_is_search,
)
def outcome_entry(leaf: Leaf, struck: Any) -> None:
    told = operation_outcome("informational", "Something was looked at twice.", "warning")
    leaf.entries.append({"resource": told, "search": {"mode": "outcome"}})


@fault(
    "error-entry",
    "page",
    "adds an OperationOutcome that says that not all was found (too-costly)",
    "search.html#entries; onc-healthit/inferno-program#229: Epic says that a record may not be whole",
    fits=_is_search,
)
def error_entry(leaf: Leaf, struck: Any) -> None:
    told = operation_outcome("too-costly", "The search took too long; what is here is not all.")
    leaf.entries.append({"resource": told, "search": {"mode": "outcome"}})


@fault(
    "history-forgets-deletes",
    "page",
    "no deletions in _history",
    "16: medplum#10479; hapi-fhir#5380",
    fits=lambda leaf: leaf.kind == "history",
)
def history_forgets_deletes(leaf: Leaf, struck: Any) -> None:
    leaf.entries[:] = [each for each in leaf.entries if each.get("request", {}).get("method") != "DELETE"]


@fault(
    "history-without-request",
    "page",
    "entries of _history without request: a deletion is an entry with a fullUrl alone",
    "LinuxForHealth/FHIR#2026; bdl-3 asks for it",
    fits=lambda leaf: leaf.kind == "history",
)
def history_without_request(leaf: Leaf, struck: Any) -> None:
    leaf.entries[:] = [
        {name: value for name, value in each.items() if name in ("fullUrl", "resource")} for each in leaf.entries
    ]


@fault(
    "everything-capped",
    "page",
    "$everything ends after value resources, and says that this is all",
    "8: medplum#6150 (1,000), blaze#1348 (10,000)",
    value="2",
    fits=lambda leaf: leaf.page.path.endswith("$everything"),
)
def everything_capped(leaf: Leaf, struck: Any) -> None:
    left = int(struck.number) - leaf.page.number * leaf.page.size
    leaf.total = min(leaf.page.total, int(struck.number))
    if left <= len(leaf.entries):
        leaf.entries, leaf.next_url = leaf.entries[: max(0, left)], ""


@fault(
    "search-capped",
    "page",
    "a search ends after value rows: no next link, total stays",
    "8: hapi-fhir#3599 (10,000)",
    value="3",
    fits=lambda leaf: _is_search(leaf) and not leaf.page.path.endswith("$everything"),
)
def search_capped(leaf: Leaf, struck: Any) -> None:
    left = int(struck.number) - leaf.page.number * leaf.page.size
    if left <= len(leaf.entries):
        leaf.entries, leaf.next_url = leaf.entries[: max(0, left)], ""
