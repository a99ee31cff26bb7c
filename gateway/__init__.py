"""The only part that does I/O: network, disk, clock and people."""

__version__ = "0.1.0"
__all__ = ["__version__"]
