"""How `twin serve` is known, and what it lets in when nobody has said."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.trust_settings import TrustSettings
from security.policy import Role

__all__ = ["ServeSettings"]


def _zone(name: str) -> str:
    try:
        if name != "UTC":
            ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ValueError("there is no such time zone") from None
    return name


class ServeSettings(BaseModel):
    """What the FHIR API and its authorization server are told.

    Parameters
    ----------
    base_url
        Under which others reach us (https, behind a server with TLS); "": that of this machine.
    without_consent
        What holds for a patient of whom there is no Consent. "treatment": what is done to treat, to pay and to run the
        hospital, without the sensitive classes. "deny": nothing. "permit": all that scopes allow.
    organization
        The Organization that its people and clients work for, as Consents name it: "Organization/1" by our id, or
        "system|value" by an identifier. "": a Consent that names an Organization may then mean them, and is read so.
    client_organizations
        The same for clients of others, by the id of the client.
    consent_zone
        The time zone in which a day without one is meant in a Consent (a name of the IANA database).
    break_glass_roles
        Who may open a record past its consents, with a reason.
    break_glass_minutes
        How long that lasts.
    job_hours
        How long results and exported files wait to be fetched; then they are removed.
    jobs_per_client
        How many jobs a client may have waiting or in work; more are refused with 429.
    trust
        Whose access tokens are taken beside our own, by a name for each.
    inside
        Hosts in a private network at which clients may publish their keys.
    ca_file
        Certificates (PEM) of a private authority, trusted beside the usual ones where keys are fetched.
    proxies
        Addresses of the servers in front of us that are believed in who asked them (X-Forwarded-For).
    tokens_a_minute
        How many requests one client, from one address, may send to the token endpoint and its like; ten times that may
        come from one address in all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str = ""
    without_consent: Literal["treatment", "deny", "permit"] = "treatment"
    organization: str = ""
    client_organizations: dict[str, str] = {}
    consent_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    break_glass_roles: tuple[Role, ...] = ("clinician",)
    break_glass_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 30
    job_hours: float = Field(24.0, gt=0, le=24 * 30)
    jobs_per_client: int = Field(5, ge=1, le=1000)
    trust: dict[str, TrustSettings] = {}
    inside: tuple[str, ...] = ()
    ca_file: Path | None = None
    proxies: tuple[str, ...] = ()
    tokens_a_minute: Annotated[int, Field(ge=10, le=100_000)] = 300
