"""What an EHR takes, and what is written to it then, for tests of the ladder."""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final, get_args

from mappers.outbound import Form, Result, render
from mappers.versions import FhirVersion

ALL: Final = frozenset({"Device", "Observation", "RiskAssessment", "DocumentReference", "Provenance", *get_args(Form)})


def rendered(result: Result, version: FhirVersion = "r4", lacks: tuple[str, ...] = (), **also: Any) -> dict[str, Any]:
    takes = ALL - set(lacks)
    return render(result, version, patient="Patient/7", sender="fhirtwin 0.1.0", takes=takes, **also)


def resources(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle["entry"]]


def kinds(bundle: dict[str, Any]) -> Counter[str]:
    return Counter(resource["resourceType"] for resource in resources(bundle))


def one(bundle: dict[str, Any], kind: str) -> dict[str, Any]:
    [found] = [resource for resource in resources(bundle) if resource["resourceType"] == kind]
    return found


def content(document: dict[str, Any]) -> bytes:
    [part] = document["content"]
    return b64decode(part["attachment"]["data"])


def all_ladders() -> Iterator[tuple[str, ...]]:
    """Each set of types of which an EHR may lack all."""
    kinds = ("RiskAssessment", "Observation", "Device", "Provenance")
    for size in range(len(kinds) + 1):
        yield from combinations(kinds, size)


def spoilt(bundle: dict[str, Any], entry: int, **changes: Any) -> dict[str, Any]:
    bundle["entry"][entry]["resource"] |= changes
    return bundle
