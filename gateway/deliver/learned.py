"""What was learned of a server by writing to it: one JSON file a source beside its profile, for people to read.

There is no patient data in it. It may be deleted at any time: it is learned anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.kept_files import replace_text
from gateway.pull.profile import Truth

__all__ = ["Learned", "keep_learned", "learned"]


class Learned(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a server does with what is written to it. All that is not known is "unknown", and is tried.

    Parameters
    ----------
    transaction, batch
        Whether it takes Bundles of these types.
    conditional_create
        Whether If-None-Exist keeps a second copy away; "no" where it made one all the same.
    update, if_match
        Whether a resource can be updated, and whether If-Match with an old version stops that.
    creates
        The types of those that we write of which its statement says that they can be created; `None` where nobody read
        one, or there is none.
    refused
        The types that it refused to create, with why ("not-supported", "forbidden").
    losses
        By type, the elements that it does not keep as they were sent ("meta.security", "component[0].valueRange").
    search_lag_s
        How long what was written could not be found by a search, at most.
    found
        By type, whether a search by our name finds what was written.
    because
        How each is known, by its name: "statement", "answer", "read-back".
    edition
        The edition of the server's statement by which this was learned: of another one, it is learned anew.
    """

    transaction: Truth = "unknown"
    batch: Truth = "unknown"
    conditional_create: Truth = "unknown"
    update: Truth = "unknown"
    if_match: Truth = "unknown"
    creates: tuple[str, ...] | None = None
    refused: Mapping[str, str] = {}
    losses: Mapping[str, tuple[str, ...]] = {}
    search_lag_s: float = 0.0
    found: Mapping[str, Truth] = {}
    because: Mapping[str, str] = {}
    edition: str = ""


def learned(home: Path, source: str) -> Learned:
    """Return what is kept of a source's server; nothing where nothing is, or nothing that can be read."""
    try:
        return msgspec.json.decode(_file(home, source).read_bytes(), type=Learned)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Learned()


def keep_learned(home: Path, source: str, found: Learned) -> None:
    """Keep what was learned, whole or not at all."""
    file = _file(home, source)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    replace_text(file, msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")


def _file(home: Path, source: str) -> Path:
    return home / "profiles" / f"{source}.writes.json"
