"""The manifest of an export in its dialects, told apart by their keys: which files there are, and what they need.

Sources: Bulk Data Access IG 1.0.0 to 2.0.0 export.html#response---complete-status (`request`, `error`), 3.0.0 (`link`),
4.0.0-ballot StructureDefinition BulkDataManifest (`manifestType`, `outputFormat`, `outcome` with `countSeverity`,
`fileSize`; neither `request` nor `error`). What a key of another dialect says is taken all the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

import msgspec

from gateway.pull.bundle import NotReadError

__all__ = ["File", "Manifest", "Part", "is_type", "read_manifest"]

Part = Literal["output", "deleted", "outcome"]

_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_TRUTHS = {"true": True, "false": False}  # Oracle Health's Soarian writes text (docs.oracle.com op-export-filerequest)


class File(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file as a manifest tells it.

    Parameters
    ----------
    type
        The type of all that is in it; "" where it holds several (`outputOrganizedBy`), or nobody said.
    url
        Where it is: patient data, and often the key to it.
    count
        The number of its resources, `None` where it is not told.
    harmless
        Whether the manifest says that no outcome in it tells of something bad (`countSeverity`).
    """

    part: Part
    type: str
    url: str
    count: int | None = None
    harmless: bool = False


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One page of a manifest, or all of it.

    Parameters
    ----------
    when
        `transactionTime`: what had changed until then is in the files, and what changed later is for the next export.
        "" where it is no instant.
    needs_token
        `requiresAccessToken`, `None` where it is not told.
    request
        The request as the server understood it; "" in STU4. Patient data.
    has_output
        Whether it says at all which files there are.
    next
        Where the next page of it is, "" for none.
    url
        Where it came from: what is relative in it is relative to that.
    """

    when: str = ""
    needs_token: bool | None = None
    request: str = ""
    files: tuple[File, ...] = ()
    has_output: bool = False
    next: str = ""
    url: str = ""

    def of(self, part: Part) -> tuple[File, ...]:
        """Return the files of one part."""
        return tuple(file for file in self.files if file.part == part)

    def with_page(self, page: Manifest) -> Manifest:
        """Add another page of the same manifest."""
        return msgspec.structs.replace(
            self, files=self.files + page.files, has_output=self.has_output or page.has_output, next=page.next
        )

    def in_order(self, types: Iterable[str]) -> Manifest:
        """Sort the files: outcomes first, then the types as they were asked for, then what was deleted."""
        parts: dict[Part, int] = {"outcome": 0, "output": 1, "deleted": 2}
        places = {type_: place for place, type_ in enumerate(types)}
        files = sorted(self.files, key=lambda file: (parts[file.part], places.get(file.type, len(places))))
        return msgspec.structs.replace(self, files=tuple(files))

    @property
    def digest(self) -> str:
        """Name what is told, but for the addresses, which a server may sign anew each time."""
        told = [(file.part, file.type, file.count) for file in self.files]
        return hashlib.sha256(msgspec.json.encode((self.when, told))).hexdigest()


class _Severity(msgspec.Struct):
    code: str = ""
    count: Any = None


class _File(msgspec.Struct):
    type: Any = None
    url: str = ""
    count: Any = None
    countSeverity: list[_Severity] | None = None  # noqa: N815  the guide's spelling, here and below


class _Link(msgspec.Struct):
    relation: str = ""
    url: str = ""


class _Manifest(msgspec.Struct):
    transactionTime: Any = None  # noqa: N815
    requiresAccessToken: Any = None  # noqa: N815
    request: Any = None
    output: list[_File] | None = None
    deleted: list[_File] | None = None
    error: list[_File] | None = None
    outcome: list[_File] | None = None
    link: list[_Link] | None = None


def is_type(text: str) -> bool:
    """Say whether a text can be the name of a type: others are shown to nobody, and not counted by."""
    return _TYPE.fullmatch(text) is not None


def read_manifest(body: bytes) -> Manifest:
    """Read a page of a manifest; raises `NotReadError` for what is none."""
    try:
        told = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"), type=_Manifest)
    except msgspec.ValidationError as error:
        raise NotReadError("not-fhir") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotReadError("truncated" if "truncated" in str(error) else "not-json") from error
    parts: list[tuple[Part, list[_File] | None]] = [
        ("output", told.output),
        ("deleted", told.deleted),
        ("outcome", told.error),
        ("outcome", told.outcome),
    ]
    if told.transactionTime is None and all(files is None for _, files in parts):
        raise NotReadError("not-fhir")
    needs = told.requiresAccessToken
    return Manifest(
        when=_instant(told.transactionTime),
        needs_token=_TRUTHS.get(needs.lower())
        if isinstance(needs, str)
        else needs
        if isinstance(needs, bool)
        else None,
        request=told.request if isinstance(told.request, str) else "",
        files=tuple(_file(part, file) for part, files in parts for file in files or ()),
        has_output=told.output is not None,
        next=next((link.url for link in told.link or () if link.relation == "next"), ""),
    )


def _file(part: Part, file: _File) -> File:
    bad = {each.code for each in file.countSeverity or () if _number(each.count) != 0} - {"information", "success"}
    harmless = file.countSeverity is not None and not bad
    type_ = file.type if isinstance(file.type, str) and is_type(file.type) else ""
    return File(part, type_ if part == "output" else "", file.url, _number(file.count), harmless)


def _number(told: Any) -> int | None:
    if isinstance(told, str) and told.isascii() and told.isdecimal():
        told = int(told[:18])
    return told if isinstance(told, int) and not isinstance(told, bool) and told >= 0 else None


def _instant(told: Any) -> str:
    """Return an instant as the server wrote it, to be given back as it is; "" where it is none."""
    try:
        return told if isinstance(told, str) and datetime.fromisoformat(told).tzinfo else ""
    except ValueError:
        return ""
