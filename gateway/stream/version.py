"""Which of two versions of a resource is the newer one: a stream that was held up must not undo what came since."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from mappers.when import read_when

__all__ = ["Version", "version_of"]


class _Meta(msgspec.Struct, frozen=True):
    versionId: Any = None  # noqa: N815  FHIR's spelling, here and below
    lastUpdated: Any = None  # noqa: N815


class _Versioned(msgspec.Struct, frozen=True):
    meta: _Meta = _Meta()


class Version(msgspec.Struct, frozen=True):
    """What a resource says of how new it is: `meta.lastUpdated`, and `meta.versionId` where that is a number.

    FHIR calls a version id opaque; as a number it counts on every server that we know, and it is asked only where the
    times do not decide.
    """

    updated: datetime | None = None
    number: int | None = None

    def is_behind(self, other: Version) -> bool:
        """Say whether this one is older than another, or says nothing where the other one says something.

        Two that say nothing are taken in the order in which they came.
        """
        if self.updated is not None and other.updated is not None and self.updated != other.updated:
            return self.updated < other.updated
        if self.number is not None and other.number is not None:
            return self.number < other.number
        return (self.updated, self.number) == (None, None) != (other.updated, other.number)


def version_of(raw: bytes) -> Version:
    """Read the version of a resource from its bytes; what cannot be read says nothing."""
    try:
        meta = msgspec.json.decode(raw, type=_Versioned).meta
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Version()
    when = read_when(meta.lastUpdated)
    told = meta.versionId
    number = int(told) if isinstance(told, str) and told.isascii() and told.isdecimal() and len(told) < 19 else None
    return Version(when.earliest if when and when.precision == "second" else None, number)
