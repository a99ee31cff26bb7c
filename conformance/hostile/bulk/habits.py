"""The habits of a server's bulk export; a fault comes and goes, a habit stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["BulkHabits", "Dialect", "Level"]

Dialect = Literal["stu2", "stu3", "stu4"]
Level = Literal["system", "patient", "group"]


@dataclass(frozen=True, slots=True)
class BulkHabits:
    """How a server exports.

    Parameters
    ----------
    dialect
        "stu2" and "stu3": kick-off by GET or POST, values joined by commas or repeated, `request` and `error` in the
        manifest. "stu4": POST only, repeated only, `manifestType`, `outputFormat` and `outcome`, no `request`.
    levels
        Where it can be kicked off.
    polls
        How often the status says "in progress".
    retry_after
        Seconds that a client is asked to wait between polls.
    lines_a_file, files_a_manifest
        How long files and manifests get; a manifest is cut into pages where `allowPartialManifests` is asked (STU3).
    lifetime
        Seconds that files are kept, said in `Expires`.
    guards_files
        Whether a file wants the same token as everything else (`requiresAccessToken`).
    """

    dialect: Dialect = "stu2"
    levels: tuple[Level, ...] = ("system", "patient", "group")
    polls: int = 1
    retry_after: int = 1
    lines_a_file: int = 10_000
    files_a_manifest: int = 10
    lifetime: float = 3600.0
    guards_files: bool = True
