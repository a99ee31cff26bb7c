"""The living part of a stored twin: the calibrated ensemble of a model, and how good its forecasts have been.

It is derived from facts and can always be made again; it is kept, sealed with the twin, so that a new fact costs one
step and not the whole history. For a past version of a twin it is made from what was known then, and not kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from gateway.home import Home, now
from gateway.simulation import closed_kinds, models_of
from gateway.store import TwinRecord
from mappers.facts import Fact
from security.audit import run_event
from security.errors import Misuse, UnknownName
from twin_engine import Missing, Profile
from twin_engine.backtest import Skill
from twin_engine.dynamic import DynamicModel
from twin_engine.forecast import learn, renew
from twin_engine.run import Input, ask, inputs_of, missing
from twin_engine.series import Series, series_of
from twin_engine.track import Track, assimilate, begin, is_refit_due, refit

__all__ = ["MEMBERS", "Calibrated", "current", "dynamic_model", "dynamic_models"]

MEMBERS = 100
_LEAST = 12  # readings in the last day of readings: less is no stream that a course could be told from (policy)
_SEED_BYTES = 7  # of the keyed hash of twin and model: a seed that tells nothing and stays the same


class _Kept(msgspec.Struct, frozen=True):
    """What is kept: the track, and the answers to the model's needs that it was made with."""

    inputs: dict[str, float]
    track: Track


@dataclass(frozen=True)
class Calibrated:
    """A model, calibrated to a twin as it was known, with all that it stands on."""

    twin: str
    twin_version: int
    model: DynamicModel
    inputs: Mapping[str, float]
    grounds: tuple[Input, ...]
    assumptions: tuple[str, ...]
    series: Series
    track: Track
    skill: Skill
    facts: tuple[Fact, ...]
    at: datetime
    known: bool  # as it is known now; False for a past version of the twin

    @property
    def last(self) -> datetime:
        """When the last reading was taken."""
        return self.series.readings[-1].when


def dynamic_models(home: Home) -> Mapping[str, DynamicModel]:
    """Return the models that move in time and have parameters that a person's readings can fit."""
    return {n: model for n, model in models_of(home).items() if isinstance(model, DynamicModel) and model.fitted}


def dynamic_model(home: Home, name: str) -> DynamicModel:
    """Return one of them, or say why there is none of that name."""
    known = dynamic_models(home)
    if name in known:
        return known[name]
    if isinstance(models_of(home).get(name), DynamicModel):
        raise Misuse("This model is a virtual patient: nothing in it is fitted to a person.", hint="Use another one.")
    if name in models_of(home):
        raise Misuse("This model gives one answer and no course over time.", hint="Use twin simulate for it.")
    raise UnknownName("model", name, known)


def current(
    home: Home, record: TwinRecord, model: DynamicModel, *, at: datetime | None = None, members: int = MEMBERS
) -> Calibrated | Missing:
    """Bring the calibration of a model up to what is known of a twin, or say what is missing.

    `at` is the time to look from: later facts are not used; by default now. What is kept is gone on from where the
    record is the newest version of the twin and `at` is not before it, and replaced; otherwise it is made anew.
    """
    moment = at or now()
    facts = tuple(record.facts)
    profile = Profile(facts, moment, closed_kinds(home, record))
    if dead := profile.died():
        when = f" ({dead.when})" if dead.when else ""
        said = (f"The patient is recorded as dead{when}: there is nothing to forecast.",)
        return missing(model, profile, {}, {}, said)
    found, lacks = ask(model, profile)
    if lacks:
        return missing(model, profile, lacks, {}, tuple(dict.fromkeys(lack.say for lack in lacks.values())))
    series = series_of(model, facts, until=moment)
    channel = model.channels[0]
    told = [r.when for r in series.readings if r.channel == channel.name]
    recent = [when for when in told if told[-1] - when <= timedelta(days=1)]
    if len(recent) < _LEAST:
        say = (
            f"{channel.title}: {len(recent) or 'no'} usable readings in the last day that has any, until "
            f"{moment:%Y-%m-%d %H:%M} UTC; the model needs {_LEAST}."
        )
        return missing(model, profile, {}, {}, (say,))
    inputs = {name: answer.value for name, answer in found.items()}
    newest = at is None and record.version == home.store.twin_version(record.id)
    track, skill = _bring_up(home, record, model, inputs, series, members, keep=newest, now_=moment)
    return Calibrated(
        twin=record.id,
        twin_version=record.version,
        model=model,
        inputs=inputs,
        grounds=tuple(inputs_of(model, found, set(found), {})),
        assumptions=tuple(dict.fromkeys(a.assumption for a in found.values() if a.assumption)),
        series=series,
        track=track,
        skill=skill,
        facts=facts,
        at=moment,
        known=newest,
    )


def _bring_up(
    home: Home,
    record: TwinRecord,
    model: DynamicModel,
    inputs: Mapping[str, float],
    series: Series,
    members: int,
    *,
    keep: bool,
    now_: datetime,
) -> tuple[Track, Skill]:
    """Go on from what is kept, or start; keep the result where it is about the newest version."""
    seed = int(home.blind.of("seed", f"{record.id} {model.name}")[: 2 * _SEED_BYTES], 16)
    kept = home.store.state(record.id, model.name, "track") if keep else None
    rated = home.store.state(record.id, model.name, "skill") if keep else None
    before = msgspec.msgpack.decode(kept.content, type=_Kept) if kept else None
    usable = (
        before is not None
        and (before.track.model, before.track.version, before.track.settings)
        == (model.name, model.version, model.settings)
        and before.inputs == dict(inputs)
        and before.track.members == members
    )
    if before is not None and rated is not None and usable:
        track = assimilate(model, inputs, before.track, series)
        if why := is_refit_due(track, series.readings[-1].when):
            track = refit(model, inputs, track, series, why)
        skill = renew(model, inputs, track, msgspec.msgpack.decode(rated.content, type=Skill), series)
    else:
        track = begin(model, inputs, series, members=members, seed=seed)
        skill = learn(model, inputs, series, seed=seed, members=members)
    if keep and (before is None or track != before.track or rated is None):
        event = run_event(home.access(patient=record.id), run="calibration", model=f"{model.name}@{model.version}")
        content = msgspec.msgpack.encode(_Kept(dict(inputs), track))
        with home.store.transaction():  # both or neither; one that was overtaken keeps nothing
            saved = home.store.save_state(
                record.id,
                model.name,
                "track",
                content,
                after=kept.revision if kept else 0,
                twin_version=record.version,
                now=now(),
                events=[event],
            )
            if saved:
                home.store.save_state(
                    record.id,
                    model.name,
                    "skill",
                    msgspec.msgpack.encode(skill),
                    after=rated.revision if rated else 0,
                    twin_version=record.version,
                    now=now(),
                )
    return track, skill
