"""Names that nobody bears: invented, and dealt out by the seed."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from conformance.cohort.person import Sex

__all__ = ["Names", "deal", "plain"]

WOMEN = (
    "Avelina", "Brisenne", "Calanthia", "Dorvela", "Elsiana", "Fenrika", "Girenda", "Halvia", "Ismeralda", "Jovenna",
    "Kestrine", "Lorabel", "Mirenja", "Nolvie", "Orsolenne", "Pelinda",
)  # fmt: skip
MEN = (
    "Aldomar", "Bertovin", "Corlend", "Dagomil", "Evrand", "Fredolin", "Gavrick", "Hartovan", "Ignolas", "Jorvald",
    "Kelmont", "Ludogar", "Marvolin", "Nestovar",
)  # fmt: skip
FAMILIES = (
    "Ashgrovel", "Birkensund", "Cloverhaime", "Dunmarrow", "Elderquist", "Farnhollow", "Greywether", "Hollenbrack",
    "Ivermoor", "Juniperson", "Kettlewend", "Larkenfeld", "Mossgarden", "Nettlecombe", "Oakenwald", "Pinderhurst",
    "Quillstead", "Rowanbeck", "Saltmarten", "Thornivar", "Underholt", "Violantes", "Willowmere", "Yarrowgate",
    "Zephyrman", "Amberlund", "Bramblecote", "Candlewick", "Dovetailor", "Emberstone", "Foxgloven", "Gorsemoor",
)  # fmt: skip
FORMER = ("Wintergale", "Peverstone", "Hazelmund", "Tollbrook", "Merrowin", "Stonnager")
ACCENTED = ("Mírela", "Zoë", "Renée", "Ánnika")
ACCENTED_FAMILIES = ("Lörandel", "Núñovar", "Ståhlgren", "Çelimond")


@dataclass(frozen=True, slots=True)
class Names:
    """One person's names in full."""

    given: str
    middle: str
    family: str
    nickname: str
    former: str  # a family name borne before

    @property
    def initial(self) -> str:
        """Return the initial of the middle name, with its point."""
        return f"{self.middle[0]}."


def plain(text: str) -> str:
    """Strip accents, as an EHR does that knows ASCII only."""
    return "".join(char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char))


def deal(rng: np.random.Generator, sexes: Sequence[Sex]) -> list[Names]:
    """Deal names to people of these sexes; no given and no family name comes twice."""
    women, men, families = _shuffled(rng, WOMEN), _shuffled(rng, MEN), _shuffled(rng, FAMILIES)
    former = _shuffled(rng, FORMER)
    dealt = []
    for number, sex in enumerate(sexes):
        pool, others = (women, WOMEN) if sex == "female" else (men, MEN)
        given = pool.pop()
        middle = str(others[(others.index(given) + 5) % len(others)])
        dealt.append(Names(given, middle, families.pop(), given[:3] + "y", former[number % len(former)]))
    return dealt


def _shuffled(rng: np.random.Generator, names: Sequence[str]) -> list[str]:
    return [names[int(place)] for place in rng.permutation(len(names))]
