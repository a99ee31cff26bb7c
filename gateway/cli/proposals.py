"""twin proposals list, twin proposals show."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from gateway.cli.outbox import told_states
from gateway.cli.terminal import Options, counted, print_json, print_table, say
from gateway.deliver.decision_words import DOUBTS, STANDS, said_decision, said_step
from gateway.deliver.difference import Difference, differences
from gateway.deliver.letters import STATES
from gateway.deliver.policy import policy_of
from gateway.deliver.summary import Shown, as_sent, demand_sight, shown
from gateway.home import Home
from gateway.settings import load_settings
from gateway.simulation import open_twin
from gateway.store import Delivery
from security.audit import read_event

__all__ = ["list_", "show_"]

_Flag = Annotated[bool, Parameter(negative="")]
_SHORT = 12  # digits of an id that are shown


def list_(
    twin: str | None = None,
    /,
    *,
    state: str = "",
    source: str | None = None,
    limit: int = 50,
    options: Options = Options(),
) -> None:
    """List proposals, newest first: of which model, of which kind, for which EHR, where they are, and who may agree.

    Nothing of what they tell is shown. Reading it is recorded.

    Parameters
    ----------
    twin
        Only of this twin: its id, or the beginning of it.
    state
        Only in these states, such as proposed or proposed,declined.
    source
        Only for this source.
    limit
        How many to list at most; 0 lists all. The counts are of all.
    """
    states = told_states(state)
    with Home.open(load_settings(options.home), create=False) as home:
        home.must_know(source)
        owner = home.store.find_twin(twin) if twin else None
        home.store.append_audit([read_event(home.access(patient=owner or "", what=("Basic/proposals",)))])
        counts: dict[str, int] = {}
        for (name, where), number in home.store.outbox_counts(twin=owner).items():
            if source in (None, name) and (not states or where in states):
                counts[where] = counts.get(where, 0) + number
        found = home.store.outbox_listed([source] if source else None, owner, states, limit=limit or None)
        agrees = [_agrees(home, each) for each in found]
    if options.json:
        rows = [_row(each, who) for each, who in zip(found, agrees, strict=True)]
        print_json({"counts": counts, "proposals": rows})
        return
    if not found:
        say("There is no such proposal." if twin or source or states else "Nothing is proposed. Run: twin propose TWIN")
        return
    total = sum(counts.values())
    print_table(
        counted(total, "proposal") + (f", the newest {len(found)}" if len(found) < total else ""),
        ["Proposal", "Twin", "Model", "Kind", "For", "Proposed (UTC)", "State", "Who may agree"],
        (
            (
                each.id[:_SHORT],
                each.twin[:8],
                each.model or "–",
                each.kind,
                each.source,
                f"{each.created:%Y-%m-%d %H:%M}",
                each.state,
                who or "–",
            )
            for each, who in zip(found, agrees, strict=True)
        ),
    )
    if counts.get("proposed"):
        say("twin proposals show PROPOSAL tells what it says; approve PROPOSAL agrees, decline PROPOSAL does not.")


def show_(proposal: str, /, *, fhir: _Flag = False, diff: _Flag = False, options: Options = Options()) -> None:
    """Show one proposal: what it tells, on what it stands, who may agree and who has. Reading it is recorded.

    What the patient's consents do not let you see of the twin is not shown either.

    Parameters
    ----------
    proposal
        The proposal's id, or the beginning of it; twin proposals list tells it.
    fhir
        Show the FHIR resources as they would be sent, and nothing else.
    diff
        Ask the EHR what it has from us already, and show what the proposal would change there.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        found = home.store.delivery(proposal)
        demand_sight(home, open_twin(home, found.twin), found)
        if fhir:
            print_json(msgspec.Raw(as_sent(home, found)))
            return
        told = shown(home, found)
        there = asyncio.run(differences(home, found)) if diff else None
    if options.json:
        print_json(told.as_json() | ({"at_the_ehr": [each.as_json() for each in there]} if there is not None else {}))
        return
    _show(told)
    if there is not None:
        _show_differences(told.delivery.source, there)


def _show(told: Shown) -> None:
    delivery = told.delivery
    say(f"Proposal {delivery.id} for {delivery.source}: {delivery.state}: {STATES[delivery.state]}")
    say(f"  {told.kind} of {told.method or delivery.model}, twin {delivery.twin[:8]}, run {delivery.run[:_SHORT]}")
    say()
    if told.summary:
        say(told.summary)
        say()
    if told.numbers:
        print_table(
            "Simulated, not measured",
            ["What", ">Value", "Unit", "Middle 95 %", "Within", ">Of ours there now"],
            (
                (
                    n.title,
                    f"{n.value:f}",
                    n.unit,
                    "" if n.low is None else f"{n.low:f} to {n.high:f}",
                    n.ahead,
                    "–" if n.before is None else f"{n.before:f}",
                )
                for n in told.numbers
            ),
        )
    if told.inputs:
        print_table(
            "It stands on",
            ["Input", ">Value", "Unit", "When", "Told by"],
            ((i.title, i.value, i.unit, i.when, f"{i.source} {i.reference}") for i in told.inputs),
        )
    say(f"Written as: {', '.join(told.resources)}")
    for step in told.steps:
        say(f"In another shape: {said_step(step, delivery.source)}")
    if delivery.replaces:
        say(f"In the place of: {delivery.replaces[:_SHORT]}, which is at the EHR")
    say(
        f"Who may agree: {told.policy.said}" + (f" (rule {told.policy.rule} of [approval])" if told.policy.rule else "")
    )
    if told.decision is not None:
        say(said_decision(told.decision))
    if told.doubt:
        say(DOUBTS[told.doubt])
    if told.may:
        say(f"You may: twin proposals approve {delivery.id[:_SHORT]}, or decline {delivery.id[:_SHORT]} --why …")
    for landed in delivery.landed:
        say(f"At the EHR: {landed.reference} ({landed.how})")


def _show_differences(source: str, found: Sequence[Difference]) -> None:
    say()
    for each in found:
        at = f" ({each.at})" if each.at else ""
        say(f"{each.type}: {STANDS[each.stands]} at {source}{at}" + ("" if each.lines else "; all of it is the same"))
        if each.stands != "new" and each.lines:
            print_table(
                "",
                ["Element", "How", "There", "Proposed"],
                ((f"{each.type}.{line.path}", line.how, line.before, line.after) for line in each.lines),
            )


def _agrees(home: Home, delivery: Delivery) -> str:
    """Say who may agree, of what waits for it; of what was proposed before models were kept, the rule needs a look."""
    if delivery.state != "proposed":
        return ""
    return policy_of(home, delivery).said if delivery.model and delivery.kind != "result" else "see show"


def _row(delivery: Delivery, agrees: str) -> dict[str, Any]:
    return {
        "proposal": delivery.id,
        "twin": delivery.twin,
        "model": delivery.model or None,
        "kind": delivery.kind,
        "source": delivery.source,
        "proposed": delivery.created,
        "state": delivery.state,
        "since": delivery.updated,
        "agrees": agrees or None,
    }
