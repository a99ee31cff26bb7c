"""Whose access tokens we take beside our own: an OpenID provider, or the authorization server of an EHR."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from security.policy import Role

__all__ = ["TRUST_PATHS", "TrustSettings"]

TRUST_PATHS: Final = ("client_secret_file",)
_HERE: Final = frozenset({"127.0.0.1", "::1", "localhost"})

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]


class TrustSettings(BaseModel):
    """One issuer ([serve.trust.NAME]): its tokens are signed, or opaque and asked about.

    Parameters
    ----------
    issuer
        The `iss` of its tokens, exactly.
    audience
        The `aud` by which it means us; "": the base URL of our FHIR API.
    keys_url
        Its JWK Set.
    introspection_url, client_id, client_secret_file
        Where we ask about a token (RFC 7662), and as whom.
    algorithms
        In which its tokens may be signed.
    types
        Values of the header `typ` that its access tokens have; none: any. Say it where the issuer sets it ("at+jwt").
    scope, patient, encounter, user, fhir_user, client, roles, purpose
        The names of the claims. A name with dots goes into objects ("realm_access.roles").
    role_names
        Which of our roles the issuer's ones are ("ward-doctor" = "clinician"); others are none.
    source
        The source whose ids the claim `patient` has; "": it has the ids of our twins.
    tenant
        Behind whose wall all who come from there are.
    inside
        Whether its addresses may be in a private network.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    issuer: Annotated[str, Field(min_length=1, max_length=500)]
    audience: str = ""
    keys_url: str = ""
    introspection_url: str = ""
    client_id: str = ""
    client_secret_file: Path | None = None
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "RS384", "ES256", "ES384")
    types: tuple[str, ...] = ()
    scope: str = "scope"
    patient: str = "patient"
    encounter: str = "encounter"
    user: str = "sub"
    fhir_user: str = "fhirUser"
    client: str = "client_id"
    roles: str = "roles"
    purpose: str = ""
    role_names: dict[str, Role] = {}
    source: str = ""
    tenant: str = ""
    inside: bool = False

    @model_validator(mode="after")
    def _complete(self) -> TrustSettings:
        if bool(self.keys_url) is bool(self.introspection_url):
            raise ValueError("an issuer has keys_url or introspection_url")
        if self.introspection_url and not (self.client_id and self.client_secret_file):
            raise ValueError("introspection_url needs client_id and client_secret_file")
        for url in (self.keys_url, self.introspection_url):
            parts = urlsplit(url)
            if url and parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
                raise ValueError("the addresses of an issuer have to be https")
        return self
