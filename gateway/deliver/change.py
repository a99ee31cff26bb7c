"""A result of ours at an EHR that no longer stands: what is to be said of it there, why, and how that is brought about.

It is a delivery like any other: agreed to by policy, leased, tried again. Twice does no harm: who finds it said already
says nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from gateway.deliver.approval import at_once
from gateway.deliver.ended import Ended
from gateway.deliver.place import Place, find_places, known_places
from gateway.deliver.standing import model_in
from gateway.deliver.target import Target
from gateway.deliver.withdrawal import say_there
from gateway.home import Home, now
from gateway.store import ARRIVED, Attempt, Delivery, DeliveryState
from mappers import FhirVersion, as_fhir_version
from mappers.outbound import to_json
from mappers.outbound.withdrawn import withdraw
from security.audit import proposal_event
from security.errors import Misuse

__all__ = ["Change", "Why", "carry_out", "change_id", "propose_change", "read_change"]

Why = Literal["retracted", "corrected", "overtaken", "person"]

_SAID: Final[Mapping[Why, str]] = {
    "retracted": "Entered in error on {}: a record that this simulated result stands on was taken back or moved.",
    "corrected": "Entered in error on {}: a record that this simulated result stands on was corrected.",
    "overtaken": "Overtaken on {}: newer records have given another simulated result.",
    "person": "Entered in error on {}: whoever runs the simulation has taken it back.",
}
_BECOMES: Final[Mapping[str, DeliveryState]] = {"amended": "superseded", "entered-in-error": "retracted"}


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be said of one delivered result. It is patient data as far as `said` is.

    Parameters
    ----------
    delivery
        Which result.
    to
        What its resources are to say.
    why
        What became of what it stands on, or that a person wants it.
    replacement
        The delivery that stands in its place, "" for none.
    said
        The words of a person; "" where nobody said anything.
    """

    delivery: str
    to: Literal["amended", "entered-in-error"]
    why: Why
    at: datetime
    replacement: str = ""
    said: str = ""

    @property
    def words(self) -> str:
        """Say it in a sentence or two, for those who read the resource."""
        return f"{_SAID[self.why].format(f'{self.at:%Y-%m-%d}')} {self.said.strip()}".strip()


_reader = msgspec.json.Decoder(Change)


def read_change(content: bytes) -> Change:
    """Read what is to be changed from the outbox."""
    return _reader.decode(content)


def change_id(home: Home, delivery: str, to: str, number: int = 0) -> str:
    """Name what is to be said of a delivered result: the same each time that it is found."""
    return home.blind.of("delivery", f"change {delivery} {to}{f' {number}' if number else ''}")


def propose_change(home: Home, old: Delivery, change: Change, number: int = 0) -> str:
    """Put a change of a delivered result into the outbox, agreed to where policy lets it go by itself; returns its id.

    What is there already stays as it is, whatever became of it; with another `number` it is wanted once more. Raises
    `Denied` where the twin is restricted.
    """
    id_, model = change_id(home, old.id, change.to, number), model_in(home, old)
    decision, agreed = at_once(home, old.twin, id_, "change", model, old.source)
    home.store.propose(
        id_,
        old.twin,
        old.source,
        old.run,
        to_json(_foreseen(home, old, change)),
        now=change.at,
        events=[proposal_event(home.access(patient=old.twin), proposal=id_), *agreed],
        model=model,
        kind="change",
        content=msgspec.json.encode(change),
        replaces=old.id,
        decision=decision,
    )
    return id_


async def carry_out(target: Target, delivery: Delivery) -> Ended:
    """Say at the EHR, of each resource of a delivered result, that it does not stand any more.

    What a person has changed there since is left as it is, and told: the delivery is dead then, though the others were
    changed. What is not there any more needs nothing. Raises the faults of the network, after which nothing is lost: it
    is tried again.
    """
    change, store = read_change(delivery.content), target.home.store
    old = store.delivery(change.delivery)
    if old.state not in ARRIVED:
        return Ended(Attempt("dead", "not-there"), _not_there())
    places = await find_places(target, delivery, old)
    if not places:
        return Ended(Attempt("dead", "not-there"), _not_there())
    newer = store.delivery(change.replacement) if change.replacement else None
    ends = [
        await say_there(target, delivery, place, change.to, change.words, _instead(place, newer)) for place in places
    ]
    landed = tuple(end.landed for end in ends if end.landed is not None)
    bad = next((end for end in ends if end.fault is not None), None)
    if bad is not None:
        return Ended(Attempt("dead", bad.reason, status=bad.status, landed=landed), bad.fault)
    if _BECOMES[change.to] != old.state:
        await target.journal.write(lambda: store.note_replaced(old.id, _BECOMES[change.to], now()))
    return Ended(Attempt("sent", "" if landed else "gone-at-ehr", landed=landed))


def _not_there() -> Misuse:
    return Misuse(
        "Nothing of the result that is to be changed is known to be at the EHR.",
        hint="Look for it there by its identifier; then drop this: twin outbox drop.",
    )


def _foreseen(home: Home, old: Delivery, change: Change) -> dict[str, Any]:
    """Write what will be there, as far as we know it: as it was sent, with what is to be said. It is for people."""
    version = _version(home, old)
    newer = home.store.delivery(change.replacement) if change.replacement else None
    entries = []
    for place in known_places(old) if version else ():
        body = dict(place.sent) | {"id": place.reference.partition("/")[2]}
        said = withdraw(body, version, change.to, change.words, _instead(place, newer)) if version else body
        entries.append({"resource": said, "request": {"method": "PUT", "url": place.reference}})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _version(home: Home, old: Delivery) -> FhirVersion | None:
    settings, last = home.settings.sources.get(old.source), home.store.last_pull(old.source)
    told = settings.fhir_version if settings and settings.fhir_version else last.fhir_version if last else ""
    return as_fhir_version(told)


def _instead(place: Place, newer: Delivery | None) -> str:
    """Find what stands in the place of a resource: the newer one of the same type and code, else what tells the risks.

    "" where the newer delivery has nothing of the kind, or does not stand itself.
    """
    if newer is None or newer.state not in ("sent", "superseded"):
        return ""
    there = known_places(newer)
    same = [each for each in there if each.type == place.type and each.sent.get("code") == place.sent.get("code")]
    rest = [each for each in there if each.type != "Observation"]
    return next((each.reference for each in (*same, *rest)), "")
