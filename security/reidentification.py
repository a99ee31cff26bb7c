"""Leave to open who a person is. Search for `Reidentify(` to see every place that does.

A twin is a number until somebody opens what its sources say of who it is: names, identifiers, birth date, addresses,
telephones, and the bytes of its Patient resources. The store opens these only for a `Reidentify`, which says what for;
facts, runs and results are opened without one. It is no permission by itself: who may do what is decided, and
recorded, where the access begins. It makes such places few, and none of them an oversight
(`tests/gateway/store/test_reidentification.py` lists them).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Reidentify"]


@dataclass(frozen=True, slots=True)
class Reidentify:
    """Says what for who a person is has to be known, in words of a reviewer: "compare who came with who is known"."""

    to: str

    def __post_init__(self) -> None:
        if not self.to.strip():
            raise ValueError("say what for")

    @staticmethod
    def check(leave: object) -> None:
        """Refuse anything else with a `TypeError`: not passing one is a mistake of ours."""
        if not isinstance(leave, Reidentify):
            raise TypeError("who a person is opens for a Reidentify only")
