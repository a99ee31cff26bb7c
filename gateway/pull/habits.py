"""What EHR vendors' servers do differently, as data: one TOML file a vendor, each habit with its citation.

Our files are in `gateway/pull/vendors`; a folder of the user's own may hold more, and replace ours by name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.pull.metadata import Capability
from gateway.pull.profile import Profile
from security.errors import BadSettings, UnknownName

__all__ = ["Habit", "KnownBy", "Vendor", "load_habits", "vendor_of", "with_habits"]

_OURS = "vendors"
# What no vendor's habit can be: it is learned from the server in front of us.
_LEARNED = frozenset({"vendor", "software", "because", "basis", "learned", "skew_s", "profiles"})
_FREE = frozenset({"slices", "created", "headers"})  # any name may stand below these

_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_OURS_TO_SAY = frozenset(  # a habit lets nobody else in, and changes no request
    {
        *("authorization", "cookie", "proxy-authorization", "host", "connection", "content-length", "content-type"),
        *("transfer-encoding", "accept-encoding", "accept", "if-none-exist", "prefer", "range", "if-range", "upgrade"),
    }
)

_Text = Annotated[str, Field(min_length=1)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KnownBy(_Row):
    """How a server of this vendor is known: words of its texts, whatever their case, and parts of its URL.

    `publisher`, `software` and `description` stand in its statement, `server` in its headers, `url` in its base.
    """

    publisher: tuple[_Text, ...] = ()
    url: tuple[_Text, ...] = ()
    software: tuple[_Text, ...] = ()
    description: tuple[_Text, ...] = ()
    server: tuple[_Text, ...] = ()

    def fits(self, kind: str, said: str) -> bool:
        """Say whether a text of this kind is of this vendor."""
        signs: tuple[str, ...] = getattr(self, kind)
        edge = "" if kind == "url" else r"\b"  # no Epicentre is Epic
        return any(re.search(f"{edge}{re.escape(sign)}{edge}", said, re.IGNORECASE) for sign in signs)


class Habit(_Row):
    """One thing that a vendor's servers do.

    Parameters
    ----------
    sets
        The field of `Profile` that it is about ("last_updated", "bulk.commas", "slices.Observation"); "" where it is
        told to people only.
    value
        What it is. Slices are told as queries ("category=laboratory").
    whole
        Of slices: together they are all of the type, by the vendor's own word.
    says
        It in a sentence.
    cite, seen
        Who says so (a page, "owner/repository#number" of a thread, "owner/repository: file"), and when we looked.
    confirmed
        Whether what is cited says it. If not, it is a hint for people, and no pull acts on it.
    fhir
        The FHIR versions that it is about; empty for all.
    """

    sets: str = ""
    value: Any = None
    whole: bool = False
    says: _Text
    cite: _Text
    seen: date
    confirmed: bool = True
    fhir: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The value in words; "" where there is none."""
        if isinstance(self.value, list):
            return ", ".join(map(str, self.value))
        return "" if self.value is None else str(self.value)

    @property
    def change(self) -> dict[str, Any]:
        """What it sets, as the part of a Profile that it is."""
        head, _, tail = self.sets.partition(".")
        value = self.value
        if head == "slices":
            value = [{"parameters": parse_qsl(each, strict_parsing=True), "whole": self.whole} for each in self.value]
        return {head: {tail: value} if tail else value}


class _File(_Row):
    name: _Text
    known_by: KnownBy
    habit: tuple[Habit, ...] = ()


class Vendor(_Row):
    """A vendor: its name in settings ("epic"), its name for people, how it is known, and its habits."""

    key: str
    name: str
    known_by: KnownBy
    habits: tuple[Habit, ...]

    @property
    def citations(self) -> int:
        """Count the different citations."""
        return len({habit.cite for habit in self.habits})

    @property
    def unconfirmed(self) -> int:
        """Count the habits that are hints only."""
        return sum(not habit.confirmed for habit in self.habits)


