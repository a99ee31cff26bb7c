"""The living part of a stored twin: the calibrated ensemble of a model, and how good its forecasts have been.

It is derived from facts and can always be made again; it is kept, sealed with the twin, so that a new fact costs one
step and not the whole history. For a past version of a twin it is made from what was known then, and not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from gateway.calibrated import Calibrated, said_assumptions
from gateway.home import Home, now
from gateway.resting import calibrated_at_rest
from gateway.simulation import closed_kinds, models_of, proven_kinds
from gateway.store import StoredResource, TwinRecord
from mappers.facts import Fact
from mappers.withdrawn import is_error
from security.audit import run_event
from security.errors import Misuse, UnknownName
from twin_engine import Missing, Profile
from twin_engine.backtest import Skill
from twin_engine.clock import REACH, clocks_ahead
from twin_engine.dynamic import DynamicModel, streamed_of
from twin_engine.forecast import learn, renew
from twin_engine.recent import Recent, is_followed, recent_of, take_in
from twin_engine.run import ask, beyond, inputs_of, missing, values_of
from twin_engine.series import Series, series_of
from twin_engine.track import Track, assimilate, begin, is_refit_due, refit

__all__ = ["MEMBERS", "Calibrated", "current", "dynamic_model", "dynamic_models", "followed_model", "go_on"]

MEMBERS = 100
_LEAST = 12  # readings in the last day of readings: less is no stream that a course could be told from (policy)
_SEED_BYTES = 7  # of the keyed hash of twin and model: a seed that tells nothing and stays the same


class _Kept(msgspec.Struct, frozen=True):
    """What is kept: the track, and the answers to the model's needs that it was made with.

    Beside it stands what it takes to go on from there without all of the past: the version of the twin, how many
    resources it had then, and the recent facts; `None` where only all of the past will do.
    """

    inputs: dict[str, float]
    track: Track
    version: int = 0
    held: int = 0
    recent: Recent | None = None
    errors: tuple[datetime, ...] = ()  # when what was entered in error was said to be

    def fits(self, model: DynamicModel, inputs: Mapping[str, float], members: int) -> bool:
        """Say whether it is of this model as it is, and of these answers."""
        mine = (self.track.model, self.track.version, self.track.settings, self.track.members)
        return mine == (model.name, model.version, model.settings, members) and self.inputs == dict(inputs)


def dynamic_models(home: Home) -> Mapping[str, DynamicModel]:
    """Return the models that follow every person's readings; no variants of another one."""
    return {name: model for name, model in _fitted(home).items() if model.follows and not model.instead_of}


def _fitted(home: Home) -> Mapping[str, DynamicModel]:
    """Return the models that move in time and have parameters that a person's readings can fit."""
    return {n: model for n, model in models_of(home).items() if isinstance(model, DynamicModel) and model.fitted}


def dynamic_model(home: Home, name: str) -> DynamicModel:
    """Return one that can be fitted, a variant too, or say why there is none of that name."""
    known = _fitted(home)
    if name in known:
        return known[name]
    if isinstance(models_of(home).get(name), DynamicModel):
        raise Misuse("This model is a virtual patient: nothing in it is fitted to a person.", hint="Use another one.")
    if name in models_of(home):
        raise Misuse("This model gives one answer and no course over time.", hint="Use twin simulate for it.")
    raise UnknownName("model", name, known)


def followed_model(home: Home, name: str) -> DynamicModel:
    """Return one that follows a person's readings, as a forecast and a warning need."""
    chosen = dynamic_model(home, name)
    if not chosen.follows:
        raise Misuse(
            "This model is known from a few readings at rest and follows none: at rest nothing is to be foreseen.",
            hint="Use twin simulate, twin what-if, twin operate or twin medicate.",
        )
    return chosen


