"""What a person sees of a proposal: what it tells, on what it stands, who may agree, and who has."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from gateway.approval_settings import Kind
from gateway.consented import rests_on_record
from gateway.deliver.approval import Decision, may_agree, read_decision, still_stands
from gateway.deliver.draft import Draft, read_draft
from gateway.deliver.policy import Policy, kind_of, policy_of
from gateway.deliver.proposed import takes_of
from gateway.home import Home
from gateway.store import ARRIVED, ON_ITS_WAY, Delivery, TwinRecord
from mappers.outbound import ResultInput, ResultOutput, StepDown, to_json
from mappers.outbound.ladder import steps
from security.errors import Denied, Refused

__all__ = ["Number", "Shown", "as_sent", "demand_sight", "shown", "steps_of"]


@dataclass(frozen=True, slots=True)
class Number:
    """One simulated number of a proposal, as it is written; `before` is what the EHR has of ours in its place."""

    name: str
    title: str
    kind: str
    value: Decimal
    unit: str
    low: Decimal | None
    high: Decimal | None
    ahead: str
    before: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A proposal for people.

    Parameters
    ----------
    summary
        What it tells in plain sentences; "" for one that was proposed before drafts were kept.
    numbers
        What was simulated, number by number; none of a change of what is at the EHR already.
    inputs
        The facts that it stands on, each with the version of the resource that says it.
    method, valid_at, hypothesis
        The model with its version, the time that it speaks of, and what was tried on the model and not on the patient.
    resources
        The types of what would be written.
    steps
        What goes as something else, because the EHR does not take what it would be.
    policy, may
        Who has to agree, and how who sits at the terminal may ("person", "role:clinician"), "" where they may not or
        there is nothing to agree to.
    decision, doubt
        Who agreed or declined; and the code of why an agreement does not hold any more, "" where it does.
    """

    delivery: Delivery
    kind: Kind
    summary: str
    numbers: tuple[Number, ...]
    inputs: tuple[ResultInput, ...]
    method: str
    valid_at: str
    hypothesis: str
    resources: tuple[str, ...]
    steps: tuple[StepDown, ...]
    policy: Policy
    may: str
    decision: Decision | None
    doubt: str

    def as_json(self) -> dict[str, Any]:
        """Write it for scripts. It is patient data."""
        delivery = self.delivery
        return {
            "delivery": delivery.id,
            "twin": delivery.twin,
            "source": delivery.source,
            "run": delivery.run,
            "model": delivery.model,
            "kind": self.kind,
            "state": delivery.state,
            "reason": delivery.reason or None,
            "proposed": delivery.created,
            "replaces": delivery.replaces or None,
            "simulated": True,
            "summary": self.summary or None,
            "method": self.method or None,
            "valid_at": self.valid_at or None,
            "hypothesis": self.hypothesis or None,
            "numbers": [
                {
                    "title": n.title,
                    "kind": n.kind,
                    "value": n.value,
                    "unit": n.unit,
                    "low": n.low,
                    "high": n.high,
                    "at_the_ehr": n.before,
                }
                for n in self.numbers
            ],
            "inputs": [
                {"title": i.title, "value": i.value, "unit": i.unit, "when": i.when, "reference": i.reference}
                for i in self.inputs
            ],
            "resources": list(self.resources),
            "steps_down": [msgspec.to_builtins(step) for step in self.steps],
            "agrees": self.policy.said,
            "rule": self.policy.rule,
            "may": self.may or None,
            "decision": msgspec.to_builtins(self.decision) if self.decision else None,
            "doubt": self.doubt or None,
        }


def demand_sight(home: Home, record: TwinRecord, delivery: Delivery) -> None:
    """Raise `Denied` where the patient's consents leave less of a twin than a proposal stands on."""
    if record.partial and not rests_on_record(record, home.store.run(delivery.run).content):
        raise Denied(
            "The patient's consents do not allow to show what this proposal tells.",
            hint=f"twin consent test {record.id[:8]} says which and why.",
        )


def shown(home: Home, delivery: Delivery) -> Shown:
    """Arrange a proposal for people; who shows it records that first, and asks `demand_sight`."""
    draft = _draft(delivery)
    result = draft.result if draft else None
    decision = read_decision(delivery.decision)
    return Shown(
        delivery=delivery,
        kind=kind_of(delivery),
        summary=draft.summary if draft else "",
        numbers=_numbers(home, draft) if draft else (),
        inputs=result.inputs if result else (),
        method=f"{result.model} {result.version}: {result.title}" if result else "",
        valid_at=result.valid_at if result else "",
        hypothesis=result.hypothesis if result else "",
        resources=tuple(
            str(entry["resource"]["resourceType"]) for entry in msgspec.json.decode(delivery.bundle)["entry"]
        ),
        steps=steps_of(home, delivery),
        policy=policy_of(home, delivery),
        may=may_agree(home, delivery),
        decision=decision,
        doubt=still_stands(home, delivery) if delivery.state in ON_ITS_WAY else "",
    )


def as_sent(home: Home, delivery: Delivery) -> bytes:
    """Write a proposal as FHIR as it would be sent, by what is known of its EHR now; what arrived, as it was sent."""
    draft, takes = _draft(delivery), takes_of(home, delivery.source)
    if draft is None or takes is None or delivery.state in ARRIVED or delivery.unsure:
        return delivery.bundle
    try:
        return to_json(draft.rendered(takes))
    except Refused:
        return delivery.bundle


def steps_of(home: Home, delivery: Delivery) -> tuple[StepDown, ...]:
    """List what of a proposal goes as something else, by what is known of its EHR now; for what arrived, as it did."""
    draft = _draft(delivery)
    if draft is None:
        return ()
    if delivery.landed:
        types = {landed.reference.partition("/")[0] for landed in delivery.landed}
        return _steps(draft, frozenset(types | {"Device"}))
    takes = takes_of(home, delivery.source)
    return _steps(draft, takes) if takes is not None else ()


def _steps(draft: Draft, takes: frozenset[str]) -> tuple[StepDown, ...]:
    try:
        return steps(draft.result, takes, form=draft.form, with_risks=draft.with_risks)
    except Refused:
        return ()


def _draft(delivery: Delivery) -> Draft | None:
    """Read what it is made of; a change of what is at the EHR already, and what is older than drafts, has none."""
    return read_draft(delivery.content) if delivery.content and delivery.kind != "change" else None


def _numbers(home: Home, draft: Draft) -> tuple[Number, ...]:
    before = _draft(home.store.delivery(draft.revises[-1].delivery)) if draft.revises else None
    known = {each.name: each for each in before.result.outputs} if before else {}
    return tuple(_number(each, known.get(each.name)) for each in draft.result.outputs)


def _number(output: ResultOutput, before: ResultOutput | None) -> Number:
    low, high = output.interval or (None, None)
    ahead = _ahead(output.horizon_years, output.horizon_minutes)
    was = before.written if before and before.unit == output.unit else None
    return Number(output.name, output.title, output.kind, output.written, output.unit_written, low, high, ahead, was)


def _ahead(years: int | None, minutes: int | None) -> str:
    if years is not None:
        return f"{years} years"
    return f"{minutes} minutes" if minutes is not None else ""
