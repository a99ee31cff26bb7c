"""Bulk export as a server does it: kick-off, status, manifest, files, cancellation, in the dialects of the guide.

Sources: Bulk Data Access IG 2.0.0 (STU2) export.html, 3.0.0 (STU3) and 4.0.0-ballot (STU4) async.html, export.html and
the logical model BulkDataManifest; the requirements 2.0.0@n are those of Inferno's test kit.
"""

from conformance.hostile.bulk.exports import Exports
from conformance.hostile.bulk.habits import BulkHabits, Dialect
from conformance.hostile.bulk.host import FileHost

__all__ = ["BulkHabits", "Dialect", "Exports", "FileHost"]
