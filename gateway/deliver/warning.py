"""Warnings on their way: into the EHRs that the readings came from, as what each of them can hold, and to a webhook.

A warning goes by itself unless a rule of [approval] wants somebody to agree. What is delivered is forgotten as waiting
only when it has arrived, or somebody gave it up; the same warning has the same ids however often it is tried, so that
nothing is there twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from gateway.consented import demand_leave
from gateway.deliver.draft import Draft
from gateway.deliver.guide import profiles_of
from gateway.deliver.learned import learned
from gateway.deliver.proposal import inputs_for, patient_in
from gateway.deliver.proposed import Proposed, put_forward, takes_of
from gateway.deliver.taken import takes as what_is_taken
from gateway.deliver.webhook import Webhook, origin_of
from gateway.deliver.worker import work
from gateway.home import Home, now
from gateway.profiles import kept
from gateway.pull.metadata import fetch_capability
from gateway.simulation import open_twin
from gateway.sources import connect
from gateway.store import ON_ITS_WAY, TwinRecord
from gateway.warnings import Pending, kept_warnings, settle
from mappers import FhirVersion, as_fhir_version
from mappers.outbound import Attention, Result, ResultOutput, choose_form
from security.audit import System, delivery_event
from security.errors import BadSettings, Denied, Fault, Refused, Unreachable
from twin_engine.forecast import Forecast
from twin_engine.watch import Change

__all__ = ["Delivered", "deliver_warnings", "message_of"]

_FORMS = frozenset({"DetectedIssue", "Flag", "Communication"})


@dataclass(frozen=True)
class Delivered:
    """What became of one change at one place; `resources` counts what an EHR created."""

    twin: str
    to: str
    kind: str
    rule: str
    resources: int = 0
    fault: Fault | None = None


async def deliver_warnings(home: Home, twin: str = "") -> list[Delivered]:
    """Deliver all that waits, of one twin or of all. What fails costs only itself, and waits on."""
    told = []
    for owner, model, watched in kept_warnings(home, twin):
        for pending in list(watched.pending):
            for goal in pending.to:
                told.append(await _deliver(home, owner, model, pending, goal))
    return told


async def _deliver(home: Home, twin: str, model: str, pending: Pending, goal: str) -> Delivered:
    kind, rule = pending.change.kind, pending.change.warning.rule.name
    try:
        made = await (_to_ehrs(home, twin, pending) if goal == "fhir" else _to_webhook(home, twin, model, pending))
    except Fault as fault:
        return Delivered(twin, goal, kind, rule, fault=fault)
    settle(home, twin, model, pending, goal)
    return Delivered(twin, goal, kind, rule, made)


async def _to_webhook(home: Home, twin: str, model: str, pending: Pending) -> int:
    told = home.settings.warnings
    try:
        secret = told.webhook_secret_file.read_bytes().strip() if told.webhook_secret_file else b""
    except OSError as error:
        raise BadSettings(
            "The webhook's secret cannot be read.", hint="Check [warnings] webhook_secret_file.", detail=error
        ) from error
    demand_leave(home, twin, pending.run)
    message = home.blind.of("message", f"{twin} {model} {pending.run} {_said(pending.change)}")
    receiver = System("webhook", origin_of(told.webhook_url))  # its path may be a secret
    event = delivery_event(home.access(patient=twin, peer=receiver), delivery=message)
    home.store.append_audit([event])  # before it leaves
    try:
        async with Webhook(told.webhook_url, secret) as webhook:
            await webhook.post(message, now(), message_of(twin, model, pending.change))
    except Fault as fault:
        ended = home.access(patient=twin, peer=receiver, outcome="4" if fault.retryable else "8", reason=fault.code)
        home.store.append_audit([delivery_event(ended, delivery=message)])
        raise
    return 1


def message_of(twin: str, model: str, change: Change) -> bytes:
    """Write a change for a system that is no EHR: Standard Webhooks' type, timestamp and data."""
    warning = change.warning
    data = {
        "twin": twin,
        "model": model,
        "number": warning.number,
        "rule": warning.rule.name,
        "title": warning.rule.title,
        "severity": warning.rule.severity,
        "unit": warning.rule.unit,
        "limit": warning.rule.limit,
        "within_minutes": warning.rule.minutes,
        "probability": round(warning.probability, 4),
        "expected_in_minutes": warning.lead_minutes,
        "level": warning.level,
        "simulated": warning.lead_minutes != 0.0,
        "false_alarms_a_day": round(warning.evidence.false_alarms_a_day, 3) if warning.evidence.days else None,
    }
    when = change.at or warning.cleared or warning.raised
    return msgspec.json.encode({"type": f"warning.{change.kind}", "timestamp": when, "data": data})


