"""Checking a bundle: the files, the public key and, for news only, the checkpoint that was checked last. No secret."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from security.audit.bundle import FORMAT, entries_path, notes_in, split_hashes, tile_path, tiles, unpack_entries
from security.audit.checkpoint import Checkpoint, open_checkpoint, read_checkpoint
from security.audit.log import AuditRow
from security.audit.merkle import TILE_HEIGHT, TILE_WIDTH, Frontier, Node
from security.audit.notes import COSIGNED, PublicKey, read_public_key
from security.audit.proofs import Tree
from security.audit.quorum import with_witnesses
from security.audit.verification import Verdict, verify
from security.audit.witness import cosigned_at
from security.errors import Misuse, Tampered

__all__ = ["Files", "check_bundle"]


class Files(Protocol):
    """The files of a bundle, by their paths in it."""

    def read(self, path: str) -> bytes | None:
        """Read a whole file of at most some megabytes; `None` where there is none."""
        ...

    def lines(self, path: str) -> Iterator[bytes]:
        """Read a file line by line, each with its end; nothing where there is none."""
        ...


class _AbsentError(Exception):
    """A file that a sound bundle of this size has is not there."""


def check_bundle(
    files: Files,
    public_key: str,
    *,
    since: str = "",
    kept: Sequence[str] = (),
    witnesses: Sequence[str] = (),
    quorum: int | None = None,
) -> Verdict:
    """Check every byte of a bundle.

    Parameters
    ----------
    since
        A checkpoint that was checked before: only what is newer is read, and that it continues this one.
    kept
        Checkpoints that were kept elsewhere: the log has to have been like this at their sizes.
    witnesses, quorum
        Public keys of witnesses, and how many of them have to vouch (all, if not told).

    Raises `Misuse` where a key, or a checkpoint that is handed in, is none of this log.
    """
    log = read_public_key(public_key)
    began = _handed_in(since, log) if since else None
    for note in kept:
        if began and _handed_in(note, log).size < began.size:
            raise Misuse("A checkpoint that was kept is older than the one to start from.", hint="Leave --since away.")
    trusted = [read_public_key(line, COSIGNED) for line in witnesses]
    try:
        return _Bundle(files, log, public_key).check(began, list(kept), trusted, quorum)
    except _AbsentError as absent:
        return Verdict(False, began.size if began else 0, None, f"The bundle has no file {absent}.", "incomplete")


def _handed_in(note: str, log: PublicKey) -> Checkpoint:
    try:
        return read_checkpoint(note, log)[0]
    except Tampered as error:
        raise Misuse(
            "A checkpoint that was handed in is not signed by this key.",
            hint="Check that it and the public key are of the same log.",
            detail=error.detail,
        ) from error


@dataclass
class _Bundle:
    files: Files
    log: PublicKey
    public_key: str
    absent: str = ""
    last: str = ""
    size: int = 0
    vouched: dict[str, int] = field(default_factory=dict)

    def check(self, began: Checkpoint | None, kept: list[str], trusted: list[PublicKey], quorum: int | None) -> Verdict:
        if bad := self._heads():
            return bad
        newest = self._need("checkpoint").decode("utf-8", "replace")
        try:
            self.size = open_checkpoint(newest, self.public_key).size
            cosigned = self._cosigned(trusted)
        except (Tampered, Misuse, ValueError) as error:
            return _checkpoint(str(error))
        if began and began.size > self.size:
            said = f"Event {self.size + 1} is missing: the checkpoint to start from is over {began.size} events."
            return Verdict(False, self.size, self.size + 1, f"{said} The log was cut off or put back.", "missing")
        start = self._tree(began.size) if began else Frontier()
        if began and start.root != began.root:
            said = f"The first {began.size} events are not what was checked before: the log was forked."
            return Verdict(False, 0, 1, said, "forked")
        verdict = verify(
            self._rows(start.size),
            self._checkpoints(start.size),
            self.public_key,
            kept=[newest, *kept, *(note for size, note in cosigned if size >= start.size)],
            since=start,
            nodes=self._nodes(start.size),
        )
        if self.absent and verdict.problem in ("missing", "tree"):
            return replace(verdict, what=f"The bundle has no file {self.absent}.", problem="incomplete")
        if verdict.ok and self.last != newest:
            return _checkpoint("The newest checkpoint is not the last of all checkpoints.")
        return with_witnesses(verdict, self.vouched, len(trusted), quorum)

    def _heads(self) -> Verdict | None:
        if self._need("format") != FORMAT.encode():
            said = "This is not a bundle that this version reads: its file format says another one."
            return Verdict(False, 0, None, said, "checkpoint")
        if self._need("key") != f"{self.log.line}\n".encode():
            return _checkpoint("The bundle is of another key: its file key is not the public key told.")
        return None

    def _need(self, path: str) -> bytes:
        found = self.files.read(path)
        if found is None:
            raise _AbsentError(path)
        return found

    def _cosigned(self, trusted: list[PublicKey]) -> list[tuple[int, str]]:
        """Check what witnesses signed by the keys that the bundle names; who of them is trusted is another question."""
        text = (self.files.read("witnesses") or b"").decode("utf-8", "replace")
        named = [read_public_key(line, COSIGNED) for line in text.splitlines()]
        if text != "".join(f"{line}\n" for line in sorted({key.line for key in named})):
            raise ValueError("The file witnesses is damaged.")
        found: list[tuple[int, str]] = []
        signed: set[str] = set()
        for note in notes_in(self.files.lines("cosigned")):
            checkpoint, others = read_checkpoint(note, self.log)
            by = [next((k for k in named if cosigned_at(each, checkpoint.text, k)), None) for each in others]
            ordered = note.endswith("".join(sorted(each.line for each in others)))
            if None in by or not by or not ordered or (found and found[-1][0] >= checkpoint.size):
                raise ValueError(f"What witnesses signed over {checkpoint.size} events does not hold.")
            signers = [key for key in by if key is not None]
            signed |= {key.line for key in signers}
            self.vouched |= {key.line: checkpoint.size for key in signers if key in trusted}
            found.append((checkpoint.size, note))
        if signed != {key.line for key in named}:
            raise ValueError("The file witnesses names some that signed nothing.")
        return found

    def _tree(self, size: int) -> Frontier:
        def kept(level: int, first: int, count: int) -> list[bytes]:
            number, at = divmod(first, TILE_WIDTH)
            width = min(TILE_WIDTH, (self.size >> (TILE_HEIGHT * level)) - number * TILE_WIDTH)
            return split_hashes(self._need(tile_path(level, number, width)), width)[at : at + count]

        return Tree(kept).frontier(size)

    def _rows(self, behind: int) -> Iterator[AuditRow]:
        for number, width in tiles(self.size, 0, behind):
            leaves = self.files.read(tile_path(0, number, width))
            entries, long = self.files.read(entries_path(number, width)), False
            if entries is None:
                entries, long = self.files.read(entries_path(number, width, long=True)), True
            if leaves is None or entries is None:
                self.absent = tile_path(0, number, width) if leaves is None else entries_path(number, width)
                return
            pairs = zip(unpack_entries(entries, width, long=long), split_hashes(leaves, width), strict=True)
            for sequence, (sealed, leaf) in enumerate(pairs, number * TILE_WIDTH + 1):
                if sequence > behind:
                    yield AuditRow(sequence, sealed, leaf)

    def _nodes(self, behind: int) -> Iterator[Node]:
        level = 1
        while self.size >> (TILE_HEIGHT * level):
            for number, width in tiles(self.size, level, behind):
                data = self.files.read(tile_path(level, number, width))
                if data is None:
                    self.absent = self.absent or tile_path(level, number, width)
                    return
                for at, value in enumerate(split_hashes(data, width)):
                    yield Node(level, number * TILE_WIDTH + at, value)
            level += 1

    def _checkpoints(self, least: int) -> Iterator[str]:
        """Read checkpoints; with a start, those before it are passed over by what they say, unchecked."""
        for note in notes_in(self.files.lines("checkpoints")):
            self.last = note
            told = note.split("\n", 2)[1:2]
            if not (least and told and told[0].isdecimal() and int(told[0]) < least):
                yield note


def _checkpoint(said: str) -> Verdict:
    return Verdict(False, 0, None, said, "checkpoint")
