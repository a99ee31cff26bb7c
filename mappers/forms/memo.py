"""What pieces say that come again and again: a visit's time, the tags of a server, the patient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mappers.forms.pieces import meta_of, period_in, reference_in, text_in
from mappers.references import subject_of
from mappers.when import read_when

__all__ = ["Memo", "order_of"]

_MOST: Final = 20_000  # pieces of a kind that are remembered


def order_of(times: Iterable[str]) -> bytes:
    """Write down which of the bounds of some times are before which: a Period may end before it begins."""
    bounds = [bound for when in map(read_when, times) if when for bound in (when.earliest, when.latest)]
    ranks = {bound: rank for rank, bound in enumerate(sorted(set(bounds)))}
    return bytes(map(ranks.__getitem__, bounds))


class Memo:
    """Reads pieces, and remembers them. What goes into the key of a shape is bytes.

    `precisions` are those of the times that were read, by text ("" of what is none). `patients` are references to
    patients that were judged by stencils (`mappers.forms.stencil`).
    """

    __slots__ = ("_metas", "_periods", "_subjects", "_times", "patients", "precisions")

    def __init__(self) -> None:
        self._metas: dict[bytes, tuple[str, bytes]] = {}
        self._times: dict[bytes, tuple[str, bytes] | None] = {}
        self.precisions: dict[str, str] = {}
        self.patients: dict[str, str] = {}
        self._periods: dict[bytes, tuple[list[str], bytes] | None] = {}
        self._subjects: dict[bytes, str] = {}

    def meta(self, piece: bytes) -> tuple[str, bytes]:
        """Return the version that a meta tells, and what has to be the same of it."""
        found = self._metas.get(piece)
        if found is None:
            version, rest = meta_of(piece)
            found = (version or ""), (rest if version is None else b"\2" + rest)
            if len(self._metas) >= _MOST:
                self._metas.clear()
            self._metas[piece] = found
        return found

    def time(self, piece: bytes) -> tuple[str, bytes] | None:
        """Return a time, and its precision; `None` where it is none."""
        if piece in self._times:
            return self._times[piece]
        text = text_in(piece)
        when = read_when(text)
        found = None if when is None or text is None else (text, when.precision.encode())
        if len(self._times) >= _MOST:
            self._times.clear()
        self._times[piece] = found
        return found

    def precision(self, text: str) -> str:
        """Say how precise a time is; "" where it is none."""
        found = self.precisions.get(text)
        if found is None:
            when = read_when(text)
            found = "" if when is None else when.precision
            if len(self.precisions) >= _MOST:
                self.precisions.clear()
            self.precisions[text] = found
        return found

    def period(self, piece: bytes) -> tuple[list[str], bytes] | None:
        """Return the bounds of a Period that are told, and their precisions; `None` where it says anything else."""
        if piece in self._periods:
            return self._periods[piece]
        found: tuple[list[str], bytes] | None = None
        bounds = period_in(piece)
        if bounds is not None:
            whens = [read_when(bound) for bound in bounds]
            if all(when is not None for bound, when in zip(bounds, whens, strict=True) if bound):
                marks = ["" if when is None else when.precision for when in whens]
                found = [bound for bound in bounds if bound], ",".join(marks).encode()
        if len(self._periods) >= _MOST:
            self._periods.clear()
        self._periods[piece] = found
        return found

    def subject(self, piece: bytes) -> str:
        """Return the patient that a Reference names, "" where it names none, or says more."""
        found = self._subjects.get(piece)
        if found is None:
            told = reference_in(piece)
            found = told if told == subject_of({"subject": {"reference": told}}) else ""
            if len(self._subjects) >= _MOST:
                self._subjects.clear()
            self._subjects[piece] = found
        return found
