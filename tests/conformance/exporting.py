"""A plain bulk client for tests: it does what it is told and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from tests.conformance.desk import Desk

ASYNC = {"Prefer": "respond-async", "Accept": "application/fhir+json"}


def kick_off(
    desk: Desk, path: str = "$export", headers: Mapping[str, str] | None = None, **options: Any
) -> httpx.Response:
    """Ask for an export; by POST where there is a body."""
    method = "POST" if "json" in options else "GET"
    told = {**ASYNC, **({"Content-Type": "application/fhir+json"} if method == "POST" else {}), **(headers or {})}
    return desk.http.request(method, f"{desk.base}/{path}", headers=told, **options)


def parameters(*pairs: tuple[str, Any]) -> dict[str, Any]:
    """Make a Parameters resource."""

    def part(name: str, value: Any) -> dict[str, Any]:
        kind = "valueBoolean" if isinstance(value, bool) else "valueReference" if name == "patient" else "valueString"
        return {"name": name, kind: {"reference": value} if name == "patient" else value}

    return {"resourceType": "Parameters", "parameter": [part(*pair) for pair in pairs]}


def ready(desk: Desk, path: str = "$export", most: int = 5, **options: Any) -> httpx.Response:
    """Ask for an export and for its status until it is done, time passing in between."""
    begun = kick_off(desk, path, **options)
    assert begun.status_code == 202, begun.text
    answer = desk.get(begun.headers["content-location"])
    for _ in range(most):
        if answer.status_code != 202:
            break
        desk.wait(5)
        answer = desk.get(begun.headers["content-location"])
    return answer


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    """Read NDJSON."""
    assert answer.headers["content-type"] == "application/fhir+ndjson"
    return [json.loads(line) for line in answer.content.split(b"\n") if line.strip()]


def resources(desk: Desk, manifest: Mapping[str, Any], part: str = "output") -> list[dict[str, Any]]:
    """Fetch the files of a part of a manifest."""
    return [each for file in manifest.get(part, []) for each in lines(desk.get(file["url"]))]


def names(found: list[dict[str, Any]]) -> list[str]:
    """Say which resources these are."""
    return sorted(f"{each['resourceType']}/{each['id']}" for each in found)
