"""The names of a town's people, by frequency (US Census Bureau, 1990, as the package names has them)."""

from __future__ import annotations

from pathlib import Path

import names

from conformance.cohort.registrations import NameLists

__all__ = ["NAMES"]


def _read(file: str) -> list[tuple[str, float]]:
    lines = (Path(names.__file__).parent / file).read_text("utf-8").splitlines()
    return [(name.lower(), float(share)) for name, share, *_ in map(str.split, lines)]


NAMES = NameLists(_read("dist.all.last"), _read("dist.female.first"), _read("dist.male.first"))
