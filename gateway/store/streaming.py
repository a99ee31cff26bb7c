"""Reading many rows from PostgreSQL a batch at a time."""

from __future__ import annotations

from typing import Any

import psycopg

__all__ = ["Stream"]


class Stream(psycopg.ServerCursor[Any]):
    """A cursor that may be left half-read: a verifier stops at the first bad record.

    The driver warns of one that is not closed. The server's half of ours ends with its transaction, which is short.
    """

    def __del__(self, *_: Any) -> None:
        """Say nothing."""
