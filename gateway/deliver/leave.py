"""Whether a delivery may leave now: asked right before anything of it does, each time anew.

Somebody agreed to it, once. Since then the patient may have changed their mind, the source its settings, an account its
roles, and a record that the result stands on may have been taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

import msgspec

from gateway.consented import demand_leave, judged
from gateway.deliver.approval import still_stands
from gateway.deliver.standing import still_valid
from gateway.deliver.verdict import REASONS
from gateway.home import Home, now
from gateway.store import Delivery, DeliveryState, TwinRecord
from gateway.store.overtaking import Ground
from security.errors import Denied, Fault, Misuse

__all__ = ["Leave", "Stays", "lazily", "stays_for"]

_SAME_FOR: Final = timedelta(seconds=1)  # how long an opened twin is gone on with, while it has no newer version
_LOOK_AGAIN: Final = timedelta(minutes=10)
_MOST_OPEN: Final = 64
_FALLS: Final[dict[str, DeliveryState]] = {"retracted": "dropped", "corrected": "overtaken", "overtaken": "overtaken"}


@dataclass(frozen=True)
class Stays:
    """A delivery that may not leave: why, what becomes of it, and when it is asked again."""

    state: DeliveryState
    reason: str
    fault: Fault
    not_before: datetime | None = None


@dataclass
class Leave:
    """Asks for one home. What cannot have changed since it was looked at is not looked at again: that a version of a
    twin holds nothing that a consent could be about, and for a moment an opened twin.
    """

    home: Home
    _open: dict[str, tuple[datetime, TwinRecord]] = field(default_factory=dict)
    _free: dict[str, int] = field(default_factory=dict)
    _tenants: dict[str, str] = field(default_factory=dict)

    def of_source(self, source: str) -> Stays | None:
        """Say whether anything may go to a source, by the settings as they are."""
        known = self.home.settings.sources.get(source)
        if known is None or not known.base_url:
            return stays_for("source-gone")
        if not known.write:
            return stays_for("write-off")
        if source not in self._tenants:  # it is never another one
            self._tenants[source] = self.home.store.tenant_of(source)
        if known.tenant != self._tenants[source]:
            return stays_for("tenant")
        return None

    def of(
        self, delivery: Delivery, resources: Sequence[dict[str, Any]] | None = None, *, is_new: bool = False
    ) -> Stays | None:
        """Say whether a delivery may leave now; `None` where it may.

        Of what `is_new`, nothing of which is at the EHR, it is also asked whether it still tells what is so.
        """
        if (stays := self.of_source(delivery.source)) is not None:
            return stays
        ground = self.home.store.ground_of(delivery.twin, delivery.run)
        if ground is None:
            return stays_for("erased", state="dropped")
        try:
            return self._of(delivery, resources, ground) or (self._of_new(delivery, ground) if is_new else None)
        except KeyError:  # erased at this very moment
            return stays_for("erased", state="dropped")

    def _of(self, delivery: Delivery, resources: Sequence[dict[str, Any]] | None, ground: Ground) -> Stays | None:
        if ground.is_restricted:
            return stays_for("restricted")
        if delivery.kind != "change" and not ground.is_somebody:
            return stays_for("joined", state="overtaken")
        if code := still_stands(self.home, delivery):
            return stays_for(code)
        if self._free.get(delivery.twin) == ground.version:
            return None
        record = self._record(delivery.twin, ground.version)
        told = resources if resources is not None else lazily(delivery.bundle)
        try:
            demand_leave(self.home, delivery.twin, delivery.run, told, record=record)
        except Denied as denied:
            return stays_for("consent", denied)
        if judged(self.home, record, "disclose") is None:
            self._free[delivery.twin] = record.version
        return None

    def _of_new(self, delivery: Delivery, ground: Ground) -> Stays | None:
        if ground.version == ground.made_of:
            return None
        found = still_valid(self.home, delivery)
        return None if found == "stands" else stays_for(found, state=_FALLS[found])

    def _record(self, twin: str, version: int) -> TwinRecord:
        moment = now()
        self._open = {each: kept for each, kept in self._open.items() if moment - kept[0] <= _SAME_FOR}
        opened = self._open.get(twin)
        if opened is not None and opened[1].version == version:
            return opened[1]
        record = self.home.store.twin_record(twin)
        if len(self._open) < _MOST_OPEN:
            self._open[twin] = (moment, record)
        return record


def lazily(bundle: bytes) -> Sequence[dict[str, Any]]:
    """Hand out the resources of a transaction, which are read when a consent is about what is in them."""
    return _Resources(bundle)


def stays_for(reason: str, fault: Fault | None = None, state: DeliveryState = "held") -> Stays:
    """Say that a delivery stays for one of `REASONS`; what is held is looked at again."""
    told = REASONS[reason]
    again = now() + _LOOK_AGAIN if state == "held" else None
    return Stays(state, reason, fault or Misuse(told.said, hint=told.hint), again)


class _Resources(Sequence[dict[str, Any]]):
    def __init__(self, bundle: bytes) -> None:
        self._bundle = bundle

    @cached_property
    def _read(self) -> list[dict[str, Any]]:
        return [entry["resource"] for entry in msgspec.json.decode(self._bundle)["entry"]]

    def __getitem__(self, index: Any) -> Any:
        return self._read[index]

    def __len__(self) -> int:
        return len(self._read)
