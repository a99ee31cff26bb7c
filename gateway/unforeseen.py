"""A failure that nobody foresaw is told by where it happened and never by what it held: that may be a patient's.

Python prints the text of an exception, and libraries put values into it: `invalid literal for int(): 'Marsh'`. So of
everything that ends up on stderr by itself (an exception that ends the program, a thread or a task, one that a library
logs, a warning) the kind and the lines of code are told, and no word of its text.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from types import TracebackType
from typing import TextIO

__all__ = ["quieten", "told"]

_HINT = (
    "twin: This is a mistake of ours. Nothing that was acknowledged is lost. Please report the lines above;\n"
    "      with --debug it says more, which may hold patient data."
)


def told(error: BaseException, trace: TracebackType | None = None) -> str:
    """Tell kind and place of an exception, and of what led to it, outermost last as Python does; of no text of it."""
    return "\n".join(_parts(error, trace or error.__traceback__, set()))


def _parts(error: BaseException, trace: TracebackType | None, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _parts(before, before.__traceback__, seen)
        yield "which led to:"
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            if id(each) not in seen:
                yield from _parts(each, each.__traceback__, seen)
                yield "as one of:"
    yield "Traceback (most recent call last):"
    yield from (line.rstrip("\n") for line in traceback.format_tb(trace))
    yield f"{type(error).__module__}.{type(error).__qualname__}"


class _Placed(logging.Formatter):
    """Writes what is logged; where an exception goes with it, its place instead of all texts."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        error = record.exc_info[1] if record.exc_info else None
        return f"{record.name}: {record.getMessage()}" if error is None else f"{record.name}:\n{told(error)}"


def quieten() -> None:
    """Let this process tell of what nobody foresaw as this module says; for a program's start, and for good."""

    def ended(_: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        print(told(error, trace), _HINT, sep="\n", file=sys.stderr)  # noqa: T201 - where Python would print it

    def thread_ended(what: threading.ExceptHookArgs) -> None:
        if what.exc_value is not None and what.exc_type is not SystemExit:
            ended(what.exc_type, what.exc_value, what.exc_traceback)

    def warned(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        print(f"{filename}:{lineno}: {category.__name__}", file=file or sys.stderr)

    def unraisable(what: sys.UnraisableHookArgs) -> None:
        if what.exc_value is not None:
            ended(what.exc_type, what.exc_value, what.exc_traceback)

    sys.excepthook = ended
    threading.excepthook = thread_ended
    sys.unraisablehook = unraisable
    warnings.showwarning = warned
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_Placed())
    logging.lastResort = handler
