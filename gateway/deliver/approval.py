"""Who agreed to a proposal or declined it, and why: one transaction with what follows of it and with its record.

Right before it leaves it is asked once more (`still_stands`): an agreement holds as long as who gave it may give it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import msgspec

from gateway.approval_settings import Kind
from gateway.consented import demand_leave
from gateway.deliver.policy import Person, Policy, as_now, at_the_terminal, policy_for, policy_of
from gateway.home import Home, now
from gateway.store import ON_ITS_WAY, Delivery
from security.audit import decision_event, plain_name
from security.errors import Denied, Fault, Misuse

__all__ = [
    "LONGEST_WHY",
    "Agreed",
    "Decision",
    "approve",
    "approve_due",
    "at_once",
    "decline",
    "may_agree",
    "read_decision",
    "still_stands",
]

LONGEST_WHY: Final = 500  # characters: a sentence or three, and no copy of a record


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """One decision about one proposal. It is patient data as far as `why` is.

    Parameters
    ----------
    agreed
        Whether it was agreed to; else it was declined.
    who
        As the audit names them: "os-user:anna", "user:ana".
    how
        "automatic", "role:clinician" or "person".
    rule
        The number of the rule in `[approval]` by which they might, 0 where none fits.
    why
        In their words; "" where they said nothing.
    client
        The app with which they did it, "" at the terminal.
    """

    agreed: bool
    who: str
    how: str
    rule: int
    when: datetime
    why: str = ""
    client: str = ""


@dataclass(frozen=True)
class Agreed:
    """What somebody's agreement came to for one proposal: the decision, or in `fault` why there is none."""

    delivery: Delivery
    decision: Decision | None = None
    fault: Fault | None = None


_reader = msgspec.json.Decoder(Decision)


def read_decision(decision: bytes) -> Decision | None:
    """Read a decision from the outbox; `None` where nobody decided, or it cannot be read: then nobody has agreed."""
    try:
        return _reader.decode(decision) if decision else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def at_once(
    home: Home, twin: str, delivery: str, kind: Kind, model: str, source: str
) -> tuple[bytes, list[dict[str, Any]]]:
    """Agree to what policy lets go by itself, for `Store.propose`: the decision and its record, both empty for none."""
    policy = policy_for(home.settings.approval, kind, model, source)
    if policy.by != "automatic":
        return b"", []
    decision = Decision(True, home.actor, "automatic", policy.rule, now())
    return msgspec.json.encode(decision), [_event(home, twin, delivery, decision)]


def may_agree(home: Home, delivery: Delivery, person: Person | None = None) -> str:
    """Say how somebody (without one, who sits at the terminal) may agree to a proposal now, "" where they may not."""
    return policy_of(home, delivery).lets(person or at_the_terminal(home)) if _is_open(home, delivery) else ""


def approve(home: Home, delivery: Delivery, why: str = "", *, person: Person | None = None) -> Decision:
    """Agree to a proposal, for who sits at the terminal or somebody else; from then on it is on its way.

    What was agreed to by somebody who may not any more can be agreed to again. Raises `Misuse` for what is decided or
    cannot be written there, and where a reason is wanted and missing; `Denied`, which is recorded, where policy does
    not let them, and where the patient's consents let nobody.
    """
    if not _is_open(home, delivery):
        raise Misuse(f"This proposal is {delivery.state}: there is nothing to agree to.", hint=_SEE)
    known = home.settings.sources.get(delivery.source)
    if known is None or not known.base_url or not known.write:
        raise Misuse("Nothing is written to that source: twin.toml says so, or does not know it.", hint=_SEE)
    decision = _decide(home, delivery, person, why, agreed=True, wants_why=home.settings.approval.why)
    resources = [entry["resource"] for entry in msgspec.json.decode(delivery.bundle)["entry"]]
    try:
        demand_leave(home, delivery.twin, delivery.run, resources)
    except Denied:
        home.store.append_audit([_event(home, delivery.twin, delivery.id, decision, refused="consent")])
        raise
    _keep(home, delivery, decision)
    return decision


