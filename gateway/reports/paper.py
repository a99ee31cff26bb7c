"""A report as a PDF: A4, the head of the table again on each page, pages numbered, language told."""

from __future__ import annotations

from datetime import datetime

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, TextEmphasis, XPos, YPos
from fpdf.fonts import FontFace

from gateway.reports.sheet import Sheet

__all__ = ["as_pdf"]

_FONT = "Helvetica"  # one of the fourteen that every reader has (ISO 32000-1, 9.6.2.2); it has the letters of cp1252
_TEXT, _SMALL, _TITLE = 9, 8, 15  # points
_LINE = 4.6  # mm
_PLAINER = str.maketrans({"–": "-", "…": "...", "’": "'"})


def as_pdf(sheet: Sheet, made: datetime) -> bytes:
    """Write a report as PDF. A letter that the font has not is written as its number, U+75C5: nothing is dropped."""
    pdf = _Paper(sheet.title)
    pdf.set_creation_date(made)
    pdf.add_page()
    pdf.set_font(_FONT, "B", _TITLE)
    pdf.multi_cell(0, 7, _told(sheet.title), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(2)
    for name, said in sheet.facts:
        pdf.set_font(_FONT, "B", _TEXT)
        pdf.cell(42, _LINE, _told(name))
        pdf.set_font(_FONT, "", _TEXT)
        pdf.multi_cell(0, _LINE, _told(said), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(3)
    if sheet.rows:
        _table(pdf, sheet)
    else:
        pdf.multi_cell(0, _LINE, _told(sheet.empty), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(4)
    pdf.set_font(_FONT, "", _SMALL)
    for note in sheet.notes:
        pdf.multi_cell(0, 4, _told(note), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        pdf.ln(1)
    return bytes(pdf.output())


class _Paper(FPDF):
    def __init__(self, title: str) -> None:
        super().__init__(orientation="landscape", format="A4")
        self.set_margin(15)
        self.set_auto_page_break(True, 18)
        self.set_lang("en")
        self.set_title(_told(title))
        self.set_creator("fhirtwin")

    def footer(self) -> None:
        """Number the page."""
        self.set_y(-12)
        self.set_font(_FONT, "", _SMALL)
        self.cell(0, 5, f"{self.page_no()} / {{nb}}", align="R")


def _table(pdf: FPDF, sheet: Sheet) -> None:
    pdf.set_font(_FONT, "", _SMALL)
    with pdf.table(
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        col_widths=tuple(column.width for column in sheet.columns),
        headings_style=FontFace(emphasis=TextEmphasis.B),
        line_height=4.2,
        padding=1,
        text_align=tuple("RIGHT" if column.number else "LEFT" for column in sheet.columns),
        v_align="TOP",
    ) as table:
        table.row([_told(column.heading) for column in sheet.columns])
        for row in sheet.rows:
            table.row([_told(cell) for cell in row])


def _told(text: str) -> str:
    return "".join(letter if _has(letter) else f"U+{ord(letter):04X}" for letter in text.translate(_PLAINER))


def _has(letter: str) -> bool:
    """Say whether the font has it: fpdf2 writes its own fonts as latin-1."""
    return letter.isprintable() and ord(letter) < 256
