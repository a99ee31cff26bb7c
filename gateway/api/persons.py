"""The one Patient of a twin: that of the source which told of it last, with the identifiers of all.

Names, addresses and the rest are never mixed: two sources that tell two addresses do not tell one person with both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.api.tracks import Track, Version
from mappers import Unreadable, read_json
from mappers.links import replaced_by
from mappers.shown import Made, Withheld

__all__ = ["UNTOLD", "Composed", "compose"]

UNTOLD: Final[dict[str, Any]] = {"meta": {"source": "urn:fhirtwin:source:fhirtwin"}}
"""A Patient of whom no source tells anything that can be shown: that there is one, and no more."""

Shows = Callable[[Track, Version], Made | Withheld]


@dataclass(frozen=True, slots=True)
class Composed:
    """The Patient at one time: its body without version and time, `None` where no source has one; and from which."""

    updated: datetime
    body: dict[str, Any] | None
    track: Track | None


def compose(tracks: Sequence[Track], shows: Shows) -> list[Composed]:
    """Return the versions of the Patient, oldest first; what changed nothing in it is none."""
    steps = sorted(
        (
            (version.received.number, number, version)
            for number, track in enumerate(tracks)
            for version in track.versions
        ),
        key=lambda step: (step[0], step[1], step[2].number),
    )
    now: dict[int, Version] = {}
    made: list[Composed] = []
    for place, (when, number, version) in enumerate(steps):
        now[number] = version
        if place + 1 < len(steps) and steps[place + 1][0] == when:
            continue  # one pull brings several at once
        composed = _at([(tracks[each], told) for each, told in now.items() if not told.ended], shows, version)
        if not made and composed.body is None:
            continue
        if not made or _told(made[-1].body) != _told(composed.body):
            made.append(composed)
    return made


def _told(body: dict[str, Any] | None) -> dict[str, Any] | None:
    """Leave out what is ours to say: version and time."""
    if body is None:
        return None
    return {
        **body,
        "meta": {key: value for key, value in body["meta"].items() if key not in ("versionId", "lastUpdated")},
    }


def _at(current: Iterable[tuple[Track, Version]], shows: Shows, last: Version) -> Composed:
    updated, standing = last.received.created, list(current)
    found = [(track, version, told) for track, version in standing if isinstance(told := shows(track, version), Made)]
    if not found:
        return Composed(updated, UNTOLD if standing else None, None)
    stays = [each for each in found if not _is_merged(each[1])] or found
    chosen = max(stays, key=lambda each: (each[1].received.created, each[0].source, each[0].key))
    others = sorted((each for each in stays if each is not chosen), key=lambda each: (each[0].source, each[0].key))
    body = dict(chosen[2].body)
    identifiers = [one for each in (chosen, *others) for one in each[2].body.get("identifier", ())]
    if identifiers:
        body["identifier"] = _once(identifiers)
    return Composed(updated, body, chosen[0])


def _once(identifiers: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: dict[tuple[Any, Any], dict[str, Any]] = {}
    for number, each in enumerate(identifiers):
        value = each.get("value")
        kept.setdefault((each.get("system"), value) if value else (number, None), each)
    return list(kept.values())


def _is_merged(version: Version) -> bool:
    """Say whether a Patient says that another one took its place."""
    if b"link" not in version.received.raw:
        return False
    try:
        return bool(replaced_by(read_json(version.received.raw)))
    except Unreadable:
        return False
