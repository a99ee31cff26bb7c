"""Keeps patient data sealed, and every access to it on record. Imports none of the other rooms."""

from security.blind import BlindIndex
from security.errors import Fault
from security.keys import KeyRing, SecretKeyRing, new_secret
from security.vault import Place, SealingKey, Vault, WrappedKey

__all__ = [
    "BlindIndex",
    "Fault",
    "KeyRing",
    "Place",
    "SealingKey",
    "SecretKeyRing",
    "Vault",
    "WrappedKey",
    "new_secret",
]
