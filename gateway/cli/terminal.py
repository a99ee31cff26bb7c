"""How commands talk: results to stdout, all else to stderr, progress on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from security.plain import visible

__all__ = ["Options", "counted", "note", "print_json", "print_table", "progress", "say"]

_encoder = msgspec.json.Encoder(decimal_format="number")
_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """What every command takes."""

    home: Path | None = None
    """Folder of the store, the keys and twin.toml; else TWIN_HOME, else a user data folder."""

    format: Literal["text", "json"] = "text"
    """Words for people, or one JSON object for scripts."""

    debug: bool = False
    """Show the details of a failure. They may hold patient data."""

    @property
    def json(self) -> bool:
        """Whether the result goes out as JSON."""
        return self.format == "json"


def print_json(value: Any) -> None:
    """Write one JSON object to stdout; decimals stay numbers with their digits."""
    sys.stdout.buffer.write(msgspec.json.format(_encoder.encode(value), indent=2) + b"\n")
    sys.stdout.flush()


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table to stdout; a column whose name starts with > is right-aligned."""
    table = Table(
        title=visible(title), title_justify="left", box=None, pad_edge=False, header_style="bold", title_style="bold"
    )
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(str(cell))) for cell in row))  # as it is: [iU] is a unit, and no markup
    console = _out if _out.is_terminal else Console(highlight=False, width=200)
    console.print(table)


def counted(number: int, noun: str) -> str:
    """Write "1 source" and "2 sources", "1 delivery" and "2 deliveries"."""
    if number == 1:
        return f"1 {noun}"
    ends_in_ies = noun.endswith("y") and noun[-2:-1] not in "aeiou"
    return f"{number} {noun[:-1]}ies" if ends_in_ies else f"{number} {noun}s"


def say(text: str = "") -> None:
    """Write a line of the result to stdout."""
    _out.print(visible(text), markup=False)


@contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """Show what is going on, in one line that changes; nothing where stderr is no terminal."""
    if not _err.is_terminal:
        yield lambda text: None
        return
    with _err.status(title) as status:
        yield status.update


def note(text: str) -> None:
    """Tell the person at the terminal what is going on, on stderr, outside the result."""
    _err.print(visible(text), markup=False, style="dim")
