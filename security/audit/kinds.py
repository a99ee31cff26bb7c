"""All kinds of event that we record, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from security.audit import configuration, consents, disclosures, keeping, oversight, records, rest, tokens
from security.audit.kind import Kind

__all__ = ["KINDS", "kind_of"]

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for theme in (rest, tokens, consents, disclosures, records, keeping, configuration, oversight)
    for value in vars(theme).values()
    for kind in (value.values() if isinstance(value, dict) else (value,))
    if isinstance(kind, Kind)
}
_BY_CODES = {(kind.type.code, kind.subtype.code, kind.us.code): kind for kind in KINDS.values()}


def kind_of(event: Mapping[str, Any]) -> Kind | None:
    """Say of which kind an event of ours is; `None` for one of somebody else's, or of another version."""
    try:
        codes = (event["type"]["code"], event["subtype"][0]["code"], event["agent"][0]["type"]["coding"][0]["code"])
    except (KeyError, IndexError):
        return None
    return _BY_CODES.get(codes)
