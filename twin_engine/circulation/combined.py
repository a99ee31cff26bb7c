"""Two drugs given together, beside patients who had both (`tables/combined.toml`): whether effects may be added up.

No step is fitted to a combination, and no paper tells one of three drugs. What lies outside its range is said in the
table (`fails`), and a test holds it to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

import numpy as np

from twin_engine.circulation.drugs import drugs
from twin_engine.circulation.formulary import Entry, Limit, formulary
from twin_engine.circulation.heart import at_rest
from twin_engine.circulation.objective import USUAL
from twin_engine.circulation.published import Published, Row, Source, quantities
from twin_engine.circulation.regimen import Run, answers
from twin_engine.circulation.resting import Resting
from twin_engine.circulation.rows import read_table
from twin_engine.circulation.studies import Study, made

__all__ = ["Pair", "Sum", "page", "pairs", "sums"]

_SURFACE: Final = 1.9  # m2, of the reference adult
_HEADING: Final = "\n## What has to be known of a person\n"


class Group(Row):
    """Patients at baseline: what their paper tells, and what is assumed besides."""

    name: str
    kind: str
    source: str
    told: dict[str, float]
    assumed: dict[str, float]


class Pair(Row):
    """Two drugs at their doses, the patients who had both, and what was published of them."""

    title: str
    doses: dict[str, float]
    group: Group
    published: tuple[Published, ...]
    fails: tuple[str, ...]


class Sum(Row):
    """One change under two drugs, as the model adds them up, beside its published range."""

    pair: str
    published: Published
    ours: float

    @property
    def inside(self) -> bool:
        """Say whether ours is in the range."""
        return self.published.holds(self.ours)


@cache
def pairs() -> tuple[Pair, ...]:
    """Return all combinations that patients had."""
    return tuple(Pair.model_validate(row) for row in read_table("combined")["pair"])


def sums(pair: Pair) -> list[Sum]:
    """Add up the effects of two drugs in a heart made for their group."""
    group = Study(**pair.group.model_dump())
    hearts, parameters, beats = at_rest(made(group)[None])
    resting = Resting(hearts, parameters, beats, _SURFACE)
    [after] = answers(resting, [tuple(pair.doses.items())], Run.all(resting), USUAL)
    was, now = quantities(beats[0], _SURFACE), quantities(np.array([*_beats(after.values)]), _SURFACE)
    found = []
    for published in pair.published:
        change = now[published.quantity] - was[published.quantity]
        ours = 100.0 * change / was[published.quantity] if published.by == "percent" else change
        found.append(Sum(pair=pair.title, published=published, ours=ours))
    return found


def _beats(values: Mapping[str, np.ndarray]) -> list[float]:
    return [float(value[0]) for name, value in values.items() if name != "cardiac-index"]


def page(before: str) -> str:
    """Return a page whose tables are those of now; what stands before them is kept."""
    kept = before.split(_HEADING, maxsplit=1)[0].rstrip()
    return f"{kept}\n{_HEADING}\n{_entries()}\n### Not combined\n\n{_apart()}\n## Drugs given together\n\n{_sums()}"


def _sums() -> str:
    found = [each for pair in pairs() for each in sums(pair)]
    lines = [
        f"{sum(each.inside for each in found)} of {len(found)} changes lie inside.\n",
        "| drugs | change | ours | published | inside |\n| --- | --- | --- | --- | --- |",
    ]
    for each in found:
        low, high = each.published.bounds
        unit = each.published.unit
        verdict = "yes" if each.inside else "**no**"
        name = each.published.quantity.replace("-", " ")
        lines.append(f"| {each.pair} | {name}, {unit} | {each.ours:+.1f} | {low:.3g} to {high:.3g} | {verdict} |")
    cited = {name: Source.model_validate(row) for name, row in read_table("combined")["sources"].items()}
    rows = [
        f"- {pair.title}: {cited[pair.published[0].source].cite} ({cited[pair.published[0].source].read})."
        for pair in pairs()
    ]
    return "\n".join([*lines, "", *rows]) + "\n"


def _entries() -> str:
    table = formulary()
    numbers = {name: place for place, name in enumerate(table.sources, 1)}
    lines = [
        "| drug | class | effect of | doses | has to be | has to be absent |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for entry in table.entry:
        drug = drugs().get(entry.drug)
        title = drug.title if drug else entry.title
        mark = "" if drug and drug.validated else " (**not validated**)"
        doses = f"{', '.join(f'{dose:g}' for dose in entry.doses)} {drug.unit}" if drug else ""
        kept = "; ".join(_limit(limit, numbers) for limit in entry.limits)
        absent = "; ".join(f"{name.replace('-', ' ')} [{numbers[source]}]" for name, source in entry.absent.items())
        lines.append(f"| {title}{mark} | {entry.class_} | {_scale(entry, numbers)} | {doses} | {kept} | {absent} |")
    for kind in table.kinds.values():
        for limit in kind.limits:
            lines.append(f"| all in {kind.title} | | | | {_limit(limit, numbers)} | |")
    lines += ["", *(f"{number}. {table.cited(name)}." for name, number in numbers.items()), ""]
    return "\n".join(lines)


def _limit(limit: Limit, numbers: Mapping[str, int]) -> str:
    return f"{limit.said} [{numbers[limit.source]}]"


def _scale(entry: Entry, numbers: Mapping[str, int]) -> str:
    return f"{entry.scale}, lasting [{numbers[entry.lasting]}]" if entry.lasting else entry.scale


def _apart() -> str:
    numbers = {name: place for place, name in enumerate(formulary().sources, 1)}
    lines = ["| class | with | why | source |", "| --- | --- | --- | --- |"]
    for row in formulary().apart:
        lines.append(f"| {row.classes[0]} | {row.classes[1]} | {row.why} | {numbers[row.source]} |")
    return "\n".join(lines) + "\n"
