"""What stands in a document: each entry is a resource of its own, named within the document and not beyond it.

An entry that the source also has by itself is shown as that. What belongs to nobody elsewhere (a Medication of a
patient summary) belongs to the twin here: nobody else has that document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from gateway.api.tracks import Track
from gateway.store.showing import Received
from mappers import Unreadable, as_fhir_version, read_json
from mappers.bundles import Item, items_of, names_of, patient_of
from mappers.shown import kind_in_r4
from mappers.versions import FhirVersion

__all__ = ["tracks_in"]

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode

Came = Callable[[str], bool]
"""Whether a resource came by itself, by its name within the source."""


def tracks_in(document: Track, came: Came) -> list[Track]:
    """Return the resources in a document through its versions; of what is no document, none."""
    names, apart = dict[str, str](), dict[str, str]()
    patients = set(document.naming.patients)
    naming = replace(document.naming, full_urls=_Within(names, document.naming.full_urls), apart=apart, _known={})
    found: dict[str, Track] = {}
    for version in document.versions:
        here: set[str] = set()
        received = version.received
        fhir: FhirVersion = as_fhir_version(received.fhir_version) or "r4"
        for item in [] if version.ended else _items(received.raw, patients):
            if item.full_url and came(naming.plain(item.full_url)):
                continue
            kind = kind_in_r4(str(item.resource.get("resourceType")), fhir)
            mine = names_of(item)
            key = f"{document.key} {item.full_url or min(mine, default=item.place)}"
            here.add(key)
            apart[key] = kind
            names.update(dict.fromkeys(mine, key))
            if kind == "Patient":
                patients.add(key)
            track = found.get(key)
            if track is None:
                track = found[key] = Track(document.source, key, kind, "", naming, whole=document)
            track.add(received._replace(key=key, raw=_encode(item.resource), full_url=""))
        for key in found.keys() - here:
            if not found[key].last.ended:
                found[key].add(_end(received, key))
    naming.patients = frozenset(patients)
    return list(found.values())


def _items(raw: bytes, patients: set[str]) -> list[Item]:
    try:
        bundle = read_json(raw)
    except Unreadable:
        return []
    about, _ = patient_of(bundle)
    if about:
        patients.add(about)
    return items_of(bundle)


def _end(received: Received, key: str) -> Received:
    return received._replace(key=key, raw=b"", full_url="", ended=True)


class _Within(dict[str, str]):
    """The names in a document, and behind them those of its source."""

    def __init__(self, names: dict[str, str], outside: Mapping[str, str]) -> None:
        super().__init__()
        self._names, self._outside = names, outside

    def get(self, name: str, default: Any = None) -> Any:
        """Find what a name means."""
        return self._names.get(name) or self._outside.get(name, default)
