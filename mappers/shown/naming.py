"""How the names of a source become ours: ids and references that tell nothing, and lead nowhere but to us.

What an id or a reference is depends on the name alone, and on whose record it stands in: never on what else we hold.
So nobody learns from a reference whether its target is there.
"""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from mappers.shown.definitions import SHARED, resources
from mappers.shown.primitives import is_absolute
from mappers.versions import TYPES, FhirVersion
from mappers.versions.rules import read_rules

__all__ = ["NAMES_OF", "WRITTEN", "Blind", "Naming", "Reached", "kind_in_r4", "system_of"]

NAMES_OF: Final = "urn:fhirtwin:source"
"""Begins the system of what a source calls something that we do not lead to; the value is a keyed hash."""

WRITTEN: Final = "api:"
"""Begins the names of the sources that are clients of ours: what they write refers by our own ids."""

Blind = Callable[[str, str], str]
"""A keyed hash of a token of a kind, in hex (`security.blind.BlindIndex.of`)."""

_PLAIN: Final = re.compile(r"([A-Z][A-Za-z]{2,40})/([A-Za-z0-9.\-]{1,64})", re.ASCII)
_ANYWHERE: Final = re.compile(r"(?:https?://.*/)([A-Z][A-Za-z]{2,40})/[A-Za-z0-9.\-]{1,64}", re.ASCII)
_ASKED: Final = re.compile(r"([A-Z][A-Za-z]{2,40})\?(.+)", re.ASCII)
_OURS: Final = re.compile(r"([A-Z][A-Za-z]{2,40})/(?:(s)|[0-9a-f-]{36})-([a-z2-7]{26})", re.ASCII)
_SOURCE: Final = re.compile(r"[^A-Za-z0-9._~-]+")


class Reached(NamedTuple):
    """What a reference is written as: the elements of the Reference, the type of its target, "" where nobody knows.

    `stranger` is true of another patient: what the source says of them beside the reference is left out.
    """

    written: Mapping[str, Any]
    kind: str
    stranger: bool = False


@cache
def kind_in_r4(kind: str, version: FhirVersion) -> str:
    """Return what R4 calls a type of a version, "" where it has none."""
    other = kind if version == "r4" else read_rules(version, up=True)[0].get(kind, kind)
    return other if other in TYPES["r4"] else ""


def system_of(source: str) -> str:
    """Name a source as a URI."""
    return f"{NAMES_OF}:{_SOURCE.sub('-', source)}"


@dataclass
class Naming:
    """The names of one source, in the record of one twin ("": of what belongs to nobody).

    Parameters
    ----------
    source, base, version
        The source, the URL that it is known by ("" for files), and the FHIR version that it speaks.
    twin
        Whose record it is.
    blind
        The keyed hash.
    patients
        The Patients of this source that are this twin ("Patient/7").
    full_urls
        The names by which entries of Bundles call each other (`urn:uuid:...`), and what they are ("Encounter/9").
    apart
        What stands in a document of this twin and nowhere else, by its name, with its type in R4.
    """

    source: str
    base: str
    version: FhirVersion
    twin: str
    blind: Blind
    patients: frozenset[str] = frozenset()
    full_urls: Mapping[str, str] = field(default_factory=dict)
    apart: Mapping[str, str] = field(default_factory=dict)
    _known: dict[str, Reached] = field(default_factory=dict)

    def digits(self, key: str) -> str:
        """Hash the name of something within the source to 26 characters."""
        return b32encode(bytes.fromhex(self.blind("shown", f"{self.source}\n{key}"))).decode().rstrip("=").lower()

    def id_of(self, key: str, kind: str) -> str:
        """Name a resource of this record, or one that belongs to nobody, by its key in the source and its R4 type."""
        if kind == "Patient" and self.twin:
            return self.twin
        is_nobodys = (kind in SHARED and key not in self.apart) or not self.twin
        return f"{'s' if is_nobodys else self.twin}-{self.digits(key)}"

    def plain(self, reference: str) -> str:
        """Write a reference as it stands within the source: without its base, and without a version."""
        plain = reference.removeprefix(f"{self.base}/") if self.base else reference
        plain = plain.split("/_history/", 1)[0]
        return self.full_urls.get(plain, plain)

    def reach(self, reference: str, subject: str = "") -> Reached:
        """Rewrite a reference. `subject` is how the resource that it stands in names the patient whose it is."""
        if subject and reference == subject:
            return self._twin()
        found = self._known.get(reference)
        if found is None:
            if len(self._known) > 50_000:
                self._known.clear()
            found = self._known[reference] = self._reach(reference)
        return found

    def _twin(self) -> Reached:
        return Reached({"reference": f"Patient/{self.twin}"}, "Patient")

    def _reach(self, reference: str) -> Reached:
        plain = self.plain(reference)
        if self.twin and plain in self.patients:
            return self._twin()
        if kind := self.apart.get(plain, ""):
            return Reached({"reference": f"{kind}/{self.id_of(plain, kind)}"}, kind)
        if self.source.startswith(WRITTEN):
            return self._ours(plain)
        if asked := _ASKED.fullmatch(plain):
            return self._asked(plain, asked[1], asked[2])
        match = _PLAIN.fullmatch(plain)
        told = kind_in_r4(match[1], self.version) if match else ""
        if match is None:
            elsewhere = _ANYWHERE.fullmatch(plain)  # at another server, which is not ours to lead to
            return self._logical(plain, kind_in_r4(elsewhere[1], self.version) if elsewhere else "")
        is_ours = told in resources() and told not in ("Patient", "Group") and (told in SHARED or bool(self.twin))
        return (
            Reached({"reference": f"{told}/{self.id_of(plain, told)}"}, told) if is_ours else self._logical(plain, told)
        )

    def _ours(self, plain: str) -> Reached:
        """Read a reference that is one of ours already. Whose it was called when it was written may have changed."""
        if plain == f"Patient/{self.twin}":
            return self._twin()
        found = _OURS.fullmatch(plain)
        if found is None:
            return self._logical(plain, plain.partition("/")[0] if _PLAIN.fullmatch(plain) else "")
        return Reached({"reference": f"{found[1]}/{found[2] or self.twin}-{found[3]}"}, found[1])

    def _asked(self, plain: str, kind: str, query: str) -> Reached:
        """Read a reference that is a search: by an identifier it is what R4 calls a logical reference."""
        told, pairs = kind_in_r4(kind, self.version), parse_qsl(query)
        if told != "Patient" and len(pairs) == 1 and pairs[0][0] == "identifier":
            system, _, value = pairs[0][1].rpartition("|")
            if value.strip() and (not system or is_absolute(system)):
                by = {"system": system, "value": value} if system else {"value": value}
                return Reached({"type": told, "identifier": by} if told else {"identifier": by}, told)
        return self._logical(plain, told)

    def _logical(self, plain: str, kind: str) -> Reached:
        by = {"system": system_of(self.source), "value": self.digits(plain)}
        written = {"type": kind, "identifier": by} if kind else {"identifier": by}
        return Reached(written, kind, stranger=kind == "Patient")
