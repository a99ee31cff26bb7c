"""What was seen last of things outside of the store, so that a change of them is noticed and recorded."""

from __future__ import annotations

from gateway.store.audited import Audited, Events
from gateway.store.tables import MetaRow

__all__ = ["Noting"]


class Noting(Audited):
    """Keeps a text by name. It stands in the file as it is: hash what is not for everybody."""

    def noted(self, name: str) -> str:
        """Return what was noted; "" where nothing was."""
        with self._reading() as session:
            row = session.get(MetaRow, name)
        return row.value if row else ""

    def note(self, name: str, text: str, events: Events = (), *, before: str) -> bool:
        """Note a text with the events that tell of it; `False` where another process was quicker than `before`."""
        with self.transaction() as work:
            row = work.session.get(MetaRow, name)
            if (row.value if row else "") != before:
                return False
            work.record(events)
            work.session.merge(MetaRow(name=name, value=text))
            work.session.flush()
            return True
