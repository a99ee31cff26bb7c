"""Who comes in, and with what: access tokens that we got, gave or were shown, and logins.

Of a token request only harmless fields are kept, of a token only what cannot be used as one (BALP 3:5.7.4; I4, I5).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from security.audit.access import Access, TokenUse
from security.audit.event import SECURITY_RESOURCE, Json, asked, make_event, named, peer_of, thing
from security.audit.kind import APPLICATION, RECIPIENT, SOURCE, Coding, Kind, dicom, user_agent
from security.plain import plain_name

__all__ = [
    "ISSUE",
    "LOGIN",
    "LOGOUT",
    "TOKEN",
    "issue_event",
    "login_event",
    "logout_event",
    "opaque_token",
    "signed_token",
    "token_event",
]

# What of a token request is kept: no assertion, secret, code, verifier or refresh token (BALP IHE.IUA.71; RFC 6749).
_KEPT_FIELDS = ("grant_type", "scope", "client_id", "client_assertion_type", "audience", "resource")
_SERVER = user_agent("AuthzOauthService")
_ITI_71 = Coding("urn:ihe:event-type-code", "ITI-71")
_USER_AUTHENTICATION = dicom("110114")
_SHOWN, _HIDDEN = 32, 64  # characters of an opaque token (I4)

TOKEN = Kind(  # DICOM User Authentication, IHE ITI-71 Get Access Token
    name="token",
    said="was given, or refused, access to a health record system",
    type=_USER_AUTHENTICATION,
    subtype=_ITI_71,
    action="E",
    us=APPLICATION,
    peer=_SERVER,
    user=RECIPIENT,
    profile="IHE.IUA.71",
)
ISSUE = Kind(
    name="issue",
    said="was given, or refused, access to this system",
    type=_USER_AUTHENTICATION,
    subtype=_ITI_71,
    action="E",
    us=_SERVER,
    peer=APPLICATION,
    user=RECIPIENT,
    profile="IHE.IUA.71",
)
LOGIN = Kind(
    name="login",
    said="logged in, or tried to",
    type=_USER_AUTHENTICATION,
    subtype=dicom("110122"),
    action="E",
    us=APPLICATION,
    peer=SOURCE,
    user=RECIPIENT,
)
LOGOUT = Kind(
    name="logout",
    said="logged out",
    type=_USER_AUTHENTICATION,
    subtype=dicom("110123"),
    action="E",
    us=APPLICATION,
    peer=SOURCE,
    user=RECIPIENT,
)


def token_event(access: Access, *, client_id: str, form: Mapping[str, str]) -> Json:
    """Record that an authorization server gave us an access token, or did not: IHE ITI-71.

    Of the posted form only harmless fields are kept, so that no credential can reach the log. The profile is closed: it
    allows no patient, no X-Request-Id and no other entity.
    """
    event = _token_request(access, TOKEN, peer_of(access).address, form)
    event["agent"][0]["who"] = named("client", client_id)
    return event


def issue_event(access: Access, *, client_id: str, form: Mapping[str, str]) -> Json:
    """Record that we gave a client (`access.peer`) an access token, or refused it: IHE ITI-71, from the other side."""
    event = _token_request(access, ISSUE, access.system.address, form)
    event["agent"][1]["who"] = named("client", client_id)
    return event


def login_event(access: Access, *, method: str) -> Json:
    """Record that somebody logged in from `access.peer` by a `method` ("password", "os-user"), or failed to."""
    return _session(access, LOGIN, method)


def logout_event(access: Access, *, method: str) -> Json:
    """Record that a session ended: by the person ("logout"), or by itself ("timeout")."""
    return _session(access, LOGOUT, method)


def signed_token(jti: str, *, client_id: str = "", issuer: str = "", user: str = "") -> TokenUse:
    """Name a token by its `jti` claim (RFC 7519; RFC 9068): whoever has that cannot use it."""
    return TokenUse(f"urn:ietf:params:oauth:jti:{plain_name(jti)}", client_id, issuer, user)


def opaque_token(token: str, key: bytes) -> TokenUse:
    """Name an opaque token by its last 32 characters, where 64 stay hidden, else by a hash under `key` (I4)."""
    end = token[-_SHOWN:]
    if len(token) >= _SHOWN + _HIDDEN and end == plain_name(end):
        return TokenUse(end)
    hashed = hmac.new(key, token.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
    return TokenUse(f"urn:fhirtwin:token:{hashed[:_SHOWN]}")


def _token_request(access: Access, kind: Kind, address: str, form: Mapping[str, str]) -> Json:
    kept = urlencode({name: form[name] for name in _KEPT_FIELDS if name in form})
    request = asked(f"POST {address}\n\n{kept}".encode())
    return make_event(replace(access, patient="", request_id="", what=(), token=None), kind, request)


def _session(access: Access, kind: Kind, method: str) -> Json:
    access = access if access.peer else replace(access, peer=access.system)
    return make_event(access, kind, thing(SECURITY_RESOURCE, "session", method), also=access.what)
