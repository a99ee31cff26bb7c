"""Reading a cell as bytes, whatever somebody made of it, so that a verifier can name it and does not stumble."""

from __future__ import annotations

from typing import Any

from sqlalchemy import LargeBinary
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["as_bytes"]


class as_bytes(FunctionElement[bytes]):  # noqa: N801 - it reads as a function of SQL
    """The bytes of a cell; none where it is empty. A file of SQLite holds any kind of value in any column."""

    name = "as_bytes"
    type = LargeBinary()
    inherit_cache = True


@compiles(as_bytes)
def _in_a_file(element: as_bytes, compiler: Any, **how: Any) -> str:
    return f"coalesce(CAST({compiler.process(element.clauses, **how)} AS BLOB), x'')"


@compiles(as_bytes, "postgresql")
def _on_a_server(element: as_bytes, compiler: Any, **how: Any) -> str:
    [column] = element.clauses
    cell = compiler.process(column, **how)
    if not isinstance(column.type, LargeBinary):  # as it stands: a cast would read backslashes as the marks of bytes
        cell = f"convert_to({cell}, 'UTF8')"
    return f"coalesce({cell}, ''::bytea)"