def current(
    home: Home,
    record: TwinRecord,
    model: DynamicModel,
    *,
    at: datetime | None = None,
    members: int = MEMBERS,
    closed: frozenset[str] | None = None,
) -> Calibrated | Missing:
    """Bring the calibration of a model up to what is known of a twin, or say what is missing.

    A model that follows no readings is calibrated to the answers of its needs, of a person at rest.

    `at` is the time to look from: later facts are not used; by default now. What is kept is gone on from where the
    record is the newest version of the twin and `at` is not before it, and replaced; otherwise it is made anew. Nothing
    is made for a time near the present while the clock of a source runs ahead. `closed` are the kinds whose lists are
    taken as whole, where the sources' proofs do not count: for who sees a part of the record only.
    """
    moment = at or now()
    facts = tuple(record.facts)
    profile = Profile(facts, moment, closed_kinds(home, record) if closed is None else closed)
    present = record.as_of or (moment if at is None else now())
    ahead = clocks_ahead(model, facts, present) if moment > present - REACH else ()  # of long ago it says nothing
    if dead := profile.died():
        when = f" ({dead.when})" if dead.when else ""
        said = (f"The patient is recorded as dead{when}: there is nothing to forecast.",)
        return missing(model, profile, {}, {}, said)
    if wrong := tuple(each.said() for each in ahead if each.is_clock):
        return missing(model, profile, {}, {}, wrong)
    found, lacks = ask(model, profile)
    if not model.follows:
        lacks = {name: lack for name, lack in lacks.items() if all(name in wanted.needs for wanted in model.yields)}
    if lacks:
        return missing(model, profile, lacks, {}, tuple(dict.fromkeys(lack.say for lack in lacks.values())))
    if not model.follows:
        if apart := beyond(model, values_of(model, found)):
            return missing(model, profile, {}, {}, apart)
        return calibrated_at_rest(home, record, model, profile, found, keep=at is None and not record.partial)
    series = series_of(model, facts, until=moment)
    if (recent := _last_day(model, series)) < _LEAST:
        say = (
            f"{model.channels[0].title}: {recent or 'no'} usable readings in the last day that has any, until "
            f"{moment:%Y-%m-%d %H:%M} UTC; the model needs {_LEAST}."
        )
        return missing(model, profile, {}, {}, (say,))
    inputs = {name: answer.value for name, answer in found.items()}
    newest = at is None and not record.partial and record.version == home.store.twin_version(record.id)
    track, skill = _bring_up(home, record, model, inputs, series, members, keep=newest, facts=facts, moment=moment)
    return Calibrated(
        twin=record.id,
        twin_version=record.version,
        model=model,
        inputs=inputs,
        grounds=tuple(inputs_of(model, found, set(found), {})),
        assumptions=said_assumptions(found, ahead),
        series=series,
        track=track,
        skill=skill,
        facts=facts,
        at=moment,
        known=newest,
    )


def go_on(home: Home, twin: str, model: DynamicModel) -> Calibrated | None:
    """Do the same for a value that has just come, in the time of a step: from what is kept, and from what came since.

    `None` where only all of the past will do: something that was known has changed, or came late by hours, nothing is
    kept, an answer to a need is another one now, a refit is due, a clock runs ahead. Else it is to the bit what
    `current` gives, but for `series` and `facts`, which are the recent ones. Call it in a transaction of the store, and
    record there who read.
    """
    kept, rated = home.store.state(twin, model.name, "track"), home.store.state(twin, model.name, "skill")
    before = msgspec.msgpack.decode(kept.content, type=_Kept) if kept else None
    if kept is None or rated is None or before is None or before.recent is None:
        return None
    news = home.store.twin_news(twin, before.version)
    latest = {(resource.source, resource.key): resource for resource in news.resources}
    if news.held != before.held + len(latest):  # some of them have taken the place of others
        return None
    if any(resource.key.startswith("Consent/") for resource in news.resources):  # it may end what is gone on with here
        return None
    moment = now()
    new = [fact for resource in latest.values() for fact in resource.facts]
    if _is_to_be_settled(before, before.recent, new, latest.values()):
        return None
    taken = take_in(model, before.recent, new, before.track, moment)
    if taken is None:
        return None
    recent, series = taken.recent, taken.series
    ahead = clocks_ahead(model, recent.facts, moment)
    if any(each.is_clock for each in ahead):
        return None
    listed = any(need.kind in ("problem", "medication") for need in model.needs)
    profile = Profile(recent.grounds, moment, proven_kinds(home, news.sources) if listed else frozenset())
    found, lacks = ask(model, profile)
    inputs = {name: answer.value for name, answer in found.items()}
    skill = msgspec.msgpack.decode(rated.content, type=Skill)
    is_usual = not profile.died() and not lacks and _last_day(model, series) >= _LEAST
    if not is_usual or not before.fits(model, inputs, MEMBERS) or not is_followed(skill, model, series, recent.start):
        return None
    track = assimilate(model, inputs, before.track, series, since=taken.since)
    if is_refit_due(track, series.readings[-1].when):
        return None
    skill = renew(model, inputs, track, skill, series)
    if track != before.track or news.version != before.version:
        keeping = _Kept(inputs, track, news.version, news.held, recent, before.errors)
        _keep(home, twin, model, keeping, skill, (kept.revision, rated.revision), is_new=track != before.track)
    return Calibrated(
        twin=twin,
        twin_version=news.version,
        model=model,
        inputs=inputs,
        grounds=tuple(inputs_of(model, found, set(found), {})),
        assumptions=said_assumptions(found, ahead),
        series=series,
        track=track,
        skill=skill,
        facts=recent.facts,
        at=moment,
        known=True,
        whole=False,
    )


