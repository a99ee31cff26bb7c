"""FHIR ConceptMaps (DSTU2 to R5) as tables of codes: what they say of two codes, in our four words.

What they say that is none of the four (related to, inexact), or holds under conditions only (dependsOn), is left out
and counted: it does not say that one code may stand for the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import tomlkit

from mappers.elements import objects, text
from mappers.systems import current_system

__all__ = ["Converted", "convert_map"]

# R4 concept-map-equivalence and R5 concept-map-relationship. In R4 the words are about the target, in R5 about the
# source; in R4's "subsumes" the target is the more general one ("the source is-a target"), in "specializes" the source.
_R4: Final = {
    "equal": "equal",
    "equivalent": "equal",
    "wider": "wider",
    "subsumes": "wider",
    "narrower": "narrower",
    "specializes": "narrower",
    "unmatched": "unmatched",
    "disjoint": "unmatched",
}
_R5: Final = {
    "equivalent": "equal",
    "source-is-narrower-than-target": "wider",
    "source-is-broader-than-target": "narrower",
    "not-related-to": "unmatched",
}


@dataclass
class Converted:
    """The rows of a table, and how many were left out, by why."""

    rows: list[dict[str, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def as_toml(self, title: str, source: str, cite: str) -> str:
        """Write the table."""
        document = tomlkit.document()
        document.update({"title": title, "source": source, "cite": cite, "code": self.rows})
        return tomlkit.dumps(document)


def convert_map(resource: Mapping[str, Any]) -> Converted:
    """Read a ConceptMap. Of two targets in one system, which no table can tell apart, neither is taken."""
    made = Converted()
    for told, display, targets in _elements(resource):
        rows = list(_rows(told, display, targets, made.left_out))
        systems = Counter(row["to"].rpartition("|")[0] for row in rows)
        for row in rows:
            if systems[row["to"].rpartition("|")[0]] > 1 or ("" in systems and len(systems) > 1):
                made.left_out["several targets in one system"] += 1
            else:
                made.rows.append(row)
    stands = Counter((row["from"], row["to"].rpartition("|")[0]) for row in made.rows)
    twice = {key for key, times in stands.items() if times > 1}
    made.left_out["several targets in one system"] += sum(stands[key] for key in twice)
    made.rows = [row for row in made.rows if (row["from"], row["to"].rpartition("|")[0]) not in twice]
    made.left_out += Counter()  # without the noughts
    return made


def _elements(resource: Mapping[str, Any]) -> Iterator[tuple[str, str, list[tuple[str, Mapping[str, Any]]]]]:
    """Walk what is mapped: the code, what it is called, and its targets with their system."""
    for group in objects(resource.get("group")):
        system, to = _plain(group.get("source")), _plain(group.get("target"))
        for element in objects(group.get("element")):
            targets = [(to, target) for target in objects(element.get("target"))]
            if element.get("noMap") is True:
                targets = [("", {"relationship": "not-related-to"})]
            yield f"{system}|{text(element.get('code'))}", text(element.get("display")), targets
    for element in objects(resource.get("element")):  # DSTU2
        targets = [(_plain(target.get("codeSystem")), target) for target in objects(element.get("target"))]
        yield f"{_plain(element.get('codeSystem'))}|{text(element.get('code'))}", "", targets


def _plain(uri: Any) -> str:
    return text(uri).partition("|")[0]  # R5 writes canonicals with their version


def _rows(
    told: str, display: str, targets: list[tuple[str, Mapping[str, Any]]], left_out: Counter[str]
) -> Iterator[dict[str, str]]:
    if told.endswith("|"):
        left_out["no code"] += 1
        return
    for system, target in targets:
        said = text(target.get("relationship")) or text(target.get("equivalence"))
        relation = (_R5 if target.get("relationship") else _R4).get(said, "")
        code = text(target.get("code"))
        if target.get("dependsOn") or target.get("product"):
            left_out["holds under conditions only"] += 1
        elif not relation:
            left_out[said or "no equivalence"] += 1
        elif relation == "unmatched":
            yield {"from": told, "to": "", "is": relation, "display": display}
        elif not code or not system:
            left_out["no target"] += 1
        else:
            yield {
                "from": told,
                "to": f"{current_system(system)}|{code}",
                "is": relation,
                "display": text(target.get("display")) or display,
            }
