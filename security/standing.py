"""Where a caller stands, before any resource is looked at: which of their scopes count for whom, and for what."""

from __future__ import annotations

from dataclasses import dataclass

from security.compartment import TYPES
from security.policy import Action, Caller, Role
from security.roles import EVERYTHING, LOG, SELF, Allowed, Rights, rights_of
from security.scopes import ACTIONS, Scope, Scopes, read_scopes

__all__ = ["Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a caller counts for a decision."""

    scopes: Scopes
    patient: str
    person: bool
    fhir_user: str
    roles: frozenset[Role]

    @classmethod
    def of(cls, caller: Caller) -> Standing:
        """Take it from a caller."""
        scopes = read_scopes(caller.scopes)
        return cls(scopes, caller.patient, bool(caller.user), caller.fhir_user if caller.user else "", caller.roles)

    @property
    def rights(self) -> Rights:
        """Return what the person may do; a client that acts for itself has its scopes alone."""
        return rights_of(self.roles) if self.person else EVERYTHING

    @property
    def self(self) -> str:
        """The twin that the person is; "" for who is no patient."""
        type_, _, id_ = self.fhir_user.partition("/")
        return id_ if type_ == "Patient" else ""

    def own(self, action: Action, type_: str) -> bool:
        """Say whether the person may do something with the twin in context, whatever the scopes say."""
        if not (self.person and self.patient):
            return False
        pair = action, type_
        return pair in self.rights.of_twins or (self.patient == self.self and pair in SELF)

    def covers(self, scope: Scope, action: Action, type_: str) -> bool:
        """Say whether a scope is about an action on a type, and its context is there, and the person may do it."""
        if not scope.covers(action, type_):
            return False
        if scope.context == "patient":
            return self.own(action, type_)
        if scope.context == "system" and scope.type == "*" and type_ in LOG:
            return False
        rights, pair = self.rights, (action, type_)
        may = pair in rights.of_twins or pair in rights.of_nobody or (bool(self.self) and pair in SELF)
        return may and self.person is (scope.context == "user")

    def could(self, scope: Scope) -> bool:
        """Say whether anything at all could be had by a scope."""
        types = TYPES if scope.type == "*" else (scope.type,)
        return any(self.covers(scope, action, type_) for action in ACTIONS for type_ in types)

    def could_open(self, scope: Scope, rights: Allowed) -> bool:
        """Say whether anything of a record could be had by a scope and some rights. The log of who saw it is none."""
        return any(type_ not in LOG and self.covers(scope, action, type_) for action, type_ in rights)
