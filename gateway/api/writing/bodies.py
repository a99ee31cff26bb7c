"""The body of a write: one resource of the type that the URL names, in strict JSON, of a bounded size."""

from __future__ import annotations

from typing import Any, Final

from gateway.api.refusal import Refusal
from gateway.api.writing.faults import Unfit
from mappers import Unreadable, read_json
from mappers.incoming import Issue
from mappers.ledger import REASONS

__all__ = ["LARGEST", "read_body", "read_patch"]

LARGEST: Final = 4 * 1024 * 1024
"""Bytes of one resource."""

_CODES: Final = {"bad-value": "value", "too-deep": "too-costly"}


def read_body(body: bytes, type_: str = "", *, largest: int = LARGEST) -> dict[str, Any]:
    """Read a resource; with `type_`, of that type. Raises a `Refusal`: 400, or 413 for one that is too large.

    A key that stands twice, NaN, half a surrogate pair and nesting beyond 64 are refused: what two readers could read
    in two ways is not read (`mappers.reading`, D6).
    """
    if not body:
        raise Unfit(400, [Issue("required", "", "There is no body.")])
    if len(body) > largest:
        raise Refusal(413, "too-long", "The resource is too large.")
    try:
        resource = read_json(body)
    except Unreadable as error:
        said = REASONS[error.reason].split(". ")[0].rstrip(".")
        raise Unfit(400, [Issue(_CODES.get(error.reason, "structure"), "", f"{said}.")]) from None
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or (type_ and kind != type_):
        raise Unfit(400, [Issue("invalid", "", "The resource is not of the type that the URL names.")])
    return resource


def read_patch(body: bytes) -> list[Any]:
    """Read a JSON Patch, as strictly as a resource. Raises a `Refusal`: 400, 413."""
    wrapped = read_body(b'{"resourceType":"Parameters","patch":' + (body or b"null") + b"}", "Parameters")
    operations = wrapped.get("patch")
    if not isinstance(operations, list) or len(wrapped) != 2:
        raise Unfit(400, [Issue("structure", "", "A JSON Patch is a list of operations (RFC 6902).")])
    return operations
