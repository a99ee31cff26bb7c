"""Which client asks, and how it shows that: a secret, a signature, or nothing where it can keep none.

Whatever is wrong, the answer is the same: an unknown client, a wrong secret, a disabled client, a signature that does
not fit (A17). Which it was stands in the audit.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError

from gateway.smart.assertions import ASSERTION_TYPE, check_assertion, claimed_client
from gateway.smart.clients import find_client, knows_secret
from gateway.smart.refresh import see
from gateway.smart.token_request import TokenAsked
from gateway.smart.values import Client
from gateway.store import Store
from security.signed import BadToken

__all__ = ["METHODS", "NotTheClient", "authenticate"]

METHODS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt")
"""What may be used at our endpoints, beside nothing for public clients."""


class NotTheClient(InvalidClientError):
    """The client is not who it says it is. `why` is for the audit only."""

    def __init__(self, why: str, client_id: str, *, by_header: bool) -> None:
        super().__init__(description="The client is not known, or did not show that it is who it says it is.")
        self.status_code = 401 if by_header else 400
        self.why, self.client_id = why, client_id


def authenticate(store: Store, request: TokenAsked, audiences: tuple[str, ...]) -> tuple[Client, str]:
    """Return the client, and the method by which it showed that. Raises `NotTheClient`, or `InvalidRequestError`."""
    form, header = request.form, request.authorization
    ways = [bool(header), "client_secret" in form, "client_assertion" in form or "client_assertion_type" in form]
    if sum(ways) > 1:
        raise InvalidRequestError("More than one way to authenticate is used.")  # RFC 6749 2.3
    if header:
        return _by_header(store, request)
    if "client_secret" in form:
        return _by_secret(store, request, form.get("client_id", ""), form["client_secret"], by_header=False)
    if ways[2]:
        return _by_signature(store, request, audiences)
    id_ = form.get("client_id", "") or _by_refresh_token(store, request)
    client = find_client(store, id_, request.now)
    if client is None or client.kind != "public":
        raise NotTheClient("no-credentials", id_, by_header=False)
    return client, "none"


def _by_refresh_token(store: Store, request: TokenAsked) -> str:
    """Tell whose refresh token is shown, where nobody is named: a public app names itself with the code only.

    RFC 6749 6 and SMART App Launch 2.2 ask for no client_id then, and fhirclient sends none; the token is what it has
    to show. Only a public client comes in by it.
    """
    is_asked = request.form.get("grant_type") == "refresh_token"
    shown = see(store, request.form.get("refresh_token", ""), request.now) if is_asked else None
    return shown.granted.client if shown else ""


def _by_header(store: Store, request: TokenAsked) -> tuple[Client, str]:
    scheme, _, coded = request.authorization.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        id_, colon, secret = base64.b64decode(coded.strip(), validate=True).decode("utf-8").partition(":")
        if not colon:
            raise ValueError
    except (ValueError, binascii.Error):
        raise NotTheClient("malformed", "", by_header=True) from None
    return _by_secret(store, request, unquote_plus(id_), unquote_plus(secret), by_header=True)


def _by_secret(store: Store, request: TokenAsked, id_: str, secret: str, *, by_header: bool) -> tuple[Client, str]:
    client = find_client(store, id_, request.now)
    knows = knows_secret(client, secret)
    if client is None or not knows or client.kind != "symmetric" or request.form.get("client_id", id_) != id_:
        raise NotTheClient("credentials", id_, by_header=by_header)
    return client, "client_secret_basic" if by_header else "client_secret_post"


def _by_signature(store: Store, request: TokenAsked, audiences: tuple[str, ...]) -> tuple[Client, str]:
    assertion = request.form.get("client_assertion", "")
    id_ = claimed_client(assertion)
    client = find_client(store, id_, request.now)
    if request.form.get("client_assertion_type") != ASSERTION_TYPE:
        raise NotTheClient("assertion-type", id_, by_header=False)
    if client is None or client.kind != "asymmetric" or request.form.get("client_id", id_) != id_:
        raise NotTheClient("credentials", id_, by_header=False)
    try:
        check_assertion(store, client, assertion, request.keys, audiences, request.now)
    except BadToken as error:
        raise NotTheClient(f"assertion-{error.reason}", id_, by_header=False) from None
    return client, "private_key_jwt"
