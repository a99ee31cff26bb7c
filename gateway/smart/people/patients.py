"""Patients as a person may choose one: found by name, number or birth date among those that they may see, no others.

Who may be seen is said by the one view that the API has, for a caller who is that person with that app. What is looked
for is read from what sources say of who a twin is; what is shown is the Patient resource that the view lets through.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from gateway.api.view import View
from gateway.home import Home
from gateway.smart.values import Account, Client
from mappers.identity import Person
from security.audit import TokenUse
from security.policy import Caller
from security.reidentification import Reidentify

__all__ = ["Found", "Patients", "Shown", "ViewOf"]

ViewOf = Callable[[Caller, datetime, Mapping[str, str]], View]
"""Makes the view of a caller (`gateway.api.door.ViewMaker`)."""

_MOST: Final = 20
_SMALL: Final = 20  # where there are no more patients than this, all are shown before anything is looked for
_WORDS: Final = 6
_AT_ONCE: Final = 500
_USES: Final = ("official", "usual", None)
_CHOOSING = Reidentify("find the patient whom the person at the page names")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shown:
    """A patient as a page names them: patient data."""

    twin: str
    name: str
    born: str
    sex: str
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Whom a search found; `more` says that there are others, so that more has to be told."""

    patients: tuple[Shown, ...]
    more: bool = False
    asked: bool = True


class Patients:
    """The patients of a home, for one person and app at a time."""

    def __init__(self, home: Home, view_of: ViewOf) -> None:
        self._home, self._view_of = home, view_of

    def search(self, account: Account, client: Client | None, text: str, born: str, now: datetime) -> Found:
        """Find patients of whom all that is told fits: each word is in a name or a number, the birth date is theirs.

        Nothing told finds nobody, except where there are few.
        """
        words = [folded for word in text.split()[:_WORDS] if (folded := _fold(word))]
        date = born.strip() if _DATE.fullmatch(born.strip()) else ""
        if not words and not date:
            return Found(()) if text.strip() or born.strip() else self._few(account, client, now)
        view = self._view(account, client, now)
        found: list[Shown] = []
        for twin in self._fitting(view, words, date):
            if (shown := _shown(view, twin)) is not None:
                if len(found) == _MOST:
                    return Found(tuple(found), more=True)
                found.append(shown)
        return Found(tuple(sorted(found, key=lambda each: (each.name, each.born))))

    def get(self, account: Account, client: Client | None, twin: str, now: datetime) -> Shown | None:
        """Return one patient; `None` for one who is not there or may not be seen."""
        return _shown(self._view(account, client, now), twin) if _ID.fullmatch(twin) else None

    def _fitting(self, view: View, words: list[str], date: str) -> Iterator[str]:
        """Walk the twins of the view of whom any source tells what was told."""
        twins = view.twins()
        while some := list(islice(twins, _AT_ONCE)):
            for twin, told in self._home.store.persons_of(some, _CHOOSING).items():
                if any(_fits(person, words, date) for person in told):
                    yield twin

    def _few(self, account: Account, client: Client | None, now: datetime) -> Found:
        view = self._view(account, client, now)
        twins = []
        for twin in view.twins():
            twins.append(twin)
            if len(twins) > _SMALL:
                return Found((), asked=False)
        found = [shown for twin in twins if (shown := _shown(view, twin)) is not None]
        return Found(tuple(sorted(found, key=lambda each: (each.name, each.born))), asked=False)

    def _view(self, account: Account, client: Client | None, now: datetime) -> View:
        caller = Caller(
            client=client.id if client else "fhirtwin",
            user=account.name,
            fhir_user=account.fhir_user,
            roles=frozenset(account.roles),
            tenant=account.tenant,
            purpose=client.purpose if client else "TREAT",
            scopes=("user/Patient.rs",),
            token=TokenUse("urn:fhirtwin:browser", client.id if client else ""),
            expires=now + timedelta(minutes=1),
        )
        return self._view_of(caller, now, {})


def _shown(view: View, twin: str) -> Shown | None:
    found = view.resources(twin, "Patient", "s")
    if not found:
        return None
    body = found[0].body
    return Shown(
        twin=twin,
        name=_name(body) or "without a name",
        born=str(body.get("birthDate") or "not told"),
        sex=str(body.get("gender") or "not told"),
        numbers=tuple(_numbers(body))[:3],
    )


def _name(body: Mapping[str, Any]) -> str:
    names = [each for each in body.get("name") or () if isinstance(each, Mapping)]
    best = min(names, key=_rank, default=None)
    if best is None:
        return ""
    if isinstance(best.get("text"), str):
        return str(best["text"])
    parts = [*(best.get("given") or ()), best.get("family")]
    return " ".join(part for part in parts if isinstance(part, str) and part)


def _rank(name: Mapping[str, Any]) -> int:
    use = name.get("use")
    return _USES.index(use) if use in _USES else len(_USES)


def _numbers(body: Mapping[str, Any]) -> Iterator[str]:
    for each in body.get("identifier") or ():
        if isinstance(each, Mapping) and isinstance(each.get("value"), str):
            codings: Sequence[Any] = (each.get("type") or {}).get("coding") or ()
            label = codings[0].get("code") if codings and isinstance(codings[0], Mapping) else ""
            yield f"{label or ''} {each['value']}".strip()


def _fits(person: Person, words: list[str], born: str) -> bool:
    if born and not (person.birth_date and person.birth_date.startswith(born)):
        return False
    told = [part for name in person.names for part in (name.family, name.given)]
    told += [_fold(number.value) for number in person.identifiers]
    return all(any(word in part if len(word) > 2 else part.startswith(word) for part in told) for word in words)


def _fold(text: str) -> str:
    """Fold as names are kept folded: letters and digits, without case and accents (`mappers.identity.Name`)."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in plain if letter.isalnum())
