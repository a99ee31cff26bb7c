"""The chain of a result: from where it is at an EHR back to each raw resource, and forth from a raw resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from gateway.lineage.graph import Graph, Lineage, Node
from gateway.lineage.grounds import Grounds, facts_of
from gateway.lineage.kept import Kept, is_certificate
from gateway.lineage.recorded import Recorded
from gateway.store import ARRIVED, Delivery, Landed, SavedRun

__all__ = ["Chain"]

_WENT: Final = ("delivery", "delivery-update")
_DECIDED: Final = ("approval", "decline", "retry", "drop")


class Chain:
    """Makes one chain from what is kept of a person: of one twin, or of several that they are or were."""

    def __init__(self, asked: str, kept: Iterable[Kept]) -> None:
        self._asked = asked
        self._graph = Graph()
        self._kept = {each.twin: each for each in kept}
        proven = [event for each in self._kept.values() for event in each.events if is_certificate(event)]
        self._recorded = {twin: Recorded([*each.events, *proven]) for twin, each in self._kept.items()}
        self._grounds = {twin: Grounds(each, self._recorded[twin], self._graph) for twin, each in self._kept.items()}
        for twin, grounds in self._grounds.items():
            grounds.others = [other for name, other in self._grounds.items() if name != twin]

    def of_delivery(self, delivery: Delivery, name: str = "") -> Lineage:
        """Go back from a delivery, or from one resource (`name`: its address or its UUID) that came of it."""
        kept = self._kept[delivery.twin]
        id_ = self._delivery(kept, delivery)
        self._ground(kept, delivery)
        for earlier in self._changed(delivery):
            self._ground(self._kept[earlier.twin], earlier)
        start = [
            f"resource {delivery.source} {one.reference}"
            for one in delivery.landed
            if name in (one.reference, one.uuid)
        ]
        return self._finish("back", start or [id_])

    def of_run(self, saved: SavedRun) -> Lineage:
        """Go back from a run; where it went is told beside it."""
        kept = self._kept[saved.twin]
        name = self._grounds[saved.twin].run(saved)
        for delivery in kept.deliveries:
            if delivery.run == saved.id:
                self._delivery(kept, delivery)
                self._ground(kept, delivery)
        return self._finish("back", [name])

    def of_all(self) -> Lineage:
        """Go back from every run and every delivery."""
        start = []
        for twin, kept in self._kept.items():
            start += [self._grounds[twin].run(saved) for saved in kept.runs]
            for delivery in kept.deliveries:
                start.append(self._delivery(kept, delivery))
                self._ground(kept, delivery)
        return self._finish("back", start)

    def of_raw(self, source: str, key: str) -> Lineage:
        """Go forth from a resource: each of its versions, the runs that used it, and where their results are."""
        start: list[str] = []
        for twin, kept in self._kept.items():
            grounds, versions = self._grounds[twin], kept.versions_of(source, key)
            start += [grounds.raw(source, key, one.number) for one in versions if not one.ended]
            for saved in kept.runs:
                if all((o.source, o.resource) != (source, key) for _, fact in facts_of(saved) for o in fact.origins):
                    continue
                grounds.run(saved)
                for delivery in kept.deliveries:
                    if delivery.run == saved.id:
                        self._delivery(kept, delivery)
                        self._ground(kept, delivery)
        return self._finish("forth", list(dict.fromkeys(start)))

    def _finish(self, direction: Any, start: list[str]) -> Lineage:
        nodes = self._graph.nodes
        for recorded in self._recorded.values():
            for number in sorted({n for node in nodes for n in node.events if recorded.has(n)}):
                self._event(recorded, number)
        for node in nodes:
            for number in node.events:
                self._graph.join(node.id, f"event {number}", "recorded in")
        return self._graph.lineage(self._asked, direction, tuple(start))

    def _event(self, recorded: Recorded, number: int) -> None:
        entry = recorded.entry(number)
        told = {"number": number, "what": entry.kind, "when": entry.when, "who": entry.actor, "outcome": entry.outcome}
        self._graph.add(Node(f"event {number}", "event", told))

    def _delivery(self, kept: Kept, delivery: Delivery) -> str:
        """Write a delivery, what it became, and what became of that; what it stands on is written apart."""
        name = f"delivery {delivery.id}"
        if name in self._graph:
            return name
        recorded, may = self._recorded[kept.twin], kept.may_run(kept.run(delivery.run))
        told: dict[str, Any] = {
            "delivery": delivery.id,
            "source": delivery.source,
            "state": delivery.state,
            "reason": delivery.reason,
            "attempts": delivery.attempts,
            "last_status": delivery.last_status,
            "unsure": delivery.unsure,
            "updated": delivery.updated,
            "became": [f"{one.reference} ({one.how}, version {one.version or 'not told'})" for one in delivery.landed],
        }
        events = recorded.of_kinds(delivery.id, *_WENT)
        self._graph.add(Node(name, "delivery", told, events=events))
        if not delivery.landed:
            self._graph.lack(name, "not-landed")
        if delivery.state in ARRIVED and not events:
            self._graph.lack(name, "not-recorded")
        for one in delivery.landed:
            base = kept.address(delivery.source, one.reference)
            last = self._last(delivery.source, one.reference) or one
            at = {
                "source": delivery.source,
                "resource": one.reference,
                "address": base,
                "version": last.version,
                "uuid": one.uuid,
                "how": last.how,
            }
            id_ = self._graph.add(Node(f"resource {delivery.source} {one.reference}", "resource", at))
            self._graph.join(id_, name, "changed by" if one.how == "updated" else "delivered by")
        self._proposal(name, kept, delivery, may=may)
        self._replacing(name, kept, delivery)
        return name

    def _last(self, source: str, reference: str) -> Landed | None:
        """Say how a resource of ours was written last."""
        every = (each for kept in self._kept.values() for each in kept.deliveries if each.source == source)
        found = [(each.position, one) for each in every for one in each.landed if one.reference == reference]
        return max(found, key=lambda each: each[0], default=(0, None))[1]

    def _proposal(self, name: str, kept: Kept, delivery: Delivery, *, may: bool) -> None:
        recorded = self._recorded[kept.twin]
        told: dict[str, Any] = {"proposed": delivery.created, "kind": delivery.kind}
        if may:
            told |= {"model": delivery.model, **_of_content(delivery.content)}
        id_ = self._graph.add(
            Node(f"proposal {delivery.id}", "proposal", told, events=recorded.of_kinds(delivery.id, "proposal"))
        )
        if not may:
            self._graph.lack(id_, "withheld")
        self._graph.join(name, id_, "carries")
        decision, events = _decision(delivery), recorded.of_kinds(delivery.id, *_DECIDED)
        if decision:
            node = self._graph.add(Node(f"decision {delivery.id}", "decision", decision, events=events))
            self._graph.join(id_, node, "agreed to by" if decision.get("agreed", True) else "declined by")
        else:
            self._graph.lack(id_, "not-decided" if delivery.state == "proposed" else "no-agreement")

    def _replacing(self, name: str, kept: Kept, delivery: Delivery) -> None:
        for later in kept.deliveries:
            if delivery.id in _before(later):
                self._graph.join(name, self._delivery(kept, later), f"{_what_became(delivery)} by")
        for id_ in _before(delivery):
            earlier = self._find(id_)
            if earlier is None:
                node = Node(f"delivery {id_}", "delivery", {"delivery": id_}, ("elsewhere",))
                before = self._graph.add(node)
            else:
                before = self._delivery(self._kept[earlier.twin], earlier)
            self._graph.join(name, before, "changes" if delivery.kind == "change" else "takes the place of")

    def _find(self, id_: str) -> Delivery | None:
        return next((found for kept in self._kept.values() if (found := kept.delivery(id_))), None)

    def _changed(self, delivery: Delivery) -> Iterator[Delivery]:
        """Walk the deliveries whose resources one changed at the EHR, or that it had before."""
        seen = {delivery.id}
        mine = {one.reference for one in delivery.landed}
        while delivery.replaces and delivery.replaces not in seen:
            seen.add(delivery.replaces)
            earlier = self._find(delivery.replaces)
            if earlier is None or (delivery.kind != "change" and mine.isdisjoint(o.reference for o in earlier.landed)):
                return
            yield earlier
            delivery = earlier

    def _ground(self, kept: Kept, delivery: Delivery) -> None:
        """Write the run that a delivery tells of."""
        proposal, saved = f"proposal {delivery.id}", kept.run(delivery.run)
        if saved is None:
            self._graph.lack(proposal, "no-run")
        else:
            self._graph.join(proposal, self._grounds[kept.twin].run(saved), "tells of")


def _what_became(delivery: Delivery) -> str:
    return delivery.state if delivery.state in ("superseded", "retracted") else "to be changed"


def _before(delivery: Delivery) -> list[str]:
    """Name the deliveries that one changes, or in whose place it comes."""
    revised = _object(delivery.content).get("revises", ())
    found = [str(each["delivery"]) for each in revised if isinstance(each, dict) and each.get("delivery")]
    return list(dict.fromkeys([*([delivery.replaces] if delivery.replaces else []), *found]))


def _decision(delivery: Delivery) -> dict[str, Any]:
    """Read who agreed or declined, how, when and why (`gateway.deliver.approval.Decision`)."""
    return dict(_object(delivery.decision))


def _of_content(content: bytes) -> Mapping[str, Any]:
    """Tell what a proposal says of itself: to the person who is asked, of which plan, and why something is changed."""
    found = _object(content)
    told = {name: found[name] for name in ("summary", "to", "why", "said") if isinstance(found.get(name), str)}
    result = found.get("result")
    if isinstance(result, dict) and result.get("hypothesis"):
        told["hypothesis"] = str(result["hypothesis"])
    return told


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(content) if content else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
