"""Create, read, update and delete with their conditions, the same for one request and for a bundle of them.

Source: FHIR http.html (R4 sections 3.1.0.2 to 3.1.0.8; DSTU2 and STU3 differ in the status of a stale `If-Match`).
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from conformance.hostile.faults.subjects import Keeping, Looking
from conformance.hostile.judge import judge
from conformance.hostile.problem import Problem, problem_of
from conformance.hostile.scopes import Action
from conformance.hostile.search import only_match, read_criteria
from conformance.hostile.smart import Grant
from conformance.hostile.store import Held

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["Interactions"]


class Interactions:
    """What one caller may do to one EHR's resources; `grant` is `None` where no token is asked for."""

    def __init__(self, ehr: Ehr, grant: Grant | None) -> None:
        self._ehr = ehr
        self._grant = grant
        self._looked: dict[tuple[str, str], Held | None] = {}

    def read(self, type_: str, id_: str, number: str = "") -> Held:
        """Read the newest or the named version."""
        self.permit("r", type_)
        return self._ehr.store.read(type_, id_, number)

    def history(self, type_: str, id_: str) -> list[Held]:
        """Read all versions, newest first."""
        self.permit("r", type_)
        return self._ehr.store.history(type_, id_)

    def matched(self, type_: str, if_none_exist: str) -> Held | None:
        """Return what a conditional create finds already there (http.html#ccreate)."""
        self.permit("c", type_)
        if not if_none_exist or self._ehr.misbehaviours.take("condition-ignored", type_):
            return None
        if (type_, if_none_exist) in self._looked:
            return self._looked[type_, if_none_exist]
        return self.only(type_, if_none_exist)

    def look_ahead(self, type_: str, if_none_exist: str) -> None:
        """Find now what a conditional create will take for found, as a server does that is not atomic."""
        with contextlib.suppress(Problem):  # it is said when its turn comes
            self._looked[type_, if_none_exist] = self.only(type_, if_none_exist)

    def only(self, type_: str, criteria: str) -> Held | None:
        """Return the one resource that criteria name, as searches see it; 412 where there are several."""
        looking = Looking(self._ehr, type_, read_criteria(criteria), is_condition=True)
        self._ehr.misbehaviours.bend("looked-for", type_, looking)
        without = self._ehr.settings.without
        return only_match(self._ehr.store, type_, looking.pairs, without=without, until=looking.until)

    def create(self, type_: str, resource: Mapping[str, Any], id_: str = "") -> Held:
        """Store a new resource under a new id, or the one that a transaction planned; an id in it is dropped."""
        self.permit("c", type_)
        if refused := self._ehr.misbehaviours.take("create-refused", type_):
            raise problem_of(int(refused.number))
        self.check(type_, resource)
        return self._ehr.store.write(self._kept(type_, resource), type_, id_ or self._ehr.new_id(type_))

    def update(self, type_: str, id_: str, resource: Mapping[str, Any], if_match: str = "") -> Held:
        """Store the next version, or the first under an id of the client's choice (http.html#upsert)."""
        self.permit("u", type_)
        if refused := self._ehr.misbehaviours.take("update-refused", type_):
            raise problem_of(int(refused.number))
        self.check(type_, resource)
        if resource.get("id") != id_:
            raise Problem(400, "invalid", "The id in the resource is not the id in the URL.")
        self._hold(type_, id_, if_match)
        return self._ehr.store.write(self._kept(type_, resource), type_, id_)

    def placed(self, type_: str, id_: str) -> str:
        """Return the id under which a PUT to an id is kept: that one, but for servers that give out their own."""
        is_new = self._ehr.store.last(type_, id_) is None
        return self._ehr.new_id(type_) if is_new and self._ehr.misbehaviours.take("id-replaced", type_) else id_

    def target(self, type_: str, criteria: str, resource: Mapping[str, Any]) -> str:
        """Return the id that a conditional update is for: the one match, else the resource's own, else a new one."""
        self.permit("u", type_)
        found = self.only(type_, criteria)
        told = str(resource.get("id", ""))
        if found and told and told != found.id:
            raise Problem(400, "invalid", "The id in the resource is not that of the one match.")
        return found.id if found else told or self._ehr.new_id(type_)

    def delete(self, type_: str, id_: str, if_match: str = "") -> Held:
        """Delete a resource."""
        self.permit("d", type_)
        self._hold(type_, id_, if_match)
        return self._ehr.store.remove(type_, id_)

    def permit(self, action: Action, type_: str) -> None:
        """Raise 404 for a type that is not mounted, 405 for one that is not written here, 403 for a missing scope."""
        if type_ not in self._ehr.version.types:
            raise Problem(404, "not-supported", f"{type_!r} is no resource type of this server.")
        if action in "cud" and not self._ehr.settings.takes(type_, action):
            raise Problem(405, "not-supported", f"{type_} cannot be written on this server.")
        if self._grant is not None:
            self._grant.require(action, type_)

    def allows(self, action: Action, type_: str) -> bool:
        """Say whether a scope allows the action on a type that is mounted."""
        try:
            self.permit(action, type_)
        except Problem:
            return False
        return True

    @property
    def client(self) -> str:
        """Who asks, "" where no token is asked for."""
        return self._grant.client if self._grant else ""

    def check(self, type_: str, resource: Mapping[str, Any]) -> None:
        """Raise 400 or 422 for what is not a resource of that type in this version."""
        if resource.get("resourceType") != type_:
            raise Problem(400, "invalid", f"The resource is no {type_}.")
        if self._ehr.settings.judges_writes and (fault := judge(resource, self._ehr.version.name)):
            raise Problem(422, "structure", fault)

    def _kept(self, type_: str, resource: Mapping[str, Any]) -> Mapping[str, Any]:
        keeping = Keeping(self._ehr, type_, copy.deepcopy(dict(resource)))
        self._ehr.misbehaviours.bend("kept", type_, keeping)
        return keeping.resource

    def _hold(self, type_: str, id_: str, if_match: str) -> None:
        if if_match and (
            not self._ehr.settings.tells_versions or self._ehr.misbehaviours.take("if-match-ignored", type_)
        ):
            return
        last = self._ehr.store.last(type_, id_)
        if if_match and (last is None or last.deleted or if_match not in (last.etag, last.etag.removeprefix("W/"))):
            raise Problem(self._ehr.version.stale, "conflict", "If-Match names another version than the newest.")
