"""What an operation is, said once: its OperationDefinition, what it reads, and its offers, are made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from gateway import __version__
from gateway.api.call import Answer, Offer

__all__ = ["Declared", "Parameter", "offers_of"]

_URL: Final = "urn:fhirtwin:operation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter: FHIR type ("" for one with parts), how often, and what it is."""

    name: str
    says: str
    type: str = "string"
    least: int = 0
    most: str = "1"
    use: Literal["in", "out"] = "in"
    parts: tuple[Parameter, ...] = ()

    def resource(self) -> dict[str, Any]:
        """Write it as a part of an OperationDefinition."""
        told: dict[str, Any] = {"name": self.name, "use": self.use, "min": self.least, "max": self.most}
        told["documentation"] = self.says
        if self.parts:
            return told | {"part": [each.resource() for each in self.parts]}
        return told | {"type": self.type}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """An operation on one Patient. `says` is for who reads the definition; `changes` is whether anything is kept."""

    code: str
    name: str
    title: str
    says: str
    parameters: tuple[Parameter, ...]
    comment: str = ""
    by_get: bool = False
    published: str = ""
    known: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.known.update({each.name: each.type for each in self.parameters if each.use == "in"})

    @property
    def id(self) -> str:
        """The id of its definition with us."""
        return f"twin-{self.code}"

    @property
    def url(self) -> str:
        """The canonical URL of its definition: HL7's where it is theirs."""
        return self.published or f"{_URL}:{self.code}"

    def resource(self, base: str) -> dict[str, Any]:
        """Write the OperationDefinition."""
        told: dict[str, Any] = {
            "resourceType": "OperationDefinition",
            "id": self.id,
            "url": f"{_URL}:{self.code}",
            "version": __version__,
            "name": self.name,
            "title": self.title,
            "status": "active",
            "kind": "operation",
            "experimental": False,
            "description": self.says,
            "affectsState": False,
            "code": self.code,
            "resource": ["Patient"],
            "system": False,
            "type": False,
            "instance": True,
            "parameter": [each.resource() for each in self.parameters],
        }
        if self.comment:
            told["comment"] = self.comment
        if self.published:
            told["base"] = self.published
        return told


def offers_of(declared: Declared, answer: Answer) -> tuple[Offer, ...]:
    """Offer an operation at each Patient, by POST, and by GET where all its parameters are simple."""
    methods: Sequence[str] = ("GET", "POST") if declared.by_get else ("POST",)
    return tuple(
        Offer(
            method=method,
            path=f"/Patient/{{id}}/${declared.code}",
            interaction="operation",
            answer=answer,
            event="operation",
            types=("Patient",),
            name=declared.code,
            definition=declared.url,
        )
        for method in methods
    )
