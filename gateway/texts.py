"""Small texts that a person hands in: a public key, a checkpoint, a proof, as an argument or as a file."""

from __future__ import annotations

from pathlib import Path

from security.errors import Misuse

__all__ = ["key_or_file", "read_small"]

_MOST_BYTES = 16 * 1024 * 1024


def key_or_file(text: str) -> str:
    """Take the line of a public key as it is (it has a +), or read the file that has it."""
    path = Path(text)
    return text if "+" in text and not path.is_file() else read_small(path).strip()


def read_small(path: Path) -> str:
    """Read a text. Raises `Misuse` where it cannot be read, or is no text."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise ValueError("too long")
        return raw.decode()
    except (OSError, ValueError) as error:
        raise Misuse(
            f"{path.name} cannot be read as text.", hint="Check the name and its rights.", detail=error
        ) from error
