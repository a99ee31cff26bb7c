"""Which results of a twin no longer stand, and what follows: what has not left stays, what has arrived is changed.

It looks at what the store holds now and nothing else, so that what a kill cut off is found again. A twin that has no
newer version than at the last look is not opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import msgspec

from gateway.deliver.approval import approve
from gateway.deliver.change import Change, change_id, propose_change
from gateway.deliver.standing import ANSWERS, Grounds, Standing, stands_on
from gateway.home import Home, now
from gateway.store import Delivery, DeliveryState, SavedRun
from security.audit import decision_event, read_event
from security.errors import Denied, Misuse

__all__ = ["Reviewed", "is_to_review", "retract", "review", "review_all", "review_cut_off"]

_AT_THE_EHR: Final = ("sent", "superseded")
_WAITING: Final = ("proposed", "approved", "failed", "held")
_OUTBOX: Final = "outbox"  # under which what was looked at is kept, beside what models know
_OPEN: Final[tuple[DeliveryState, ...]] = ("proposed", "approved", "sending", "failed", "held", "sent", "superseded")
_GIVEN_UP: Final = ("declined", "dropped", "overtaken")


@dataclass(frozen=True)
class Reviewed:
    """What a look at one twin found: results by what became of them, and the changes that it put into the outbox.

    `stopped` are deliveries that had not left, and do not any more.
    """

    twin: str
    found: Counter[Standing] = field(default_factory=Counter)
    changes: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Write it for scripts."""
        return {
            "twin": self.twin,
            "found": dict(self.found),
            "changes": list(self.changes),
            "stopped": list(self.stopped),
        }


class _Looked(msgspec.Struct, frozen=True):
    """What the last look at a twin was at: its version, and what had become of each delivery by then."""

    version: int = 0
    judged: Mapping[str, Standing] = {}


def review(home: Home, twin: str) -> Reviewed:
    """Look at all results of a twin, and put into the outbox what has to be said of those that do not stand.

    What has not left any more is overtaken, or dropped where it stands on what was taken back; but not what may have
    left: that is asked for at the EHR first, and changed there. Raises `Denied` where the twin is restricted.
    """
    rows = home.store.outbox_listed(twin=twin)
    if not any(each.state in _OPEN and each.kind != "change" for each in rows):
        return Reviewed(twin)
    with home.store.transaction():
        return _Review(home, twin, rows).carried_out()


def review_all(home: Home, twins: Collection[str] | None = None) -> list[Reviewed]:
    """Look at some twins, or at all of which anything was or may be delivered; a restricted one is passed over."""
    found = []
    if twins is None:
        twins = home.store.outbox_twins(_OPEN)
    for twin in sorted(twins):
        try:
            found.append(review(home, twin))
        except Denied:
            continue
    return found


def is_to_review(home: Home, delivery: Delivery) -> bool:
    """Say whether what has just arrived gives reason to look at its twin.

    It may take the place of another result. Or the twin has changed since its run: a record that it stands on may have
    been taken back while it was on its way.
    """
    ground = None if delivery.kind == "change" else home.store.ground_of(delivery.twin, delivery.run)
    if ground is None:
        return False
    return ground.version != ground.made_of or (delivery.kind in ANSWERS and home.store.has_rival(delivery))


def review_cut_off(home: Home) -> None:
    """Look at the twins at which nobody may have looked since something of theirs arrived: a kill came in between."""
    review_all(home, home.store.twins_to_review())


def retract(home: Home, delivery: Delivery, why: str) -> str:
    """Enter a delivered result in error at its EHR, for the person at the terminal; returns the id of the delivery.

    Raises `Misuse` for what has not arrived or is entered in error already, or without a reason; `Denied` where
    somebody else has to agree: then it waits for them.
    """
    if delivery.kind == "change" or delivery.state not in _AT_THE_EHR:
        hint = "What has not arrived is dropped: twin outbox drop."
        raise Misuse(f"This delivery is {delivery.state}: there is nothing of it to enter in error.", hint=hint)
    if not why.strip():
        raise Misuse("Say why.", hint="With --why: those who read the result at the EHR read it too.")
    change = Change(delivery.id, "entered-in-error", "person", now(), said=why.strip())
    for number in count():
        id_ = propose_change(home, home.store.delivery(delivery.id), change, number)
        known = home.store.delivery(id_)
        if known.state in _GIVEN_UP:  # somebody did not want it, before
            continue
        if known.state == "dead":
            event = decision_event(home.access(patient=known.twin), delivery=id_, decision="retry")
            home.store.decide_delivery(known, "approved", now(), events=[event])
        elif known.state == "proposed":
            approve(home, known, why)
        return id_
    raise AssertionError("numbers do not end")


