"""A user's own tables of codes: TOML files in the folder codes of the home folder, and all that can be wrong with one.

A file says what an EHR's own codes are in standard words, each row with who says so (docs/codes.md). A row of a table
is a rule of mapping: the facts that it made name it, so that they are made anew once it says something else.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.code_checks import problem_of_target, problem_of_told
from mappers.facts import Coding
from mappers.systems import SYSTEM, current_system
from mappers.translations import Row
from security.errors import BadSettings

__all__ = ["CodeTable", "Problem", "check_table", "code_files", "codes_folder", "read_tables"]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    told: str = Field(alias="from")
    to: str = ""
    relation: Literal["", "equal", "wider", "narrower", "unmatched"] = Field("", alias="is")
    cite: str = ""
    display: str = ""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = ""
    source: str = ""
    cite: str = ""
    code: tuple[_Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in a table: in which file, in which row (0: in none), and what to do."""

    file: str
    row: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}: code {self.row}: {self.what}" if self.row else f"{self.file}: {self.what}"


@dataclass(frozen=True, slots=True)
class CodeTable:
    """One file: its rows, and the codes that nobody has said anything of yet (`unfilled`: they change nothing)."""

    file: str
    title: str
    source: str
    rows: tuple[Row, ...]
    unfilled: tuple[str, ...]

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.file.removeprefix("codes/").removesuffix(".toml")

    @property
    def version(self) -> str:
        """Other digits once a row says something else, comes or goes."""
        return hashlib.sha256("".join(sorted(row.id for row in self.rows)).encode()).hexdigest()[:10]


def codes_folder(home: Path) -> Path:
    """Say where a user's own tables of codes are."""
    return home / "codes"


def read_tables(home: Path) -> tuple[list[CodeTable], list[Problem]]:
    """Read all tables, and say what is wrong with them; those with mistakes are left out."""
    tables: list[CodeTable] = []
    problems: list[Problem] = []
    for path in code_files(home):
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            problems.append(
                Problem(f"codes/{path.name}", 0, "It cannot be read. Check its rights, and that it is UTF-8.")
            )
            continue
        table, found = check_table(text, f"codes/{path.name}")
        problems += found
        if table is not None:
            tables.append(table)
    return tables, [*problems, *_contradictions(tables)]


def check_table(text: str, file: str) -> tuple[CodeTable | None, list[Problem]]:
    """Read one table, or say all that is wrong with it."""
    try:
        told = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        return None, [Problem(file, 0, f"It is not TOML: {error}.")]
    except ValidationError as error:
        return None, [_misspelt(file, each["loc"], each["type"], each["msg"]) for each in error.errors()]
    rows: list[Row] = []
    problems: list[Problem] = []
    unfilled: list[str] = []
    for number, row in enumerate(told.code, 1):
        if not row.to and not row.relation:
            unfilled.append(row.told)
        elif what := next(_mistakes(row, told), ""):
            problems.append(Problem(file, number, f"{_shown(row.told)}{what}"))
        else:
            rows.append(_row(row, told, file))
    if problems:
        return None, problems
    return CodeTable(file, told.title, told.source, tuple(rows), tuple(unfilled)), []


def _shown(told: str) -> str:
    return f"from {told!r}: " if told else ""


def _misspelt(file: str, place: tuple[int | str, ...], kind: str, message: str) -> Problem:
    number = next((part + 1 for part in place if isinstance(part, int)), 0)
    key = str(place[-1]) if place else ""
    if kind == "extra_forbidden":
        known = "from, to, is, cite, display" if number else "title, source, cite, [[code]]"
        return Problem(file, number, f"There is no key {key!r}; there are: {known}.")
    if kind == "missing":
        return Problem(file, number, f"The key {key!r} is missing.")
    if key == "is":
        return Problem(file, number, "`is` has to be equal, wider, narrower or unmatched.")
    return Problem(file, number, f"{key}: {message}.")


def _mistakes(row: _Row, file: _File) -> Iterator[str]:
    """Say what is wrong with a row that was filled in."""
    system, bar, code = row.told.rpartition("|")
    if not bar or not code:
        yield 'Write `from` as "system|code", with the system as the EHR sends it.'
    elif not system and not file.source:
        yield "A code without a system means something to one source only. Say `source` at the top of the file."
    elif what := problem_of_told(_coding(row.told)):
        yield what
    if row.relation == "unmatched" and row.to:
        yield "`unmatched` says that there is no standard code, and `to` has one. Take out one of them."
    elif row.relation != "unmatched" and not row.to:
        yield f'`is` says {row.relation}, and there is no `to`. Say it, or is = "unmatched".'
    elif row.to and not row.relation:
        yield "Say in `is` how `to` relates to it: equal, wider (more general) or narrower (more special)."
    elif row.to and (what := problem_of_target(row.to, _coding(row.to))):
        yield what
    if not (row.cite or file.cite).strip():
        yield "Say in `cite` who says so: a person and a date, a catalogue, a page."


def _coding(written: str, display: str = "") -> Coding:
    """Read "system|code", with the short name of the system or any of its URIs."""
    system, _, code = written.rpartition("|")
    return Coding(SYSTEM.get(system) or current_system(system.strip()), code.strip(), display)


def _row(row: _Row, file: _File, name: str) -> Row:
    return Row(
        told=_coding(row.told, row.display),
        to=_coding(row.to, row.display) if row.to else None,
        relation=row.relation or "unmatched",
        cite=row.cite or file.cite,
        table=name,
        source=file.source,
    )


def _contradictions(tables: Iterable[CodeTable]) -> Iterator[Problem]:
    """Find codes of which two rows say different things: nobody could tell which of them holds."""
    found: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for table in tables:
        for row in table.rows:
            found[row.source, row.told.system, row.told.code].append(row)
    for rows in found.values():
        systems = [row.to.system if row.to else "" for row in rows]
        if len(rows) > 1 and ("" in systems or len(set(systems)) < len(systems)):
            places = " and ".join(dict.fromkeys(row.table for row in rows))
            yield Problem(
                rows[0].table,
                0,
                f"{_shown(_written(rows[0].told))}it stands {len(rows)} times, in {places}. Leave one row of it, or "
                "one for each system that it is translated to.",
            )


def _written(coding: Coding) -> str:
    return f"{coding.system}|{coding.code}"


def code_files(home: Path) -> list[Path]:
    """List the files of tables, by name. Raises `BadSettings` where the folder cannot be read."""
    folder = codes_folder(home)
    try:
        found = [path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise BadSettings("The folder codes cannot be read.", hint="Check its rights.", detail=error) from error
    return sorted(found)
