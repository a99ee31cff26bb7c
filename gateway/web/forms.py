"""What a browser sends: small forms, and only from a page of this server.

The cookie is not sent along from another site (SameSite=Strict); the token in each form shows that the form was ours.
It is a keyed hash of what the form is about, so that one of another twin does not fit.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qsl

from starlette.requests import Request

from security.errors import Denied, Misuse

__all__ = ["Form", "read_form", "token_of"]

Form = dict[str, str]

_LARGEST = 16 * 1024
_FIELDS = 200
_KIND = "application/x-www-form-urlencoded"


def token_of(key: str, twin: str) -> str:
    """Make the token that the forms on a twin's page carry."""
    return hmac.new(key.encode(), f"form {twin}".encode(), hashlib.sha256).hexdigest()


async def read_form(request: Request, key: str, twin: str) -> Form:
    """Read a form and check that it is ours. Raises `Misuse` where it is none, `Denied` for another's token."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _KIND:
        raise Misuse("This is no form.", hint="Use the form on the page.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST:
            raise Misuse("The form is too large.", hint="Ask for less at once.")
    try:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"))
    except (UnicodeDecodeError, ValueError) as error:
        raise Misuse("The form cannot be read.", hint="Use the form on the page.") from error
    if not hmac.compare_digest(form.pop("token", "").encode(), token_of(key, twin).encode()):
        raise Denied("This form is not from a page of this server.", hint="Open the page again.")
    return form
