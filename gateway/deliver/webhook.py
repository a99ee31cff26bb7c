"""Warnings to a system that is no EHR: one signed POST each, in the form of Standard Webhooks 1.0.

The receiver checks `webhook-signature` (HMAC-SHA256 over id, time and body) and refuses what is old or was taken
before. We follow no redirect: a body about a patient goes to the address that the operator wrote down and no other.
"""

from __future__ import annotations

import base64
import hmac
from datetime import datetime
from types import TracebackType
from urllib.parse import urlsplit

import httpx

from security.errors import BadSettings, Refused, Unreachable

__all__ = ["Webhook", "origin_of", "sign"]

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_SECONDS = 10.0
_LEAST_BYTES = 24  # Standard Webhooks: a secret has 24 to 64 bytes
_LATER = frozenset({408, 425, 429})


def sign(secret: bytes, message: str, at: datetime, body: bytes) -> str:
    """Sign a message as the header `webhook-signature` holds it."""
    signed = f"{message}.{int(at.timestamp())}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()


def origin_of(url: str) -> str:
    """Return the scheme and host of a receiver's address: what is behind them may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class Webhook:
    """One receiver. Use it as an asynchronous context manager.

    Raises `BadSettings` for an address that is neither https nor on this machine, and for a secret that is too short.
    """

    def __init__(self, url: str, secret: bytes, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise BadSettings("The webhook's address is not protected.", hint="Use https:// in [warnings] webhook_url.")
        if len(secret) < _LEAST_BYTES:
            raise BadSettings(
                "The webhook's secret is too short.", hint=f"Put at least {_LEAST_BYTES} random bytes into its file."
            )
        self._url, self._secret = url, secret
        self._http = httpx.AsyncClient(timeout=_SECONDS, transport=transport, trust_env=False)

    async def post(self, message: str, at: datetime, body: bytes) -> None:
        """Send one message under its id, which stays the same when it is tried again.

        Raises `Unreachable` where it is worth to try again, `Refused` where it is not.
        """
        headers = {
            "content-type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": sign(self._secret, message, at, body),
        }
        try:
            answer = await self._http.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise Unreachable(
                "The webhook's receiver did not answer.", hint="It is tried again.", detail=error
            ) from error
        if answer.is_success:
            return
        if answer.status_code in _LATER or answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise Unreachable(
                "The webhook's receiver asks to come back later.", hint="It is tried again.", detail=answer.status_code
            )
        raise Refused(
            f"The webhook's receiver said {answer.status_code}.", hint="Check [warnings] in twin.toml and the receiver."
        )

    async def __aenter__(self) -> Webhook:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()
