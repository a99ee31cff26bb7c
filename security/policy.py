"""Who asks, and what they are allowed: the words that scopes, consents and the API share.

A decision is about an action, a type and a resource. What cannot be read, parsed or decided is denied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from security.audit import TokenUse

__all__ = ["ROLES", "Action", "Caller", "Grants", "Matches", "Resource", "Role"]

Action = Literal["c", "r", "u", "d", "s"]
"""SMART App Launch 2.2, scopes: create; read and vread; update and patch; delete; search and history of a type."""

Role = Literal["clinician", "engineer", "auditor", "planner", "student", "admin"]
ROLES: tuple[Role, ...] = ("clinician", "engineer", "auditor", "planner", "student", "admin")

Resource = Mapping[str, Any]
"""A FHIR R4 resource, decoded."""

Matches = Callable[[str, str, Resource], bool]
"""Whether a resource of a type answers a search ("category=laboratory&code=..."); raises `ValueError` where that
cannot be decided, which denies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who shows a valid access token.

    Parameters
    ----------
    client
        The id of the client.
    user
        The account of the person who uses it; "" for a client that acts for itself (Backend Services).
    fhir_user
        The resource that this person is, as the token says it ("Practitioner/..."); "" where it says none.
    roles
        What the person is, as their account says now (not as it was when the token was given).
    tenant
        Behind whose wall both are; "" is the installation's only one.
    purpose
        Why: a code of HL7 v3-ActReason.
    patient, encounter
        The twin, and the Encounter, in context of the launch; "" where there is none.
    scopes
        As granted, each a SMART scope.
    token, expires
        What of the token is kept in the audit, and until when it holds.
    glass
        The id of the break-glass grant under which all of this happens; "" where there is none.
    """

    client: str
    user: str = ""
    fhir_user: str = ""
    roles: frozenset[Role] = frozenset()
    tenant: str = ""
    purpose: str = "TREAT"
    patient: str = ""
    encounter: str = ""
    scopes: tuple[str, ...] = ()
    token: TokenUse
    expires: datetime
    glass: str = ""


class Grants(Protocol):
    """What scopes, roles and tenant allow a caller, compiled (`security.grants.compile_grants`). Consent is apart."""

    def may(self, action: Action, type_: str) -> bool:
        """Say whether anything of a type may be had at all: if not, the answer is 403."""
        ...

    def allows(self, action: Action, type_: str, resource: Resource, twin: str) -> bool:
        """Say whether one resource is allowed; `twin` is whose it is, "" where it is nobody's."""
        ...

    def allows_each(
        self, action: Action, type_: str, resources: Iterable[Resource], twin: str, chart: object
    ) -> Sequence[bool]:
        """Say it of each resource of a type in a chart, in their order.

        A chart never changes: what was answered for one is kept while it lives, for whoever asks with the same rights.
        """
        ...

    def reaches(self, twin: str) -> bool:
        """Say whether anything of a twin of the caller's tenant may be allowed."""
        ...

    def types(self, action: Action) -> frozenset[str]:
        """Name the types of which something may be had."""
        ...

    def basis(self, action: Action, type_: str) -> str:
        """Name the scopes by which it is allowed, for the audit; "" for none."""
        ...
