"""Callers, resources and a way to match that the tests of the policy share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from security.audit import TokenUse
from security.policy import Caller, Role

UNTIL = datetime(2026, 12, 1, tzinfo=UTC)
LABORATORY = "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


def caller(
    *scopes: str,
    user: str = "maria",
    roles: Iterable[Role] = ("clinician",),
    patient: str = "",
    fhir_user: str = "",
) -> Caller:
    return Caller(
        client="app",
        user=user,
        roles=frozenset(roles) if user else frozenset(),
        patient=patient,
        fhir_user=fhir_user,
        scopes=scopes,
        token=TokenUse("urn:ietf:params:oauth:jti:1"),
        expires=UNTIL,
    )


def service(*scopes: str) -> Caller:
    """Return a client that acts for itself."""
    return caller(*scopes, user="")


def observation(of: str, *categories: str, id_: str = "o1", **more: Any) -> dict[str, Any]:
    coded = [{"coding": [{"system": "s", "code": code}]} for code in categories]
    return {
        "resourceType": "Observation",
        "id": id_,
        "subject": {"reference": f"Patient/{of}"},
        "category": coded,
        **more,
    }


def matches(type_: str, query: str, resource: Any) -> bool:
    """Say whether a resource is of one of some categories; no other parameter can be decided, and of no Device."""
    for name, value in parse_qsl(query, strict_parsing=True):
        if name != "category" or type_ not in ("Observation", "Condition"):
            raise ValueError("not a parameter")
        wanted = {each.rpartition("|")[2] for each in value.split(",")}
        told = {coding["code"] for each in resource.get("category", ()) for coding in each["coding"]}
        if not wanted & told:
            return False
    return True
