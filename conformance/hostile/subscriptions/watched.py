"""A store that says what is written to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from conformance.hostile.store import Held, Store

__all__ = ["WatchedStore"]


class WatchedStore(Store):
    """A store that tells what was written, once it is sure: a transaction that fails tells nothing."""

    def __init__(self, clock: Callable[[], datetime], tell: Callable[[Held], None]) -> None:
        super().__init__(clock)
        self._tell = tell
        self._waiting: list[Held] | None = None

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Make all writes in the block one, and tell them behind it."""
        with super().atomic():
            self._waiting = []
            try:
                yield
            except BaseException:
                self._waiting = []
                raise
            finally:
                written, self._waiting = self._waiting, None
        for held in written:
            self._tell(held)

    def _append(self, held: Held) -> Held:
        super()._append(held)
        if self._waiting is not None:
            self._waiting.append(held)
        else:
            self._tell(held)
        return held
