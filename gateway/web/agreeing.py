"""The proposals of a twin on its page: what each would tell an EHR, what changes there, and who may agree to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec

from gateway.consented import rests_on_record
from gateway.deliver.approval import LONGEST_WHY, approve, decline
from gateway.deliver.decision_words import DOUBTS, KINDS, STANDS, said_decision, said_step
from gateway.deliver.difference import Difference, differences
from gateway.deliver.letters import STATES, meaning
from gateway.deliver.summary import Shown, as_sent, shown
from gateway.home import Home
from gateway.store import ON_ITS_WAY, Delivery, TwinRecord
from gateway.web.forms import Form
from gateway.web.section import Lacking, attempt
from gateway.wording import short_time
from security.errors import Denied, Misuse

__all__ = ["Agreeing", "Card", "Row", "build_agreeing", "decide"]

_OPEN = ("proposed", *ON_ITS_WAY)
_CARDS, _ROWS = 10, 20


@dataclass(frozen=True, slots=True)
class Card:
    """One proposal that is open, in words. All numbers are simulated; `compared` is what the EHR has, if asked."""

    id: str
    short: str
    title: str
    kind: str
    source: str
    made: str
    state: str
    state_said: str
    summary: str
    hypothesis: str
    numbers: tuple[tuple[str, str, str, str, str, str], ...]
    replaces: bool
    inputs: tuple[tuple[str, str, str, str], ...]
    steps: tuple[str, ...]
    agrees: str
    may: bool
    decision: str
    doubt: str
    reason: str
    fhir: str
    compared: tuple[tuple[str, str, tuple[tuple[str, str, str, str], ...]], ...] | Lacking | None


@dataclass(frozen=True, slots=True)
class Row:
    """One proposal that is decided and ended, or has arrived."""

    short: str
    what: str
    source: str
    since: str
    state: str
    state_said: str
    decision: str
    landed: str


@dataclass(frozen=True, slots=True)
class Agreeing:
    """All that the page says of proposals. `hidden` counts those of which the consents let you see nothing."""

    cards: tuple[Card, ...]
    rows: tuple[Row, ...]
    more: int
    hidden: int
    wants_why: bool
    longest: int
    asked: bool


def build_agreeing(home: Home, record: TwinRecord, compare: str = "") -> Agreeing:
    """Arrange the proposals of an opened twin; `compare` is the id of one of which the EHR is asked what it has."""
    listed = home.store.outbox_listed(None, record.id)
    seen = [each for each in listed if _is_seen(home, record, each)]
    cards = [each for each in seen if each.state in _OPEN][:_CARDS]
    ended = [each for each in seen if each.state not in _OPEN][:_ROWS]
    return Agreeing(
        tuple(_card(home, home.store.delivery(each.id), ask=each.id == compare) for each in cards),
        tuple(_row(shown(home, home.store.delivery(each.id))) for each in ended),
        more=len(seen) - len(cards) - len(ended),
        hidden=len(listed) - len(seen),
        wants_why=home.settings.approval.why,
        longest=LONGEST_WHY,
        asked=any(each.id == compare for each in cards),
    )


def decide(home: Home, twin: str, form: Form, *, agreed: bool) -> str:
    """Do what a button asks for; says where on the page that is shown. That somebody may not is said there, too."""
    found = home.store.delivery(form.get("proposal", ""))
    if found.twin != twin:
        raise Misuse("This proposal is of another twin.", hint="Use the button beside the proposal.")
    try:
        (approve if agreed else decline)(home, found, form.get("why", ""))
    except Denied as denied:
        raise Misuse(denied.message, hint=denied.hint) from denied
    return "#proposals"


def _is_seen(home: Home, record: TwinRecord, listed: Delivery) -> bool:
    return not record.partial or rests_on_record(record, home.store.run(listed.run).content)


def _card(home: Home, delivery: Delivery, *, ask: bool) -> Card:
    told = shown(home, delivery)
    title = told.method.partition(": ")[2] or delivery.model
    return Card(
        id=delivery.id,
        short=delivery.id[:12],
        title=title,
        kind=KINDS[told.kind],
        source=delivery.source,
        made=f"{delivery.created:%Y-%m-%d %H:%M} UTC",
        state=delivery.state,
        state_said=STATES[delivery.state],
        summary=told.summary,
        hypothesis=told.hypothesis,
        numbers=tuple(_number(told)),
        replaces=bool(delivery.replaces),
        inputs=tuple(
            (i.title, f"{i.value} {i.unit}".strip(), short_time(i.when) if i.when else "", f"{i.source}: {i.reference}")
            for i in told.inputs
        ),
        steps=tuple(said_step(step, delivery.source) for step in told.steps),
        agrees=told.policy.said,
        may=bool(told.may),
        decision=said_decision(told.decision),
        doubt=DOUBTS.get(told.doubt, ""),
        reason=" ".join(filter(None, meaning(delivery.reason))) if delivery.reason else "",
        fhir=msgspec.json.format(as_sent(home, delivery), indent=2).decode(),
        compared=attempt("What the EHR has from us", lambda: _compared(home, delivery)) if ask else None,
    )


def _number(told: Shown) -> list[tuple[str, str, str, str, str, str]]:
    return [
        (
            n.title,
            f"{n.value:f}",
            n.unit,
            "" if n.low is None else f"{n.low:f} to {n.high:f}",
            n.ahead,
            "" if n.before is None else f"{n.before:f}",
        )
        for n in told.numbers
    ]


def _compared(home: Home, delivery: Delivery) -> tuple[tuple[str, str, tuple[tuple[str, str, str, str], ...]], ...]:
    found = asyncio.run(differences(home, delivery))
    return tuple((each.type, _place(each), tuple(_lines(each))) for each in found)


def _place(found: Difference) -> str:
    said = STANDS[found.stands] + (f" ({found.at})" if found.at else "")
    return said if found.lines else f"{said}, and all of it is the same"


def _lines(found: Difference) -> list[tuple[str, str, str, str]]:
    if found.stands == "new":
        return []
    return [(f"{found.type}.{line.path}", line.how, line.before, line.after) for line in found.lines]


def _row(told: Shown) -> Row:
    delivery = told.delivery
    return Row(
        short=delivery.id[:12],
        what=f"{told.method.partition(': ')[2] or delivery.model}: {KINDS[told.kind]}",
        source=delivery.source,
        since=f"{delivery.updated:%Y-%m-%d %H:%M} UTC",
        state=delivery.state,
        state_said=STATES[delivery.state],
        decision=said_decision(told.decision),
        landed=", ".join(each.reference for each in delivery.landed),
    )
