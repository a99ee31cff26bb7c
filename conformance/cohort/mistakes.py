"""Slips of the pen and of the keyboard: one a call."""

from __future__ import annotations

from datetime import date
from random import Random

__all__ = ["mistyped", "mistyped_date", "mistyped_digits"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def mistyped(rng: Random, text: str) -> str:
    """Add, drop, change or transpose one letter; a changed one is mostly a neighbour on the keyboard."""
    place = rng.randrange(len(text))
    kind = rng.choices(("insert", "delete", "change", "transpose"), (0.2, 0.3, 0.35, 0.15))[0]
    if kind == "transpose" and len(text) > 1:
        place = min(place, len(text) - 2)
        return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    if kind == "insert":
        return text[:place] + rng.choice(_LETTERS) + text[place:]
    if kind == "delete" and len(text) > 2:
        return text[:place] + text[place + 1 :]
    row = next((row for row in _KEYS if text[place].lower() in row), _LETTERS)
    near = [row[at] for at in range(len(row)) if abs(at - row.find(text[place].lower())) == 1]
    letter = rng.choice(near) if near and rng.random() < 0.7 else rng.choice(_LETTERS)
    return text[:place] + letter + text[place + 1 :]


def mistyped_digits(rng: Random, text: str) -> str:
    """Change one digit, or transpose two that stand together."""
    place = rng.randrange(len(text) - 1)
    if rng.random() < 0.4 and text[place] != text[place + 1]:
        return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    return text[:place] + rng.choice([d for d in "0123456789" if d != text[place]]) + text[place + 1 :]


def mistyped_date(rng: Random, born: date, today: date) -> str:
    """Mistype a date so that it is one, of this century or the last, and not in the future."""
    for _ in range(50):
        told = mistyped_digits(rng, born.strftime("%Y%m%d"))
        try:
            found = date(int(told[:4]), int(told[4:6]), int(told[6:]))
        except ValueError:
            continue
        if date(1900, 1, 1) <= found <= today:
            return found.isoformat()
    return born.isoformat()
