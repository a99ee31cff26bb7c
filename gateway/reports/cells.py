"""A report as CSV (RFC 4180), which no spreadsheet takes for formulas (OWASP, CSV injection; CWE-1236)."""

from __future__ import annotations

import csv
import io

from gateway.reports.sheet import Sheet

__all__ = ["as_csv"]

_OBEYED = ("=", "+", "-", "@", "\t", "\r")


def as_csv(sheet: Sheet) -> bytes:
    """Write the table alone, its headings first. What a spreadsheet would compute gets an apostrophe."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([column.heading for column in sheet.columns])
    for row in sheet.rows:
        writer.writerow([f"'{cell}" if cell.startswith(_OBEYED) else cell for cell in row])
    return out.getvalue().encode()
