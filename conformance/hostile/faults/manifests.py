"""Faults of the manifest of a bulk export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.hostile.faults.kind import fault

if TYPE_CHECKING:
    from conformance.hostile.bulk.subjects import Manifest

__all__: list[str] = []


@fault("manifest-cut", "manifest", "half the manifest, well framed", "bad input, requirement D6")
def manifest_cut(manifest: Manifest, struck: Any) -> None:
    manifest.cut = True


@fault(
    "token-flag-as-text",
    "manifest",
    'requiresAccessToken is "true" or "false", as text',
    "docs.oracle.com, Soarian sfbda op-export-filerequest",
)
def token_flag_as_text(manifest: Manifest, struck: Any) -> None:
    manifest.told["requiresAccessToken"] = str(manifest.told["requiresAccessToken"]).lower()


@fault(
    "token-flag-wrong", "manifest", "requiresAccessToken says the contrary of what is so", "2.0.0@162; interop.md 2a"
)
def token_flag_wrong(manifest: Manifest, struck: Any) -> None:
    manifest.told["requiresAccessToken"] = not manifest.told["requiresAccessToken"]


@fault("no-token-flag", "manifest", "requiresAccessToken is absent", "2.0.0@162")
def no_token_flag(manifest: Manifest, struck: Any) -> None:
    manifest.told.pop("requiresAccessToken", None)


@fault("wrong-count", "manifest", "count is value too large", "LinuxForHealth/FHIR#2673; hapi-fhir#4878", value="3")
def wrong_count(manifest: Manifest, struck: Any) -> None:
    for item in manifest.told["output"]:
        item["count"] += int(struck.number)


@fault("no-count", "manifest", "no count", "Bulk Data: count is optional; LinuxForHealth/FHIR#105")
def no_count(manifest: Manifest, struck: Any) -> None:
    for item in manifest.told["output"]:
        item.pop("count", None)


@fault(
    "file-left-out",
    "manifest",
    "the last file is not in the manifest",
    "LinuxForHealth/FHIR#2673",
    fits=lambda manifest: bool(manifest.told["output"]),
)
def file_left_out(manifest: Manifest, struck: Any) -> None:
    manifest.told["output"].pop()


@fault("relative-file-urls", "manifest", "the urls of files are relative", "LinuxForHealth/FHIR#2673")
def relative_file_urls(manifest: Manifest, struck: Any) -> None:
    for item in manifest.told["output"]:
        item["url"] = item["url"].removeprefix(manifest.ehr.origin)


@fault(
    "files-elsewhere",
    "manifest",
    "the files are on another server, at addresses that are the key; it refuses our token",
    "cerner/fhir.cerner.com#899; export.html#security",
)
def files_elsewhere(manifest: Manifest, struck: Any) -> None:
    manifest.told["requiresAccessToken"] = False
    for key in ("output", "deleted", manifest.outcomes):
        for number, item in manifest.numbered(key):
            item["url"] = manifest.ehr.files.url(manifest.job, manifest.job.files[number - 1])


@fault(
    "files-in-a-bucket",
    "manifest",
    "the urls are gs:// addresses of an object store",
    "docs.cloud.google.com healthcare-api fhir/bulk-export",
)
def files_in_a_bucket(manifest: Manifest, struck: Any) -> None:
    for item in manifest.told["output"]:
        item["url"] = f"gs://bucket.invalid/{manifest.job.id}/{item['url'].rpartition('/')[2]}"


@fault("empty-manifest", "manifest", "done, and nothing in it", "17: hapi-fhir#3911; LinuxForHealth/FHIR#2676")
def empty_manifest(manifest: Manifest, struck: Any) -> None:
    for key in ("output", "deleted", manifest.outcomes):
        manifest.told.pop(key, None)


@fault("deletes-not-told", "manifest", "deleted is absent", "16: medplum#10479, LinuxForHealth/FHIR#1927")
def deletes_not_told(manifest: Manifest, struck: Any) -> None:
    manifest.told.pop("deleted", None)


@fault("no-transaction-time", "manifest", "transactionTime is absent", "2.0.0@154; 13: watermarks")
def no_transaction_time(manifest: Manifest, struck: Any) -> None:
    manifest.told.pop("transactionTime", None)


@fault("no-expires", "manifest", "no header Expires", "18: PR 1082: export files expire")
def no_expires(manifest: Manifest, struck: Any) -> None:
    manifest.headers.pop("Expires", None)
