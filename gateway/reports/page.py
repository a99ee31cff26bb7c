"""A report as one HTML file: no script, nothing from elsewhere, to be read aloud and on paper (WCAG 1.3.1, 3.1.1)."""

from __future__ import annotations

from functools import cache

import jinja2

from gateway.reports.sheet import Sheet

__all__ = ["as_html"]


def as_html(sheet: Sheet) -> bytes:
    """Write a report as HTML; whatever stands in a cell is escaped."""
    return _template().render(sheet=sheet, total=sum(column.width for column in sheet.columns)).encode()


@cache
def _template() -> jinja2.Template:
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("gateway.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("sheet.html")
