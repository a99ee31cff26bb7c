"""Asks for the medicines that exported resources refer to, where the export did not bring them.

Medication is in no patient's compartment, so that an export of patients may leave it out, and without it a prescription
says nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from gateway.pull.bulk.job import Job
from gateway.pull.bundle import head_of
from gateway.pull.connection import Connection
from gateway.pull.fill_ins import Named, References, ask_by_name
from gateway.pull.metadata import Capability
from gateway.pull.page import Entry, Page
from mappers import LINKABLE, REFERRING

__all__ = ["Filling", "Landed"]

Landed = Callable[[], Iterator[Page]]

_AT_ONCE = 50  # names in one question, and on one page


class Filling:
    """Collects what is referred to while pages go by, and asks for what did not come.

    Parameters
    ----------
    is_held
        Says whether a resource ("Medication/1") is held already.
    landed
        Walks the pages that earlier tries of this pull stored: what they refer to is not in the cursor.
    """

    def __init__(
        self, connection: Connection, capability: Capability, is_held: Callable[[str], bool], landed: Landed | None
    ) -> None:
        types = [type_ for type_ in LINKABLE if not capability.types or type_ in capability.types]
        self._connection, self._landed = connection, landed
        self._references = References(str(connection.base.url), types, is_held)

    def note(self, type_: str, entries: Iterable[Entry]) -> None:
        """Note what came in a file of a type ("" for one of several)."""
        if type_ and type_ not in LINKABLE | REFERRING:
            return
        for entry in entries:
            if entry.problem:
                continue
            if type_ not in LINKABLE:
                self._references.note(entry.raw)
            if type_ not in REFERRING and (head := head_of(entry.raw)) is not None:
                self._references.arrived(head.resourceType, head.id)

    def recall(self) -> None:
        """Note what came before, in a try that was killed."""
        for page in self._landed() if self._landed else ():
            self.note(page.type, page.entries)

    async def steps(self, job: Job) -> AsyncIterator[tuple[str, Named]]:
        """Ask, some names at a time; yield the type and what became of it, and count it with the job."""
        for type_, ids in self._references.missing().items():
            for begin in range(0, len(ids), _AT_ONCE):
                some = ids[begin : begin + _AT_ONCE]
                found = await ask_by_name(self._connection, type_, some)
                filled = job.filled
                filled.said = None if filled.said is None or found.unknown else filled.said + len(some) - found.absent
                filled.came += len(found.came)
                filled.pages += 1
                yield type_, found
        if self._references.left_out:
            job.remark("More is referred to than was filled in.")
