"""What people see of a delivery: where it is and why, its journey, what the server said, and what would help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

import msgspec

from gateway.audit_words import in_brief
from gateway.consented import consented, rests_on_record
from gateway.deliver.approval import read_decision
from gateway.deliver.draft import Draft, read_draft
from gateway.deliver.learned import learned
from gateway.deliver.verdict import REASONS
from gateway.home import Home
from gateway.pull.outcome import read_outcome
from gateway.store import Delivery, DeliveryState
from mappers.outbound.ladder import StepDown, steps
from security.audit.search import Criterion
from security.errors import Denied, Refused, UnknownName

__all__ = [
    "STATES",
    "Step",
    "as_json",
    "as_seen",
    "first_ahead",
    "in_full",
    "journey",
    "may_be_read",
    "meaning",
    "said_by_server",
    "when_next",
]

STATES: Final[Mapping[DeliveryState, str]] = {
    "proposed": "waits for somebody to agree",
    "approved": "agreed to, and leaves when its turn comes",
    "sending": "under way: a worker has it",
    "failed": "did not arrive yet; it is tried again by itself",
    "held": "may not leave now; it is asked again by itself",
    "sent": "arrived",
    "superseded": "arrived, and a newer result has taken its place there",
    "retracted": "arrived, and was taken back there",
    "declined": "somebody declined it; it never leaves",
    "dropped": "given up by a person; it never leaves",
    "overtaken": "newer data came before it left; it never leaves",
    "dead": "laid aside for a person: by itself it leaves no more",
}
"""What each state means, for people."""

_WAITS: Final[tuple[DeliveryState, ...]] = ("approved", "failed", "held")
_KEEP_WAITING: Final[tuple[DeliveryState, ...]] = ("approved", "sending", "failed")  # as gateway.store.sending has it
_MOST: Final = 200  # events of one delivery that are shown
_WORDS: Final = {
    "proposal": "proposed",
    "approval": "agreed to",
    "decline": "declined",
    "delivery": "left for the EHR",
    "retry": "to be tried again",
    "drop": "dropped",
    "update": "changed at the EHR",
    "query": "looked for at the EHR",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a delivery, as the audit log has it. `ended` is "ok", or an outcome and its reason."""

    number: int
    when: str
    what: str
    who: str
    ended: str


def journey(home: Home, delivery: str) -> list[Step]:
    """Read from the audit log what happened to a delivery, oldest first. Whoever asks records that they did."""
    names = tuple(f"urn:fhirtwin:{kind}|{delivery}" for kind in ("proposal", "delivery", "decision"))
    found = home.store.search_audit([Criterion("identifier", names)], limit=_MOST)
    return [_step(entry.sequence, entry.event) for entry in reversed(found.entries)]


def _step(number: int, event: Mapping[str, Any]) -> Step:
    when, kind, who, _why, _twin, _peer, ended = in_brief(event)
    details = {
        str(each.get("type", "")): str(each.get("valueString", ""))
        for entity in event.get("entity", ())
        for each in entity.get("detail", ())
    }
    what = _WORDS.get(kind, kind)
    if kind == "delivery" and ended != "ok":
        what = "did not arrive"
    told = ", ".join(value for name, value in details.items() if name in ("how", "why"))
    return Step(number, when, f"{what}: {told}" if told else what, who, ended)


def meaning(reason: str) -> tuple[str, str]:
    """Say what a reason means, and what would help; the code itself for one of an older version."""
    known = REASONS.get(reason)
    return (known.said, known.hint) if known is not None else (reason, "")


