"""What a National Drug Code is called: by its product, whatever the size of the package."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from mappers.rows import read_table

__all__ = ["product_name"]

_PRODUCT_DIGITS: Final = 9  # of 11: labeler (5), product (4), package (2)


def product_name(code: str) -> str:
    """Return our name for the medicine in a package, "" where the table has none; `code` has HIPAA's 11 digits."""
    return _products().get(code[:_PRODUCT_DIGITS], "") if len(code) == 11 and code.isdecimal() else ""


@cache
def _products() -> Mapping[str, str]:
    """Read the table when the first NDC comes: most sources send none."""
    table: Mapping[str, str] = read_table("ndc")["product"]
    return {product: name for name, products in table.items() for product in products.split()}
