"""Bulk Data export: a server writes all that we ask for into files, and we fetch them, however long that takes."""

from gateway.pull.bulk.cancelling import Cancelled, cancel
from gateway.pull.bulk.export import BulkExport

__all__ = ["BulkExport", "Cancelled", "cancel"]