def _is_to_be_settled(before: _Kept, recent: Recent, new: Iterable[Fact], came: Iterable[StoredResource]) -> bool:
    """Say whether what came corrects or withdraws something, or tells it in other digits (`mappers.duplicates`)."""
    known = {(fact.name, fact.when.earliest): fact.value for fact in recent.facts if fact.when}
    return any(is_error(refusal) for resource in came for refusal in resource.refusals) or any(
        fact.when.earliest in before.errors or known.get((fact.name, fact.when.earliest), fact.value) != fact.value
        for fact in new
        if fact.when
    )


def _last_day(model: DynamicModel, series: Series) -> int:
    """Count the readings of the last day that has any."""
    told = [r.when for r in series.readings if r.channel == model.channels[0].name]
    return sum(told[-1] - when <= timedelta(days=1) for when in told)


def _bring_up(
    home: Home,
    record: TwinRecord,
    model: DynamicModel,
    inputs: Mapping[str, float],
    series: Series,
    members: int,
    *,
    keep: bool,
    facts: tuple[Fact, ...],
    moment: datetime,
) -> tuple[Track, Skill]:
    """Go on from what is kept, or start; keep the result where it is about the newest version."""
    seed = int(home.blind.of("seed", f"{record.id} {model.name}")[: 2 * _SEED_BYTES], 16)
    kept = home.store.state(record.id, model.name, "track") if keep else None
    rated = home.store.state(record.id, model.name, "skill") if keep else None
    before = msgspec.msgpack.decode(kept.content, type=_Kept) if kept else None
    if before is not None and rated is not None and before.fits(model, inputs, members):
        track = assimilate(model, inputs, before.track, series)
        if why := is_refit_due(track, series.readings[-1].when):
            track = refit(model, inputs, track, series, why)
        skill = renew(model, inputs, track, msgspec.msgpack.decode(rated.content, type=Skill), series)
    else:
        track = begin(model, inputs, series, members=members, seed=seed)
        skill = learn(model, inputs, series, seed=seed, members=members)
    is_new = before is None or track != before.track or rated is None
    if keep and (is_new or before is None or before.version != record.version):
        errors = record.settled.errors(streamed_of(model))
        recent = None if errors is None else recent_of(model, facts, series, moment)
        keeping = _Kept(dict(inputs), track, record.version, len(record.resources), recent, errors or ())
        after = (kept.revision if kept else 0, rated.revision if rated else 0)
        _keep(home, record.id, model, keeping, skill, after, is_new=is_new)
    return track, skill


def _keep(
    home: Home, twin: str, model: DynamicModel, keeping: _Kept, skill: Skill, after: tuple[int, int], *, is_new: bool
) -> None:
    """Keep both or neither; one that was overtaken keeps nothing. What is not new is no calibration to record."""
    event = run_event(home.access(patient=twin), run="calibration", model=f"{model.name}@{model.version}")
    name, version = model.name, keeping.version
    content = msgspec.msgpack.encode(keeping)
    with home.store.transaction():
        events = [event] if is_new else []
        saved = home.store.save_state(
            twin, name, "track", content, after=after[0], twin_version=version, now=now(), events=events
        )
        if saved and is_new:
            content = msgspec.msgpack.encode(skill)
            home.store.save_state(twin, name, "skill", content, after=after[1], twin_version=version, now=now())
