"""Turns a resource as received into the R4 resource that our API shows, or says why it is not shown. Pure."""

from __future__ import annotations

from mappers.shown.definitions import SHARED, resources
from mappers.shown.findings import Lost
from mappers.shown.naming import Blind, Naming, kind_in_r4, system_of
from mappers.shown.showing import REASONS, Made, Withheld, show

__all__ = [
    "REASONS",
    "SHARED",
    "Blind",
    "Lost",
    "Made",
    "Naming",
    "Withheld",
    "kind_in_r4",
    "resources",
    "show",
    "system_of",
]
