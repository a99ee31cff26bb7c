"""A calibration that lives: the ensemble of one model for one twin, brought up to date by each new reading.

A track knows which facts it has used by a keyed digest of all of them. What is handed over is compared with it: new
facts move the ensemble forward; one that came late, was corrected or retracted takes it back to the last checkpoint
before that fact, and what follows is replayed. So the same facts give the same bits in whatever order they came.
Written to msgpack and read back a track is the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
import numpy as np

from security.errors import Diverged
from twin_engine.assimilate import chance
from twin_engine.calibrate import calibrate, is_enough
from twin_engine.checkpoint import (
    MODULUS,
    Checkpoint,
    Refit,
    Track,
    digest_of,
    facts_of,
    floor,
    hour_of,
    moment_of,
    thinned,
)
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array
from twin_engine.passage import Passage, Trial, running_at, usual_rates
from twin_engine.plan import inputs_over
from twin_engine.series import Dose, Reading, Series

__all__ = [
    "Checkpoint",
    "Refit",
    "Track",
    "assimilate",
    "begin",
    "ensemble_at",
    "is_refit_due",
    "plan_ahead",
    "predict",
    "refit",
    "walk",
]

# Policy, chosen on virtual patients (docs/twins.md).
HISTORY = timedelta(days=14)  # that a track looks back on where it begins
WINDOW = timedelta(days=3)  # to which a calibration fits one set of parameters
TRIAL = timedelta(hours=24)  # of forecasts, by which the better of two ensembles is chosen
REFIT_EVERY = timedelta(hours=24)
REFIT_AFTER = timedelta(hours=3)  # so long a track that strayed waits, before it is looked at again
STRAYED = 3.0  # mean squared distance in standard deviations at which a track has lost its patient
COLLAPSED = 0.02  # of the prior's spread, in every parameter: members that are all the same learn no more


def begin(
    model: DynamicModel,
    inputs: Mapping[str, float],
    series: Series,
    *,
    members: int = 100,
    seed: int = 0,
    until: datetime | None = None,
    why: str = "begin",
) -> Track:
    """Make a track from what is known until a time (by default the last reading); later facts are left out.

    Two ensembles are followed to that time where there is history enough: one from the priors at the first reading, and
    one from a calibration that ends a day before. The one that forecast the last day better is kept. Raises
    `ValueError` where there is no reading.
    """
    end, known = _known(series, until)
    first = next(reading for reading in known.readings if reading.when >= min(end - HISTORY, known.readings[-1].when))
    origin = moment_of(first)
    resting = {**inputs, **usual_rates(model, inputs, known.doses, end - WINDOW, end)}
    channel = next(i for i, each in enumerate(model.channels) if first.channel in each.names)
    state = model.bounded(model.anchor(model.start(resting, members, chance(seed, -1)), channel, first.value))
    plain = _planted(model, resting, known, origin, state, seed=seed, end=end)
    plain, trial = _followed(model, plain, known, end - TRIAL)
    fitted = _calibrated(model, plain, known, end)
    return _better(plain, trial, fitted, why, "priors")


def refit(model: DynamicModel, inputs: Mapping[str, float], track: Track, series: Series, why: str = "daily") -> Track:
    """Look at a track anew, up to its last reading: calibrate from history, and keep what forecast the last day better.

    `series` is all that is known. A track that rests on facts which have changed since, or whose members have become
    the same, begins again.
    """
    track = assimilate(model, inputs, track, series)
    if track.changed or track.collapsed:
        fresh = begin(model, inputs, series, members=track.members, seed=track.seed, until=track.at, why=why)
        return msgspec.structs.replace(fresh, refits=(*track.refits, *fresh.refits))
    end, known = _known(series, track.at)
    trial = Trial(model, known.readings, end - TRIAL)
    _go(model, track, _before(track, end - TRIAL), known, trial)
    able = [each for each in track.checkpoints if each.at >= end - HISTORY] or list(track.checkpoints[-1:])
    kept = msgspec.structs.replace(
        track, begun=end, checkpoints=tuple(able), history=_history(track.seed, known, able[0].at)
    )
    return _better(kept, trial, _calibrated(model, kept, known, end), why, "kept")


def assimilate(
    model: DynamicModel, inputs: Mapping[str, float], track: Track, series: Series, *, since: datetime | None = None
) -> Track:
    """Bring a track up to date with what a model can use of a twin now.

    `series` is all that is known from `since` on (by default: all; what is older than `HISTORY` before the track's
    origin may be left out). What is later than `since` and not in it has been retracted. What is not later than `since`
    counts as unchanged: for a live stream, hand over the new facts with `since=track.at`, if they are later than that.

    `inputs` are the answers to the model's needs; where they differ from those that the track began with, begin anew.
    Raises `Diverged` where a number is no number any more.
    """
    facts = facts_of(series)
    moments = [moment_of(fact) for fact in facts]
    changed = track.changed or any(track.resting.get(name) != value for name, value in _needed(model, inputs).items())
    if since is None:
        changed = changed or _history(track.seed, series, track.origin) != track.history
    base = _last_valid(track, facts, moments, since)
    later = facts[bisect_right(moments, base.at) :]
    if changed != track.changed:
        track = msgspec.structs.replace(track, changed=changed)
    if base.state or any(isinstance(fact, Reading) for fact in later):
        return _go(model, track, base, later)
    return track


def walk(model: DynamicModel, track: Track, series: Series) -> Iterator[tuple[datetime, Array]]:
    """Follow a track from its origin over a series, reading by reading: when, and the ensemble then.

    For back-tests: it is what `assimilate` does, seen from inside. Nothing later than each time has been used.
    """
    passage = Passage(model, track, track.checkpoints[0])
    facts = facts_of(series)
    for each in passage.follow([fact for fact in facts if moment_of(fact) > track.origin]):
        if isinstance(each, datetime):
            yield each, passage.state


def ensemble_at(model: DynamicModel, track: Track, doses: Iterable[Dose], when: datetime) -> Array:
    """Return the ensemble at a time not before `track.at`, widened by what may have happened in the silence between.

    `doses` are those later than `track.at`; earlier ones are known to the track.
    """
    passage = Passage(model, track, track.now)
    later = sorted((dose for dose in doses if moment_of(dose) > track.at), key=moment_of)
    for _ in passage.follow(later, until=floor(when)):
        pass
    return passage.state


def plan_ahead(model: DynamicModel, track: Track, doses: Iterable[Dose], minutes: int) -> Array:
    """Lay what still acts at `track.at`, and the doses that are later, on the next minutes: (minutes, plan inputs)."""
    later = [dose for dose in doses if moment_of(dose) > track.at]
    return inputs_over(model, (*track.running, *later), track.at, minutes, resting=track.resting)


def predict(model: DynamicModel, track: Track, plan: Array, every: int, state: Array | None = None) -> Array:
    """Return what is expected to be measured under a plan from `track.at` on: (points, members, channels).

    `state` stands in for the track's ensemble, where the plan begins at another time (`ensemble_at`).
    """
    return model.trace(track.ensemble if state is None else state, plan, every)[1]


def is_refit_due(track: Track, now: datetime) -> str:
    """Say why a track should be looked at anew: "changed", "collapsed", "strayed", "daily"; or "" where it need not."""
    age = now - track.begun
    if track.changed:
        return "changed"
    if age >= REFIT_AFTER and track.collapsed:
        return "collapsed"
    if age >= REFIT_AFTER and track.surprise > STRAYED:
        return "strayed"
    return "daily" if age >= REFIT_EVERY else ""


def _known(series: Series, until: datetime | None) -> tuple[datetime, Series]:
    """Leave out what is later than a time, by default the last reading."""
    if not series.readings:
        raise ValueError("a track begins with a reading")
    end = floor(until) if until else max(map(moment_of, series.readings))
    known = Series(
        tuple(reading for reading in series.readings if moment_of(reading) <= end),
        tuple(dose for dose in series.doses if moment_of(dose) <= end),
    )
    if not known.readings:
        raise ValueError("a track begins with a reading")
    return end, known


def _planted(
    model: DynamicModel,
    resting: Mapping[str, float],
    known: Series,
    origin: datetime,
    state: Array,
    *,
    seed: int,
    end: datetime,
) -> Track:
    """Make a track that has used nothing yet."""
    rounded = state.astype(np.float32)
    running = running_at(model, known.doses, origin)
    return Track(
        model=model.name,
        version=model.version,
        settings=model.settings,
        members=len(state),
        seed=seed,
        at=origin,
        state=rounded.astype(np.float64).tobytes(),
        width=model.width,
        begun=end,
        checkpoints=(Checkpoint(origin, rounded.tobytes(), running=running),),
        running=running,
        history=_history(seed, known, origin),
        resting={name: float(value) for name, value in resting.items()},
    )


def _calibrated(model: DynamicModel, track: Track, known: Series, end: datetime) -> tuple[Track, Trial, str] | None:
    """Calibrate on the days before the last one and follow that, where there is enough of them."""
    split = hour_of(end - TRIAL)
    start = max(split - WINDOW, floor(known.readings[0].when - timedelta(minutes=1)))
    if not is_enough(known, start, split):
        return None
    resting = {**track.resting, **usual_rates(model, track.resting, known.doses, start, split)}
    try:
        found = calibrate(model, resting, known, start, split, members=track.members, seed=track.seed)
        made = _planted(model, resting, known, split, found.ensemble, seed=track.seed, end=end)
        followed, trial = _followed(model, made, known, end - TRIAL)
    except Diverged:  # the track itself did not, and stays
        return None
    return msgspec.structs.replace(followed, refits=track.refits), trial, found.method


def _followed(model: DynamicModel, track: Track, known: Series, since: datetime) -> tuple[Track, Trial]:
    """Follow a track that has used nothing yet to the end of what is known, and rate its forecasts of the last day."""
    trial = Trial(model, known.readings, since)
    return _go(model, track, track.checkpoints[0], known, trial), trial


def _better(track: Track, trial: Trial, fitted: tuple[Track, Trial, str] | None, why: str, method: str) -> Track:
    """Keep the track, or the fitted one where that forecast better beyond chance, and note which."""
    gain = 0.0
    if fitted:
        gain, sure = trial.gain(fitted[1])
        if sure:
            track, method = fitted[0], fitted[2]
    return msgspec.structs.replace(track, refits=(*track.refits, Refit(track.begun, why, method, gain)))


def _go(
    model: DynamicModel,
    track: Track,
    base: Checkpoint,
    facts: Sequence[Reading | Dose] | Series,
    trial: Trial | None = None,
) -> Track:
    """Go on from a checkpoint over what is later, and return the track as it is then."""
    if isinstance(facts, Series):
        facts = [fact for fact in facts_of(facts) if moment_of(fact) > base.at]
    passage = Passage(model, track, base)
    made: list[Checkpoint] = []
    for each in passage.follow(facts):
        if isinstance(each, Checkpoint):
            made.append(each)
        elif trial:
            trial.rate(passage)
    kept = tuple(each for each in track.checkpoints if each.at <= base.at)
    return msgspec.structs.replace(
        track,
        at=passage.at,
        state=np.ascontiguousarray(passage.state).tobytes(),
        checkpoints=thinned((*kept, *made), passage.at) if made else kept,
        digest=passage.digest,
        running=passage.running,
        readings=passage.readings,
        surprise=passage.surprise,
        collapsed=_is_collapsed(model, passage.state) if made else track.collapsed,
    )


def _last_valid(
    track: Track, facts: Sequence[Reading | Dose], moments: Sequence[datetime], since: datetime | None
) -> Checkpoint:
    """Find where to go on: from the track as it is (a checkpoint without ensemble), or from the last one that used just
    these facts.
    """
    if since is not None and since >= track.at:
        return track.now
    base = _before(track, since) if since is not None else track.checkpoints[0]
    ends = [moment for fact, moment in zip(facts, moments, strict=True) if isinstance(fact, Reading)] or [base.at]
    total, place = int.from_bytes(base.digest), bisect_right(moments, base.at)
    for each in (*(one for one in track.checkpoints if one.at > base.at), track.now):
        end = bisect_right(moments, each.at)
        total = (total + digest_of(track.seed, facts[place:end])) % MODULUS
        if total != int.from_bytes(each.digest):
            return _before(track, min(base.at, max(ends[-1], track.origin)))  # not into a silence that nothing ends
        base, place = each, end
    return track.now


def _before(track: Track, when: datetime) -> Checkpoint:
    """Return the last checkpoint not later than a time, or the first."""
    return next((each for each in reversed(track.checkpoints) if each.at <= when), track.checkpoints[0])


def _history(seed: int, series: Series, origin: datetime) -> bytes:
    """Sum up the facts of the days before a track's origin."""
    facts: tuple[Reading | Dose, ...] = (*series.doses, *series.readings)
    before = (fact for fact in facts if origin - HISTORY < moment_of(fact) <= origin)
    return digest_of(seed, before).to_bytes(16)


def _needed(model: DynamicModel, inputs: Mapping[str, float]) -> Mapping[str, float]:
    """Leave out what is a rate: that is taken from the record."""
    rates = {each.name for each in model.plan}
    return {name: value for name, value in inputs.items() if name not in rates}


def _is_collapsed(model: DynamicModel, state: Array) -> bool:
    priors = np.array([parameter.fitted_from.sd for parameter in model.fitted])
    return bool(len(priors)) and bool((state[:, len(model.states) :].std(axis=0) < COLLAPSED * priors).all())
