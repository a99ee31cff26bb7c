"""How far a file of lines was read, and the lines that were read last."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

__all__ = ["Batch", "Mark"]


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a file was read: behind its last whole line, in unpacked bytes.

    Parameters
    ----------
    etag, last_modified
        The server's own words for which file it was; "" where it has none.
    digest
        Of all bytes so far (`gateway.pull.split.Digest`), to know the file again where the server has no word for it.
    is_packed
        The file itself is gzip, so that a place in its lines is no place in the file.
    """

    bytes_done: int = 0
    lines_done: int = 0
    etag: str = ""
    last_modified: str = ""
    digest: int = 1
    is_packed: bool = False

    def rest(self) -> dict[str, str]:
        """Return the headers that ask for the rest of the file; none where nobody could say that it is the same one.

        If-Range takes a strong ETag, or the date (RFC 9110 13.1.5).
        """
        validator = self.etag if self.etag.startswith('"') else self.last_modified
        if not (self.bytes_done and validator) or self.is_packed:
            return {}
        return {
            "Range": f"bytes={self.bytes_done}-",
            "If-Range": validator,
            "Accept-Encoding": "identity",  # a place in the lines is a place in the file only where it is not packed
        }


@dataclass(frozen=True, slots=True)
class Batch:
    """Some lines of a file, and the mark behind them. The lines are patient data, and no part of the `repr`.

    Parameters
    ----------
    lines
        Each without its end; `TOO_LARGE` (nothing) in the place of one that is longer than we take.
    first
        The number of the first of them, from 1; blank lines do not count.
    started_over
        The file is not the one that we had begun to read: this batch is of its start, and what came before was of
        another.
    is_cut
        The file ended in the middle of the last line, twice.
    """

    lines: list[bytes] = field(repr=False)
    mark: Mark = field(repr=False)
    first: int = 1
    started_over: bool = False
    is_cut: bool = False
