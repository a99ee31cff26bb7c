"""What is kept, understood anew: the same bytes with other outcomes, once the rules of mapping have changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.store.audited import Events
from gateway.store.lanes import Lanes
from gateway.store.values import Changes, StoredResource

__all__ = ["Remapping"]


class Remapping(Lanes):
    """Stores outcomes that belong to no pull and no delivery. What they replace stays in the history."""

    def remap(
        self,
        source: str,
        writes: Mapping[str, Sequence[StoredResource]],
        unlinked: Sequence[StoredResource],
        *,
        now: datetime,
        events: Events = (),
    ) -> Changes:
        """Store resources of a source as they are understood now, by twin and (`unlinked`) those of none.

        Call it in the transaction that they were read in. Where things come from the source by themselves, the twins
        that changed want attention.
        """
        with self.transaction() as work:
            work.record(events)
            changes = self._append(work.session, source, writes, unlinked, now)
            if self._known_lane(work.session, source) is not None:
                for twin, version in changes.twins.items():
                    self._want_attention(work.session, twin, version)
            return changes
