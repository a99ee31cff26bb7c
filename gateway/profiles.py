"""What was learned of each source's server, kept beside the store: one JSON file a source, which a person can read.

There is no patient data in it. It may be deleted at any time: the next pull learns anew.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.kept_files import replace_text
from gateway.pull.connection import Connection
from gateway.pull.habits import load_habits
from gateway.pull.metadata import Capability
from gateway.pull.probes import learn
from gateway.pull.profile import Profile
from gateway.source_settings import SourceSettings
from security.errors import StoreFull

__all__ = ["keep", "kept", "profile_of", "vendors_folder"]


async def profile_of(
    connection: Connection,
    capability: Capability,
    home: Path,
    source: str,
    settings: SourceSettings,
    *,
    fresh: bool = False,
) -> Profile:
    """Say what a source's server can and cannot do: as kept, where that still holds and not `fresh`, else learned anew.

    What was learned is kept. Raises `BadSettings` for a user's file of habits that cannot be used, `UnknownName` for a
    vendor that there is not, and `StoreFull`.
    """
    before = kept(home, source)
    profile = await learn(
        connection,
        capability,
        types=settings.types,
        page_size=settings.page_size,
        vendor=settings.vendor,
        vendors=load_habits(vendors_folder(home)),
        kept=before,
        fresh=fresh,
    )
    if profile != before:
        keep(home, source, profile)
    return profile


def kept(home: Path, source: str) -> Profile | None:
    """Return what is kept of a source's server; `None` where nothing is, or nothing that can be read."""
    try:
        return msgspec.json.decode(_file(home, source).read_bytes(), type=Profile)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def keep(home: Path, source: str, profile: Profile) -> None:
    """Keep what was learned of a source's server, whole or not at all; raises `StoreFull`."""
    file = _file(home, source)
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreFull(
            "The folder profiles cannot be made.", hint="Make room or rights in the home folder.", detail=error
        ) from error
    replace_text(file, msgspec.json.format(msgspec.json.encode(profile), indent=2).decode() + "\n")


def vendors_folder(home: Path) -> Path:
    """Say where a user's own files of vendors' habits are (`gateway.pull.habits.load_habits` reads them)."""
    return home / "vendors"


def _file(home: Path, source: str) -> Path:
    return home / "profiles" / f"{source}.json"
