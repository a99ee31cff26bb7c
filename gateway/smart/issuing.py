"""The token response: an access token, what an app is told of its launch, and who its person is (A9, A12)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from gateway.smart.granted import ACCESS, ACCESS_BACKEND, Granted, new_id
from gateway.smart.places import Places
from gateway.smart.token_keys import signing_keys
from gateway.store import Store
from security.tokens import AccessToken

__all__ = ["fhir_user_url", "launch_context", "token_response"]

_LAUNCHES: Final = frozenset({"launch", "launch/patient", "launch/encounter"})


def token_response(
    store: Store, places: Places, granted: Granted, scopes: Sequence[str], now: datetime, *, refresh: str = ""
) -> dict[str, Any]:
    """Give an access token under a grant, for these of its scopes, and tell all that goes with it."""
    lasts = ACCESS if granted.user else ACCESS_BACKEND
    ends = now + lasts
    key = signing_keys(store, now).signing(now)
    context = launch_context(granted, scopes, places)
    token = AccessToken(
        id=new_id(),
        issuer=places.issuer,
        audience=places.base,
        client=granted.client,
        subject=granted.user or granted.client,
        scopes=tuple(scopes),
        issued=now,
        expires=ends,
        grant=granted.id,
        session=granted.session,
        patient=granted.patient,
        encounter=granted.encounter,
        fhir_user=granted.fhir_user if "fhirUser" in scopes else "",
        tenant=granted.tenant,
        purpose=granted.purpose,
    )
    told: dict[str, Any] = {
        "access_token": token.signed_with(key),
        "token_type": "Bearer",
        "expires_in": int(lasts.total_seconds()),
        "scope": " ".join(scopes),
        **context,
    }
    if refresh:
        told["refresh_token"] = refresh
    if "openid" in scopes and granted.user:
        at = int(now.timestamp())
        claims = {
            "iss": places.issuer,
            "sub": granted.user,
            "aud": granted.client,
            "iat": at,
            "exp": int(ends.timestamp()),
            "auth_time": int(granted.since.timestamp()),
            "nonce": granted.nonce,
            "fhirUser": fhir_user_url(granted, scopes, places),
        }
        told["id_token"] = key.sign({name: value for name, value in claims.items() if value != ""}, typ="JWT")
    return told


def launch_context(granted: Granted, scopes: Sequence[str], places: Places) -> dict[str, Any]:
    """Say on whom and how an app was opened: only what it was granted to know."""
    told: dict[str, Any] = {}
    if granted.patient and ({"launch", "launch/patient"} & {*scopes} or any(s.startswith("patient/") for s in scopes)):
        told["patient"] = granted.patient
    if granted.encounter and {"launch", "launch/encounter"} & {*scopes}:
        told["encounter"] = granted.encounter
    if _LAUNCHES & {*scopes}:
        told["need_patient_banner"] = bool(granted.context.get("need_patient_banner", True))
        told["smart_style_url"] = places.at("/auth/style.json")
        for name in ("intent", "fhirContext"):
            if granted.context.get(name):
                told[name] = granted.context[name]
        if granted.tenant:
            told["tenant"] = granted.tenant
    return told


def fhir_user_url(granted: Granted, scopes: Sequence[str], places: Places) -> str:
    """Return the absolute URL of the resource that the person is, where the app may know; else ""."""
    return f"{places.base}/{granted.fhir_user}" if granted.fhir_user and {"openid", "fhirUser"} <= {*scopes} else ""
