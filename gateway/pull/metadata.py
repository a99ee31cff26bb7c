"""What a server says it can do: CapabilityStatement (STU3 and later) or Conformance (DSTU2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from gateway.pull.connection import Connection
from gateway.pull.dialect import NUMBERS
from mappers import FhirVersion
from security.errors import Denied, NotFhir, Refused

__all__ = [
    "OF_US_CORE",
    "Ability",
    "Capability",
    "OtherVersion",
    "fetch_capability",
    "read_capability",
    "without_statement",
]

# An operation's definition tells where it is offered; up to STU3 all stand at the server (bulk data, export.html).
_US_CORE: Final = "http://hl7.org/fhir/us/core"
_US_CORE_SERVER: Final = f"{_US_CORE}/CapabilityStatement/us-core-server"
OF_US_CORE: Final = frozenset(  # of the CapabilityStatement us-core-server 6.1.0
    f"{_US_CORE}/StructureDefinition/us-core-{name}"
    for name in ("simple-observation", "provenance", "documentreference")
)
"""The profiles of US Core to which something that we write conforms (`mappers.outbound.us_core`)."""
_LEVELS = {"patient-export": "Patient", "group-export": "Group", "patient-everything": "Patient"}


class OtherVersion(NotFhir):
    """The server speaks a version of FHIR that we do not read."""


@dataclass(frozen=True, slots=True)
class Ability:
    """What a server does with one type: interactions ("read", "search-type", "create") and search parameters.

    `profiles` are the canonicals, without a version, of what it says it supports (`profile`, `supportedProfile`).
    """

    interactions: frozenset[str]
    search_params: frozenset[str] = frozenset()
    conditional_create: bool = False
    operations: frozenset[str] = frozenset()
    profiles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Capability:
    """What a server says it can do. Servers rarely say it right: a hint of what to try, not a proof.

    Parameters
    ----------
    software
        Its name and version, as one text.
    interactions, operations
        Of the whole server ("transaction"; "export").
    names
        All by which its vendor may be known: software, publisher, description, and the server's own headers.
    instantiates
        The canonical URLs of what it says it follows.
    edition
        Name, version and dates of the statement: what was learned of the server holds as long as this does.
    is_told
        Whether there is a statement; without one, all that is asked for is tried.
    """

    fhir_version: str
    software: str
    types: Mapping[str, Ability]
    interactions: frozenset[str] = frozenset()
    operations: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    instantiates: tuple[str, ...] = ()
    edition: str = ""
    is_told: bool = True

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

    def offers(self, operation: str, type_: str = "") -> bool:
        """Say whether an operation ("export") is offered at a type, or at the server."""
        if not type_:
            return operation in self.operations
        return type_ in self.types and operation in self.types[type_].operations

    @property
    def profiles(self) -> frozenset[str]:
        """The profiles that it says it supports, by their canonicals without a version.

        Who instantiates US Core's own statement of 6 or later supports what that lists, whether or not it repeats it.
        """
        told = frozenset[str]().union(*(ability.profiles for ability in self.types.values()))
        return told | OF_US_CORE if any(map(_is_us_core, self.instantiates)) else told

    def _can(self, type_: str, interaction: str) -> bool:
        return type_ in self.types and interaction in self.types[type_].interactions


def read_capability(body: bytes, headers: Mapping[str, str] | None = None) -> Capability:
    """Read a CapabilityStatement or Conformance; raises `NotFhir` for anything else and for versions we do not read.

    A statement is a stranger's: a part that is not as it should be is passed over, and costs nothing but itself.
    `headers` are those that it came with; they name servers that do not name themselves.
    """
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_statement(error) from error
    if not isinstance(told, dict) or told.get("resourceType") not in ("CapabilityStatement", "Conformance"):
        raise _no_statement(type(told).__name__)
    rests = [rest for rest in _objects(told, "rest") if rest.get("mode", "server") == "server"]
    system = {each for rest in rests for each in _operations(rest)}
    types: dict[str, Ability] = {}
    for each in (each for rest in rests for each in _objects(rest, "resource")):
        if type_ := _text(each, "type"):
            types[type_] = _ability(each, type_, system)
    interactions = {code for rest in rests for code in _texts(rest, "interaction", "code")}
    for rest in rests:  # transactionMode is DSTU2's way to say what later versions say by an interaction
        if mode := _text(rest, "transactionMode"):
            interactions -= {"batch", "transaction"}  # its code "transaction" means either
        interactions |= {"both": {"batch", "transaction"}}.get(mode, {mode} - {""})
    software = told["software"] if isinstance(told.get("software"), dict) else {}
    name, number = _text(software, "name"), _text(software, "version")
    listed = told.get("instantiates")
    return Capability(
        _version(_text(told, "fhirVersion")),
        f"{name} {number}".strip(),
        types,
        frozenset(interactions),
        frozenset(name for name, place in system if not place),
        _names(told, name, headers or {}),
        tuple(each for each in listed if isinstance(each, str)) if isinstance(listed, list) else (),
        # HAPI and others date a statement when they are asked for it; a version says more, where there is one.
        " ".join(
            filter(None, (name, number, _text(software, "releaseDate") or ("" if number else _text(told, "date"))))
        ),
    )


async def fetch_capability(connection: Connection) -> Capability:
    """Ask a server what it can do, and let the connection speak its version from now on where none was told.

    Where the version was told, a server may do without a statement, or with one that we cannot read or must not see.
    """
    try:
        reply = await connection.get("metadata")
        found = read_capability(reply.body, reply.headers)
    except OtherVersion:
        raise
    except (NotFhir, Refused, Denied):
        if connection.fhir_version is None:
            raise
        return without_statement(connection.fhir_version)
    if connection.fhir_version is None:
        connection.fhir_version = found.fhir_version
    elif connection.fhir_version != found.fhir_version:
        raise NotFhir(
            f"The server speaks {found.fhir_version} and not {connection.fhir_version}.",
            hint="Correct fhir_version in twin.toml, or leave it out.",
        )
    return found


def without_statement(fhir_version: str) -> Capability:
    """Make what is known of a server that says nothing of itself: its version."""
    return Capability(fhir_version, "", {}, is_told=False)


def _version(said: str) -> FhirVersion:
    number, _, draft = said.partition("-")  # 5.0.0-ballot is not yet R5
    version = None if draft else NUMBERS.get(".".join(number.split(".")[:2]))
    if version is None:
        shown = said if said.replace(".", "").isalnum() else "unknown"
        raise OtherVersion(
            f"The server speaks FHIR version {shown[:20]}.",
            hint="This release reads DSTU2 (1.0), STU3 (3.0), R4 (4.0), R4B (4.3) and R5 (5.0): give such a url.",
        )
    return version


def _ability(told: Mapping[str, Any], type_: str, system: Set[tuple[str, str]]) -> Ability:
    operations = {name for name, _ in _operations(told)} | {name for name, place in system if place == type_}
    return Ability(
        frozenset(_texts(told, "interaction", "code")),
        frozenset(_texts(told, "searchParam", "name")),
        told.get("conditionalCreate") is True,
        frozenset(operations),
        frozenset(_profiles(told)),
    )


def _profiles(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield the canonicals without a version; `profile` is a Reference up to STU3, `supportedProfile` is of R4."""
    listed = told.get("supportedProfile")
    for each in (told.get("profile"), *(listed if isinstance(listed, list) else ())):
        if isinstance(each, str):
            yield each.partition("|")[0]


