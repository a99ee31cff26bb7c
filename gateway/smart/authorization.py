"""The authorization request of an app (RFC 6749 4.1.1; SMART App Launch 2.2): read, judged, and kept until a person
answers it.

What is wrong with the client or its redirect URI is told to the person and goes nowhere (A4); all else is told to the
app, at the URI that it registered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from authlib.oauth2.rfc6749 import InvalidRequestError

from gateway.smart.approval import redirect
from gateway.smart.clients import find_client
from gateway.smart.granted import new_id
from gateway.smart.launches import take_launch
from gateway.smart.places import Places
from gateway.smart.token_request import read_fields
from gateway.smart.values import Client, Pending
from gateway.store import Store
from security.narrowing import narrow
from security.scopes import read_scopes

__all__ = ["KEPT", "NotAsked", "ask"]

KEPT: Final = timedelta(minutes=5)
_LONGEST_STATE: Final = 2048
_LONGEST_NONCE: Final = 512
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)  # RFC 7636 4.2: base64url of 32 bytes


class NotAsked(Exception):
    """A request that goes back to nobody; `text` is for the person who sees it, and repeats nothing of it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class _WrongError(Exception):
    """What is told to the app: an error code of RFC 6749 4.1.2.1 or OpenID Connect Core 3.1.2.6."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error, self.text = error, text


def ask(store: Store, places: Places, query: bytes, now: datetime) -> str:
    """Keep a request, and return where the browser goes: to our login, or with an error to the app.

    Raises `NotAsked` where there is nobody to tell.
    """
    try:
        told = read_fields(query)
    except InvalidRequestError:
        raise NotAsked("The app sent a request that cannot be read.") from None
    client = find_client(store, told.get("client_id", ""), now)
    if client is None or client.backend:
        raise NotAsked("The app is not registered here.")
    uri = told.get("redirect_uri", "")
    if uri not in client.redirect_uris:  # character by character (RFC 9700 2.1)
        raise NotAsked("The app did not say where it is in the way in which it is registered.")
    state = told.get("state", "")
    try:
        pending = _judged(store, places, client, told, now)
    except _WrongError as wrong:
        state = state if len(state.encode()) <= _LONGEST_STATE else ""
        return redirect(uri, error=wrong.error, error_description=wrong.text, state=state, iss=places.issuer)
    store.register("pending", pending.id, msgspec.msgpack.encode(pending), now, until=now + KEPT)
    return f"{places.at('/auth/login')}?request={pending.id}"


def _judged(store: Store, places: Places, client: Client, told: Mapping[str, str], now: datetime) -> Pending:
    state = told.get("state", "")
    if not state or len(state.encode()) > _LONGEST_STATE:
        raise _WrongError("invalid_request", "state is missing or too long.")
    for name in ("request", "request_uri"):
        if name in told:
            raise _WrongError(f"{name}_not_supported", f"{name} is not taken.")
    if told.get("response_type") != "code":
        raise _WrongError("unsupported_response_type", "response_type is code.")
    if "authorization_code" not in client.grants:
        raise _WrongError("unauthorized_client", "This client may not use authorization codes.")
    if told.get("response_mode", "query") != "query":
        raise _WrongError("invalid_request", "response_mode is query.")
    if told.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(told.get("code_challenge", "")):
        raise _WrongError("invalid_request", "PKCE with S256 is needed.")
    if not places.is_base(told.get("aud", told.get("resource", ""))):
        raise _WrongError("invalid_request", "aud is not the address of this FHIR API.")
    if len(told.get("nonce", "")) > _LONGEST_NONCE:
        raise _WrongError("invalid_request", "nonce is too long.")
    if "none" in told.get("prompt", "").split():
        raise _WrongError("login_required", "Somebody has to log in.")
    asked = read_scopes(told.get("scope", ""))
    scopes = narrow(asked.known, client.scopes)
    left_out = {
        *(() if told.get("launch") else ("launch",)),
        *(() if "refresh_token" in client.grants else ("offline_access", "online_access")),
    }
    scopes = tuple(each for each in scopes if each not in left_out and not each.startswith("system/"))
    if asked.malformed or not scopes:
        raise _WrongError("invalid_scope", "The scopes cannot be read, or none of them may be had.")
    return Pending(
        id=new_id(),
        client=client.id,
        redirect_uri=told["redirect_uri"],
        scopes=scopes,
        state=state,
        challenge=told["code_challenge"],
        nonce=told.get("nonce", ""),
        audience=places.base,
        fresh="login" in told.get("prompt", "").split() or told.get("max_age") == "0",
        launch=_launch(store, client, told, scopes, now),
    )


def _launch(
    store: Store, client: Client, told: Mapping[str, str], scopes: tuple[str, ...], now: datetime
) -> dict[str, Any]:
    """Return what an EHR launch was about, and by whom it was begun; empty for a standalone launch (A8)."""
    name = told.get("launch", "")
    if not name:
        return {}
    if "launch" not in scopes:
        raise _WrongError("invalid_scope", "launch needs the scope of that name.")
    launch = take_launch(store, name, client.id, now)
    if launch is None:
        raise _WrongError("invalid_request", "This launch is not known, is too old, or was used.")
    return {**launch.context, "session": launch.session, "user": launch.user}