def load_habits(*folders: Path) -> Mapping[str, Vendor]:
    """Read all vendors, by the name that settings use: ours, then those of each folder that is there.

    Raises `BadSettings`, which names the file and the key.
    """
    ours = files("gateway.pull") / _OURS
    found: dict[str, Vendor] = {}
    for folder in (ours, *(folder for folder in folders if folder.is_dir())):
        for file in sorted(folder.iterdir(), key=lambda each: each.name):
            if file.name.endswith(".toml"):
                vendor = _read(file)
                found[vendor.key] = vendor
    return dict(sorted(found.items()))


def vendor_of(vendors: Mapping[str, Vendor], capability: Capability, url: str, told: str = "") -> Vendor | None:
    """Say whose server this is: as told, else by what it says of itself, else by its URL; `None` where nobody knows.

    Raises `UnknownName` where there is none of the told name.
    """
    if told:
        if told not in vendors:
            raise UnknownName("vendor", told, vendors)
        return vendors[told]
    said = {**capability.names, "url": url}
    # Servers of many vendors are made of HAPI, and say so where they do not say whose they are: that comes last.
    found = (
        vendor
        for kind in KnownBy.model_fields
        for vendor in vendors.values()
        if vendor.known_by.fits(kind, said.get(kind, ""))
    )
    return next(found, None)


def with_habits(profile: Profile, vendor: Vendor, fhir_version: str) -> Profile:
    """Return a profile in which a vendor's confirmed habits stand, and that they are why."""
    told: dict[str, Any] = msgspec.to_builtins(profile)
    because = dict(profile.because)
    for habit in vendor.habits:
        if habit.sets and habit.confirmed and (not habit.fhir or fhir_version in habit.fhir):
            _merge(told, habit.change)
            because[habit.sets] = f"habit: {vendor.key}"
    return msgspec.convert({**told, "vendor": vendor.key, "because": because}, Profile)


def _merge(into: dict[str, Any], change: Mapping[str, Any]) -> None:
    for name, value in change.items():
        if isinstance(value, dict):
            _merge(into.setdefault(name, {}), value)
        else:
            into[name] = value


def _read(file: Traversable) -> Vendor:
    name = f"vendors/{file.name}"
    try:
        told = _File.model_validate(tomllib.loads(file.read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadSettings(f"{name} is not TOML.", hint=_HINT, detail=error) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadSettings(f"{name}: {place}: {first['msg']}.", hint=_HINT) from error
    for number, habit in enumerate(told.habit):
        for problem in _problems(habit):
            raise BadSettings(f"{name}: habit.{number}: {problem}", hint=_HINT)
    return Vendor(key=file.name.removesuffix(".toml"), name=told.name, known_by=told.known_by, habits=told.habit)


_HINT = "See docs/ehrs.md, How to add a vendor."


def _problems(habit: Habit) -> Iterator[str]:
    """Say what is wrong with a habit: a field that there is not, or a value that does not fit."""
    if not habit.sets:
        if habit.value is not None:
            yield "a value without sets."
        return
    head, _, tail = habit.sets.partition(".")
    known = _fields()
    if (head if head in _FREE and tail else habit.sets) not in known:
        yield f"sets: there is no {habit.sets} in a profile; there are: {', '.join(sorted(known))}."
        return
    if head == "headers" and not (_HEADER.fullmatch(tail) and tail.lower() not in _OURS_TO_SAY):
        yield f"sets: {tail} is no header that a habit may set."
        return
    if head == "headers" and not (isinstance(value := habit.value, str) and value.isascii() and value.isprintable()):
        yield f"value does not fit {habit.sets}."
        return
    if habit.whole and head != "slices":
        yield "whole is said of slices."
    try:
        msgspec.convert(habit.change, Profile)
    except (msgspec.ValidationError, ValueError, TypeError, AttributeError):
        yield f"value does not fit {habit.sets}."


def _fields() -> Iterable[str]:
    """Name what a habit may set."""
    bulk = {f"bulk.{name}" for name in Profile().bulk.__struct_fields__}
    return (set(Profile.__struct_fields__) - _LEARNED - {"bulk"}) | bulk
