"""What a server says it can do: CapabilityStatement (STU3 and later) or Conformance (DSTU2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from gateway.pull.connection import Connection
from gateway.pull.dialect import NUMBERS
from security.errors import NotFhir

__all__ = ["Ability", "Capability", "fetch_capability", "read_capability"]


@dataclass(frozen=True, slots=True)
class Ability:
    """What a server does with one type: interactions ("read", "search-type", "create") and search parameters."""

    interactions: frozenset[str]
    search_params: frozenset[str] = frozenset()
    conditional_create: bool = False


@dataclass(frozen=True, slots=True)
class Capability:
    """What a server says it can do. Servers rarely say it right: a hint of what to try, not a proof."""

    fhir_version: str
    software: str
    types: Mapping[str, Ability]
    interactions: frozenset[str] = frozenset()

    @property
    def can_transaction(self) -> bool:
        """Say whether a transaction Bundle is taken."""
        return "transaction" in self.interactions

    def can_create(self, type_: str) -> bool:
        """Say whether a resource of this type can be created."""
        return self._can(type_, "create")

    def can_search(self, type_: str) -> bool:
        """Say whether this type can be searched."""
        return self._can(type_, "search-type")

    def _can(self, type_: str, interaction: str) -> bool:
        return type_ in self.types and interaction in self.types[type_].interactions


class _Code(msgspec.Struct):
    code: str = ""


class _Param(msgspec.Struct):
    name: str = ""


class _Type(msgspec.Struct):
    type: str = ""
    interaction: list[_Code] = []
    searchParam: list[_Param] = []  # noqa: N815  FHIR's spelling, here and below
    conditionalCreate: bool = False  # noqa: N815


class _Rest(msgspec.Struct):
    # transactionMode is DSTU2's way to say what later versions say by an interaction.
    mode: str = "server"
    resource: list[_Type] = []
    interaction: list[_Code] = []
    transactionMode: str = ""  # noqa: N815


class _Software(msgspec.Struct):
    name: str = ""
    version: str = ""


class _Statement(msgspec.Struct):
    resourceType: str = ""  # noqa: N815
    fhirVersion: str = ""  # noqa: N815
    software: _Software = msgspec.field(default_factory=_Software)
    rest: list[_Rest] = []


def read_capability(body: bytes) -> Capability:
    """Read a CapabilityStatement or Conformance; raises `NotFhir` for anything else and for versions we do not read."""
    try:
        told = msgspec.json.decode(body, type=_Statement)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_statement(error) from error
    if told.resourceType not in ("CapabilityStatement", "Conformance"):
        raise _no_statement(told.resourceType)
    number, _, draft = told.fhirVersion.partition("-")  # 5.0.0-ballot is not yet R5
    version = None if draft else NUMBERS.get(".".join(number.split(".")[:2]))
    if version is None:
        said = told.fhirVersion if told.fhirVersion.replace(".", "").isalnum() else "unknown"
        raise NotFhir(
            f"The server speaks FHIR version {said[:20]}.",
            hint="This release reads DSTU2 (1.0), STU3 (3.0), R4 (4.0), R4B (4.3) and R5 (5.0): give such a url.",
        )
    rests = [r for r in told.rest if r.mode == "server"]
    types = {
        t.type: Ability(
            frozenset(i.code for i in t.interaction), frozenset(p.name for p in t.searchParam), t.conditionalCreate
        )
        for rest in rests
        for t in rest.resource
    }
    interactions = {i.code for rest in rests for i in rest.interaction}
    for rest in rests:
        interactions |= {"both": {"batch", "transaction"}}.get(rest.transactionMode, {rest.transactionMode} - {""})
    return Capability(version, f"{told.software.name} {told.software.version}".strip(), types, frozenset(interactions))


async def fetch_capability(connection: Connection) -> Capability:
    """Ask a server what it can do, and let the connection speak its version from now on where none was told."""
    found = read_capability((await connection.get("metadata")).body)
    if connection.fhir_version is None:
        connection.fhir_version = found.fhir_version
    elif connection.fhir_version != found.fhir_version:
        raise NotFhir(
            f"The server speaks {found.fhir_version} and not {connection.fhir_version}.",
            hint="Correct fhir_version in twin.toml, or leave it out.",
        )
    return found


def _no_statement(detail: object) -> NotFhir:
    hint = "Check that url is the FHIR base: url/metadata must be a CapabilityStatement."
    return NotFhir("The server's /metadata is not a CapabilityStatement.", hint=hint, detail=detail)
