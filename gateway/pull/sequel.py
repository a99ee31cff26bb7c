"""What is asked once all is answered: refused types in another way, records against counts, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.pull.absent import grants_all
from gateway.pull.asking import First
from gateway.pull.connection import Connection
from gateway.pull.fill_ins import References
from gateway.pull.metadata import Capability
from gateway.pull.other_ways import other_way
from gateway.pull.plan import patient_parameter
from gateway.pull.step import Stepper
from gateway.pull.walk import Inquiry, Walk

__all__ = ["Sequel"]

_ROUNDS = 2  # of filling in: a PractitionerRole names a Practitioner, and that is all


class Sequel:
    """Finds what else is to be asked. Killed in between, a walk comes here again with its last cursor."""

    def __init__(
        self,
        connection: Connection,
        capability: Capability,
        steps: Stepper,
        from_mark: Callable[[Inquiry], Inquiry],
        *,
        fills_in: bool,
    ) -> None:
        self._connection, self._capability = connection, capability
        self._steps, self._from_mark, self._fills_in = steps, from_mark, fills_in

    async def go_on(self, walk: Walk, patients: Sequence[str], references: References) -> bool:
        """Add to the inquiries of a walk; say whether there is more to ask. `patients` are those who came."""
        if await self._in_other_ways(walk, patients):
            return True
        for inquiry in walk.inquiries:
            if inquiry.way == "everything" and not inquiry.tried:
                inquiry.tried = True
                walk.inquiries += [await self._in_record(inquiry, type_) for type_ in sorted(inquiry.by_type)]
        if walk.rounds < _ROUNDS and self._fill_in(walk, references):
            return True
        for inquiry in walk.inquiries:
            if inquiry.is_plain and not inquiry.stopped and not await grants_all(self._connection, inquiry.type):
                inquiry.signs = tuple(dict.fromkeys((*inquiry.signs, "narrowed-scope")))
        return False

    async def _in_other_ways(self, walk: Walk, patients: Sequence[str]) -> bool:
        refused = [each for each in walk.inquiries if each.refused and not each.tried and each.is_plain]
        if any(each.type != "Patient" for each in refused) and _needs_all_patients(walk):
            return True
        for inquiry in refused:
            inquiry.tried = True
            about = patient_parameter(inquiry.type, self._capability)
            found = await other_way(self._connection, inquiry, patients, about)
            if found is not None:
                walk.inquiries[walk.inquiries.index(inquiry)] = self._from_mark(found)
                return True
        return False

    async def _in_record(self, inquiry: Inquiry, type_: str) -> Inquiry:
        """Compare what records brought of a type with what the server counts of it, as if it had been asked for."""
        params = ((inquiry.filter, f"ge{inquiry.since}"),) if inquiry.filter else ()
        return Inquiry(
            type_,
            filter=inquiry.filter,
            since=inquiry.since,
            opened=1,
            ended=1,
            said=await self._steps.count(First(type_, params, type_)) if inquiry.is_exact else None,
            came=inquiry.by_type[type_],
            pages=inquiry.pages,
            stopped=inquiry.stopped,
            signs=inquiry.signs,
            began=inquiry.began,
            newest=inquiry.newest,
            of_records=True,
        )

    def _fill_in(self, walk: Walk, references: References) -> bool:
        """Ask for what others refer to and nobody has brought; say whether there is such."""
        walk.rounds += 1
        missing = references.missing()
        lists = [each for each in walk.inquiries if each.type == "Patient" and each.is_plain]
        if not lists or (any(each.filter for each in lists) and not self._fills_in):
            missing.pop("Patient", None)  # nobody asked for patients, or what is held is not known
        walk.inquiries += [Inquiry(type_, "named", names=ids) for type_, ids in missing.items()]
        return bool(missing)


def _needs_all_patients(walk: Walk) -> bool:
    """Ask for all patients where only what changed of them was asked for, before others are asked by patient."""
    lists = [each for each in walk.inquiries if each.type == "Patient" and each.way == "list"]
    if not lists or any(not each.filter for each in lists):
        return False
    walk.inquiries.append(Inquiry("Patient", size=lists[0].size, by_post=lists[0].by_post))
    return True