def as_seen(home: Home, deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Say of those that wait that their twin is restricted, where it is: no worker takes them up, so none notes it."""
    restricted = {guard.twin for guard in home.store.guards() if guard.kind == "restriction"}
    return [
        replace(each, reason="restricted") if each.state in _WAITS and each.twin in restricted else each
        for each in deliveries
    ]


def first_ahead(home: Home, delivery: Delivery) -> Delivery | None:
    """Find the delivery of the same patient for whose end this one waits; `None` where it is its turn."""
    if delivery.state not in _WAITS:
        return None
    ahead = home.store.outbox_listed([delivery.source], delivery.twin, _KEEP_WAITING)
    return min(
        (each for each in ahead if (each.position, each.id) < (delivery.position, delivery.id)),
        key=lambda each: (each.position, each.id),
        default=None,
    )


def when_next(delivery: Delivery, now: datetime) -> str:
    """Say in a few words when a delivery is taken up next; "" where it is not, or where a person has to."""
    match delivery.state:
        case "approved" | "failed" | "held" if delivery.reason == "restricted":
            return ""
        case "approved" | "failed" | "held":
            waits = delivery.not_before is not None and delivery.not_before > now
            return f"{delivery.not_before:%Y-%m-%d %H:%M:%S}" if waits else "now"
        case "sending":
            lost = delivery.lease_until is None or delivery.lease_until <= now
            return "now: its worker is gone" if lost else f"{delivery.lease_until:%Y-%m-%d %H:%M:%S} at the latest"
        case _:
            return ""


def as_json(delivery: Delivery) -> dict[str, Any]:
    """Write what is known of a delivery without opening it: no patient data but the twin's pseudonym."""
    means, hint = meaning(delivery.reason) if delivery.reason else ("", "")
    return {
        "delivery": delivery.id,
        "twin": delivery.twin,
        "source": delivery.source,
        "model": delivery.model,
        "kind": delivery.kind,
        "state": delivery.state,
        "proposed": delivery.created,
        "since": delivery.updated,
        "attempts": delivery.attempts,
        "next": delivery.not_before,
        "last_status": delivery.last_status,
        "left": delivery.left,
        "unsure": delivery.unsure,
        "replaces": delivery.replaces or None,
        "reason": delivery.reason or None,
        "means": means or None,
        "hint": hint or None,
    }


def in_full(home: Home, delivery: Delivery, events: Sequence[Step], *, allowed: bool) -> dict[str, Any]:
    """Write all that is known of a delivery; what it tells and what was said of it only where that is `allowed`."""
    draft, decision = _draft(delivery), read_decision(delivery.decision)
    types = [str(entry["resource"]["resourceType"]) for entry in msgspec.json.decode(delivery.bundle)["entry"]]
    ahead = first_ahead(home, delivery)
    return as_json(delivery) | {
        "behind": ahead.id if ahead else None,
        "resources": types,
        "summary": (draft.summary if draft and allowed else "") or None,
        "agreed": (
            {"by": decision.who, "how": decision.how, "rule": decision.rule, "when": decision.when}
            | ({"why": decision.why or None} if allowed else {})
            if decision and decision.agreed
            else None
        ),
        "journey": [asdict(step) for step in events],
        "server_said": said_by_server(delivery.reply) if allowed else None,
        "steps_down": [msgspec.structs.asdict(step) for step in _steps_down(draft, types)] if draft else [],
        "landed": [msgspec.structs.asdict(each) for each in delivery.landed],
        "losses": _losses_at(home, delivery.source, types),
    }


def _draft(delivery: Delivery) -> Draft | None:
    """Read what a delivery was made of; `None` for one of before drafts were kept, and for a change."""
    try:
        return read_draft(delivery.content) if delivery.content and delivery.kind != "change" else None
    except msgspec.DecodeError:
        return None


def _steps_down(draft: Draft, types: Sequence[str]) -> tuple[StepDown, ...]:
    """Say in what other shape it went (or goes) than it would at an EHR that takes all."""
    try:
        return steps(draft.result, types, form=draft.form, with_risks=draft.with_risks)
    except Refused:
        return ()


def may_be_read(home: Home, delivery: Delivery) -> bool:
    """Ask the patient's consents whether the person at the terminal may read what a delivery tells; it is recorded."""
    try:
        record = consented(home, home.store.twin_record(delivery.twin))
        return not record.partial or rests_on_record(record, home.store.run(delivery.run).content)
    except (Denied, UnknownName):
        return False


class _Response(msgspec.Struct):
    status: str = ""
    outcome: msgspec.Raw = msgspec.Raw(b"")


class _Entry(msgspec.Struct):
    response: _Response = msgspec.field(default_factory=_Response)


class _Answer(msgspec.Struct):
    resourceType: str = ""  # noqa: N815  FHIR's spelling
    entry: list[_Entry] = []


def said_by_server(reply: bytes | None) -> list[str]:
    """Read what a server answered, for a person: its words may be about the patient, and are not to be logged."""
    return [line for line in _said(reply or b"") if line]


def _said(reply: bytes) -> Iterator[str]:
    outcome = read_outcome(reply)
    if outcome.codes or outcome.text:
        yield f"{', '.join(outcome.codes)}: {outcome.text}".strip(": ")
        return
    try:
        answer = msgspec.json.decode(reply, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        yield reply[:500].decode("utf-8", "replace")
        return
    for number, entry in enumerate(answer.entry, 1):
        inner = read_outcome(bytes(entry.response.outcome))
        if not entry.response.status.startswith("2") or inner.is_bad:
            told = f"{', '.join(inner.codes)}: {inner.text}".strip(": ")
            yield f"entry {number}: {entry.response.status} {told}".strip()


def _losses_at(home: Home, source: str, types: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """List what a source's server is known not to keep of resources of these types, by type."""
    known = learned(home.settings.home, source).losses
    return {type_: tuple(known[type_]) for type_ in dict.fromkeys(types) if known.get(type_)}
