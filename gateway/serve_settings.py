"""How `twin serve` is known, and what it lets in when nobody has said."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["ServeSettings"]


class ServeSettings(BaseModel):
    """What the FHIR API and its authorization server are told.

    Parameters
    ----------
    base_url
        Under which others reach us (https, behind a server with TLS); "": that of this machine.
    without_consent
        What holds for a patient of whom there is no Consent. "treatment": what is done to treat, to pay and to run the
        hospital, without the sensitive classes. "deny": nothing. "permit": all that scopes allow.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str = ""
    without_consent: Literal["treatment", "deny", "permit"] = "treatment"
