"""In the shape of which guide results go to a source: what its settings say, else what its statement said."""

from __future__ import annotations

from collections.abc import Set

from gateway.home import Home
from gateway.profiles import kept
from gateway.pull.metadata import OF_US_CORE

__all__ = ["profiles_of"]


def profiles_of(home: Home, source: str) -> Set[str]:
    """List the profiles that a source takes and that something we write can conform to; none where nobody said so."""
    match home.settings.source(source).guide:
        case "us-core":
            return OF_US_CORE
        case "auto" if known := kept(home.settings.home, source):
            return frozenset(known.profiles) & OF_US_CORE
        case _:
            return frozenset()
