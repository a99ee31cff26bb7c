"""A key ring in an environment variable: its text as a key file has it, lines or semicolons between, and no file."""

from __future__ import annotations

import os
from collections.abc import Collection

from security.errors import BadSettings
from security.keyrings import LiveKeyRing
from security.keys import SecretKeyRing

__all__ = ["EnvironmentRing"]


class EnvironmentRing:
    """Reads the ring from the process's environment, where we cannot change it: whoever started us can."""

    kind = "env"
    is_there = True

    def __init__(self, variable: str) -> None:
        self.place = f"${variable}"
        self._variable = variable

    def open(self, *, fresh: bool) -> LiveKeyRing:
        """Read it. Raises `BadSettings` where the variable is not set, or holds no key ring."""
        text = os.environ.get(self._variable, "")
        if not text:
            hint = "Set it to what twin keys protect gives; without it nothing in the store can be read."
            raise BadSettings(f"The variable {self._variable} holds no key ring.", hint=hint)
        first = SecretKeyRing.from_text(text.replace(";", "\n"))
        given: list[SecretKeyRing] = [first]
        return LiveKeyRing(lambda: given.pop() if given else None)

    def add_key(self) -> str:
        """Refuse: the variable is not ours to change."""
        raise BadSettings(
            f"The key ring is in the variable {self._variable}, which twin cannot change.",
            hint="Set it to what twin keys rotate --print-ring gives, start twin anew, then run twin keys rotate.",
        )

    def drop_keys(self, ids: Collection[str]) -> None:
        """Refuse, as `add_key`."""
        raise BadSettings(
            f"The key ring is in the variable {self._variable}, which twin cannot change.",
            hint=f"Take out of it the lines that begin with: {', '.join(f'key {each}' for each in sorted(ids))}.",
        )
