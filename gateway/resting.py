"""Ensembles of models that are known from a few readings of a person at rest: made once, kept sealed, used again.

They follow from the facts alone: what is kept saves time, and is made anew where an answer to the model's needs is
another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta

import msgspec
import numpy as np

from gateway.calibrated import Calibrated, said_assumptions
from gateway.home import Home, now
from gateway.store import SavedState, TwinRecord
from security.audit import run_event
from twin_engine import Found, Profile, TwinModel
from twin_engine.backtest import Skill
from twin_engine.checkpoint import Checkpoint, floor
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array
from twin_engine.run import inputs_of, values_of
from twin_engine.series import Series
from twin_engine.track import Track

__all__ = ["Ensembles", "calibrated_at_rest"]


class _Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """An ensemble, (members, width) of float64, and all that it follows from.

    `version` is the model's, with what its columns are called: another layout is another ensemble. `moved` counts how
    often new readings moved it on since it was calibrated: then it follows from its path, too.
    """

    version: str
    settings: dict[str, str]
    inputs: dict[str, float]
    seed: int
    members: int
    state: bytes
    moved: int = 0

    @property
    def ensemble(self) -> Array:
        return np.frombuffer(self.state, dtype=np.float64).reshape(self.members, -1)


class Ensembles:
    """How models start for a twin: with the ensemble that is kept, else with one that is made, and then kept.

    Parameters
    ----------
    keep
        For the newest version of a twin, seen from now; else nothing is looked up or kept. A calibration is recorded
        when it is kept. A model of which one member is enough has nothing worth keeping.
    online
        Move what is kept on by the readings that came since, where the model can: faster, and dependent on the path.
    """

    def __init__(self, home: Home, record: TwinRecord, *, keep: bool, online: bool = False) -> None:
        self._home, self._record, self._keep, self._online = home, record, keep, online
        self.notes: tuple[str, ...] = ()
        """What has to be told of how the last ensemble came about."""

    def __call__(self, model: TwinModel, inputs: Mapping[str, float], members: int, seed: int) -> Array:
        """Return the ensemble of a model."""
        if not self._keep or members == 1:
            return model.start(inputs, members, np.random.default_rng(seed))
        kept = self._home.store.state(self._record.id, model.name, "ensemble")
        before = msgspec.msgpack.decode(kept.content, type=_Kept) if kept else None
        wanted = (f"{model.version} {_layout(model)}", model.settings, dict(inputs), seed, members)
        known = before and (before.version, before.settings, before.inputs, before.seed, before.members)
        if before and known == wanted and (self._online or not before.moved):
            return before.ensemble
        made, moved = self._moved(model, inputs, before, kept, wanted), 1 + (before.moved if before else 0)
        if made is None:
            made, moved = model.start(inputs, members, np.random.default_rng(seed)), 0
        self._save(model, _Kept(*wanted, made.tobytes(), moved), kept)
        return made

    def _moved(
        self,
        model: TwinModel,
        inputs: Mapping[str, float],
        before: _Kept | None,
        kept: SavedState | None,
        wanted: tuple[str, dict[str, str], dict[str, float], int, int],
    ) -> Array | None:
        if not self._online or before is None or kept is None or not isinstance(model, DynamicModel):
            return None
        if (before.version, before.settings, before.seed, before.members) != (*wanted[:2], *wanted[3:]):
            return None
        days, minute = (now() - kept.updated) / timedelta(days=1), int(now().timestamp()) // 60
        found = model.renew(before.inputs, inputs, before.ensemble, max(days, 0.0), minute)
        if found is None:
            return None
        self.notes = found[1]
        return found[0]

    def _save(self, model: TwinModel, keeping: _Kept, kept: SavedState | None) -> None:
        access = self._home.access(patient=self._record.id)
        self._home.store.save_state(
            *(self._record.id, model.name, "ensemble", msgspec.msgpack.encode(keeping)),
            after=kept.revision if kept else 0,
            twin_version=self._record.version,
            now=now(),
            events=[run_event(access, run="calibration", model=f"{model.name}@{model.version}")],
        )


def _layout(model: TwinModel) -> str:
    """Sum up what the columns of a model's ensemble are."""
    columns = (
        [*(each.name for each in model.states), *(each.name for each in model.fitted)]
        if isinstance(model, DynamicModel)
        else [each.name for each in model.needs]
    )
    return hashlib.blake2b(" ".join(columns).encode(), digest_size=8).hexdigest()


def calibrated_at_rest(
    home: Home, record: TwinRecord, model: DynamicModel, profile: Profile, found: Mapping[str, Found], *, keep: bool
) -> Calibrated:
    """Calibrate to what answers the needs; the track begins and ends at the time of the profile."""
    inputs = values_of(model, found)
    is_newest = keep and record.version == home.store.twin_version(record.id)
    start = Ensembles(home, record, keep=is_newest and record.as_of is None)
    state = start(model, inputs, model.members, 0)
    at = floor(profile.at)
    track = Track(
        model=model.name,
        version=model.version,
        settings=model.settings,
        members=len(state),
        seed=0,
        at=at,
        state=state.tobytes(),
        width=model.width,
        begun=at,
        checkpoints=(Checkpoint(at, b""),),
        resting=inputs,
    )
    return Calibrated(
        twin=record.id,
        twin_version=record.version,
        model=model,
        inputs=inputs,
        grounds=tuple(inputs_of(model, found, set(found), {})),
        assumptions=(*said_assumptions(found), *model.remarks(inputs, state)),
        series=Series(),
        track=track,
        skill=Skill.begin(model, ()),
        facts=profile.facts if isinstance(profile.facts, tuple) else tuple(profile.facts),
        at=profile.at,
        known=is_newest,
    )
