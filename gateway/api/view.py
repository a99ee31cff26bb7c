"""What one caller may see, and nothing else: the one way from a request to twins.

Scopes, roles and tenant (`security.grants`), then the patient's consents (`security.consent`), are asked of each
resource that comes out, whatever it comes out for: a read, a page, an include, a count, an operation, a run, an export.
An answer never sees what its caller may not, so that it cannot tell it, count it, sort by it or fail over it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway.api.refusal import Refusal
from gateway.api.shown import Chart, Charts, Gone, Shown
from security.policy import Action, Caller, Grants, Resource

__all__ = ["Consenting", "View", "not_found"]


_MOST_HELD = 8


class Consenting(Protocol):
    """What consents say (`gateway.api.consents.Consents`)."""

    def permits(self, caller: Caller, action: Action, chart: Chart, shown: Shown | Gone, now: datetime) -> bool:
        """Say whether the patient's consents let a caller have a resource of a chart. Fails closed."""
        ...

    def permits_write(
        self, caller: Caller, action: Action, chart: Chart, type_: str, resource: Resource, now: datetime
    ) -> bool:
        """Say whether they let a caller write one into it."""
        ...


def not_found() -> Refusal:
    """Answer in the same words for what is not there, what is another patient's, and what may not be seen (B7)."""
    return Refusal(404, "not-found", "There is no such resource.")


@dataclass(slots=True)
class View:
    """The twins and resources that a caller may see, as they are now."""

    caller: Caller
    charts: Charts
    grants: Grants
    consents: Consenting
    now: datetime
    _seen: dict[tuple[str, str, Action], tuple[Shown, ...]] = field(default_factory=dict)
    _held: dict[str, Chart | None] = field(default_factory=dict)

    def renewed(self) -> View:
        """Make the view of the same caller anew, which remembers nothing: what was written since is seen."""
        return View(self.caller, self.charts, self.grants, self.consents, self.now)

    def demand(self, action: Action, type_: str) -> None:
        """Refuse with 403 where no scope of the caller is about a type at all: that depends on no data."""
        if not self.grants.may(action, type_):
            raise Refusal(403, "forbidden", "The access token allows nothing of this kind.")

    def twins(self, after: str = "") -> Iterator[str]:
        """Walk the twins that may be seen, in the order of their ids, behind one of them."""
        if self.is_of_one():
            if self.caller.patient > after and self._reaches(self.caller.patient):
                yield self.caller.patient
            return
        for twin in self.charts.twins(self.caller.tenant, after):
            if self.grants.reaches(twin):
                yield twin

    def resources(self, twin: str, type_: str, action: Action = "s") -> tuple[Shown, ...]:
        """Return what may be seen of a twin's resources of a type, newest first; "" is what belongs to nobody."""
        key = twin, type_, action
        if key not in self._seen:
            chart = self._chart(twin)
            self._seen[key] = tuple(self._all_seen(chart, type_, action)) if chart else ()
        return self._seen[key]

    def get(self, type_: str, id_: str, version: int | None = None) -> Shown:
        """Return a resource, or one version of it. Raises a `Refusal`: 404 for all that may not be seen, 410."""
        chart = self._chart(self.charts.twin_of(type_, id_))
        found = chart.get(type_, id_) if chart else None
        if version is not None and chart:
            found = next((each for each in chart.versions(type_, id_) if each.version == version), None)
        if chart is None or found is None or not self._sees(chart, found, "r"):
            raise not_found()
        if isinstance(found, Gone):
            raise Refusal(410, "deleted", "This resource is no longer there.", ETag=f'W/"{found.version}"')
        return found

    def versions(self, type_: str, id_: str) -> tuple[Shown | Gone, ...]:
        """Return the versions of a resource that may be seen, newest first. Raises a `Refusal` with 404 for none."""
        chart = self._chart(self.charts.twin_of(type_, id_))
        found = chart.versions(type_, id_) if chart else ()
        seen = tuple(each for each in found if chart and self._sees(chart, each, "r"))
        if not seen:
            raise not_found()
        return seen

    def before(self, shown: Shown, when: datetime) -> Shown | None:
        """Return the version of a resource that was current at a time, if there was one that may be seen."""
        chart = self._chart(shown.twin)
        versions = chart.versions(shown.type, shown.id) if chart else ()
        then = next((each for each in versions if each.updated <= when), None)
        return then if chart and isinstance(then, Shown) and self._sees(chart, then, "s") else None

    def is_of_one(self) -> bool:
        """Say whether the caller's token is about the one patient in its context and no other."""
        return bool(self.caller.patient) and not self._is_wide()

    def gone(self, twin: str, type_: str) -> tuple[Gone, ...]:
        """Return the ends of a twin's resources of a type."""
        chart = self._chart(twin)
        found = chart.gone() if chart else ()
        return tuple(each for each in found if chart and each.type == type_ and self._sees(chart, each, "s"))

    def types(self, twin: str) -> frozenset[str]:
        """Name the types of which something of a twin may be seen."""
        chart = self._chart(twin)
        return frozenset(type_ for type_ in chart.types() if self.resources(twin, type_)) if chart else frozenset()

    def state(self, twin: str) -> str:
        """Name the version of a twin's chart that this is about."""
        chart = self._chart(twin)
        return chart.version if chart else ""

    def may_write(self, action: Action, type_: str, resource: Resource, twin: str) -> bool:
        """Say whether a resource may be written as it is; before a change, and after it."""
        chart = self._chart(twin)
        return (
            chart is not None
            and self.grants.allows(action, type_, resource, twin)
            and self.consents.permits_write(self.caller, action, chart, type_, resource, self.now)
        )

    def _chart(self, twin: str) -> Chart | None:
        """Open a chart once: an answer is about one state of it. A walk over many keeps but the last few."""
        if twin not in self._held:
            if len(self._held) >= _MOST_HELD:
                self._held.clear()
                self._seen.clear()
            self._held[twin] = self._opened(twin)
        return self._held[twin]

    def _opened(self, twin: str) -> Chart | None:
        try:
            if not twin:
                return self.charts.shared(self.caller.tenant)
            return self.charts.chart(twin) if self._reaches(twin) else None
        except KeyError:
            return None

    def _reaches(self, twin: str) -> bool:
        return self.charts.tenant_of(twin) == self.caller.tenant and self.grants.reaches(twin)

    def _all_seen(self, chart: Chart, type_: str, action: Action) -> Iterator[Shown]:
        found = chart.of_type(type_)
        allowed = self.grants.allows_each(action, type_, (each.body for each in found), chart.twin, chart)
        for shown, is_allowed in zip(found, allowed, strict=True):
            if is_allowed and self.consents.permits(self.caller, action, chart, shown, self.now):
                yield shown

    def _is_wide(self) -> bool:
        return any(scope.startswith(("user/", "system/")) for scope in self.caller.scopes)

    def _sees(self, chart: Chart, shown: Shown | Gone, action: Action) -> bool:
        resource: Resource = shown.body if isinstance(shown, Shown) else {"resourceType": shown.type, "id": shown.id}
        return self.grants.allows(action, shown.type, resource, shown.twin) and self.consents.permits(
            self.caller, action, chart, shown, self.now
        )