def _is_us_core(canonical: str) -> bool:
    """Say whether it is US Core's server of version 6 or later: 5 has no profile of a simple Observation."""
    url, _, version = canonical.partition("|")
    major = version.partition(".")[0]
    return url == _US_CORE_SERVER and major.isdecimal() and int(major) >= 6


def _operations(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each operation's name, and the type at which it is by its definition ("" for any)."""
    for each in _objects(told, "operation"):
        definition = each.get("definition")  # a Reference up to STU3, a canonical from R4 on
        where = _text(definition, "reference") if isinstance(definition, dict) else _text(each, "definition")
        yield _text(each, "name").removeprefix("$"), _LEVELS.get(where.partition("|")[0].rpartition("/")[2], "")


def _names(told: Mapping[str, Any], software: str, headers: Mapping[str, str]) -> dict[str, str]:
    about = told["implementation"] if isinstance(told.get("implementation"), dict) else {}
    found = {
        "software": software,
        "publisher": _text(told, "publisher"),
        "description": f"{_text(about, 'description')} {_text(told, 'description')} {_text(told, 'name')}".strip(),
        "server": " ".join(filter(None, (headers.get("server"), headers.get("x-powered-by")))),
    }
    return {name: text for name, text in found.items() if text}


def _objects(told: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = told.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _texts(told: Mapping[str, Any], name: str, part: str) -> list[str]:
    return [text for each in _objects(told, name) if (text := _text(each, part))]


def _text(told: Mapping[str, Any], name: str) -> str:
    found = told.get(name)
    return found if isinstance(found, str) else ""


def _no_statement(detail: object) -> NotFhir:
    hint = "Check that url is the FHIR base, or say fhir_version in twin.toml, and it is pulled without a statement."
    return NotFhir("The server's /metadata is not a CapabilityStatement.", hint=hint, detail=detail)
