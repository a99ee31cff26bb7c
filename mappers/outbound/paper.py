"""A document as PDF: A4, a banner on each page that nobody measured what it says, pages numbered, language told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

__all__ = ["BANNER", "as_pdf", "can_print"]

BANNER: Final = "SIMULATED, NOT MEASURED"
_FONT: Final = "Helvetica"  # one of the fourteen that every reader has (ISO 32000-1, 9.6.2.2)
_TEXT, _HEADING, _TITLE, _SMALL = 10, 11, 14, 8  # points
_LINE: Final = 5.0  # mm
_RED, _WHITE, _BLACK = (150, 20, 20), (255, 255, 255), (0, 0, 0)
# Signs that the font has not, and how a typewriter writes them; of all else nothing is replaced.
_PLAINER: Final = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "…": "...", "’": "'", "‘": "'", "“": '"', "”": '"', "≤": "<=", "≥": ">=", "μ": "µ"}
)


def can_print(text: str) -> bool:
    """Say whether the font has each letter: fpdf2 writes the fonts that readers bring as latin-1."""
    return all(letter == "\n" or (letter.isprintable() and ord(letter) < 256) for letter in text.translate(_PLAINER))


def as_pdf(title: str, parts: Sequence[tuple[str, Sequence[str]]], made: datetime) -> bytes:
    """Write headings with their lines as PDF; all of it `can_print`. The same arguments give the same bytes."""
    from fpdf import FPDF  # noqa: PLC0415 - a second to import, and most results need no paper
    from fpdf.enums import XPos, YPos  # noqa: PLC0415

    class Sheet(FPDF):
        def header(self) -> None:
            """Say on each page what it is."""
            self.set_font(_FONT, "B", _HEADING)
            self.set_fill_color(*_RED)
            self.set_text_color(*_WHITE)
            self.cell(0, 9, BANNER, align="C", fill=True, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            self.set_text_color(*_BLACK)
            self.ln(4)

        def footer(self) -> None:
            """Number the page."""
            self.set_y(-12)
            self.set_font(_FONT, "", _SMALL)
            self.cell(0, 5, f"{self.page_no()} / {{nb}}", align="R")

    pdf = Sheet(format="A4")
    pdf.set_margin(18)
    pdf.set_auto_page_break(True, 18)
    pdf.set_lang("en")
    pdf.set_title(_plain(title))
    pdf.set_creator("fhirtwin")
    pdf.set_creation_date(made)
    pdf.add_page()

    def write(text: str, style: str, size: int, line: float) -> None:
        pdf.set_font(_FONT, style, size)
        pdf.multi_cell(0, line, _plain(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    write(title, "B", _TITLE, 7)
    for name, lines in parts:
        pdf.ln(3)
        if name:
            write(name, "B", _HEADING, 6)
        for line in lines:
            write(line, "", _TEXT, _LINE)
    return bytes(pdf.output())


def _plain(text: str) -> str:
    return text.translate(_PLAINER)
