"""A switch, thrown: which fault, where it strikes, how often; and the switches of one EHR."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conformance.hostile.faults import FAULTS, Kind, Place
from security.errors import BadSettings, UnknownName

__all__ = ["MISBEHAVIOURS", "Misbehaviour", "Misbehaviours", "throw"]

MISBEHAVIOURS: Mapping[str, Kind] = FAULTS  # the same, by the name that tests have used so far


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """One switch, thrown.

    Parameters
    ----------
    name
        A name from `FAULTS`.
    type
        Strike only at requests about this resource type; "" for any. A batch or transaction is about "Bundle", an
        export and its files about "Export".
    after
        How many requests that it could strike at it lets pass first: 1 strikes from the second page on.
    times
        How often it strikes; `None` for as often as its kind does, which is nearly always "always".
    value
        What the kind says; "" for its default.
    """

    name: str
    type: str = ""
    after: int = 0
    times: int | None = None
    value: str = ""

    def __post_init__(self) -> None:
        if self.name not in FAULTS:
            raise UnknownName("fault", self.name, FAULTS)
        if self.after < 0 or (self.times is not None and self.times < 1):
            raise BadSettings(f"The fault {self.name} can never strike.", hint="after is 0 or more, times 1 or more.")
        if self.value and not self.kind.value:
            raise BadSettings(f"The fault {self.name} has no value.", hint="Leave value out.")
        if self.kind.is_number:
            try:
                float(self.value or 0)
            except ValueError:
                raise BadSettings(f"The value of the fault {self.name} is a number.") from None

    @property
    def kind(self) -> Kind:
        """The fault."""
        return FAULTS[self.name]

    @property
    def setting(self) -> str:
        """The value, or the default of its kind."""
        return self.value or self.kind.value

    @property
    def number(self) -> float:
        """The value as a number."""
        return float(self.setting)

    @property
    def limit(self) -> int | None:
        """How often it strikes at most."""
        return self.kind.times if self.times is None else self.times


def throw(text: str) -> Misbehaviour:
    """Read a switch as a person writes it: `NAME[,type=Observation][,after=1][,times=2][,value=7]`."""
    name, *rest = text.split(",")
    told: dict[str, Any] = {}
    for part in rest:
        key, mark, value = part.partition("=")
        if not mark or key not in ("type", "after", "times", "value") or key in told:
            raise BadSettings("A fault is told as NAME,type=..,after=..,times=..,value=..", detail=text)
        if key in ("after", "times") and not value.isdecimal():
            raise BadSettings(f"The {key} of a fault is a whole number.", detail=text)
        told[key] = int(value) if key in ("after", "times") else value
    return Misbehaviour(name, **told)


class Misbehaviours:
    """The switches of one EHR; `memory` is what a fault remembers from one request to the next."""

    def __init__(self) -> None:
        self.memory: dict[str, Any] = {}
        self._thrown: list[Misbehaviour] = []
        self._met: list[int] = []
        self._lock = threading.Lock()

    def add(self, *misbehaviours: Misbehaviour) -> None:
        """Throw switches."""
        with self._lock:
            self._thrown += misbehaviours
            self._met += [0] * len(misbehaviours)

    def clear(self) -> None:
        """Behave from now on."""
        with self._lock:
            self._thrown, self._met = [], []
            self.memory.clear()

    def bend(self, place: Place, type_: str, subject: Any) -> Any:
        """Let the faults of a place act on what is there; return what the first of them answers, or `None`."""
        thrown = {each.name for each in self._thrown if each.kind.place == place}
        for name, kind in FAULTS.items() if thrown else ():
            if name not in thrown or (kind.fits is not None and not kind.fits(subject)):
                continue
            struck = self.take(name, type_)
            if struck is not None and (answer := kind.act(subject, struck)) is not None:
                return answer
        return None

    def take(self, name: str, type_: str = "") -> Misbehaviour | None:
        """Return the switch that strikes here, if one does, and count the meeting."""
        struck = None
        with self._lock:
            for place, thrown in enumerate(self._thrown):
                if thrown.name != name or (thrown.type and thrown.type != type_):
                    continue
                self._met[place] += 1
                turn = self._met[place] - thrown.after
                if struck is None and turn > 0 and (thrown.limit is None or turn <= thrown.limit):
                    struck = thrown
        return struck
