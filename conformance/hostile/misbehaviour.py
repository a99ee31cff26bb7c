"""What goes wrong in the field, each a switch: a name, where it strikes, how often.

Each row of `MISBEHAVIOURS` names the report it reproduces; numbers are those of the complaints in interop.md section 3.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from security.errors import BadSettings, UnknownName

__all__ = ["MISBEHAVIOURS", "Kind", "Misbehaviour", "Misbehaviours", "Place"]

Place = Literal["request", "token", "write", "page", "body"]


class Kind(NamedTuple):
    """Where a misbehaviour strikes, what it does, what `value` means with its default, and who reported it."""

    place: Place
    does: str
    value: str
    cite: str


MISBEHAVIOURS: Mapping[str, Kind] = MappingProxyType(
    {
        # any FHIR request but the capability statement
        "expired-token": Kind("request", "401: the token expires now", "", "10: drajer-health/eCRNow#235"),
        "server-error": Kind("request", "500 with an OperationOutcome", "", "14: cumulus-etl#334"),
        "unavailable": Kind("request", "503 with Retry-After (value: seconds)", "1", "14: bulk-data-client#18"),
        "throttled": Kind("request", "429 with Retry-After (value: seconds)", "1", "14: bulk-data-client#18"),
        "login-page": Kind("request", "200 with a proxy's HTML page", "", "issue 3, bad input; interop.md 2a"),
        # the token endpoint
        "token-refused": Kind("token", "400 without a body", "", "Epic's bare 400s: cumulus-fhir-support auth.py"),
        # create, update, delete, batch, transaction
        "write-forbidden": Kind("write", "403 to every write", "", "39: openemr#14197, athenaFlex#373"),
        "lost-answer": Kind("write", "commits, then hangs up without an answer", "", "requirement D10"),
        "condition-ignored": Kind("write", "creates although If-None-Exist matches", "", "37: hapi-fhir#3141"),
        # the Bundle of a search
        "foreign-next-link": Kind("page", "next names another host (value: URL)", "http://elsewhere.invalid", "D1"),
        "relative-next-link": Kind("page", "next is relative", "", "1: POLAR-fhiR/fhircrackr#110"),
        "looping-next-link": Kind("page", "next leads back to the same page", "", "D4; fasten-sources guards it"),
        "doubled-port-next-link": Kind("page", "next has :443:443", "", "4: opensrp/fhircore#1714"),
        "no-next-link": Kind("page", "cut short without saying so; total stays", "", "8: medplum#6150"),
        "no-total": Kind("page", "Bundle.total is absent", "", "fhir-server-compare: null by default on three"),
        "wrong-total": Kind("page", "Bundle.total is too large (value: by how many)", "7", "7: medplum#4608"),
        "missing-row": Kind("page", "leaves the last row of the page out; total stays", "", "7: hapi-fhir#3608"),
        "repeated-row": Kind("page", "begins with the last row of the page before", "", "7: fhir-server#1792"),
        "outcome-entry": Kind("page", "adds an OperationOutcome, search.mode outcome", "", "search.html#entries"),
        "included-resource": Kind("page", "adds an unasked resource, search.mode include", "", "29: fhir-server#5683"),
        "ignored-parameter": Kind("page", "ignores what it does not know", "", "9: fhir-server#1050"),
        "wrong-self-link": Kind("page", "self repeats what was asked, applied or not", "", "5: fhir-server#561"),
        "wrong-resource-type": Kind(
            "page", "the first row has another type (value)", "Observatory", "issue 3: bad input"
        ),
        "duplicate-keys": Kind("page", "the first row has two ids (value: the other)", "twice", "requirement D6"),
        # the bytes of an answer
        "cut-body": Kind("body", "well framed, but only half the JSON", "", "issue 3: bad input"),
        "cut-connection": Kind("body", "hangs up after half the body", "", "D9: toxiproxy limit_data"),
        "slow-drip": Kind("body", "ten pieces (value: seconds before each)", "0.05", "D9: toxiproxy slicer"),
        "not-utf-8": Kind("body", "a byte that is no UTF-8 inside the JSON", "", "requirement D6"),
        "huge-body": Kind("body", "gzip that unfolds to value megabytes", "64", "D5: httpx gives one 67 MB chunk"),
    }
)


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """One switch, thrown.

    Parameters
    ----------
    name
        A name from `MISBEHAVIOURS`.
    type
        Strike only at requests about this resource type; "" for any. A batch or transaction is about "Bundle".
    after
        How many requests that it could strike at it lets pass first: 1 strikes from the second page on.
    times
        How often it strikes; `None` for always.
    value
        What the kind says; "" for its default.
    """

    name: str
    type: str = ""
    after: int = 0
    times: int | None = None
    value: str = ""

    def __post_init__(self) -> None:
        if self.name not in MISBEHAVIOURS:
            raise UnknownName("misbehaviour", self.name, MISBEHAVIOURS)
        if self.after < 0 or (self.times is not None and self.times < 1):
            raise BadSettings(
                f"The misbehaviour {self.name} can never strike.", hint="after is 0 or more, times 1 or more."
            )

    @property
    def setting(self) -> str:
        """The value, or the default of its kind."""
        return self.value or MISBEHAVIOURS[self.name].value


class Misbehaviours:
    """The switches of one EHR."""

    def __init__(self) -> None:
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

    def take(self, name: str, type_: str = "") -> Misbehaviour | None:
        """Return the switch that strikes here, if one does, and count the meeting."""
        struck = None
        with self._lock:
            for place, thrown in enumerate(self._thrown):
                if thrown.name != name or (thrown.type and thrown.type != type_):
                    continue
                self._met[place] += 1
                turn = self._met[place] - thrown.after
                if struck is None and turn > 0 and (thrown.times is None or turn <= thrown.times):
                    struck = thrown
        return struck
