"""What fhir.resources, which we did not write, says of the elements of STU3, R4B and R5; R4 has those of R4B here."""

from __future__ import annotations

import importlib
import pkgutil
import typing
import warnings
from functools import cache
from types import ModuleType
from typing import Any, Final

warnings.filterwarnings("ignore", module="fhir")

PACKAGES: Final = {
    "stu3": "fhir.resources.STU3",
    "r4": "fhir.resources.R4B",
    "r4b": "fhir.resources.R4B",
    "r5": "fhir.resources",
}
_ABSTRACT: Final = {"CanonicalResource", "DomainResource", "MetadataResource", "Resource"}


def shape_of(version: str, kind: str, path: str) -> str:
    """Return the shape ("list", "object", "text") of an element, told by its path in a type; "" where there is none."""
    within, shape = kind, ""
    for name in path.split("."):
        field = _fields(version, kind, within).get(name) or _fields(version, within, within).get(name)
        if field is None:
            return ""
        told = next((a for a in typing.get_args(field) if a is not type(None)), field) if _is_optional(field) else field
        shape = "list" if typing.get_origin(told) is list else ""
        inner = typing.get_args(told)[0] if shape else told
        within = getattr(inner, "__name__", "").removesuffix("Type")
        shape = shape or ("object" if inner.__module__ == "abc" else "text")
    return shape


def types_of(version: str) -> set[str]:
    """List the resource types of a version."""
    package = importlib.import_module(PACKAGES[version])
    found = set()
    for module in pkgutil.iter_modules(package.__path__):
        for name, cls in vars(_module(version, module.name)).items():
            if name.lower() == module.name and any(base.__name__ == "Resource" for base in getattr(cls, "__mro__", ())):
                found.add(name)
    return found - _ABSTRACT


def _is_optional(field: Any) -> bool:
    return type(None) in typing.get_args(field)


def _module(version: str, name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGES[version]}.{name}")


@cache
def _fields(version: str, kind: str, part: str) -> dict[str, Any]:
    """List the elements of a part (or a data type), which stands in the module of its resource or in one of its own."""
    try:
        cls = getattr(_module(version, kind.lower()), part)
    except (ImportError, AttributeError):
        return {}
    return {field.alias or name: field.annotation for name, field in cls.model_fields.items()}
