"""twin outbox retry, twin outbox drop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from gateway.cli.outbox import told_states
from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.deliver.letters import STATES
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.store import ARRIVED, Delivery, DeliveryState
from security.audit import decision_event
from security.errors import Fault, Misuse
from security.plain import is_plain

__all__ = ["drop_", "retry_"]

_Flag = Annotated[bool, Parameter(negative="")]
_All = Annotated[bool, Parameter(name="--all", negative="")]
_AGAIN: tuple[DeliveryState, ...] = ("dead", "failed", "held")
_OPEN: tuple[DeliveryState, ...] = ("proposed", "approved", "failed", "held", "dead")
_NOT_TO_BE_ASKED = "unsearchable"
_SHORT = 12


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of one: its new state, or in `fault` why nothing was changed."""

    delivery: Delivery
    state: DeliveryState
    fault: Fault | None = None


def retry_(
    *deliveries: str,
    all_: _All = False,
    state: str = "dead",
    source: str | None = None,
    not_there: _Flag = False,
    options: Options = Options(),
) -> int:
    """Let deliveries leave again: those laid aside, and at once those that wait for their next turn.

    What was laid aside goes behind what was agreed to since; what waits keeps its place. The agreement stays as it was,
    and is asked for again when it leaves, as consent and scopes are. Who retried is recorded. Nothing is sent by this:
    run twin deliver, or twin send. Exit status 5 where some could not be retried, 2 where none could.

    Parameters
    ----------
    deliveries
        Their ids, or the beginnings of them.
    all_
        All in these states, instead.
    state
        With --all: dead, failed or held, or several with commas between.
    source
        With --all: only to this source.
    not_there
        You looked in the EHR, and it is not there: it is sent without asking first. For what is unsearchable, and not
        with --all. That you said so is recorded.
    """
    if not_there and all_:
        raise Misuse("Whether something is there has to be looked at one by one.", hint="Say the ids, and not --all.")
    states = told_states(state)
    if unfit := [each for each in states if each not in _AGAIN]:
        raise Misuse(f"What is {unfit[0]} is not retried.", hint=f"Say --state with: {', '.join(_AGAIN)}.")
    with Home.open(load_settings(options.home), create=False) as home:
        chosen = _chosen(home, deliveries, all_, states or ("dead",), source)
        done = [_retry(home, each, not_there=not_there) for each in chosen]
    return _tell(done, options, "retried", nothing="There is nothing to retry.")


def drop_(*deliveries: str, why: str = "", even_if_unsure: _Flag = False, options: Options = Options()) -> int:
    """Give deliveries up that have not arrived, so that they never leave; nor is the same proposed again.

    Who dropped them, and why, is recorded. What is at the EHR already cannot be dropped. Exit status 5 where some could
    not be dropped, 2 where none could.

    Parameters
    ----------
    deliveries
        Their ids, or the beginnings of them.
    why
        A code or a reference number, such as ticket-4711; never a name.
    even_if_unsure
        Drop also what may have arrived, because an answer was lost and the EHR could not be asked since.
    """
    if not why or not is_plain(why) or len(why) > 64:
        raise Misuse("Why?", hint="Say --why with a code or a reference number, such as ticket-4711.")
    with Home.open(load_settings(options.home), create=False) as home:
        chosen = _chosen(home, deliveries, False, (), None)
        done = [_drop(home, each, why, even_if_unsure=even_if_unsure) for each in chosen]
    return _tell(done, options, "dropped", nothing="There is nothing to drop.")


def _chosen(
    home: Home, ids: tuple[str, ...], every: bool, states: tuple[DeliveryState, ...], source: str | None
) -> list[Delivery]:
    if every == bool(ids):
        raise Misuse("Which deliveries?", hint="Say their ids, as twin outbox list tells them; or retry --all.")
    if not every:
        return [*{found.id: found for found in map(home.store.delivery, ids)}.values()]
    home.must_know(source)
    return home.store.outbox_listed([source] if source else None, states=states)[::-1]


