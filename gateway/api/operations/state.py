"""$twin: what is known of a twin as its caller sees it: how old, how sure, what is missing, which models can run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from starlette.concurrency import run_in_threadpool

from gateway.api.call import Call, Reply
from gateway.api.operations.begin import answer_or_begin
from gateway.api.operations.calibrating import calibrate
from gateway.api.operations.definition import Declared, Parameter, offers_of
from gateway.api.operations.results import Json, part, text, to_json
from gateway.api.operations.scores import scores_parts
from gateway.api.operations.subject import Subject, subject_of
from gateway.api.operations.told import read_told
from gateway.calibration import dynamic_models
from gateway.outlook import look_ahead
from gateway.simulation import answering_models, models_of
from mappers.facts import Fact
from mappers.outbound.times import instant
from security.errors import UnknownName
from twin_engine import Missing, TwinModel
from twin_engine.account import Account, Gap, Known, Stream, account_of
from twin_engine.answer import Age

__all__ = ["OFFERS", "TWIN", "told_of_twin"]

TWIN: Final = Declared(
    code="twin",
    name="TwinState",
    title="The state of a twin",
    says=(
        "Tells what is known of a patient from what the caller may see: how many facts of which kind and how new, each "
        "input of the models with its value, age, uncertainty and the resources that say it, what is taken from a "
        "population instead, what is missing, and which models lack nothing."
    ),
    parameters=(
        Parameter(name="model", type="code", most="*", says="Only what this model asks for; by default all of them."),
        Parameter(name="at", type="instant", says="What was true by this time; ages count to it. By default now."),
        Parameter(
            name="calibration",
            type="boolean",
            says="Calibrate the models that follow readings, and tell how right they were on this past: slow.",
        ),
        Parameter(name="return", use="out", type="Parameters", least=1, says="What is known, and what is not."),
    ),
    by_get=True,
)


async def told_of_twin(call: Call) -> Reply:
    """Answer it, at once or as a job."""

    async def answer(call: Call) -> Reply:
        return await run_in_threadpool(_tell, call)

    return await answer_or_begin(call, TWIN.code, answer)


def _tell(call: Call) -> Reply:
    told = read_told(call, TWIN.known)
    models = _chosen(call, told.texts("model"))
    at, wants = told.moment("at") or call.now, told.flag("calibration")
    subject = subject_of(call)
    account = account_of(tuple(models.values()), subject.profile(at))
    facts = list(subject.record.facts)
    parameters: list[Json | None] = [
        {"name": "subject", "valueReference": {"reference": subject.patient.reference}},
        {"name": "at", "valueInstant": instant(account.at)},
        {"name": "deceased", "valueBoolean": True} if account.died else None,
        *_kinds(facts),
        *(_known(subject, "known", each) for each in account.known),
        *(_sensor(each) for each in account.streams),
        *(_known(subject, "imputed", each) for each in account.imputed),
        *(_missing(each) for each in account.missing),
        *(_model(each, account) for each in models.values()),
    ]
    used = subject.used((), [fact for known in account.known for fact in known.facts])
    if wants:
        for name in sorted(models.keys() & dynamic_models(call.home).keys()):
            parameters.append(_calibration(call, subject, name, at))
    body = {"resourceType": "Parameters", "parameter": [each for each in parameters if each is not None]}
    return Reply(body=to_json(body), found={subject.twin: used})


def _chosen(call: Call, names: Sequence[str]) -> Mapping[str, TwinModel]:
    if not names:
        return {**answering_models(call.home), **dynamic_models(call.home)}
    known = models_of(call.home)
    for name in names:
        if name not in known:
            raise UnknownName("model", name, known)
    return {name: known[name] for name in names}


def _kinds(facts: Iterable[Fact]) -> list[Json]:
    """Count the facts by kind, with when the newest of them was true."""
    counts: dict[str, int] = defaultdict(int)
    newest: dict[str, datetime] = {}
    texts: dict[str, str] = {}
    for fact in facts:
        counts[fact.kind] += 1
        if fact.when is not None and fact.when.latest >= newest.get(fact.kind, fact.when.latest):
            newest[fact.kind], texts[fact.kind] = fact.when.latest, fact.when.text
    return [
        part(
            "facts",
            [
                text("kind", kind),
                {"name": "count", "valueInteger": count},
                text("newest", texts[kind]) if kind in texts else None,
            ],
        )
        for kind, count in sorted(counts.items())
    ]


def _known(subject: Subject, name: str, each: Known) -> Json:
    shown = (subject.shown(origin) for fact in each.facts for origin in fact.origins)
    references = dict.fromkeys(found.reference for found in shown if found is not None)
    return part(
        name,
        [
            text("name", each.name),
            text("title", each.title),
            text("value", each.said) if each.said else None,
            text("unit", each.unit) if each.unit not in ("", "1") else None,
            text("how", each.how),
            text("when", each.when) if each.when else None,
            *_age(each.age),
            {"name": "sd", "valueDecimal": float(f"{each.uncertainty.sd:.6g}")} if each.uncertainty else None,
            text("sure", each.sure),
            text("assumption", each.assumption) if each.assumption else None,
            *({"name": "from", "valueReference": {"reference": reference}} for reference in references),
            *(text("for", model) for model in each.models),
        ],
    )


def _age(age: Age | None) -> list[Json]:
    if age is None:
        return []
    return [
        {"name": "ageDaysLeast", "valueDecimal": round(age.least, 4)},
        {"name": "ageDaysMost", "valueDecimal": round(age.most, 4)},
    ]


def _sensor(each: Stream) -> Json:
    return part(
        "sensor",
        [
            text("name", each.name),
            text("title", each.title),
            text("value", f"{each.bound}{each.value:g}"),
            text("unit", each.unit),
            {"name": "when", "valueInstant": instant(each.when)},
            *_age(each.age),
            {"name": "readingsInLastDay", "valueInteger": each.last_day},
            text("for", each.model),
        ],
    )


def _missing(each: Gap) -> Json:
    return part(
        "missing",
        [
            text("name", each.name),
            text("title", each.title),
            text("why", each.why),
            text("says", each.say),
            *(text("for", model) for model in each.models),
        ],
    )


def _model(model: TwinModel, account: Account) -> Json:
    lacks = [gap.name for gap in account.missing if model.name in gap.models]
    return part(
        "model",
        [
            text("name", model.name),
            text("version", model.version),
            text("title", model.title),
            {"name": "lacksNothing", "valueBoolean": not lacks},
            *(text("lacks", name) for name in lacks),
        ],
    )


def _calibration(call: Call, subject: Subject, name: str, at: datetime) -> Json:
    found = calibrate(call, subject, name, at, follows=True)
    if isinstance(found, Missing):
        return part("calibration", [text("model", name), *(text("missing", said) for said in found.say)])
    foreseen = look_ahead(found.calibrated)
    return part(
        "calibration",
        [
            text("model", name),
            text("version", foreseen.version),
            {"name": "at", "valueInstant": instant(found.calibrated.track.at)},
            {"name": "readings", "valueInteger": len(found.calibrated.series.readings)},
            {"name": "members", "valueInteger": foreseen.members},
            *scores_parts(foreseen.scores),
        ],
    )


OFFERS = offers_of(TWIN, told_of_twin)
