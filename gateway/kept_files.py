"""Small files beside the store: secrets that only their owner may read, and texts that are replaced as a whole."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from security.errors import BadSettings, StoreFull

__all__ = ["read_secret", "replace_text"]


def read_secret(file: Path | None, setting: str) -> str:
    """Read the secret in a file that `setting` names; raises `BadSettings` where it cannot be read, or by others too.

    As with OpenSSH's keys, only a file of our own has to be closed to others: who hands us a secret of theirs (a
    container's mount) decides themselves who else may see it.
    """
    try:
        with (file or Path()).open(encoding="utf-8") as opened:
            state = os.fstat(opened.fileno())
            is_ours = os.name == "posix" and state.st_uid == os.getuid()
            if is_ours and stat.S_IMODE(state.st_mode) & 0o077:
                raise BadSettings(
                    f"The file that {setting} names can be read by others.",
                    hint=f"Run: chmod 600 {(file or Path()).name}, and think of who may have read it.",
                    detail=file,
                )
            return opened.read()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(
            f"The file that {setting} names cannot be read.", hint=f"Check {setting} in twin.toml.", detail=error
        ) from error


def replace_text(file: Path, text: str, *, mode: int | None = None) -> None:
    """Write a file whole or not at all; `mode` is that of the file that was there, else readable by its owner only.

    A link is followed, so that it stays one. Raises `StoreFull`.
    """
    file = file.resolve()
    try:
        if mode is None:
            mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o600
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        fresh = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            fresh.chmod(mode)
            fresh.replace(file)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreFull(
            f"{file.name} cannot be written.", hint="Make room or rights in its folder.", detail=error
        ) from error