def _retry(home: Home, delivery: Delivery, *, not_there: bool) -> _Done:
    if not_there and delivery.reason != _NOT_TO_BE_ASKED:
        why = Misuse(
            "The EHR can be asked whether this one is there, and may still be busy with it.",
            hint=f"twin outbox retry {delivery.id[:_SHORT]} asks it first; --not-there is for what is unsearchable.",
        )
        return _Done(delivery, delivery.state, why)
    match delivery.state:
        case "dead":
            return _decide(home, delivery, "approved", "retry", not_there=not_there)
        case "failed" | "held":
            return _decide(home, delivery, delivery.state, "retry", reason=delivery.reason, not_there=not_there)
        case "approved" | "sending":
            why = Misuse("It is on its way already.", hint="twin deliver, or twin send, takes it up.")
        case "proposed":
            why = Misuse("Nobody has agreed to it yet.", hint=f"twin proposals approve {delivery.id[:_SHORT]}")
        case "sent" | "superseded" | "retracted":
            why = Misuse("It has arrived.", hint=f"twin outbox show {delivery.id[:_SHORT]} tells what it became.")
        case _:
            why = Misuse(
                f"It {STATES[delivery.state]}.", hint="A new run can be proposed: twin simulate, twin propose."
            )
    return _Done(delivery, delivery.state, why)


def _drop(home: Home, delivery: Delivery, why: str, *, even_if_unsure: bool) -> _Done:
    short, fault = delivery.id[:_SHORT], None
    if delivery.state in ARRIVED:
        fault = Misuse(
            "It is at the EHR: dropping it here would leave it there.",
            hint=f"twin outbox retract {short} --why … enters it in error there; twin outbox show tells where it is.",
        )
    elif delivery.state == "sending" and not even_if_unsure:
        fault = Misuse("It is under way just now.", hint="Try again when its worker has done with it.")
    elif delivery.unsure and not even_if_unsure:
        fault = Misuse(
            "What left last may have arrived: nobody knows.",
            hint=f"twin outbox retry {short} asks the EHR first. If that cannot be, say --even-if-unsure.",
        )
    elif delivery.state not in (*_OPEN, "sending"):
        fault = Misuse(f"It {STATES[delivery.state]}.", hint="There is nothing to drop.")
    if fault is not None:
        return _Done(delivery, delivery.state, fault)
    return _decide(home, delivery, "dropped", "drop", reason="dropped", why=why)


def _decide(
    home: Home,
    delivery: Delivery,
    state: DeliveryState,
    decision: Literal["retry", "drop"],
    *,
    reason: str = "",
    why: str = "",
    not_there: bool = False,
) -> _Done:
    event = decision_event(
        home.access(patient=delivery.twin),
        delivery=delivery.id,
        decision=decision,
        by=({"why": why} if why else {}) | ({"how": "not-there"} if not_there else {}),
    )
    try:
        if home.store.decide_delivery(delivery, state, now(), reason=reason, not_there=not_there, events=[event]):
            return _Done(delivery, state)
    except Fault as fault:
        return _Done(delivery, delivery.state, fault)
    return _Done(delivery, delivery.state, Misuse("A worker took it up at this moment.", hint="Look again."))


def _tell(done: list[_Done], options: Options, what: str, *, nothing: str) -> int:
    faults = [each for each in done if each.fault is not None]
    if options.json:
        print_json({what: len(done) - len(faults), "deliveries": [_json(each) for each in done]})
    elif not done:
        say(nothing)
    else:
        print_table(
            f"{len(done) - len(faults)} of {len(done)} {what}",
            ["Source", "Delivery", "Was", "Is", "Why not"],
            ((e.delivery.source, e.delivery.id[:_SHORT], e.delivery.state, e.state, e.fault or "") for e in done),
        )
    if not faults:
        return 0
    return 5 if len(faults) < len(done) else max(each.fault.exit_status for each in faults if each.fault)


def _json(done: _Done) -> dict[str, object]:
    fault = done.fault
    return {
        "delivery": done.delivery.id,
        "source": done.delivery.source,
        "was": done.delivery.state,
        "state": done.state,
        "fault": {"code": fault.code, "say": str(fault)} if fault else None,
    }
