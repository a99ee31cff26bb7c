"""Keeps the key ring: in a file, plain or locked, or in the environment; each kind is one file here."""

from gateway.keyrings.environment import EnvironmentRing
from gateway.keyrings.filed import FiledRing
from gateway.keyrings.kept import KeptRing, kept_ring

__all__ = ["EnvironmentRing", "FiledRing", "KeptRing", "kept_ring"]
