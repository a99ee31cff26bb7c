"""A report on quality as FHIR R4: an OperationOutcome of what was refused, a MeasureReport of the counts.

Neither names a patient, a resource or a value of one. They are built and checked with the classes of fhir.resources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from fhir.resources.R4B.bundle import Bundle
from pydantic import ValidationError

from gateway import __version__
from gateway.quality import Quality, Share
from gateway.timeliness import DELAYS
from mappers.duplicates import OVERRULED
from mappers.ledger import FLAGS
from security.errors import NotFhir

__all__ = ["MEASURE", "as_fhir"]

MEASURE: Final = "urn:fhirtwin:measure:data-quality"
_REASON: Final = "urn:fhirtwin:refusal"
_COUNTED: Final = "urn:fhirtwin:quality"
_POPULATION: Final = "http://terminology.hl7.org/CodeSystem/measure-population"
_POPULATIONS: Final = {
    "initial-population": "Initial Population",
    "denominator": "Denominator",
    "numerator": "Numerator",
}

# FHIR R4 issue-type, by our reasons; all others are "processing"
_ISSUES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("not-json", "truncated", "duplicate-key", "too-deep", "not-fhir"), "structure"),
    **dict.fromkeys(("unknown-type", "bad-value", "bad-date", "implausible", "unit-not-convertible"), "value"),
    **dict.fromkeys(("unsupported-type", "unsupported-value", "wrong-version"), "not-supported"),
    **dict.fromkeys(("unknown-code", "unmatched-code", "narrower-code", "unknown-unit"), "code-invalid"),
    **dict.fromkeys(("no-code", "no-unit", "no-time", "no-value", "no-subject", "no-id"), "required"),
    **dict.fromkeys(("conflicting-codes", "unit-conflict", "identity-conflict", "reused-id"), "conflict"),
    **dict.fromkeys(("unknown-patient", "unresolved-reference"), "not-found"),
    **dict.fromkeys(("unknown-modifier",), "extension"),
    **dict.fromkeys(("too-large",), "too-long"),
    **dict.fromkeys(("status", "not-done", "intent", "unconfirmed", "simulated", "other-focus"), "business-rule"),
}
_AS_IT_SHOULD: Final = frozenset({"status", "not-done", "intent", "unconfirmed", "simulated", "other-focus", "deleted"})


def as_fhir(report: Quality, now: datetime) -> dict[str, Any]:
    """Write a report as a collection of both; raises `NotFhir`, a mistake of ours, if it is no valid R4."""
    parts = (_outcome(report), _measure_report(report, now))
    entries = [{"fullUrl": _name(report, part["resourceType"], now), "resource": part} for part in parts]
    bundle = {"resourceType": "Bundle", "type": "collection", "timestamp": _stamp(now), "entry": entries}
    try:
        Bundle.model_validate(bundle)
    except ValidationError as error:
        places = sorted({".".join(map(str, each["loc"])) for each in error.errors()})
        raise NotFhir("The report is no valid FHIR.", hint="Report it, with the version.", detail=places) from error
    return bundle


def _outcome(report: Quality) -> dict[str, Any]:
    issues: list[dict[str, Any]] = [
        {
            "severity": "information" if each.reason in _AS_IT_SHOULD else "warning",
            "code": _ISSUES.get(each.reason, "processing"),
            "details": {"coding": [{"system": _REASON, "code": each.reason}], "text": each.meaning},
            "diagnostics": _counted(each.count, each.types),
        }
        for each in report.refusals
    ]
    if not issues:
        told = {"text": f"All of {report.resources} resources were understood."}
        issues = [{"severity": "information", "code": "informational", "details": told}]
    return {"resourceType": "OperationOutcome", "issue": issues}


def _counted(count: int, types: Mapping[str, int]) -> str:
    inside = ", ".join(f"{kind} {number}" for kind, number in types.items())
    return f"{count} times{f': {inside}' if inside else ''}"


def _measure_report(report: Quality, now: datetime) -> dict[str, Any]:
    begun, ended = report.begun or _first(report) or now, report.ended or now
    return {
        "resourceType": "MeasureReport",
        "status": "complete",
        "type": "summary",
        "measure": MEASURE,
        "date": _stamp(now),
        "reporter": {"display": f"fhirtwin {__version__}"},
        "period": {"start": _stamp(min(begun, ended)), "end": _stamp(ended)},
        "group": list(_groups(report)),
    }


def _first(report: Quality) -> datetime | None:
    return min((each.ended for each in report.verdicts if each.ended), default=None)


def _groups(report: Quality) -> Iterator[dict[str, Any]]:
    yield _share("understood", "Resources of which every statement was understood", report.understood, report.resources)
    yield _with(_of("refusals", "Refusals"), "reason", {each.reason: each.count for each in report.refusals})
    yield _of_share("code-coverage", "Statements with a standard code", report.codes)
    yield _of_share("unit-coverage", "Numbers with a unit that can be converted", report.units)
    yield _with(_of("facts", "Facts, each told once", report.facts), "mapping", report.mappings)
    yield _with(_of("resources", "Resources by FHIR version", report.resources), "fhir-version", report.versions)
    yield _with(_of("conversions", "Conversions of units"), "conversion", report.conversions)
    yield _with(_of("translations", "Codes that a table translated"), "equivalence", report.translations)
    yield _with(_of("flags", "Facts that are odd"), "flag", {f: n for f, n in report.flags.items() if f in FLAGS})
    yield _of("copies", "Statements that another one stands for", report.copies)
    yield _of("possible-duplicates", "Groups of facts that may be one", report.possible)
    not_used = {reason: count for reason, count in report.not_used.items() if reason in OVERRULED}
    yield _with(_of("not-used", "Facts that are told and not used"), "why", not_used)
    for delay in report.delays:
        title = f"Hours {DELAYS[delay.what]}"
        for name, hours in (("median", delay.median), ("90-percent", delay.most)):
            yield {**_of(f"{delay.what}-{name}", f"{title}: {name}", delay.count), "measureScore": _hours(hours)}


def _of(code: str, title: str, count: int | None = None) -> dict[str, Any]:
    group: dict[str, Any] = {"code": {"coding": [{"system": _COUNTED, "code": code}], "text": title}}
    return group if count is None else {**group, "population": [_population("initial-population", count)]}


def _share(code: str, title: str, count: int, of: int) -> dict[str, Any]:
    populations = [_population("denominator", of), _population("numerator", count)]
    group = {**_of(code, title), "population": populations}
    if not of:
        return group
    score = {"value": round(count / of, 6), "unit": "1", "system": "http://unitsofmeasure.org", "code": "1"}
    return {**group, "measureScore": score}


def _of_share(code: str, title: str, share: Share) -> dict[str, Any]:
    return _share(code, title, share.count, share.of)


def _with(group: dict[str, Any], by: str, counts: Mapping[str, int]) -> dict[str, Any]:
    """Count a group apart by something."""
    if "population" not in group:
        group["population"] = [_population("initial-population", sum(counts.values()))]
    if counts:
        strata = [
            {"value": {"text": name}, "population": [_population("initial-population", count)]}
            for name, count in counts.items()
        ]
        group["stratifier"] = [{"code": [{"text": by}], "stratum": strata}]
    return group


def _population(code: str, count: int) -> dict[str, Any]:
    coding = {"system": _POPULATION, "code": code, "display": _POPULATIONS[code]}
    return {"code": {"coding": [coding]}, "count": count}


def _hours(hours: float) -> dict[str, Any]:
    return {"value": hours, "unit": "h", "system": "http://unitsofmeasure.org", "code": "h"}


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _name(report: Quality, kind: str, now: datetime) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'{MEASURE}/{report.what}/{report.name}/{kind}/{_stamp(now)}')}"
