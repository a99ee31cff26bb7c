"""A scope in words for the person who is asked: one sentence, from `tables/wording.toml`."""

from __future__ import annotations

import re
from typing import Final

from security.compartment import SHARED
from security.rows import read_rows
from security.scopes import Scope, read_scope

__all__ = ["say_scope"]

_TABLE: Final = read_rows("wording")
_VERBS: Final = {"rs": "read", "r": "open", "s": "search", "c": "add", "u": "change", "d": "delete"}
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def say_scope(text: str, whose: str = "your") -> str:
    """Say what a scope lets an app do: "Read your laboratory results."; "" for what is no scope.

    `whose` record it is where the scope is for one patient: "your", or "this patient's" on a clinician's page. A value
    of a constraint that we have no words for stands in the sentence as it was asked for: a page has to escape it.
    """
    scope = read_scope(text)
    if scope is None:
        return str(_TABLE["words"].get(text, ""))
    what = f"{_verbs(scope)} {_things(scope, whose if scope.context == 'patient' else '')}"
    if scope.context != "patient" and scope.type not in SHARED:
        what += " of every patient" + (" you may see" if scope.context == "user" else "")
    return f"{what[0].upper()}{what[1:]}."


def _verbs(scope: Scope) -> str:
    reading = "".join(action for action in "rs" if action in scope.actions)
    told = [_VERBS[part] for part in (reading, *"cud") if part and (part == reading or part in scope.actions)]
    return " and ".join(filter(None, [", ".join(told[:-1]), told[-1]]))


def _things(scope: Scope, whose: str) -> str:
    owner = f"{whose} " if whose and scope.type not in SHARED else ""
    narrowed = [_narrowed(scope.type, name, value) for name, value in scope.constraint]
    if len(narrowed) == 1 and narrowed[0]:
        return f"{owner}{narrowed[0]}"
    if scope.type == "*":
        things = f"everything in {whose} record, now and in future" if whose else "everything, now and in future,"
    else:
        things = owner + _noun(scope.type)
    said = [f"{name} is {' or '.join(value.split(','))}" for name, value in scope.constraint]
    return things + (f" where {' and '.join(said)}" if said else "")


def _noun(type_: str) -> str:
    return str(_TABLE["nouns"].get(type_) or f"data of the kind “{_HUMP.sub(' ', type_).lower()}”")


def _narrowed(type_: str, name: str, value: str) -> str:
    words = _TABLE["narrowed"].get(type_, {}).get(name, {})
    found = [words.get(each.rpartition("|")[2], "") for each in value.split(",")]
    return " and ".join(found) if all(found) else ""
