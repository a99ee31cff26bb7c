"""Scopes, roles, the compartment and the patient in context, compiled into one predicate over action, type, resource.

A resource is allowed if one scope allows it. Each scope counts only where its context does:

- `patient/` for the twin in context and no other, in its compartment, for a person who may do that by their roles, or
  who is that patient; what belongs to nobody is read where its type is a shared one;
- `user/` for what the person may do by their roles, and what is theirs if they are a patient;
- `system/` for a client that acts for itself, with no person;
- `fhirUser` for reading the one resource that the person is (2.2.0@197).

A constrained scope allows what meets its constraint: what is found, what is read, and what is written, as it was before
and as it will be (B3). SMART allows constraints on all of "cruds" and says no more, so they hold for all of them. A
constraint that cannot be decided is not met.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from security.answers import Answers
from security.compartment import ALONE, COMPARTMENT, SHARED, TYPES, belongs, names_another, refers
from security.constraints import Compiles, Test, any_of, is_decidable
from security.policy import Action, Caller, Grants, Matches, Resource, Role
from security.roles import SELF
from security.scopes import Scope, read_scopes
from security.standing import Standing

__all__ = ["compile_grants", "export_types", "usable"]

_WRITING: Final = ("c", "u")
_END: Final = {"resourceType", "id"}  # all that is known of a resource that is no longer there


def compile_grants(caller: Caller, matches: Matches | Compiles) -> Grants:
    """Compile what a caller is allowed. Callers who are alike in what counts share it."""
    return _compiled(caller.scopes, caller.patient, bool(caller.user), caller.fhir_user, caller.roles, matches)


def export_types(caller: Caller) -> frozenset[str]:
    """Name the types that a caller may export: those that system scopes let it read and search, without a constraint.

    No scope of a person exports, and no scope with a constraint does.
    """
    standing = Standing.of(caller)
    free = [scope for scope in standing.scopes.resources if scope.context == "system" and not scope.constraint]
    needed: tuple[Action, Action] = ("r", "s")
    return frozenset(
        type_
        for type_ in TYPES
        if all(any(standing.covers(scope, action, type_) for scope in free) for action in needed)
    )


def usable(caller: Caller) -> tuple[str, ...]:
    """Return those of the caller's scopes by which anything could be had: the others are not worth granting (A9, A10).

    A `patient/` scope without a patient, a `system/` scope with a person, a type that no role of theirs may see, and
    `fhirUser` for who has no resource go; what is malformed or unknown goes, too.
    """
    standing = Standing.of(caller)
    words = (word for word in standing.scopes.words if word != "fhirUser" or standing.fhir_user)
    return (*words, *(str(scope) for scope in standing.scopes.resources if standing.could(scope)))


def _never(_: Resource) -> bool:
    return False


def _always(_: Resource) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class _Either:
    """The scopes that are about one action and type from one side, and what they let through."""

    lets: Test = _never
    scopes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.lets is not _never


_NONE: Final = _Either()


@dataclass(frozen=True, slots=True)
class _Rule:
    """What is allowed of one action on one type, by whose resource it is.

    `own` is the twin in context, `self` the twin that the person is, `twins` any twin, `nobody` what belongs to none
    (`naming`: also where that names patients), `shared` what belongs to none and is seen with the twin in context. `me`
    is the reference of the person's own resource.
    """

    own: _Either = _NONE
    self: _Either = _NONE
    twins: _Either = _NONE
    nobody: _Either = _NONE
    naming: bool = False
    shared: _Either = _NONE
    me: str = ""

    def __bool__(self) -> bool:
        return any((self.own, self.self, self.twins, self.nobody, self.shared, self.me))

    @property
    def scopes(self) -> tuple[str, ...]:
        parts = (self.own, self.self, self.twins, self.nobody, self.shared)
        found = dict.fromkeys(scope for part in parts if part for scope in part.scopes)
        return (*found, *(("fhirUser",) if self.me and not found else ()))


@lru_cache(maxsize=1024)
def _compiled(
    scopes: tuple[str, ...],
    patient: str,
    person: bool,
    fhir_user: str,
    roles: frozenset[Role],
    matches: Matches | Compiles,
) -> _Compiled:
    return _Compiled(Standing(read_scopes(scopes), patient, person, fhir_user if person else "", roles), matches)


class _Compiled:
    """Grants as `security.policy` has them. Rules are made when they are first asked for, and kept."""

    def __init__(self, standing: Standing, matches: Matches | Compiles) -> None:
        self._standing, self._matches = standing, matches
        self._patient, self._self = standing.patient, standing.self
        self._rules: dict[tuple[Action, str], _Rule] = {}
        self._answers = Answers()
        scopes = standing.scopes.resources
        self._by_patient = [scope for scope in scopes if scope.context == "patient"]
        self._by_person = [scope for scope in scopes if scope.context != "patient"]
        of_twins = standing.rights.of_twins
        self._all = any(standing.could_open(scope, of_twins) for scope in self._by_person)
        self._one = any(standing.could_open(scope, of_twins | SELF) for scope in self._by_patient)
        self._me = "fhirUser" in standing.scopes.words or any(
            standing.could_open(scope, SELF) for scope in self._by_person
        )

    def may(self, action: Action, type_: str) -> bool:
        return bool(self._rule(action, type_))

    def allows(self, action: Action, type_: str, resource: Resource, twin: str) -> bool:
        rule = self._rules.get((action, type_)) or self._rule(action, type_)
        if not rule or resource.get("resourceType") != type_:
            return False
        if rule.me and refers(resource, rule.me) and twin == self._self:
            return True
        if not twin:
            return self._allows_nobodys(rule, action, type_, resource)
        if rule.twins.lets(resource) and (action not in _WRITING or belongs(type_, resource, twin)):
            return True
        own = twin == self._patient and rule.own.lets(resource)
        return (own or (twin == self._self and rule.self.lets(resource))) and _is_of(action, type_, resource, twin)

    def allows_each(
        self, action: Action, type_: str, resources: Iterable[Resource], twin: str, chart: object
    ) -> Sequence[bool]:
        kept, key = self._answers.of(chart), (action, type_, twin)
        told = kept.get(key)
        if told is None:
            told = kept[key] = tuple(self.allows(action, type_, each, twin) for each in resources)
        return told

    def reaches(self, twin: str) -> bool:
        return bool(twin) and (self._all or (self._one and twin == self._patient) or (self._me and twin == self._self))

    def types(self, action: Action) -> frozenset[str]:
        return frozenset(type_ for type_ in TYPES if self._rule(action, type_))

    def basis(self, action: Action, type_: str) -> str:
        return " ".join(self._rule(action, type_).scopes)

    def _allows_nobodys(self, rule: _Rule, action: Action, type_: str, resource: Resource) -> bool:
        if action in _WRITING and type_ in COMPARTMENT and type_ not in ALONE:
            return False  # what is of a patient is written into that patient's record
        if rule.nobody.lets(resource) and (rule.naming or not names_another(resource, "")):
            return True
        return rule.shared.lets(resource) and not names_another(resource, f"Patient/{self._patient or self._self}")

    def _rule(self, action: Action, type_: str) -> _Rule:
        rule = self._rules.get((action, type_))
        if rule is None:
            rule = self._made(action, type_)
            if type_ in TYPES:
                self._rules[action, type_] = rule
        return rule

    def _made(self, action: Action, type_: str) -> _Rule:
        standing, pair = self._standing, (action, type_)
        by_patient = self._either(self._by_patient, action, type_)
        by_person = self._either(self._by_person, action, type_)
        own = standing.own(action, type_)
        self_ = bool(standing.self) and pair in SELF
        is_shared = type_ in SHARED and action not in _WRITING and action != "d"
        is_me = action == "r" and "fhirUser" in standing.scopes.words and standing.fhir_user.startswith(f"{type_}/")
        return _Rule(
            own=by_patient if own else _NONE,
            self=by_person if self_ else _NONE,
            twins=by_person if pair in standing.rights.of_twins else _NONE,
            nobody=by_person if pair in standing.rights.of_nobody else _NONE,
            naming=pair in standing.rights.naming,
            shared=(by_patient if own else by_person if self_ else _NONE) if is_shared else _NONE,
            me=standing.fhir_user if is_me else "",
        )

    def _either(self, scopes: Sequence[Scope], action: Action, type_: str) -> _Either:
        counting = [
            scope
            for scope in scopes
            if self._standing.covers(scope, action, type_) and is_decidable(self._matches, type_, scope.constraint)
        ]
        if any(not scope.constraint for scope in counting):
            test: Test | None = _always
        else:
            test = any_of(self._matches, type_, [scope.constraint for scope in counting])
        return _Either(test or _never, tuple(map(str, counting)))


def _is_of(action: Action, type_: str, resource: Resource, twin: str) -> bool:
    """Say whether what is kept with a twin is of that patient: by what it says, or as the end of what said so."""
    return (action in ("r", "s") and resource.keys() == _END) or belongs(type_, resource, twin)
