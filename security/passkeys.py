"""Passkeys (WebAuthn level 3): what an authenticator is asked, and whether what it says is true.

`webauthn` (kept by Duo) checks what comes. No attestation is asked for: who made the authenticator is not our question.
User verification is required, so that a passkey stands for two factors, possession and a gesture or PIN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

__all__ = ["Made", "Party", "creation_options", "made_passkey", "request_options", "shown_id", "used_passkey"]

_LARGEST: Final = 32 * 1024
_WRONG = (WebAuthnException, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Party:
    """Who asks: the host that a passkey is bound to, and the origin of the page."""

    host: str
    origin: str


@dataclass(frozen=True, slots=True)
class Made:
    """A new passkey: its id, its public key (COSE), and how often it was used."""

    id: str
    public_key: bytes
    count: int


def creation_options(
    party: Party, challenge: bytes, *, handle: bytes, name: str, display: str, known: Sequence[str]
) -> str:
    """Write what the browser asks an authenticator in order to make a passkey. `handle` is random, and names nobody."""
    options = generate_registration_options(
        rp_id=party.host,
        rp_name="fhirtwin",
        user_id=handle,
        user_name=name,
        user_display_name=display,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(each)) for each in known],
    )
    return options_to_json(options)


def request_options(party: Party, challenge: bytes) -> str:
    """Write what the browser asks an authenticator in order to use a passkey, of whoever is there."""
    return options_to_json(
        generate_authentication_options(
            rp_id=party.host, challenge=challenge, user_verification=UserVerificationRequirement.REQUIRED
        )
    )


def made_passkey(party: Party, challenge: bytes, credential: str) -> Made | None:
    """Return the passkey that an authenticator made; `None` for what is not true or not to be read."""
    try:
        verified = verify_registration_response(
            credential=_bounded(credential),
            expected_challenge=challenge,
            expected_rp_id=party.host,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except _WRONG:
        return None
    return Made(bytes_to_base64url(verified.credential_id), verified.credential_public_key, verified.sign_count)


def shown_id(credential: str) -> str:
    """Return the id of the passkey that was used, as it says; "" where it cannot be read."""
    try:
        return bytes_to_base64url(parse_authentication_credential_json(_bounded(credential)).raw_id)
    except _WRONG:
        return ""


def used_passkey(party: Party, challenge: bytes, credential: str, public_key: bytes, count: int) -> int | None:
    """Return how often a passkey was used by now, where it signed the challenge for us; else `None`."""
    try:
        verified = verify_authentication_response(
            credential=_bounded(credential),
            expected_challenge=challenge,
            expected_rp_id=party.host,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=count,
            require_user_verification=True,
        )
    except _WRONG:
        return None
    return verified.new_sign_count


def _bounded(credential: str) -> str:
    if len(credential) > _LARGEST:
        raise ValueError("this is too large for a credential")
    return credential
