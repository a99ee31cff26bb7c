"""Keeps the secrets of a key ring: read anew when they were rotated, and locked by a passphrase or by somebody else."""

from security.keyrings.live import LiveKeyRing
from security.keyrings.locked import Lock, lock_ring, lock_words, unlock_ring
from security.keyrings.passphrase import Cost, PassphraseLock

__all__ = ["Cost", "LiveKeyRing", "Lock", "PassphraseLock", "lock_ring", "lock_words", "unlock_ring"]
