"""twin outbox list, twin outbox show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from gateway.cli.terminal import Options, counted, print_json, print_table, say
from gateway.deliver import letters
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.store import Delivery, DeliveryState
from security.audit import read_event, search_event
from security.errors import Denied, UnknownName

__all__ = ["list_", "show_", "told_states"]

_Flag = Annotated[bool, Parameter(negative="")]
_SHORT = 12  # digits of an id that are shown
_TWIN = 8


def list_(
    twin: str | None = None,
    /,
    *,
    state: str = "",
    source: str | None = None,
    limit: int = 50,
    options: Options = Options(),
) -> None:
    """List deliveries, newest first: where they are, why they wait or did not arrive, and when they are tried again.

    First how many there are, by source and state. Nothing of what they tell is shown.

    Parameters
    ----------
    twin
        Only of this twin: its id, or the beginning of it.
    state
        Only in these states, such as dead or dead,failed.
    source
        Only to this source.
    limit
        How many to list at most; 0 lists all. The counts are of all.
    """
    states = told_states(state)
    with Home.open(load_settings(options.home), create=False) as home:
        home.must_know(source)
        owner = home.store.find_twin(twin) if twin else None
        home.store.append_audit([read_event(home.access(patient=owner or "", what=("Basic/outbox",)))])
        counts = home.store.outbox_counts(twin=owner)
        listed = home.store.outbox_listed([source] if source else None, owner, states, limit=limit or None)
        found = letters.as_seen(home, listed)
        moment = now()
    kept = {
        (name, where): number
        for (name, where), number in sorted(counts.items())
        if source in (None, name) and (not states or where in states)
    }
    if options.json:
        told: dict[str, dict[str, int]] = {}
        for (name, where), number in kept.items():
            told.setdefault(name, {})[where] = number
        print_json({"counts": told, "deliveries": [letters.as_json(each) for each in found]})
        return
    if not kept:
        say(
            "There is no such delivery." if twin or source or states else "Nothing was ever proposed. Run: twin propose"
        )
        return
    print_table(
        "Deliveries by source and state",
        ["Source", ">Count", "State", "What it means"],
        ((name, number, where, letters.STATES[where]) for (name, where), number in kept.items()),
    )
    say()
    total = sum(kept.values())
    print_table(
        counted(total, "delivery") + (f", the newest {len(found)}" if len(found) < total else ""),
        ["Source", "Delivery", "Twin", "Model", "Kind", "State", "Since (UTC)", ">Tries", "Next (UTC)", "Why"],
        (
            (
                each.source,
                each.id[:_SHORT],
                each.twin[:_TWIN],
                each.model,
                each.kind,
                each.state,
                f"{each.updated:%Y-%m-%d %H:%M}",
                each.attempts,
                letters.when_next(each, moment),
                letters.meaning(each.reason)[0],
            )
            for each in found
        ),
    )
    for hint in _hints(found):
        say(hint)


def _hints(found: Sequence[Delivery]) -> list[str]:
    """Say what would help, once for each reason that stops deliveries; most common first."""
    stopped = Counter(each.reason for each in found if each.state in ("dead", "failed", "held") and each.reason)
    told = [(reason, letters.meaning(reason)[1]) for reason, _ in stopped.most_common()]
    return [f"{reason}: {hint}" for reason, hint in told if hint]


def show_(delivery: str, /, *, fhir: _Flag = False, options: Options = Options()) -> None:
    """Show one delivery: its journey, why it waits or did not arrive and what would help, and what became of it.

    What the server said may be about the patient: it is shown if the patient's consents allow that, and reading it is
    recorded.

    Parameters
    ----------
    delivery
        The delivery's id, or the beginning of it; twin outbox list tells it.
    fhir
        Show what was sent last (or would be), as FHIR and nothing else.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        [found] = letters.as_seen(home, [home.store.delivery(delivery)])
        home.store.append_audit([read_event(home.access(patient=found.twin))])
        allowed = letters.may_be_read(home, found)
        if fhir:
            if not allowed:
                raise Denied(
                    "The patient's consents do not allow to show what this delivery tells.",
                    hint=f"twin consent test {found.twin[:_TWIN]} says which and why.",
                )
            print_json(msgspec.Raw(found.bundle))
            return
        steps = letters.journey(home, found.id)
        asked = home.access(query=f"AuditEvent?identifier={found.id}".encode(), patient=found.twin)
        home.store.append_audit([search_event(asked, found=len(steps))])
        told = letters.in_full(home, found, steps, allowed=allowed)
    if options.json:
        print_json(told)
    else:
        _show(found, told)


def _show(delivery: Delivery, told: dict[str, Any]) -> None:
    say(f"Delivery {delivery.id} to {delivery.source}: {delivery.state} since {delivery.updated:%Y-%m-%d %H:%M} UTC")
    say(f"  {letters.STATES[delivery.state]}")
    said = ", ".join(filter(None, (delivery.kind, delivery.model and f"of {delivery.model}")))
    say(f"  {said}, twin {delivery.twin[:_TWIN]}, {counted(delivery.attempts, 'attempt')}")
    if told["summary"]:
        say(f"  {told['summary']}")
    if told["means"]:
        say(f"  Why: {told['reason']}: {told['means']}")
    if told["hint"]:
        say(f"  What to do: {told['hint']}")
    if told["behind"]:
        say(f"  Next: behind delivery {told['behind'][:_SHORT]} of the same patient")
    elif when := letters.when_next(delivery, now()):
        say(f"  Next (UTC): {when}")
    if delivery.unsure:
        say("  Nobody knows whether what left last was done: the EHR is asked before it is sent again.")
    say()
    print_table(
        "Journey, as the audit log has it",
        [">No", "When (UTC)", "What", "Who", "Ended"],
        ((step["number"], step["when"], step["what"], step["who"], step["ended"]) for step in told["journey"]),
    )
    if told["server_said"] is None:
        say("What the server said is not shown: the patient's consents do not allow it.")
    elif told["server_said"]:
        say(f"The server said (status {delivery.last_status or 'unknown'}):")
        for line in told["server_said"]:
            say(f"  {line}")
    for step in told["steps_down"]:
        say(f"In another shape, for the EHR takes no {step['instead_of']}: {step['what']} as {step['to']}")
    if told["landed"]:
        print_table(
            "What it became at the EHR",
            ["Resource", "Version", "How", "Our name for it"],
            ((one["reference"], one["version"], one["how"], one["uuid"]) for one in told["landed"]),
        )
    for type_, paths in told["losses"].items():
        say(f"{delivery.source} does not keep of each {type_}: {', '.join(paths)}")


def told_states(text: str) -> tuple[DeliveryState, ...]:
    """Read states as a person names them, with commas between. Raises `UnknownName`."""
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in letters.STATES:
            raise UnknownName("state", word, letters.STATES)
    return tuple(state for state in letters.STATES if state in words)
