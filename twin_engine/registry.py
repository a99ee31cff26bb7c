"""Which models there are: those in our own folders, and those of distributions that the operator trusts.

A file in a known folder is registered by being there. An outside package offers its models by the entry point group
"fhirtwin.models"; it is imported only where the caller names its distribution, because importing is running.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from security.errors import Misuse, UnknownName
from twin_engine.model import TwinModel

__all__ = ["GROUP", "ROOMS", "model", "models"]

ROOMS = ("twin_engine.physiology", "twin_engine.risk", "twin_engine.circulation")
GROUP = "fhirtwin.models"


def models(trusted: tuple[str, ...] = ()) -> Mapping[str, TwinModel]:
    """Return each known model with its default settings, by name.

    `trusted` names the distributions whose models may be imported, as in their METADATA ("my-hospital-models").
    """
    known = dict(_ours())
    for found in _outside(trusted):
        if found.name in known:
            raise Misuse(
                "Two models have one name.", hint="Remove a distribution from the trusted ones.", detail=found.name
            )
        known[found.name] = found
    return MappingProxyType(dict(sorted(known.items())))


def model(name: str, trusted: tuple[str, ...] = ()) -> TwinModel:
    """Return the model of a name, with its default settings, or raise `UnknownName` with the nearest names."""
    known = models(trusted)
    if name not in known:
        raise UnknownName("model", name, known)
    return known[name]


@cache
def _ours() -> Mapping[str, TwinModel]:
    found: dict[str, TwinModel] = {}
    for room in ROOMS:
        package = import_module(room)
        for place in pkgutil.iter_modules(package.__path__, f"{room}."):
            module = import_module(place.name)
            for value in vars(module).values():
                if _is_model(value) and value.__module__ == module.__name__:
                    found[value.name] = value()
    return MappingProxyType(found)


def _outside(trusted: tuple[str, ...]) -> Iterator[TwinModel]:
    names = {_normal(name) for name in trusted}
    for entry in entry_points(group=GROUP) if names else ():  # reading all metadata takes longer than a forecast
        if entry.dist is not None and _normal(entry.dist.name) in names:
            yield _load(entry)


def _load(entry: EntryPoint) -> TwinModel:
    offered = entry.load()
    if not _is_model(offered):
        raise Misuse(
            f'The entry point "{entry.name}" of {GROUP} is no model.',
            hint="It has to name a class that subclasses twin_engine.TwinModel.",
        )
    made: TwinModel = offered()
    return made


def _is_model(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, TwinModel) and not inspect.isabstract(value)


def _normal(name: str) -> str:
    """Normalise the name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
