"""The entry of a version in a history: what was asked for and what came of it.

Source: FHIR R4 http.html#history and bundle.html (bdl-3, bdl-4): `request` is there always, `response` from R4 on; a
deletion has no resource.
"""

from __future__ import annotations

from typing import Any

import msgspec

from conformance.hostile import wire
from conformance.hostile.store import Held

__all__ = ["history_entry"]


def history_entry(held: Held, url: str, *, is_before_r4: bool) -> dict[str, Any]:
    """Make the entry of one version, which may be a deletion."""
    if held.deleted:
        entry: dict[str, Any] = {"fullUrl": url, "request": {"method": "DELETE", "url": held.reference}}
    else:
        method, where = ("POST", held.type) if held.number == 1 else ("PUT", held.reference)
        entry = {
            "fullUrl": url,
            "resource": msgspec.Raw(held.body),
            "request": {"method": method, "url": where},
        }
    if not is_before_r4:
        status = "204" if held.deleted else "201" if held.number == 1 else "200"
        entry["response"] = {"status": status, "etag": held.etag, "lastModified": wire.instant(held.when)}
    return entry
