"""Takes out all that is held about one person, in forms that others can read: the right of access (GDPR 15 and 20)."""

from gateway.export.archive import Written, write_export
from gateway.export.gathering import Gathered, gather

__all__ = ["Gathered", "Written", "gather", "write_export"]
