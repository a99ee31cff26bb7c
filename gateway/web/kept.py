"""What was tried before: the newest run of a kind that is kept of a twin, or the one that was asked for."""

from __future__ import annotations

import msgspec

from gateway.home import Home
from gateway.store import SavedRun

__all__ = ["find_kept"]


class _Tag(msgspec.Struct):
    """What kind of result a kept run is."""

    type: str = "run"


def find_kept(home: Home, twin: str, model: str, kind: str, asked: str = "") -> SavedRun | None:
    """Find the run of a kind (the tag of its result) that was asked for by the start of its id, or the newest.

    The access to the twin is recorded already; a run of another twin is not found.
    """
    for saved in home.store.runs(twin):
        if saved.model == model and saved.id.startswith(asked) and _tag(saved.content) == kind:
            return saved
    return None


def _tag(content: bytes) -> str:
    return msgspec.json.decode(content, type=_Tag).type
