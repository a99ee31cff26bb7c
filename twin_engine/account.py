"""What is known of a patient at a time, over all that a set of models asks: how old, how sure, and what is missing.

Each answer is told once, with the models that ask for it. What stands for a population is kept apart from what is known
of this patient. An account holds patient data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from mappers.facts import Fact
from twin_engine.answer import Age, Found, How, Lack, Why
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Need, TwinModel
from twin_engine.profile import Profile
from twin_engine.run import ask
from twin_engine.series import series_of
from twin_engine.uncertainty import Part, Uncertainty

__all__ = ["Account", "Gap", "Known", "Stream", "account_of"]

Sure = Literal["declared", "declared in part", "unknown", "not a measurement"]

_DAY = timedelta(days=1)


class Gap(msgspec.Struct, frozen=True):
    """What is not known: why, since when, what came nearest, who asks, and what cannot be computed without it."""

    name: str
    title: str
    why: Why
    say: str
    since: str
    nearest: tuple[Fact, ...]
    models: tuple[str, ...]
    holds_back: tuple[str, ...]


class Known(msgspec.Struct, frozen=True):
    """One answer. `when` is the time as told, "" for what has none; `age` counts from it.

    `uncertainty` is a standard deviation from declared sources, and `sure` says whether there is one. `instead_of` is
    what was not known where a population stands in.
    """

    name: str
    title: str
    value: float
    said: str
    unit: str
    how: How
    when: str
    age: Age | None
    sure: Sure
    uncertainty: Uncertainty | None
    assumption: str
    facts: tuple[Fact, ...]
    models: tuple[str, ...]
    instead_of: Gap | None = None


class Stream(msgspec.Struct, frozen=True):
    """What a sensor told a model that moves in time: the last reading, and how many there were in the day before.

    `bound` is "<=" or ">=" where the reading stands at the end of what the device can tell.
    """

    model: str
    name: str
    title: str
    unit: str
    value: float
    bound: str
    when: datetime
    age: Age
    last_day: int
    uncertainty: Uncertainty


class Account(msgspec.Struct, frozen=True):
    """All of it, as seen at `at`. `died` is the fact that says that the patient was dead by then."""

    at: datetime
    models: tuple[str, ...]
    known: tuple[Known, ...]
    imputed: tuple[Known, ...]
    missing: tuple[Gap, ...]
    streams: tuple[Stream, ...]
    died: Fact | None


def account_of(models: Sequence[TwinModel], profile: Profile) -> Account:
    """Ask a profile all that the models need, and gather the answers."""
    known: dict[object, Known] = {}
    missing: dict[object, Gap] = {}
    for model in models:
        found, lacks = ask(model, profile)
        for need in model.needs:
            if answer := found.get(need.name):
                key: object = (need.names, need.at, answer)
                known[key] = _with(known.get(key), _known(need, answer, model, profile))
            elif lacks[need.name].need == need.name:  # else it only waits for another answer
                gap = _gap(lacks[need.name], model, [name for name, lack in lacks.items() if lack is lacks[need.name]])
                key = (need.names, gap.why, gap.say)
                missing[key] = _without(missing.get(key), gap)
    return Account(
        at=profile.at,
        models=tuple(model.name for model in models),
        known=tuple(each for each in known.values() if each.how != "imputed"),
        imputed=tuple(each for each in known.values() if each.how == "imputed"),
        missing=tuple(missing.values()),
        streams=tuple(each for model in models for each in _streams(model, profile)),
        died=profile.died(),
    )


def _with(before: Known | None, entry: Known) -> Known:
    """Note that one more model asks for the same answer."""
    return entry if before is None else msgspec.structs.replace(before, models=(*before.models, *entry.models))


def _without(before: Gap | None, entry: Gap) -> Gap:
    """Note that one more model lacks the same."""
    if before is None:
        return entry
    return msgspec.structs.replace(
        before, models=(*before.models, *entry.models), holds_back=(*before.holds_back, *entry.holds_back)
    )


def _known(need: Need, answer: Found, model: TwinModel, profile: Profile) -> Known:
    sure: Sure = "unknown"
    if not (need.kind == "measurement" or answer.uncertainty):
        sure = "not a measurement"
    elif answer.uncertainty:
        sure = "declared in part" if answer.uncertainty.unknown else "declared"
    instead = None
    if answer.how == "imputed":
        lack = profile.find(replace(need, imputed=None))
        instead = _gap(lack, model, ()) if isinstance(lack, Lack) else None
    return Known(
        name=need.name,
        title=need.title,
        value=answer.value,
        said=answer.said,
        unit=answer.unit,
        how=answer.how,
        when=str(answer.when) if answer.when else "",
        age=answer.age,
        sure=sure,
        uncertainty=answer.uncertainty,
        assumption=answer.assumption,
        facts=answer.facts,
        models=(model.name,),
        instead_of=instead,
    )


def _gap(lack: Lack, model: TwinModel, needs: Collection[str]) -> Gap:
    """Tell a lack, with the yields of the model that need what is lacking."""
    return Gap(
        name=lack.need,
        title=lack.title,
        why=lack.why,
        say=lack.say,
        since=str(lack.since) if lack.since else "",
        nearest=lack.nearest,
        models=(model.name,),
        holds_back=tuple(
            f"{model.name}: {each.name}" for each in model.yields if not set(needs).isdisjoint(each.needs)
        ),
    )


def _streams(model: TwinModel, profile: Profile) -> Iterator[Stream]:
    """Tell the last reading of each channel of a model that moves in time."""
    if not isinstance(model, DynamicModel):
        return
    series = series_of(model, profile.facts, until=profile.at)
    for channel in model.channels:
        readings = [reading for reading in series.readings if reading.channel == channel.name]
        if readings:
            last = readings[-1]
            yield Stream(
                model=model.name,
                name=channel.name,
                title=channel.title,
                unit=channel.unit,
                value=last.value,
                bound={-1: "<=", 1: ">="}.get(last.edge, ""),
                when=last.when,
                age=Age((profile.at - last.when) / _DAY, (profile.at - last.when) / _DAY),
                last_day=sum(profile.at - reading.when <= _DAY for reading in readings),
                uncertainty=Uncertainty(last.sd, (Part("measuring", last.sd, channel.citation),)),
            )
