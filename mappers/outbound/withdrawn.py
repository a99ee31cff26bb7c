"""A resource of ours at an EHR that no longer stands: overtaken by another one, or entered in error."""

from __future__ import annotations

from typing import Any, Literal

from mappers.versions import FhirVersion

__all__ = ["Standing", "withdraw"]

Standing = Literal["amended", "entered-in-error"]


def withdraw(
    resource: dict[str, Any], version: FhirVersion, to: Standing, words: str, replacement: str = ""
) -> dict[str, Any]:
    """Return a resource, as the EHR returned it, that says it no longer stands and why.

    `words` is a sentence for people; `replacement` refers to what stands in its place at the same EHR ("Observation/9").
    Only what says so is changed. Done twice it is done once.
    """
    raise NotImplementedError
