"""A judge of AuditEvents made of IHE's own profiles: the patterns, cardinalities and slices of their differentials."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

Json = dict[str, Any]
Judge = Callable[[Json, str], list[str]]

BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"


@pytest.fixture(scope="session")
def broken_rules(shared_data) -> Judge:
    """Give the judge: event and name of a profile in, broken rules out."""
    package = {}
    with tarfile.open(shared_data / "igs" / "ihe.iti.balp-1.1.5-local.tgz") as archive:
        for member in archive:
            if member.name.startswith(("package/StructureDefinition-", "package/ValueSet-")):
                definition = json.load(archive.extractfile(member))  # type: ignore[arg-type]  # all are plain files
                package[definition["url"]] = definition

    def judge(event: Json, profile: str) -> list[str]:
        return _broken(event, _rules(BALP + profile, package), package)

    return judge


def _rules(url: str, package: Json) -> list[Json]:
    if url not in package:
        return []
    return _rules(package[url]["baseDefinition"], package) + package[url]["differential"]["element"]


def _broken(event: Json, rules: list[Json], package: Json) -> list[str]:
    broken = []
    for rule in rules:
        path, _, name = rule["id"].partition(":")  # AuditEvent.agent:client.type
        name, _, inner = name.partition(".")
        if not name:
            broken += _judge(rule, [event], path.split(".")[1:], package)
            continue
        element = path.split(".")[1]
        [discriminator] = [
            r["slicing"]["discriminator"][0]["path"] for r in rules if r["id"] == path and "slicing" in r
        ]
        at = [] if discriminator == "$this" else [discriminator]
        own = [r for r in rules if r["id"] == ".".join([f"{path}:{name}", *at]) and _allowed(r, package)]
        members = [m for m in _reach([event], [element]) if all(_fits_one(_reach([m], at), r, package) for r in own)]
        if inner:
            for member in members:
                broken += _judge(rule, [member], inner.split("."), package)
        else:
            broken += _count(rule, members)
    return broken


def _judge(rule: Json, values: list[Any], path: list[str], package: Json) -> list[str]:
    found = _reach(values, path) if path else values
    wrong = [f"{rule['id']} is {v}" for v in found if not rule.get("slicing") and not _fits_one([v], rule, package)]
    return _count(rule, found) + wrong


def _count(rule: Json, found: list[Any]) -> list[str]:
    most = rule.get("max", "*")
    enough = rule.get("min", 0) <= len(found) and (most == "*" or len(found) <= int(most))
    return [] if enough else [f"{rule['id']}: {len(found)} of them"]


def _reach(values: list[Any], path: list[str]) -> list[Any]:
    for step in path:
        found = [v[step] for v in values if isinstance(v, dict) and step in v]
        values = [item for v in found for item in (v if isinstance(v, list) else [v])]
    return values


def _allowed(rule: Json, package: Json) -> list[Any]:
    """List the values of which an element has to match one: its pattern, or the codes of a required value set."""
    patterns = [value for name, value in rule.items() if name.startswith("pattern")]
    binding = rule.get("binding", {})
    if binding.get("strength") == "required" and binding["valueSet"] in package:
        for include in package[binding["valueSet"]]["compose"]["include"]:
            patterns += [{"system": include["system"], "code": c["code"]} for c in include.get("concept", [])]
    return patterns


def _fits_one(values: list[Any], rule: Json, package: Json) -> bool:
    allowed = _allowed(rule, package)
    return not allowed or bool(values and any(_fits(values[0], pattern) for pattern in allowed))


def _fits(value: Any, pattern: Any) -> bool:
    if isinstance(pattern, dict):
        if isinstance(value, dict) and "coding" in value and "coding" not in pattern:
            return any(_fits(coding, pattern) for coding in value["coding"])
        return isinstance(value, dict) and all(k in value and _fits(value[k], p) for k, p in pattern.items())
    if isinstance(pattern, list):
        return all(any(_fits(v, p) for v in value) for p in pattern)
    return bool(value == pattern)
