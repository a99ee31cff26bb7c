"""Conditions of a write: what is there already (If-None-Exist, PUT by a search), and which version is meant (If-Match).

A condition is looked for in the record of the patient whom the resource is about, among what the caller may search: it
says nothing of what is hidden, and nothing of other patients.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final
from urllib.parse import parse_qsl

from gateway.api.refusal import Refusal
from gateway.api.shown import Shown
from gateway.api.view import View
from mappers.search import Test, Unsearchable, compile_query

__all__ = ["compiled", "found_by", "read_condition", "versions_of"]

_LONGEST: Final = 2048
_OF_THE_RESOURCE: Final = frozenset({"_id", "_tag", "_security", "_profile"})
_ENTITY_TAGS: Final = re.compile(r'\s*(?:W/)?"([^"\s]{1,64})"\s*(?:,\s*(?:W/)?"([^"\s]{1,64})"\s*)*', re.ASCII)
_TAG: Final = re.compile(r'(?:W/)?"([^"\s]{1,64})"', re.ASCII)


def read_condition(told: str, type_: str, base: str) -> str:
    """Read the value of If-None-Exist, or the query of a conditional update: `identifier=system|value`.

    Raises a `Refusal` with 400 for one that is empty, that pages or includes, or that cannot be read.
    """
    query = told.strip().removeprefix(f"{base}/").removeprefix(f"{type_}?").removeprefix("?")  # HAPI tells it whole
    if not query or len(query) > _LONGEST or not query.isprintable():
        raise Refusal(400, "invalid", "The condition is a search by at least one parameter.")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=20)
    except ValueError:
        raise Refusal(400, "invalid", "The condition cannot be read.") from None
    if any(name.startswith("_") and name.partition(":")[0] not in _OF_THE_RESOURCE for name, _ in pairs):
        raise Refusal(400, "not-supported", "A condition finds resources, and says nothing of pages or other types.")
    if any(not value for _, value in pairs):
        raise Refusal(400, "invalid", "A parameter of the condition has no value.")
    return query


def found_by(view: View, twin: str, type_: str, condition: str, base: str) -> list[Shown]:
    """Find what answers a condition in one record; of two or more the first two. Raises a `Refusal` with 400."""
    answers = compiled(type_, condition, base)
    return list(islice((each for each in view.resources(twin, type_, "s") if answers(each.body)), 2))


def compiled(type_: str, condition: str, base: str) -> Test:
    """Make the test of a condition. Raises a `Refusal` with 400, before anything is looked at."""
    try:
        return compile_query(type_, condition, base=base)
    except Unsearchable as error:
        raise Refusal(400, "not-supported", str(error)) from None


def versions_of(if_match: str) -> frozenset[str]:
    """Read If-Match. Raises a `Refusal`: 428 where there is none, 400 for what names no version."""
    if not if_match.strip():
        raise Refusal(428, "required", "Say which version you change: If-Match with its ETag.")
    if len(if_match) > 1000 or not _ENTITY_TAGS.fullmatch(if_match):
        raise Refusal(400, "invalid", "If-Match is the ETag of the version that you change.")
    return frozenset(_TAG.findall(if_match))
