"""The manifest of an export, in the keys of the server's dialect.

Sources: Bulk Data Access IG 2.0.0 export.html#response---complete-status, 3.0.0 (`link`, `allowPartialManifests`),
4.0.0-ballot BulkDataManifest (`manifestType`, `outputFormat`, `outcome`, `fileSize`; no `request`, no `error`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.hostile import wire
from conformance.hostile.bulk.exports import File, Job
from conformance.hostile.bulk.subjects import Manifest

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["file_url", "manifest", "status_url"]

_TYPE = "http://hl7.org/fhir/uv/bulkdata/StructureDefinition/BulkDataManifest"


def status_url(ehr: Ehr, job: Job) -> str:
    """Return where the status of an export is asked for."""
    return f"{ehr.base_url}/bulkstatus/{job.id}"


def file_url(ehr: Ehr, job: Job, file: File) -> str:
    """Return where a file is."""
    return f"{ehr.base_url}/bulkfiles/{job.id}/{file.name}"


def manifest(ehr: Ehr, job: Job, page: int) -> Manifest:
    """Make one page of the manifest, from 1; only the first where it is not cut into pages."""
    habits = ehr.settings.bulk
    is_stu4 = habits.dialect == "stu4"
    told: dict[str, Any] = {"transactionTime": wire.instant(job.when)}
    if is_stu4:
        told = {"manifestType": _TYPE, **told, "outputFormat": "application/fhir+ndjson"}
    else:
        told["request"] = job.url
    told["requiresAccessToken"] = ehr.settings.require_auth and habits.guards_files
    size = job.page_size or max(1, len(job.files))
    shown = job.files[(page - 1) * size : page * size]
    for key, part in (("output", "output"), ("deleted", "deleted"), ("outcome" if is_stu4 else "error", "outcome")):
        told[key] = [_item(ehr, job, file) for file in shown if file.part == part]
    if page * size < len(job.files):
        told["link"] = [{"relation": "next", "url": f"{status_url(ehr, job)}?page={page + 1}"}]
    made = Manifest(ehr, job, told, {"Expires": wire.http_date(job.until)})
    ehr.misbehaviours.bend("manifest", "Export", made)
    return made


def _item(ehr: Ehr, job: Job, file: File) -> dict[str, Any]:
    item: dict[str, Any] = {"type": file.type, "url": file_url(ehr, job, file), "count": len(file.rows)}
    if ehr.settings.bulk.dialect != "stu4":
        return item
    if file.part != "output":
        del item["type"]
    if file.part == "outcome":
        item["countSeverity"] = [{"code": "warning", "count": len(file.rows)}]
    return {**item, "fileSize": sum(len(row) + 1 for row in file.rows)}
