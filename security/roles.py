"""What a person may do at all, by role: rows of `tables/roles.toml`, with a reason each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from security.compartment import COMPARTMENT, SHARED, TYPES
from security.policy import ROLES, Action, Role
from security.rows import read_rows

__all__ = ["EVERYTHING", "LOG", "NOTHING", "SELF", "Allowed", "Rights", "reasons", "rights_of"]

_TABLE: Final = read_rows("roles")

Allowed = frozenset[tuple[Action, str]]
"""What may be done with which types."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody may do, as pairs of an action and a type.

    `of_twins` is about what belongs to a twin, `of_nobody` about what belongs to none; of that, `naming` about what
    names a patient all the same.
    """

    of_twins: Allowed = frozenset()
    of_nobody: Allowed = frozenset()
    naming: Allowed = frozenset()

    def __or__(self, other: Rights) -> Rights:
        return Rights(self.of_twins | other.of_twins, self.of_nobody | other.of_nobody, self.naming | other.naming)


def reasons() -> dict[str, str]:
    """Return role to the reason for what it may."""
    return {row["name"]: row["why"] for row in _TABLE["role"]}


def _types(words: list[str]) -> frozenset[str]:
    sets = {"*": TYPES, "shared": SHARED, "compartment": COMPARTMENT}
    found: frozenset[str] = frozenset()
    for word in words:
        named = sets.get(word.removeprefix("-"), frozenset({word.removeprefix("-")}))
        if not named <= TYPES:
            raise ValueError(f"roles.toml: there is no type {word!r}")
        found = found - named if word.startswith("-") else found | named
    return found


def _allowed(read: frozenset[str], write: frozenset[str], remove: frozenset[str] = frozenset()) -> Allowed:
    found: set[tuple[Action, str]] = {("r", type_) for type_ in read} | {("s", type_) for type_ in read}
    found |= {("c", type_) for type_ in write - LOG} | {("u", type_) for type_ in write - LOG}
    return frozenset(found | {("d", type_) for type_ in remove - LOG})


def _of(told: dict[str, Any]) -> Allowed:
    return _allowed(_types(told.get("read", [])), _types(told.get("write", [])))


def _rights(row: dict[str, Any]) -> Rights:
    of_nobody = _of(row["nobody"])
    return Rights(
        _of(row.get("twins", {})), of_nobody, of_nobody if row["nobody"].get("named") is True else frozenset()
    )


LOG: Final = _types(_TABLE["log"]["types"])
"""What only the system itself writes, and what a wildcard of a client's own scopes does not mean."""
NOTHING: Final = Rights()
EVERYTHING: Final = Rights(*(_allowed(TYPES, TYPES, TYPES),) * 3)
"""What a client may that acts for itself: its scopes alone say what, and nobody writes the audit log."""
SELF: Final[Allowed] = _of(_TABLE["self"])
"""What a person may with their own record, and with no other."""
_OF_ROLES: Final[dict[Role, Rights]] = {
    role: _rights(row) for role in ROLES for row in _TABLE["role"] if row["name"] == role
}


@lru_cache(maxsize=128)
def rights_of(roles: frozenset[Role]) -> Rights:
    """Return what somebody with some roles may: the sum of them. An unknown role adds nothing."""
    found = NOTHING
    for role in roles:
        found |= _OF_ROLES.get(role, NOTHING)
    return found
