"""Forms that a browser sends: small, once read, each field as often as it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from security.errors import Misuse

__all__ = ["Form", "read_form"]

_LARGEST: Final = 64 * 1024
_FIELDS: Final = 2_000
_KIND: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form."""

    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def one(self, name: str) -> str:
        """Return the one value of a field, "" where it was not sent, or more than once."""
        found = self.fields.get(name, ())
        return found[0] if len(found) == 1 else ""

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a field."""
        return self.fields.get(name, ())


async def read_form(request: Request) -> Form:
    """Read a form. Raises `Misuse` for one that is none, that is too large, or that another site's page sent."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Misuse("This form was sent by another site's page.", hint="Use the form on our page.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _KIND:
        raise Misuse("This is no form.", hint="Use the form on the page.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST:
            raise Misuse("The form is too large.", hint="Use the form on the page.")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except (UnicodeDecodeError, ValueError) as error:
        raise Misuse("The form cannot be read.", hint="Use the form on the page.") from error
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return Form({name: tuple(values) for name, values in fields.items()})
