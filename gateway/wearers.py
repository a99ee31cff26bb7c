"""Whose a user's data points are: a person has said so in a file, or nobody knows.

An app's user id means nothing outside that app, so no rule may join it to a patient. The file that `users_file` of a
source names has one table:

    [users]
    "6b1f0a" = "summit/Patient/1"     # a patient of another source
    "77c2e9" = "Patient/2"            # of this one

It is read again when it changes. It names patients: keep it as you keep the keys.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from gateway.home import Home
from mappers.open_mhealth.header import USER
from security.errors import BadSettings

__all__ = ["twin_of_user"]

_HINT: Final = 'It has a table [users] of lines such as "USER" = "summit/Patient/1".'


def twin_of_user(home: Home, source: str, reference: str) -> str | None:
    """Find the twin of the user whom a data point names; `None` for any other reference, and where nobody has said.

    Raises `BadSettings` where the file cannot be read, says something else, or names a patient of another tenant.
    """
    known = home.settings.sources.get(source)
    if not reference.startswith(USER) or known is None or known.users_file is None:
        return None
    told = _users(known.users_file).get(reference.removeprefix(USER))
    if told is None:
        return None
    other, _, patient = told.rpartition("/Patient/") if "/Patient/" in told else (source, "", told[len("Patient/") :])
    theirs = home.settings.sources.get(other)
    if theirs is None or theirs.tenant != known.tenant:
        raise BadSettings(
            "The file of users names a patient of a source that there is not, or that is another tenant's.",
            hint=_HINT,
        )
    return home.store.twin_of(other, f"Patient/{patient}")


def _users(file: Path) -> Mapping[str, str]:
    try:
        return _read(file, file.stat().st_mtime_ns)
    except OSError as error:
        raise BadSettings(
            "The file of users cannot be read.", hint="Check users_file in twin.toml.", detail=error
        ) from error


@lru_cache(maxsize=8)
def _read(file: Path, _changed: int) -> Mapping[str, str]:
    try:
        users = tomllib.loads(file.read_text("utf-8"))["users"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as error:
        raise _wrong(error) from error
    if not isinstance(users, dict) or not all(isinstance(told, str) and _is_patient(told) for told in users.values()):
        raise _wrong(None)
    return users


def _is_patient(told: str) -> bool:
    kind, _, identity = told.rpartition("/")
    return bool(identity) and (kind == "Patient" or (kind.endswith("/Patient") and kind.count("/") == 1))


def _wrong(detail: object) -> BadSettings:
    return BadSettings("The file of users says something else than who they are.", hint=_HINT, detail=detail)
