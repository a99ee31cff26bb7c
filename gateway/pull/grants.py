"""What a token endpoint answers: a token and what it allows, or a word of refusal (RFC 6749 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from gateway.pull.retry import AGAIN
from gateway.pull.scopes import missing
from gateway.pull.wire import Reply
from security.errors import Denied, NotFhir, Unreachable

__all__ = ["Grant", "error_of", "is_header_safe", "is_passing", "read_grant", "refusal_of"]

_MARGIN_SECONDS = 30.0  # a token is renewed this long before it ends
_UNSAID_SECONDS = 300  # expires_in where the server leaves it out; SMART recommends no more than five minutes

_HINTS = {  # RFC 6749 5.2
    "invalid_client": "Check client_id, that the server knows our public key or our secret, and this machine's clock.",
    "invalid_scope": "Ask the server's operator for the scopes, or name fewer in `scopes`.",
    "unauthorized_client": "The server does not allow this client tokens of its own: ask its operator.",
    "unsupported_grant_type": "The server does not offer SMART Backend Services: use another auth.",
    "invalid_request": "The server did not understand our request: run `twin doctor`, and tell its operator.",
    "invalid_grant": "The server does not accept our assertion: check client_id, key and clock.",
}


@dataclass(frozen=True, slots=True)
class Grant:
    """A token and what it allows; the token is no part of the `repr`. From `until` on it is renewed, at `ends` dead."""

    token: str = field(repr=False)
    asked: tuple[str, ...]
    granted: tuple[str, ...]
    until: datetime
    ends: datetime

    @property
    def missing(self) -> tuple[str, ...]:
        """Say which parts of what was asked were not granted ("Observation.c")."""
        return missing(self.asked, self.granted)

    @property
    def is_empty(self) -> bool:
        """Say whether nothing at all of what we want was granted, as by a server that reads other scopes than ours."""
        return set(self.missing) == set(missing(self.asked, ())) != set()


class _Answer(msgspec.Struct):
    access_token: str = ""
    token_type: str = ""
    expires_in: int | float | str | None = _UNSAID_SECONDS
    scope: str | None = None
    error: str = ""


def read_grant(reply: Reply, wanted: tuple[str, ...], sent: tuple[str, ...], now: datetime) -> Grant:
    """Read a token; `sent` are the scopes as they were spelled, `wanted` those that we need. Raises `NotFhir`."""
    told = _decode(reply)
    if told is None or told.token_type.lower() != "bearer" or not is_header_safe(told.access_token):
        raise NotFhir("The token endpoint's answer holds no bearer token.", hint="Tell the server's operator.")
    lasts = _seconds(told.expires_in)
    until = now + timedelta(seconds=lasts - min(_MARGIN_SECONDS, lasts / 2))
    # RFC 6749 5.1: where scope is left out, it is what was asked
    granted = sent if told.scope is None else tuple(told.scope.split())
    return Grant(told.access_token, wanted, granted, until, now + timedelta(seconds=lasts))


def is_header_safe(token: str) -> bool:
    """Say whether a token can stand in a header, whatever it is made of: tokens are opaque, Epic's are no JWT."""
    return 0 < len(token) <= 16_384 and token.isascii() and token.isprintable() and " " not in token


def _seconds(told: int | float | str | None) -> float:
    try:
        lasts = float(_UNSAID_SECONDS if told is None else told)
    except ValueError:
        lasts = float(_UNSAID_SECONDS)
    return min(max(0.0, lasts), 86_400.0)


def _decode(reply: Reply) -> _Answer | None:
    try:
        return msgspec.json.decode(reply.body[: 1 << 16], type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def error_of(reply: Reply) -> str:
    """Read the word of RFC 6749 5.2; "" where there is none that we know."""
    told = _decode(reply)
    return told.error if told is not None and told.error in _HINTS else ""


def _fails(reply: Reply) -> bool:
    return reply.status in AGAIN or reply.status >= 500


def is_passing(reply: Reply) -> bool:
    """Say whether it may be another answer in a moment; a 400 without a word is, at Epic's."""
    return _fails(reply) or (reply.status == 400 and not error_of(reply))


def refusal_of(reply: Reply) -> Denied | Unreachable:
    """Say why there is no token, and what to do; what the server says in other words than RFC 6749's is detail."""
    if _fails(reply):
        return Unreachable(f"The token endpoint failed with status {reply.status}.", hint="Try again later.")
    code = error_of(reply)
    hint = _HINTS.get(code, "Check client_id and key; run `twin doctor`.")
    said = f": {code}" if code else f", status {reply.status}"
    return Denied(f"The server gave us no token{said}.", hint=hint, detail=reply.body[:500].decode("utf-8", "replace"))
