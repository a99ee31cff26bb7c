"""Whoever watches is watched: use of the audit log itself, its verification, and what its witnesses sign.

DICOM Audit Log Used (110101); a search takes the subtype that IHE gives its transaction ITI-81, Retrieve ATNA Audit
Event. A report tells a patient or an auditor what the log says.
"""

from __future__ import annotations

from typing import Literal

from security.audit.access import Access
from security.audit.event import REPORT, SECURITY_RESOURCE, Json, asked, counted, detail, make_event, thing
from security.audit.kind import APPLICATION, AUTHOR, RECIPIENT, Coding, Kind, dicom, lifecycle, ours

__all__ = [
    "LOG",
    "LOG_EXPORT",
    "LOG_REPORT",
    "LOG_SEARCH",
    "VERIFICATION",
    "WITNESS",
    "log_event",
    "log_export_event",
    "report_event",
    "search_event",
    "verify_event",
    "witness_event",
]

LOG = Kind(
    name="log",
    said="read the audit log",
    type=dicom("110101"),
    subtype=lifecycle("access"),
    action="R",
    us=APPLICATION,
    user=RECIPIENT,
)
LOG_SEARCH = Kind(
    name="log-search",
    said="searched the audit log",
    type=dicom("110101"),
    subtype=Coding("urn:ihe:event-type-code", "ITI-81"),
    action="R",
    us=APPLICATION,
    user=RECIPIENT,
)
LOG_EXPORT = Kind(
    name="log-export",
    said="took a copy of the audit log out",
    type=dicom("110101"),
    subtype=lifecycle("extract"),
    action="R",
    us=APPLICATION,
    user=RECIPIENT,
)
LOG_REPORT = Kind(
    name="log-report",
    said="wrote a report from the audit log",
    type=dicom("110101"),
    subtype=lifecycle("report"),
    action="R",
    us=APPLICATION,
    user=RECIPIENT,
)
VERIFICATION = Kind(
    name="verification",
    said="checked that nobody changed the audit log",
    type=dicom("110101"),
    subtype=lifecycle("verify"),
    action="E",
    us=APPLICATION,
    user=RECIPIENT,
)
WITNESS = Kind(
    name="witness",
    said="had a witness sign the state of the audit log",
    type=dicom("110101"),
    subtype=ours("witness"),
    action="E",
    us=APPLICATION,
    user=AUTHOR,
)


def log_event(access: Access) -> Json:
    """Record that somebody read the audit log itself."""
    return make_event(access, LOG, thing(SECURITY_RESOURCE, "log", access.system.name), also=access.what)


def search_event(access: Access, *, found: int) -> Json:
    """Record a search of the audit log (`access.query`), and how many events it showed.

    `access.patient` is the twin of whom it asked, if it asked of one.
    """
    log = counted(thing(SECURITY_RESOURCE, "log", access.system.name), {"found": found})
    return make_event(access, LOG_SEARCH, log, asked(access.query), also=access.what)


def log_export_event(access: Access, *, archive: str, **counts: int) -> Json:
    """Record that events left as a file; `archive` is its SHA-256, no path."""
    return make_event(
        access, LOG_EXPORT, counted(thing(SECURITY_RESOURCE, "archive", archive), counts), also=access.what
    )


def report_event(access: Access, *, report: Literal["disclosures", "access-log", "anomalies"], **counts: int) -> Json:
    """Record that a report was made from the log, about `access.patient` where it is about one."""
    return make_event(access, LOG_REPORT, counted(thing(REPORT, "report", report), counts), also=access.what)


def verify_event(access: Access, *, verdict: Literal["whole", "changed", "incomplete"], size: int) -> Json:
    """Record that the log was verified up to event number `size`, and what came out."""
    log = counted(thing(SECURITY_RESOURCE, "log", access.system.name), {"size": size})
    log["detail"].append(detail("verdict", verdict))
    return make_event(access, VERIFICATION, log, also=access.what)


def witness_event(access: Access, *, witness: str, size: int) -> Json:
    """Record that a witness cosigned the checkpoint over `size` events, or refused to."""
    cosigner = counted(thing(SECURITY_RESOURCE, "witness", witness), {"size": size})
    return make_event(access, WITNESS, cosigner, also=access.what)
