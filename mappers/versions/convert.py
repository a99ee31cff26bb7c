"""A resource of one FHIR version as one of another, with what became of each of its elements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mappers.elements import Json
from mappers.versions import FhirVersion
from mappers.versions.conversion import Conversion
from mappers.versions.definitions import read_definitions
from mappers.versions.rules import read_rules
from mappers.versions.steps import VersionStep, What

__all__ = ["Converted", "convert", "version_steps"]


@dataclass(frozen=True, slots=True)
class Converted:
    """A resource in another version; `None` where that has no such type. `steps` has every leaf of what came, once."""

    resource: dict[str, Any] | None
    steps: tuple[VersionStep, ...]

    @property
    def changes(self) -> tuple[VersionStep, ...]:
        """What did not stay what and where it was."""
        return tuple(step for step in self.steps if step.what != "kept")

    @property
    def losses(self) -> tuple[VersionStep, ...]:
        """What the other version does not hold in any form."""
        return tuple(step for step in self.steps if step.what == "lost")

    def counts(self) -> Mapping[What, int]:
        """Count the elements by what became of them."""
        return Counter(step.what for step in self.steps)


def convert(resource: Json, source: FhirVersion, target: FhirVersion) -> Converted:
    """Convert a resource from one version into another, through R4 where neither is R4; what came is not changed.

    Nothing raises, whatever the JSON is that `read_json` gives. Numbers and texts keep their digits and letters.
    """
    made: Any = resource
    steps: tuple[VersionStep, ...] | None = None
    for one, other in _legs(source, target):
        conversion = _conversion(one, other)
        made = conversion.resource(made, "", "")
        found = tuple(conversion.steps.found)
        steps = found if steps is None else _chain(steps, found)
        if made is None:
            break
    return Converted(made, steps or ())


def version_steps(resource: Json, source: FhirVersion) -> tuple[VersionStep, ...]:
    """List what a resource's way into R4 did to it, for `twin explain`: nothing for what is R4 already."""
    return () if source == "r4" else convert(resource, source, "r4").changes


def _legs(source: FhirVersion, target: FhirVersion) -> list[tuple[FhirVersion, FhirVersion]]:
    if "r4" in (source, target) or source == target:
        return [(source, target)]
    return [(source, "r4"), ("r4", target)]


def _conversion(source: FhirVersion, target: FhirVersion) -> Conversion:
    if source == target:
        return Conversion(read_definitions(source), read_definitions(target), {}, {})
    up = target == "r4"
    kinds, rules = read_rules(source if up else target, up=up)
    return Conversion(read_definitions(source), read_definitions(target), kinds, rules)


def _chain(first: tuple[VersionStep, ...], second: tuple[VersionStep, ...]) -> tuple[VersionStep, ...]:
    """Tell two conversions as one: the first's paths, with what the second did to where they led."""
    then = {step.path: step for step in second}
    made = []
    for step in first:
        after = then.get(step.to) if step.to and step.what != "extension" else None
        if after is None or after.what == "kept":
            made.append(step)
        elif step.what == "kept" or after.what in ("lost", "extension"):
            made.append(VersionStep(step.path, after.what, after.to, after.why, after.before, after.after))
        else:
            what: What = "translated" if "translated" in (step.what, after.what) else "moved"
            before = step.before if step.what == "translated" else after.before
            said = after.after if after.what == "translated" else step.after
            made.append(VersionStep(step.path, what, after.to, after.why, before, said))
    return tuple(made)
