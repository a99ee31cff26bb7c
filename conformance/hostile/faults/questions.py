"""Faults of how a search is read: what is refused, ignored, needed, capped, or answered from a stale copy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from conformance.hostile.faults.kind import fault
from conformance.hostile.faults.subjects import Counting, Finding, Question
from conformance.hostile.problem import Problem

__all__: list[str] = []


def _counts(question: Question) -> bool:
    return ("_summary", "count") in question.pairs or ("_count", "0") in question.pairs


def _clinical(question: Question) -> bool:
    return question.type not in ("Patient", "Practitioner", "Organization", "Location", "Medication", "Group")


@fault("ignored-parameter", "asked", "ignores what it does not know", "9: microsoft/fhir-server#1050")
def ignored_parameter(question: Question, struck: Any) -> None:
    question.unknown = "ignore"


@fault(
    "ignored-last-updated",
    "asked",
    "ignores _lastUpdated and leaves it out of the self link: everything comes, every time",
    "9: HealthClawGuardrails#94; 13: smart-fetch docs/since.md",
)
def ignored_last_updated(question: Question, struck: Any) -> None:
    question.drop("_lastUpdated")


@fault(
    "last-updated-refused",
    "asked",
    "400 to a search by _lastUpdated",
    "13: smart-fetch docs/since.md (Epic)",
    fits=lambda question: question.says("_lastUpdated"),
)
def last_updated_refused(question: Question, struck: Any) -> None:
    raise Problem(400, "not-supported", "The search parameter _lastUpdated is not supported.")


@fault(
    "sort-refused",
    "asked",
    "400 to _sort",
    "7: hapi-fhir#818 drops rows; fhir-server-compare",
    fits=lambda question: question.says("_sort"),
)
def sort_refused(question: Question, struck: Any) -> None:
    raise Problem(400, "not-supported", "This server does not sort.")


@fault(
    "count-capped",
    "asked",
    "gives at most so many rows a page (value), whatever _count says, and does not say so",
    "hapi-fhir#1140; search.html#count lets a server give fewer",
    value="2",
)
def count_capped(question: Question, struck: Any) -> None:
    question.largest = min(question.largest, int(struck.number))


@fault(
    "count-refused",
    "asked",
    "400 where _count is above value",
    "microsoft/fhir-server#1263; hapi-fhir PR 2319",
    value="2",
)
def count_refused(question: Question, struck: Any) -> None:
    for name, value in question.pairs:
        if name == "_count" and value.isdecimal() and int(value) > struck.number:
            raise Problem(400, "invalid", f"_count is at most {struck.number:.0f} here.")


@fault(
    "count-ignored",
    "asked",
    "ignores _count: all rows on one page",
    "HealthIntersections/fhirserver#75; 17: hapi-fhir#8374, memory",
    fits=lambda question: not _counts(question),
)
def count_ignored(question: Question, struck: Any) -> None:
    question.drop("_count")
    question.pairs.append(("_count", "100000000"))
    question.largest = 100_000_000


@fault(
    "count-alone-refused",
    "asked",
    "400 to _summary=count and _count=0",
    "9: blaze#4051 refuses what it does not do with _summary",
    fits=_counts,
)
def count_alone_refused(question: Question, struck: Any) -> None:
    raise Problem(400, "not-supported", "This server does not count.")


@fault(
    "count-alone-wrong",
    "count",
    "counts value more than there are",
    "7: medplum#4608; fhir-server-compare: totals are estimates",
    value="3",
)
def count_alone_wrong(counting: Counting, struck: Any) -> None:
    counting.total += int(struck.number)


@fault(
    "category-required",
    "asked",
    "400 to a search of clinical resources without category, code or _id",
    "2a, vendor quirks: fasten-sources fhir401_client.go (Epic, Quest)",
    fits=_clinical,
)
def category_required(question: Question, struck: Any) -> None:
    if not question.says("category", "code", "_id"):
        raise Problem(400, "required", "A search needs category or code on this server.")


@fault(
    "patient-required",
    "asked",
    "400 to a search of clinical resources that names no patient",
    "athenahealth/apiserver-athenaFlex#160: subject or _id must be specified",
    fits=_clinical,
)
def patient_required(question: Question, struck: Any) -> None:
    if not question.says("patient", "subject", "_id"):
        raise Problem(400, "required", "A search needs a patient on this server.")


@fault(
    "patients-not-listed",
    "asked",
    "400 to a search of Patient without _id, identifier, name or birthdate",
    "cerner/fhir.cerner.com PR 29: at least one parameter must be populated",
    fits=lambda question: question.type == "Patient",
)
def patients_not_listed(question: Question, struck: Any) -> None:
    if not question.says("_id", "identifier", "name", "family", "birthdate"):
        raise Problem(400, "too-costly", "Say which patient.")


@fault(
    "stale-replica",
    "found",
    "searches answer from a copy that lags behind by value seconds; reads do not",
    "interop.md 2a, resumption: smart-fetch guards against stale replicas",
    value="60",
)
def stale_replica(finding: Finding, struck: Any) -> None:
    until = finding.ehr.clock() - timedelta(seconds=struck.number)
    finding.found[:] = [held for held in finding.ehr.store.live(finding.query.type, until) if finding.query.takes(held)]


@fault(
    "search-misses-rows",
    "found",
    "leaves out every value-th resource, in count and pages alike: nothing in the answer tells",
    "7: hapi-fhir#818: sorting drops rows; hapi-fhir#3608",
    value="3",
)
def search_misses_rows(finding: Finding, struck: Any) -> None:
    every = max(1, int(struck.number))
    finding.found[:] = [held for place, held in enumerate(finding.found, 1) if place % every]