def decline(home: Home, delivery: Delivery, why: str, *, person: Person | None = None) -> Decision:
    """Decline a proposal: it never leaves, and is not proposed again. Who may agree may decline, and says why.

    Raises `Misuse` and `Denied` as `approve` does.
    """
    if delivery.state != "proposed":
        raise Misuse(f"This proposal is {delivery.state}: there is nothing to decline.", hint=_SEE)
    decision = _decide(home, delivery, person, why, agreed=False, wants_why=True)
    _keep(home, delivery, decision)
    return decision


def approve_due(home: Home, twin: str, why: str = "", *, person: Person | None = None) -> list[Agreed]:
    """Agree to all of a twin that waits for it, oldest first; what may not be agreed to costs only itself."""
    told = []
    for delivery in home.store.outbox(twin=twin):
        if _is_open(home, delivery):
            try:
                told.append(Agreed(delivery, approve(home, delivery, why, person=person)))
            except (Denied, Misuse) as fault:
                told.append(Agreed(delivery, fault=fault))
    return told


def still_stands(home: Home, delivery: Delivery) -> str:
    """Say "" where somebody agreed to a delivery and still might, else the code of what is not so any more.

    Codes: "not-agreed" (nobody has, or it cannot be read), "account-disabled" (or gone, or another person's by now),
    "role-lost", "policy-changed".
    """
    decision = read_decision(delivery.decision)
    if decision is None or not decision.agreed:
        return "not-agreed"
    policy = policy_of(home, delivery)
    if decision.how == "automatic":
        return "" if policy.by == "automatic" else "policy-changed"
    try:
        person = as_now(home, decision.who, delivery.source, now(), decision.when)
    except Denied:
        return "account-disabled"
    if policy.lets(person):
        return ""
    is_same_role = decision.how.startswith("role:") and decision.how.removeprefix("role:") in policy.roles
    return "role-lost" if is_same_role else "policy-changed"


_SEE: Final = "twin proposals show tells what became of it."


def _is_open(home: Home, delivery: Delivery) -> bool:
    """Say whether it waits for somebody to agree: it is proposed, or who agreed may not any more."""
    if delivery.state == "proposed":
        return True
    return delivery.state in ON_ITS_WAY and delivery.state != "sending" and bool(still_stands(home, delivery))


def _decide(
    home: Home, delivery: Delivery, person: Person | None, why: str, *, agreed: bool, wants_why: bool
) -> Decision:
    person, policy, said = person or at_the_terminal(home), policy_of(home, delivery), why.strip()
    if len(said) > LONGEST_WHY:
        raise Misuse(f"A reason has {LONGEST_WHY} characters at most.", hint="Say it in a sentence.")
    if wants_why and not said:
        raise Misuse("Say why.", hint="With --why, or in the field beside the button.")
    how = policy.lets(person)
    decision = Decision(agreed, person.who, how, policy.rule, now(), said, person.client)
    if not how:
        refused = _event(home, delivery.twin, delivery.id, decision, refused="policy")
        home.store.append_audit([refused])
        raise _may_not(person, policy)
    return decision


def _may_not(person: Person, policy: Policy) -> Denied:
    rule = f"rule {policy.rule} of [approval] in twin.toml" if policy.rule else "no rule of [approval] fits it"
    return Denied(
        f"{person.name} may not decide about this proposal. Who may: {policy.said} ({rule}).",
        hint="Ask one of them; twin proposals show says what it tells.",
    )


def _keep(home: Home, delivery: Delivery, decision: Decision) -> None:
    kept = home.store.decide_delivery(
        delivery,
        "approved" if decision.agreed else "declined",
        decision.when,
        decision=msgspec.json.encode(decision),
        events=[_event(home, delivery.twin, delivery.id, decision)],
    )
    if not kept:
        raise Misuse("Somebody else decided about this proposal at the same time.", hint=_SEE)


def _event(home: Home, twin: str, delivery: str, decision: Decision, *, refused: str = "") -> dict[str, Any]:
    ended: dict[str, Any] = {"outcome": "8", "reason": refused} if refused else {}
    access = home.access(patient=twin, **ended)
    client = {"client": plain_name(decision.client)} if decision.client else {}
    return decision_event(
        replace(access, actor=decision.who),
        delivery=delivery,
        decision="approval" if decision.agreed else "decline",
        by={"how": decision.how or "none", "rule": str(decision.rule), **client},
    )
