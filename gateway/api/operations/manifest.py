"""The manifest of a finished export, as Bulk Data Access 2.0.0 has it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.api.operations.job import Job

__all__ = ["instant", "manifest_of"]


def manifest_of(job: Job) -> dict[str, Any]:
    """Write it. All files need the access token of the client that asked. `request` of a POST has no parameters."""
    told: dict[str, list[dict[str, Any]]] = {"output": [], "deleted": [], "error": []}
    for each in job.files:
        url = f"{job.asked.base}/jobs/{job.id}/files/{each.number}"
        if each.count and each.kind in told:
            told[each.kind].append({"type": each.type, "url": url, "count": each.count})
    return {
        "transactionTime": instant(job.begun),
        "request": f"{job.asked.base}{job.asked.url}",
        "requiresAccessToken": True,
        **told,
    }


def instant(moment: datetime) -> str:
    """Write an instant to the millisecond, as resources are stamped."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