async def _to_ehrs(home: Home, twin: str, pending: Pending) -> int:
    """Put the warning into the outbox for each EHR that the readings came from, and deliver what is agreed to.

    Nothing else is agreed to by that: what waits for a person goes on waiting.
    """
    record = open_twin(home, twin)
    forecast = msgspec.json.decode(home.store.run(pending.run).content, type=Forecast)
    channel = pending.change.warning.rule.channel
    sources = {source for fact in record.facts if fact.name == channel for source in fact.sources}
    writable = [name for name in sorted(sources) if _is_writable(home, record, name)]
    if not writable:
        raise Refused(
            "No EHR that this twin's readings came from can be written to.",
            hint='Remove "fhir" from [warnings] deliver, or see write in [sources].',
        )
    proposed = [await _propose(home, record, forecast, pending, source) for source in writable]
    faults: dict[str, Fault | None] = {}
    tally = await work(
        home, twin=twin, sources=writable, tell=lambda each, ended: faults.update({each.id: ended.fault})
    )
    made = 0
    for each in proposed:
        delivery = home.store.delivery(each.delivery)
        if delivery.state in ON_ITS_WAY or delivery.state in ("proposed", "dead"):
            raise faults.get(each.delivery) or tally.faults.get(each.source) or _waits(delivery.state, each.agrees)
        made += sum(landed.how == "created" for landed in delivery.landed)
    return made


def _waits(state: str, agrees: str) -> Fault:
    if state == "proposed":
        return Denied(f"It waits until somebody agrees: {agrees}.", hint="See: twin proposals list.")
    return Unreachable("It has not arrived yet.", hint="twin outbox list says why, and when it is tried again.")


def _is_writable(home: Home, record: TwinRecord, source: str) -> bool:
    known = home.settings.sources.get(source)
    return bool(known and known.base_url and known.write and patient_in(record, source))


async def _propose(home: Home, record: TwinRecord, forecast: Forecast, pending: Pending, source: str) -> Proposed:
    version, takes = await _server(home, source)
    form = choose_form(_FORMS if takes is None else takes)
    if version is None or (takes is not None and form is None and "RiskAssessment" not in takes):
        raise Refused("The EHR takes neither a RiskAssessment nor any form of a warning.", hint="See twin doctor.")
    draft = Draft(
        _result(home, forecast, pending, source),
        version,
        patient_in(record, source),
        profiles=tuple(sorted(profiles_of(home, source))),
        organization=home.settings.source(source).organization,
        attention=_attention(pending.change, forecast) if form else None,
        form=form,
        with_risks=takes is None or "RiskAssessment" in takes,
    )
    proposed = put_forward(
        home,
        record,
        source,
        pending.run,
        delivery=home.blind.of("delivery", f"{pending.run} {source} {_said(pending.change)}"),
        model=forecast.model,
        kind="warning",
        draft=draft,
        takes=takes,
    )
    if proposed.left_out:
        raise Refused(proposed.left_out, hint="See twin doctor.")
    return proposed


async def _server(home: Home, source: str) -> tuple[FhirVersion | None, frozenset[str] | None]:
    """Say what a source's server speaks and takes; it is asked only where that is not known yet."""
    last, takes = home.store.last_pull(source), takes_of(home, source)
    if last is not None and takes is not None:
        return as_fhir_version(last.fhir_version), takes
    profile = kept(home.settings.home, source)
    async with connect(home.settings.source(source), profile, home=home, name=source) as connection:
        capability = await fetch_capability(connection)
    return as_fhir_version(capability.fhir_version), what_is_taken(capability, learned(home.settings.home, source))


def _result(home: Home, forecast: Forecast, pending: Pending, source: str) -> Result:
    warning = pending.change.warning
    risk = ResultOutput(
        name=warning.rule.name,
        title=f"{warning.rule.title} within {warning.rule.minutes} minutes",
        kind="risk",
        code=None,
        value=Decimal(repr(round(warning.probability, 4))),
        unit="1",
        horizon_years=None,
        outcome=None,
        decimals=0,
        horizon_minutes=warning.rule.minutes,
    )
    return Result(
        model=forecast.model,
        version=forecast.version,
        title=forecast.title,
        citation=forecast.citation,
        limits=forecast.limits,
        made_at=warning.raised,
        valid_at=forecast.last.isoformat(timespec="seconds"),
        inputs=tuple(inputs_for(home, forecast.inputs, source)),
        outputs=(risk,),
        assumptions=forecast.assumptions,
        run=home.blind.of("result", f"{pending.run} {_said(pending.change)}"),
    )


def _attention(change: Change, forecast: Forecast) -> Attention:
    """Say it with times of day: the forecast counts from the last reading, and an EHR shows it some time later."""
    warning = change.warning
    course = next(course for course in forecast.courses if course.name == warning.rule.channel)
    index = next((i for i, m in enumerate(course.minutes) if m >= warning.rule.minutes), len(course.minutes) - 1)
    then = forecast.at + timedelta(minutes=course.minutes[index])
    first = (
        "The last reading is past the limit (measured)."
        if warning.lead_minutes == 0.0
        else f"Probability {warning.probability:.0%} within {warning.rule.minutes} minutes of the last reading "
        "(simulated)."
    )
    said = (
        f"{first} Last reading at {forecast.last:%H:%M} UTC. Expected at {then:%H:%M} UTC (simulated): "
        f"{course.median[index]:.0f} {course.unit}, 90 % between {course.low[index]:.0f} and {course.high[index]:.0f}."
    )
    ends: datetime = max(warning.raised, forecast.at + timedelta(minutes=warning.rule.minutes))
    return Attention(warning.rule.name, warning.rule.title, said, warning.rule.severity, warning.raised, ends)


def _said(change: Change) -> str:
    return f"{change.kind} {change.warning.number} {change.warning.level}"
