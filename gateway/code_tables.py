"""The tables of codes of a home as they are now: taken without a restart, and never half."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from gateway.code_files import CodeTable, Problem, code_files, read_tables
from mappers.codes import BUILT_IN, Codes
from mappers.translations import BUILT_IN_ROWS, Translations
from security.errors import BadSettings

__all__ = ["CodeTables"]

_HINT: Final = "twin codes check lists all mistakes; docs/codes.md says how a table is written."


class CodeTables:
    """The tables of a home as they are now: a file that is put in, edited or taken out counts from the next page on.

    While a process runs, tables with mistakes do not take the place of good ones: `problems` says what is wrong.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._seen: tuple[tuple[str, int, int, int], ...] | None = None
        self._codes: Codes | None = None
        self.problems: Sequence[Problem] = ()

    def current(self) -> Codes:
        """Return the codes by which to map now.

        Raises `BadSettings`, which names file and row, where the tables have mistakes from the start.
        """
        seen = self._look()
        if self._codes is not None and seen == self._seen:
            return self._codes
        tables, problems = read_tables(self._home)
        self.problems = problems
        if problems and self._codes is None:
            more = f" {len(problems) - 1} more mistakes." if len(problems) > 1 else ""
            raise BadSettings(f"{problems[0]}{more}", hint=_HINT)
        if not problems:
            self._codes = _codes_of(tables)
        self._seen = seen
        return self._codes or BUILT_IN

    def _look(self) -> tuple[tuple[str, int, int, int], ...]:
        found = []
        for path in code_files(self._home):
            try:
                stat = os.stat(path)  # noqa: PTH116 - once a page
            except OSError:
                continue  # it went meanwhile
            found.append((path.name, stat.st_mtime_ns, stat.st_size, stat.st_ino))
        return tuple(found)


def _codes_of(tables: Iterable[CodeTable]) -> Codes:
    rows = tuple(row for table in tables for row in table.rows)
    return Codes(Translations((*rows, *BUILT_IN_ROWS))) if rows else BUILT_IN
