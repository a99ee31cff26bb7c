"""What is asked of consents: who wants to do what, why, and with which resource of whom."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, Final, Literal

from security.policy import Caller
from security.sensitivity import Labels, codings_of, labels_of

__all__ = ["CLIENT", "USER", "Asker", "Deed", "Item", "Look", "Met", "Question", "references_in"]

Deed = Literal["c", "r", "u", "d", "s", "use", "disclose"]
"""An action of the API, or, beside it: a run uses a record, a delivery or an export to a third party discloses it."""

CLIENT: Final = "urn:fhirtwin:client"
USER: Final = "urn:fhirtwin:user"
"""Systems of identifiers by which a Consent may name a client or an account of ours as an actor."""

_DEEPEST: Final = 64
_PEOPLE: Final = frozenset({"Practitioner", "Patient", "RelatedPerson"})
_NESTED: Final = frozenset({dict, list, tuple})


class Met(IntEnum):
    """Whether a condition is met. MAYBE is what cannot be told: a denial then counts, and a permission does not."""

    NO = 0
    MAYBE = 1
    YES = 2


Look = Callable[[str], Mapping[str, Any] | None]
"""Finds a resource of the same record by its reference ("Task/example3"); `None` where it is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, in the words in which a Consent can name somebody.

    Parameters
    ----------
    purpose
        A code of HL7 v3-ActReason.
    references
        The resources that they are or belong to: Practitioner, PractitionerRole, CareTeam, Organization, Device.
    identifiers
        "system|value" of the same, of the client and of the account.
    kinds
        The types of resource of which `references` says all that there is: an Organization that is not in it is another
        one where "Organization" is here, and may be theirs where it is not.
    twin
        The twin that this person is, as a patient; "" for everybody else.
    glass
        The twin whose glass they have broken; "" for none.
    """

    purpose: str
    references: frozenset[str] = frozenset()
    identifiers: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    twin: str = ""
    glass: str = ""

    @classmethod
    def of(
        cls,
        caller: Caller,
        *,
        references: Collection[str] = (),
        identifiers: Collection[str] = (),
        knows_organization: bool = False,
    ) -> Asker:
        """Make it of a caller; `references` are the Organizations, roles and teams that are known to have them in it.

        `knows_organization` says that the Organizations among them are all for which they work.
        """
        type_, _, id_ = caller.fhir_user.partition("/")
        is_ours = bool(id_) and "/" not in id_  # else it is another server's, which names nobody in our records
        own = {caller.fhir_user} if is_ours else set()
        names = {f"{CLIENT}|{caller.client}", *identifiers}
        if caller.user:
            names.add(f"{USER}|{caller.user}")
        kinds = {"Device"}
        if (is_ours and type_ in _PEOPLE) or not caller.user:
            kinds |= _PEOPLE  # we know which person it is, or that it is none
        if knows_organization:
            kinds.add("Organization")
        glass = caller.glass.partition(".")[0] if caller.purpose == "BTG" else ""
        return cls(
            purpose=caller.purpose,
            references=frozenset(own | {*references}),
            identifiers=frozenset(names),
            kinds=frozenset(kinds),
            twin=id_ if type_ == "Patient" and is_ours else "",
            glass=glass,
        )


@dataclass(slots=True)
class Item:
    """A resource of a twin's record, and what conditions ask of it, each worked out once. `body` is `None` where only
    its end is known.
    """

    type: str
    id: str
    body: Mapping[str, Any] | None
    look: Look = field(default=lambda reference: None)
    _labels: Labels | None = None
    _codes: frozenset[tuple[str, str]] | None = None
    _references: frozenset[str] | None = None

    @property
    def reference(self) -> str:
        """Name it as others refer to it."""
        return f"{self.type}/{self.id}"

    @property
    def labels(self) -> Labels:
        """How sensitive it is; what is not known is very restricted."""
        if self._labels is None:
            nothing = Labels("V", frozenset(), frozenset())
            self._labels = nothing if self.body is None else labels_of(self.type, self.body)
        return self._labels

    @property
    def codes(self) -> frozenset[tuple[str, str]]:
        """All codings in it."""
        if self._codes is None:
            self._codes = frozenset(codings_of(self.body or {}))
        return self._codes

    @property
    def references(self) -> frozenset[str]:
        """All that it refers to, without versions."""
        if self._references is None:
            self._references = frozenset(references_in(self.body or {}))
        return self._references

    @property
    def contained(self) -> frozenset[str]:
        """The types of the resources that it contains."""
        inner = (self.body or {}).get("contained")
        found = (
            (each.get("resourceType") for each in inner if isinstance(each, Mapping)) if isinstance(inner, list) else ()
        )
        return frozenset(each for each in found if isinstance(each, str))


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to be decided."""

    asker: Asker
    deed: Deed
    item: Item
    now: datetime


def references_in(body: Any) -> list[str]:
    """Find all references of a resource ("Patient/1", without a version), wherever they stand."""
    found: list[str] = []
    waiting: list[Any] = [body]
    for _ in range(_DEEPEST):  # a level at a time
        below: list[Any] = []
        for value in waiting:
            if type(value) is dict:
                told = value.get("reference")
                if type(told) is str:
                    found.append(told.partition("/_history/")[0])
                below += [each for each in value.values() if type(each) in _NESTED]
            elif type(value) in _NESTED:
                below += [each for each in value if type(each) in _NESTED]
        if not below:
            break
        waiting = below
    return found
