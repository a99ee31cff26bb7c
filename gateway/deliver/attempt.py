"""One attempt at one delivery: asked whether it may leave, written down, sent, its answer read, and judged.

claimed ─▶ unsure? ask what is there ─▶ may it leave? ─▶ written down ─▶ sent ─▶ all there
                    ▲                                                     │
                    └────────── nobody knows ◀────────────────────────────┤
           another way, another type ◀── refused ◀────────────────────────┘
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.deliver.backoff import SourceRests, is_given_up, rest_after, try_again_at
from gateway.deliver.change import carry_out
from gateway.deliver.device import forget, make_sure
from gateway.deliver.ended import Ended
from gateway.deliver.lease import LeaseLost
from gateway.deliver.leave import Leave, Stays, lazily, stays_for
from gateway.deliver.read_back import read_back
from gateway.deliver.reconcile import believed_from, look_for_copies, reconcile
from gateway.deliver.refusal import Refusal
from gateway.deliver.rung import NoRung, NoScope, steps_to, written_for
from gateway.deliver.seek import Unsearchable
from gateway.deliver.shipment import Shipment
from gateway.deliver.target import Target
from gateway.deliver.verdict import REASONS, Mistake, is_unsure, reason_of, rests, verdict_on
from gateway.deliver.ways import Way, Went, send_by, ways_of
from gateway.home import now
from gateway.pull.retry import ComeBackLater, OutOfOrder
from gateway.store import Attempt, Delivery, DeliveryState, Landed
from security.audit import delivery_event
from security.errors import Fault, Refused

__all__ = ["try_to_deliver"]

_log: Final = logging.getLogger(__name__)
_MOST_TURNS: Final = 12  # each goes one step down, to a smaller way, or waits out a conflict: it ends by itself
_MOST_CONFLICTS: Final = 2
_NO_SUCH_WAY: Final = frozenset({400, 404, 405, 422, 501})


async def try_to_deliver(target: Target, leave: Leave, delivery: Delivery) -> Ended:
    """Try once to bring a delivery to its EHR.

    Raises `LeaseLost` where somebody else has it by now, and `SourceRests`, which says how this one ended, where
    nothing should be sent to the source for a while.
    """
    attempt = _Attempt(target, leave, delivery)
    try:
        return await attempt.run()
    except (LeaseLost, SourceRests):
        raise
    except Fault as fault:
        ended = attempt.failed(fault)
        if rests(fault) or ended.attempt.reason == "forbidden":
            raise SourceRests(ended, rest_after(fault)) from fault
        return ended
    except Exception as error:
        _log.error("a delivery was stopped", exc_info=error)  # told by its place, and not by its text
        return attempt.failed(Mistake("A mistake of ours stopped this delivery.", hint=REASONS["mistake"].hint))


@dataclass
class _Attempt:
    target: Target
    leave: Leave
    delivery: Delivery
    went: Went = field(default_factory=Went)
    bundle: bytes = b""
    ways: list[Way] = field(default_factory=list)
    left_ways: list[Way] = field(default_factory=list)
    devices: tuple[Landed, ...] = ()
    forbidden: dict[str, Refusal] = field(default_factory=dict)
    has_left: bool = False
    conflicts: int = 0

    async def run(self) -> Ended:
        if self.delivery.kind == "change":
            return await self._change()
        self.bundle, self.went = self.delivery.bundle, Went.of(self.delivery)
        if self.delivery.unsure and (ended := await self._ask()) is not None:
            return ended
        self.bundle, self.ways = self._written(), [*ways_of(self.target)]
        for _ in range(_MOST_TURNS):
            if (stays := self._may_not_begin()) is not None:
                return self._stays(stays)
            shipment = await self._placed()
            if (stays := await self._leaving()) is not None:
                return self._stays(stays)
            self.went.refused.clear()
            try:
                await send_by(self.ways[0], self.target, self.delivery.id, shipment, self.went)
            except Fault as fault:
                if not is_unsure(fault):
                    raise
                return await self._lost(fault, shipment)
            if not self.went.refused:
                return await self._arrived(shipment)
            if (ended := await self._refused(self.went.refused[0], shipment)) is not None:
                return ended
        raise Refused("The server refused every way.", hint="twin outbox show has what it said.")

    def failed(self, fault: Fault) -> Ended:
        """Say how an attempt ended that a fault ended."""
        reason, was_unsure = reason_of(fault), self.delivery.unsure and not self.has_left
        why = {verdict_on(each).reason for each in self.forbidden.values()}
        if isinstance(fault, NoRung) and "forbidden" in why:
            reason = "forbidden"
        if isinstance(fault, NoScope):
            return self._stays(stays_for(reason, fault), unsure=was_unsure)
        if not REASONS[reason].again:
            return self._ended("dead", reason, fault, unsure=was_unsure)
        unsure = was_unsure or (self.has_left and is_unsure(fault))
        return self._again(reason, fault, unsure=unsure, counts=not isinstance(fault, ComeBackLater | OutOfOrder))

    async def _change(self) -> Ended:
        if (stays := self.leave.of(self.delivery)) is not None:
            return self._stays(stays)
        self.has_left = True
        return await carry_out(self.target, self.delivery)

    async def _ask(self) -> Ended | None:
        """Ask what is there of what was cut off; `None` where what is missing may be sent."""
        if (stays := self.leave.of(self.delivery)) is not None:
            return self._stays(stays, unsure=True)
        shipment = Shipment.read(self.bundle)
        if await reconcile(self.target, self.delivery, shipment, self.went):
            return await self._arrived(shipment)
        left = max(filter(None, (self.delivery.left, self.delivery.lease_until)), default=self.delivery.updated)
        if now() < (believed := believed_from(self.target, left)):
            return self._ended("failed", "settling", not_before=believed, unsure=True, counts=False)
        self.went.resent = True
        return None

    async def _lost(self, fault: Fault, shipment: Shipment) -> Ended:
        """Ask at once what is there, after a failure of which nobody knows; what is missing waits until it can be."""
        target, delivery, moment = self.target, self.delivery, now()
        await target.journal.write(lambda: target.home.store.note_leaving(target.holder, delivery.id, moment))
        try:
            if await reconcile(target, delivery, shipment, self.went):
                return await self._arrived(shipment)
        except (LeaseLost, Unsearchable):
            raise
        except Fault:  # it does not answer this, either
            return self._again(reason_of(fault), fault, unsure=True)
        until = max(believed_from(target, moment), try_again_at(moment, delivery.attempts + 1))
        return self._again("settling", fault, not_before=until, unsure=True)

    def _written(self) -> bytes:
        return written_for(self.target, self.delivery, without=self.forbidden.keys())

    async def _leaving(self) -> Stays | None:
        """Ask whether it may leave and write down that it does, as one: nobody can say no in between."""
        target, delivery = self.target, self.delivery
        resources = lazily(self.bundle)
        access = target.home.access(patient=delivery.twin, peer=target.home.peer(delivery.source))
        is_first = not self.has_left
        events = [delivery_event(access, delivery=delivery.id)] if is_first else []

        def why_not() -> Stays | None:
            return self.leave.of(delivery, resources, is_new=is_first and not self.went.there)

        answer = await target.journal.leave(target.holder, delivery.id, why_not, events)
        if isinstance(answer, Stays):
            return answer
        if not answer:
            raise LeaseLost("Somebody else is sending this by now.", hint="Nothing more of it leaves from here.")
        self.has_left = True
        return None

    def _may_not_begin(self) -> Stays | None:
        """Ask before a model's Device would be made for something that may not leave."""
        is_new = any(each.uuid not in self.target.devices for each in Shipment.read(self.bundle).devices)
        return self.leave.of(self.delivery, is_new=True) if is_new else None

    async def _placed(self) -> Shipment:
        """Make sure of the model's Device, and refer to it where it is."""
        shipment = Shipment.read(self.bundle)
        try:
            self.devices = tuple([await make_sure(self.target, self.delivery.id, each) for each in shipment.devices])
        except Refusal as refusal:
            if verdict_on(refusal).deed != "other-type" or "Device" in self.forbidden:
                raise
            self._goes_without(refusal)
            self.bundle = self._written()
            return await self._placed()
        return shipment.without({each.uuid: each.reference for each in self.devices})

    async def _arrived(self, shipment: Shipment) -> Ended:
        for way in self.left_ways:
            self.target.learn("answer", **{way: "no"})
        for type_, refusal in self.forbidden.items():
            self.target.refuse(type_, refusal)
        if self.went.resent:
            await look_for_copies(self.target, self.delivery, shipment, self.went)
        await read_back(self.target, self.delivery, shipment, self.went)
        return self._ended("sent", "copies" if self.went.copies else "")

    async def _refused(self, refusal: Refusal, shipment: Shipment) -> Ended | None:
        """Take the step that a refusal leaves; `None` where there is one, so that it is sent again at once."""
        verdict = verdict_on(refusal)
        if verdict.deed == "rest":
            raise SourceRests(self._again(verdict.reason, refusal, counts=False), rest_after(refusal))
        if verdict.deed == "ask":
            return await self._lost(refusal, shipment)
        if verdict.deed == "again":
            self.conflicts += 1
            if self.conflicts > _MOST_CONFLICTS:
                return self._again(verdict.reason, refusal)
            await self.target.connection.retry.pause(self.conflicts)
        if verdict.deed in ("again", "several"):
            known = len(self.went.there)
            await reconcile(self.target, self.delivery, shipment, self.went)
            found = len(self.went.there) > known or verdict.deed == "again"
            return None if found else self._ended("dead", verdict.reason, refusal)
        if await self._device_was_gone() or self._goes_smaller(refusal):
            return None
        if verdict.deed == "other-type" and refusal.type:
            self._goes_lower()
            return None
        return self._ended("dead", verdict.reason, refusal)

    async def _device_was_gone(self) -> bool:
        """Look whether the Device to which all refers was deleted: the next turn makes it again."""
        return any([await forget(self.target, each) for each in Shipment.read(self.bundle).devices])

    def _goes_smaller(self, refusal: Refusal) -> bool:
        """Take the next way where there is one: the server may not take this one, or not so much at once.

        Where it has taken others in this way, it is what was sent that it calls invalid.
        """
        way = self.ways[0]
        if way == "single" or refusal.type:
            return False
        if refusal.status in (400, 422) and getattr(self.target.learned, way) == "yes":
            return False
        if refusal.status in _NO_SUCH_WAY:
            self.left_ways.append(way)
        del self.ways[0]
        return True

    def _goes_lower(self) -> None:
        """Leave the types that were refused, and begin again with the best way; raises `NoRung` on the last rung."""
        for refusal in self.went.refused:
            if verdict_on(refusal).deed == "other-type":
                self._goes_without(refusal)
        self.left_ways.clear()
        self.bundle, self.ways = self._written(), [*ways_of(self.target)]

    def _goes_without(self, refusal: Refusal) -> None:
        """Leave out a type that was refused. That it is forbidden is believed once the server has taken another one."""
        self.forbidden[refusal.type] = refusal
        if verdict_on(refusal).reason != "forbidden":
            self.target.refuse(refusal.type, refusal)

    def _again(
        self,
        reason: str,
        fault: Fault,
        *,
        not_before: datetime | None = None,
        unsure: bool = False,
        counts: bool = True,
    ) -> Ended:
        moment = now()
        if counts and is_given_up(self.delivery, moment, self.target.settings.give_up_h):
            return self._ended("dead", "given-up", fault, unsure=unsure)
        not_before = not_before or try_again_at(moment, self.delivery.attempts + 1)
        return self._ended("failed", reason, fault, not_before=not_before, unsure=unsure, counts=counts)

    def _stays(self, stays: Stays, *, unsure: bool = False) -> Ended:
        return self._ended(stays.state, stays.reason, stays.fault, not_before=stays.not_before, unsure=unsure)

    def _ended(
        self,
        state: DeliveryState,
        reason: str = "",
        fault: Fault | None = None,
        *,
        not_before: datetime | None = None,
        unsure: bool = False,
        counts: bool = True,
    ) -> Ended:
        is_there = state == "sent" or unsure or bool(self.went.there)  # else it may go as it was proposed, next time
        rewritten = self.bundle if is_there and self.bundle != self.delivery.bundle else b""
        steps = steps_to(self.delivery.content, Shipment.read(rewritten).types) if rewritten else ()
        told = self.went.reply or str(fault.detail or "").encode() if fault is not None else self.went.reply
        attempt = Attempt(
            state,
            reason,
            status=self.went.status,
            reply=told,
            not_before=not_before,
            unsure=unsure,
            landed=tuple(self.went.there.values()),
            bundle=rewritten,
            counts=counts,
        )
        return Ended(attempt, fault, steps, self.devices if state == "sent" else ())
