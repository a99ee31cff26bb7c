"""What others ask about tokens of ours: whether one holds (RFC 7662), and that one hold no longer (RFC 7009)."""

from __future__ import annotations

from typing import Any

import msgspec
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error

from gateway.smart.granted import Granted, revoke
from gateway.smart.issuing import fhir_user_url, launch_context
from gateway.smart.refresh import revoke_family, see
from gateway.smart.resource_server import OwnTokens
from gateway.smart.server import Answer, TokenServer, error_answer
from gateway.smart.token_request import TokenAsked
from gateway.smart.values import Client
from security.signed import BadToken
from security.tokens import AccessToken

__all__ = ["introspect", "revoke_token"]

_INACTIVE = Answer(200, {"active": False})


def introspect(server: TokenServer, own: OwnTokens, request: TokenAsked) -> Answer:
    """Say what a token allows, to a client that may ask (`Client.introspects`); of any client's token (A14).

    Of one that does not hold, is unknown, or is behind the wall of another tenant, nothing is said but that.
    """
    try:
        client = server.client_of(request, server.places.at("/auth/introspect"))
        token = _token(request)
    except OAuth2Error as error:
        return error_answer(error)
    if not client.introspects or client.kind == "public":
        return Answer(403, {"error": "access_denied"})
    try:
        access = own.read(token, request.now)
        own.person(access, request.now)
    except BadToken:
        return _refresh(server, client, token, request)
    return Answer(200, _told(server, access, request)) if _is_behind(client, access.tenant) else _INACTIVE


def _told(server: TokenServer, access: AccessToken, request: TokenAsked) -> dict[str, Any]:
    granted = _granted(server, access, request)
    scopes = access.scopes
    told: dict[str, Any] = {
        "active": True,
        "scope": " ".join(scopes),
        "client_id": access.client,
        "token_type": "Bearer",
        "exp": int(access.expires.timestamp()),
        "iat": int(access.issued.timestamp()),
        "nbf": int(access.issued.timestamp()),
        "iss": access.issuer,
        "aud": access.audience,
        "sub": access.subject,
        "jti": access.id,
        **launch_context(granted, scopes, server.places),
    }
    if not access.is_for_itself:
        told["username"] = access.subject
    if url := fhir_user_url(granted, scopes, server.places):
        told["fhirUser"] = url
    return told


def _granted(server: TokenServer, access: AccessToken, request: TokenAsked) -> Granted:
    """Return what the token was given under; of what is not kept, what the token says."""
    if (found := server.store.registered("grant", access.grant, request.now)) is not None:
        return msgspec.msgpack.decode(found.content, type=Granted)
    return Granted(
        id=access.grant,
        client=access.client,
        user="" if access.is_for_itself else access.subject,
        tenant=access.tenant,
        scopes=access.scopes,
        patient=access.patient,
        encounter=access.encounter,
        fhir_user=access.fhir_user,
        since=access.issued,
    )


def _refresh(server: TokenServer, client: Client, token: str, request: TokenAsked) -> Answer:
    shown = see(server.store, token, request.now)
    if shown is None or not shown.is_next or server.person(shown.granted, request.now) is None:
        return _INACTIVE
    granted = shown.granted
    if granted.refresh is None or not _is_behind(client, granted.tenant):
        return _INACTIVE
    told = {"scope": " ".join(granted.scopes), "client_id": granted.client, "sub": granted.user}
    return Answer(200, {"active": True, **told, "exp": int(granted.refresh.timestamp()), "iss": server.places.issuer})


def _is_behind(client: Client, tenant: str) -> bool:
    return client.tenant == tenant


def revoke_token(server: TokenServer, own: OwnTokens, request: TokenAsked) -> Answer:
    """End a token of the client that asks: a refresh token with all that was given under it, or one access token.

    It is 200 whatever the token is (RFC 7009 2.2), so that nobody learns which ones there are; another client's stays.
    """
    try:
        client = server.client_of(request, server.places.at("/auth/revoke"))
        token = _token(request)
    except OAuth2Error as error:
        return error_answer(error)
    shown = see(server.store, token, request.now)
    if shown is not None:
        if shown.granted.client == client.id:
            revoke_family(server.store, shown.granted, request.now)
            server.record_end(request, client.id, shown.granted.user)
        return Answer(200)
    try:
        access = own.read(token, request.now)
    except BadToken:
        return Answer(200)
    if access.client == client.id:
        revoke(server.store, access.id, request.now, until=access.expires)
        server.record_end(request, client.id, "" if access.is_for_itself else access.subject)
    return Answer(200)


def _token(request: TokenAsked) -> str:
    token = request.form.get("token", "")
    if not token:
        raise InvalidRequestError("There is no token.")
    return token
