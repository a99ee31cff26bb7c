"""A key ring in a file: as it is, or locked by a passphrase, a token or a server."""

from __future__ import annotations

from collections.abc import Callable, Collection

from gateway.keyrings.ring_file import RingFile, Stamp
from security.errors import BadSettings, Sealed
from security.keyrings import LiveKeyRing, Lock, lock_ring, lock_words, unlock_ring
from security.keys import SecretKeyRing

__all__ = ["FiledRing"]


class FiledRing:
    """Reads and changes the file. `lock_of` gives the lock of a kind; it is asked only where the file needs it.

    The file's own key is kept while this lives, so that the file can be read again after a rotation without asking for
    the passphrase or the server once more.
    """

    def __init__(self, file: RingFile, kind: str, lock_of: Callable[[str], Lock | None]) -> None:
        self.kind = kind
        self.place = str(file.path)
        self._file = file
        self._lock_of = lock_of
        self._opened: tuple[tuple[str, str], bytes] | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is a key file."""
        return self._file.is_there

    def open(self, *, fresh: bool) -> LiveKeyRing:
        """Read the ring; make it first where the store is `fresh` and there is none.

        Raises `BadSettings` where the file is missing, open to others, or locked in another way than the settings say:
        a plain file in the place of a locked one is somebody's mistake, or worse.
        """
        if fresh and not self.is_there:
            with self._file.turn():
                if not self.is_there:
                    self._file.make(self._locked(SecretKeyRing.new(), self._lock_of(self.kind)))
        seen: list[Stamp] = []

        def load() -> SecretKeyRing | None:
            """Read the file, where it is another one than last time."""
            if seen and self._file.is_still(seen[0]):
                return None
            ring, *seen[:] = self._read()
            return ring

        return LiveKeyRing(load)

    def add_key(self) -> str:
        """Draw a new key-encryption key, and let it be the current one. Returns its id; the file is on disk then."""
        with self._file.turn():
            ring = self._read()[0].with_new_key()
            self._file.replace(self._written(ring))
            return ring.current

    def drop_keys(self, ids: Collection[str]) -> None:
        """Destroy key-encryption keys. What they wrapped does not open any more, in no copy of anything."""
        with self._file.turn():
            self._file.replace(self._written(self._read()[0].without(ids)))

    def protect(self, kind: str, lock: Lock | None) -> str:
        """Lock the file in another way, or anew in the same one: another passphrase, higher costs, a rotated key.

        Without a lock it becomes a plain file. Returns which kind it was of.
        """
        with self._file.turn():
            ring, before = self.free(), self._opened[0][0] if self._opened else "file"
            self.kind = kind
            self._file.replace(self._locked(ring, lock))
            return before

    def take_as_it_is(self) -> None:
        """Take the file with the lock that it has, whatever the settings say: to lock it in another way."""
        words = lock_words(self._file.read()[0])
        self.kind = words[0] if words else "file"

    def free(self) -> SecretKeyRing:
        """Read the ring, however its file is locked."""
        return self._read(any_lock=True)[0]

    def _read(self, *, any_lock: bool = False) -> tuple[SecretKeyRing, Stamp]:
        text, stamp = self._file.read()
        words = lock_words(text)
        kind = words[0] if words else "file"
        if kind != self.kind and not any_lock:
            raise BadSettings(
                f'The key file is of kind "{kind}", and twin.toml says "{self.kind}".',
                hint="Say [keys] kind as the file is, or run: twin keys protect, which locks it as twin.toml says.",
            )
        if words is None:
            self._opened = None
            return SecretKeyRing.from_text(text), stamp
        if self._opened is not None and self._opened[0] == words:
            return unlock_ring(text, self._opened[1]), stamp
        lock = self._lock_of(kind)
        if lock is None:
            raise Sealed(f'This version of fhirtwin has no lock "{kind}".', hint="Install the version that wrote it.")
        key = lock.open(words[1])
        ring = unlock_ring(text, key)
        self._opened = words, key
        return ring, stamp

    def _locked(self, ring: SecretKeyRing, lock: Lock | None) -> str:
        """Write the file's text under a lock, which is closed anew."""
        self._opened = None
        if lock is not None:
            key, words = lock.close()
            self._opened = (lock.kind, words), key
        return self._written(ring)

    def _written(self, ring: SecretKeyRing) -> str:
        """Write the file's text under the words that its lock has now."""
        if self._opened is None:
            return ring.to_text()
        (kind, words), key = self._opened
        return lock_ring(ring, kind, words, key)

    def __repr__(self) -> str:
        return f"<FiledRing {self.kind}>"
