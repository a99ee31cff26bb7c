"""Writing a report into the file that a person names: its ending says the form."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from gateway.files import write_new
from gateway.reports.cells import as_csv
from gateway.reports.page import as_html
from gateway.reports.sheet import Sheet
from security.errors import Misuse

__all__ = ["FORMS", "check_form", "write_sheet"]

FORMS = (".html", ".pdf", ".csv")


def check_form(place: Path | None) -> None:
    """Raise `Misuse` for a file with another ending, before anything is read for it."""
    if place and place.suffix.lower() not in FORMS:
        raise Misuse(
            "A report is an HTML, PDF or CSV file.", hint="Let the name of the file end in .html, .pdf or .csv."
        )


def write_sheet(sheet: Sheet, place: Path, made: datetime) -> None:
    """Write a report, readable by its owner only: it is about a patient. Raises `Misuse` where it cannot be written."""
    check_form(place)
    match place.suffix.lower():
        case ".html":
            content = as_html(sheet)
        case ".pdf":
            from gateway.reports.paper import as_pdf  # noqa: PLC0415 - its library takes long to import

            content = as_pdf(sheet, made)
        case _:
            content = as_csv(sheet)
    write_new(place, content)
