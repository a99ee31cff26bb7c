"""A form posted to one of our endpoints, read strictly, in the shape in which Authlib's grants ask for it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Payload, OAuth2Request

from security.signed import PublicKey

__all__ = ["LARGEST", "TokenAsked", "read_fields", "read_form"]

LARGEST: Final = 32 * 1024
_MOST: Final = 40
_LONGEST_NAME: Final = 64

# Authlib tells whole tokens at DEBUG.
logging.getLogger("authlib").setLevel(logging.WARNING)


def read_form(body: bytes, content_type: str) -> dict[str, str]:
    """Read a form. Raises `InvalidRequestError`, also for another type than that of a form."""
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise InvalidRequestError("The request is a form: application/x-www-form-urlencoded.")
    return read_fields(body)


def read_fields(body: bytes) -> dict[str, str]:
    """Read fields as they stand in a form or in the query of a URL.

    Raises `InvalidRequestError` for what is no UTF-8, and for a field that comes twice (RFC 6749 3.1, 3.2). Empty
    fields count as left out, as these sections say.
    """
    if len(body) > LARGEST:
        raise InvalidRequestError("The request is too long.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST)
    except ValueError:  # also UnicodeDecodeError
        raise InvalidRequestError("The request cannot be read.") from None
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidRequestError("A parameter comes twice.")
    if any("\x00" in text or len(name) > _LONGEST_NAME for name, text in pairs):
        raise InvalidRequestError("The request cannot be read.")
    return {name: text for name, text in found.items() if text}


class _Payload(OAuth2Payload):
    def __init__(self, form: Mapping[str, str]) -> None:
        self._form = dict(form)

    @property
    def data(self) -> dict[str, str]:
        return self._form

    @property
    def datalist(self) -> defaultdict[str, list[Any]]:
        return defaultdict(list, {name: [text] for name, text in self._form.items()})


class TokenAsked(OAuth2Request):
    """One request, and when and from where it came.

    `keys` are those that its assertion may be checked with. For the audit only: `claimed` is who it says it is from,
    `why` the reason of a refusal.
    """

    def __init__(
        self,
        url: str,
        form: Mapping[str, str],
        *,
        authorization: str,
        source: str,
        keys: Sequence[PublicKey],
        now: datetime,
    ) -> None:
        super().__init__("POST", url, headers={"Authorization": authorization} if authorization else {})
        self.payload = _Payload(form)
        self.said = dict(form)
        self.source, self.keys, self.now = source, keys, now
        self.claimed = self.why = ""

    @property
    def form(self) -> dict[str, str]:
        """The fields."""
        return self.said

    @property
    def authorization(self) -> str:
        """The header Authorization, "" where there is none."""
        return str(self.headers.get("Authorization", ""))
