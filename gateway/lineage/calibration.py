"""From which calibration a run started: what is kept of it now, compared with what the run says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.lineage.kept import Kept
from gateway.lineage.read_run import ReadRun
from gateway.store import SavedRun, SavedState

__all__ = ["Calibration", "calibration_of"]

_KINDS: Final = {"run": "ensemble", "operations": "ensemble", "medication-comparison": "ensemble"}  # others: a track


class Calibration(msgspec.Struct, frozen=True):
    """The kept state of a model, and whether it is the one that the run started from; `lack` says why not."""

    kind: str
    revision: int
    updated: str
    twin_version: int
    lack: str = ""


class _Track(msgspec.Struct):
    version: str = ""
    settings: dict[str, str] = {}
    seed: int = 0
    members: int = 0


class _Ensemble(msgspec.Struct):
    """What both kinds of kept state say of themselves (`gateway.resting`, `gateway.calibration`)."""

    version: str | int = ""
    settings: dict[str, str] = {}
    inputs: dict[str, float] = {}
    seed: int = 0
    members: int = 0
    track: _Track | None = None


def calibration_of(kept: Kept, saved: SavedRun, run: ReadRun) -> Calibration | None:
    """Compare; `None` for a run of one member, which starts from nothing that is kept."""
    if run.type == "run" and run.members == 1:
        return None
    kind = _KINDS.get(run.type, "track")
    state = next((s for model, k, s in kept.states if (model, k) == (run.model, kind)), None)
    if state is None and kind == "track":  # a model that follows no readings keeps an ensemble, whoever asks it
        kind = "ensemble"
        state = next((s for model, k, s in kept.states if (model, k) == (run.model, kind)), None)
    if state is None:
        return Calibration(kind, 0, "", 0, "not-calibrated")
    is_it = state.updated <= saved.created and _fits(state, run)
    when = state.updated.isoformat(timespec="seconds")
    return Calibration(kind, state.revision, when, state.twin_version, "" if is_it else "replaced")


def _fits(state: SavedState, run: ReadRun) -> bool:
    try:
        found = msgspec.msgpack.decode(state.content, type=_Ensemble)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    used: Mapping[str, float] = {each.name: each.value for each in run.inputs}
    same = all(used[name] == value for name, value in found.inputs.items() if name in used)
    if found.track is not None:
        mine = (found.track.version, found.track.settings, found.track.seed, found.track.members)
        return same and mine == (run.version, run.settings, run.seed, run.members)
    version = str(found.version).partition(" ")[0]
    return same and (version, found.settings, found.members) == (run.version, run.settings, run.members)