class _Review:
    """One look at one twin."""

    def __init__(self, home: Home, twin: str, rows: Sequence[Delivery]) -> None:
        self._home, self._twin = home, twin
        self._changes = {each.id for each in rows if each.kind == "change"}
        open_ = [each for each in rows if each.kind != "change" and each.state in _OPEN]
        self._runs = {each.run: home.store.run(each.run) for each in open_}
        self._rows = sorted(open_, key=lambda each: (self._runs[each.run].created, each.created, each.id))
        self._version = home.store.twin_version(twin)
        self._grounds: Grounds | None = None

    def carried_out(self) -> Reviewed:
        """Do what follows."""
        standing = self._judged()
        changes, stopped, found = list[str](), list[str](), Counter[Standing]()
        for place, each in enumerate(self._rows):
            later = (one for one in self._rows[place + 1 :] if self._takes_its_place(one, each))
            newer = [one for one in later if standing[one.id] == "stands"]
            if each.state in _AT_THE_EHR:
                told, change = self._changed(each, standing[each.id], newer)
                changes += [change] if change else []
            else:
                told = "overtaken" if newer and standing[each.id] == "stands" else standing[each.id]
                stopped += [each.id] if told != "stands" and self._stop(each, told) else []
            found[told] += 1
        return Reviewed(self._twin, found, tuple(changes), tuple(stopped))

    def _judged(self) -> dict[str, Standing]:
        """Say of each delivery whether what it stands on is told still; what was said at this version is known."""
        kept = self._home.store.state(self._twin, _OUTBOX, "review")
        looked = msgspec.json.decode(kept.content, type=_Looked) if kept else _Looked()
        known = looked.judged if looked.version == self._version else {}
        judged: dict[str, Standing] = {}
        found: dict[str, Standing] = {}
        for each in self._rows:
            saved = self._runs[each.run]
            if saved.twin_version == self._version:
                found[each.id] = "stands"
                continue
            name = f"{each.id} {'there' if each.state in _AT_THE_EHR else 'waiting'}"
            found[each.id] = judged[name] = known.get(name) or self._judge(each, saved)
        if judged.keys() - known.keys():
            self._home.store.save_state(
                *(self._twin, _OUTBOX, "review", msgspec.json.encode(_Looked(self._version, judged))),
                after=kept.revision if kept else 0,
                twin_version=self._version,
                now=now(),
            )
        return found

    def _judge(self, each: Delivery, saved: SavedRun) -> Standing:
        if self._grounds is None:
            self._home.store.append_audit([read_event(self._home.access(patient=self._twin))])
            self._grounds = Grounds(self._home, self._home.store.twin_record(self._twin))
        return self._grounds.of(saved) if each.state in _AT_THE_EHR else stands_on(self._grounds, each, saved)

    def _changed(self, old: Delivery, standing: Standing, newer: Sequence[Delivery]) -> tuple[Standing, str]:
        """Say what became of a delivered result, and put into the outbox what is to be said of it, by policy."""
        policy = self._home.settings.approval
        there = [each for each in newer if each.state == "sent"]
        latest = there[-1].id if there else ""
        if standing in ("retracted", "corrected") and getattr(policy, standing) == "retract":
            return standing, self._propose(old, Change(old.id, "entered-in-error", standing, now(), latest))
        if latest and policy.overtaken == "amend" and old.state == "sent":
            told: Standing = "overtaken" if standing == "stands" else standing
            return told, self._propose(old, Change(old.id, "amended", "overtaken", now(), latest))
        return ("overtaken" if latest and standing == "stands" else standing), ""

    def _propose(self, old: Delivery, change: Change) -> str:
        if change_id(self._home, old.id, change.to) in self._changes:
            return ""
        return propose_change(self._home, self._home.store.delivery(old.id), change)

    def _stop(self, delivery: Delivery, standing: Standing) -> bool:
        """Keep here what has not left; what may have left is asked for first."""
        if delivery.state not in _WAITING or delivery.unsure:
            return False
        state: DeliveryState = "dropped" if standing == "retracted" else "overtaken"
        event = decision_event(
            self._home.access(patient=self._twin), delivery=delivery.id, decision="drop", by={"how": standing}
        )
        return self._home.store.decide_delivery(delivery, state, now(), reason=standing, events=[event])

    def _takes_its_place(self, newer: Delivery, older: Delivery) -> bool:
        one, other = self._runs[newer.run], self._runs[older.run]
        is_answer = {newer.kind, older.kind} <= ANSWERS
        return is_answer and newer.source == older.source and one.model == other.model and one.id != other.id
