"""Asks by search how many there are of what was exported whole: a file that an export leaves out tells nothing itself.

Such exports were reported: done, and nothing in them (hapi-fhir#3911); files left out (LinuxForHealth/FHIR#2673).
"""

from __future__ import annotations

from gateway.pull.bulk.job import Job
from gateway.pull.bulk.order import BY_PATIENT
from gateway.pull.bundle import NotReadError, read_bundle
from gateway.pull.connection import Connection
from gateway.pull.metadata import Capability
from gateway.pull.profile import Profile
from security.errors import Fault

__all__ = ["Comparison"]

_NO = frozenset(range(400, 500)) - {401}


class Comparison:
    """Compares what came with what the server counts by search.

    More by search than by export is no proof that something is missing: some of it may be about no patient. It is a
    sign that nobody can know (`more-by-search`). What was changed since the export is left out of the count.
    """

    def __init__(self, connection: Connection, capability: Capability, profile: Profile) -> None:
        self._connection, self._capability, self._profile = connection, capability, profile

    async def __call__(self, job: Job) -> None:
        """Ask for each type that was exported whole. What cannot be asked so is left as it is."""
        order, profile = job.order, self._profile
        if order.level == "group" or profile.counts == "no" or profile.last_updated == "no":
            return
        if order.since and profile.last_updated != "yes":
            return  # who ignores the filter would count what did not change
        for type_ in order.types:
            is_whole = not order.filtered(type_) and (order.level == "system" or type_ in BY_PATIENT)
            is_plain = type_ not in profile.slices and not {type_, "*"} & {*profile.per_patient, *profile.not_searched}
            tally = job.tally(type_)
            is_short = tally.stopped or tally.signs or (tally.said is not None and tally.came < tally.said)
            if is_short or not (is_whole and is_plain and self._capability.can_search(type_)):
                continue
            counted = await self._count(type_, order.since, job.when)
            if counted is not None and counted > tally.came:
                tally.sign("more-by-search")

    async def _count(self, type_: str, since: str, until: str) -> int | None:
        between = [f"gt{since}" if since else "", f"le{until}" if until else ""]
        params = [("_summary", "count"), *(("_lastUpdated", instant) for instant in between if instant)]
        try:
            reply = await self._connection.get(type_, params, allow=_NO, tries=1, fresh=True)
            return read_bundle(reply.body).total if reply.status == 200 else None
        except (Fault, NotReadError):
            return None
