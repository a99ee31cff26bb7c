"""Faults of `Bundle.total` and `Bundle.type`."""

from __future__ import annotations

from typing import Any

from conformance.hostile.faults.kind import fault
from conformance.hostile.faults.subjects import Leaf

__all__: list[str] = []


def _counts(leaf: Leaf) -> bool:
    return leaf.total is not None


@fault("no-total", "page", "Bundle.total is absent", "fhir-server-compare: null by default on three", fits=_counts)
def no_total(leaf: Leaf, struck: Any) -> None:
    leaf.total = None


@fault(
    "wrong-total", "page", "Bundle.total is too large (value: by how many)", "7: medplum#4608", value="7", fits=_counts
)
def wrong_total(leaf: Leaf, struck: Any) -> None:
    leaf.total = (leaf.total or 0) + int(struck.number)


@fault("small-total", "page", "Bundle.total counts the rows of the page", "7: LinuxForHealth/FHIR#3906", fits=_counts)
def small_total(leaf: Leaf, struck: Any) -> None:
    leaf.total = len(leaf.matches)


@fault("zero-total", "page", "Bundle.total is 0 though rows are there", "7: LinuxForHealth/FHIR#3906", fits=_counts)
def zero_total(leaf: Leaf, struck: Any) -> None:
    leaf.total = 0


@fault(
    "changing-total", "page", "Bundle.total grows by one with each page", "7: LinuxForHealth/FHIR#3590", fits=_counts
)
def changing_total(leaf: Leaf, struck: Any) -> None:
    leaf.total = (leaf.total or 0) + leaf.page.number


@fault("wrong-bundle-type", "page", "Bundle.type is another (value)", "openemr#6885", value="collection")
def wrong_bundle_type(leaf: Leaf, struck: Any) -> None:
    leaf.kind = struck.setting
