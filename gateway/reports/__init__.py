"""Reports on paper: one table with what goes before and after it, as HTML, PDF or CSV."""

from gateway.reports.sheet import Sheet
from gateway.reports.writing import write_sheet

__all__ = ["Sheet", "write_sheet"]
