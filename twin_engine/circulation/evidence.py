"""The evidence for drugs as a page: each change in each group, beside its published range."""

from __future__ import annotations

from typing import Final

from twin_engine.circulation.drugs import Drug, Finding, audit, drugs
from twin_engine.circulation.studies import studies

__all__ = ["findings", "page", "passes", "rows", "sources"]

_HEAD: Final = "| drug | group | change | ours | published | inside |\n| --- | --- | --- | --- | --- | --- |"
_UNITS: Final = {"heart-rate": "/min", "ejection-fraction": "points"}


def findings(drug: Drug) -> dict[str, list[Finding]]:
    """Return what a drug does in the group it was fitted to and in each it was not, by group."""
    return {study: audit(drug, study) for study in (drug.fitted, *drug.tested)}


def passes(drug: Drug) -> bool:
    """Say whether all changes lie inside their ranges in all groups that the drug was not fitted to."""
    return all(finding.inside for study in drug.tested for finding in audit(drug, study))


def rows() -> str:
    """Return the table in Markdown: a line for each change of each drug in each group."""
    lines = [_HEAD]
    for drug in drugs().values():
        for study, found in findings(drug).items():
            group = f"{study} (fitted)" if study == drug.fitted else study
            lines += [f"| {drug.name} | {group} | {_said(each)} |" for each in found]
    return "\n".join(lines) + "\n"


def _said(finding: Finding) -> str:
    name = finding.change.removesuffix("-percent").replace("-", " ")
    unit = "%" if finding.change.endswith("-percent") else _UNITS.get(finding.change, "mmHg")
    inside = "yes" if finding.inside else "**no**"
    return f"{name}, {unit} | {finding.ours:+.1f} | {finding.low:g} to {finding.high:g} | {inside}"


def sources() -> str:
    """Return the list of groups in Markdown: what is told, what is assumed."""
    lines = ["| group | source | told | assumed |", "| --- | --- | --- | --- |"]
    for study in studies().values():
        told, assumed = (", ".join(f"{name} {value:g}" for name, value in part.items()) for part in _parts(study.name))
        lines.append(f"| {study.name} | {study.source} | {told} | {assumed} |")
    return "\n".join(lines) + "\n"


def _parts(name: str) -> tuple[dict[str, float], dict[str, float]]:
    study = studies()[name]
    return dict(study.told), dict(study.assumed)


def page(before: str) -> str:
    """Return a page whose tables are those of now: what stands before the first heading "## Each change" is kept."""
    kept = before.split("\n## Each change\n", maxsplit=1)[0].rstrip()
    cited = "\n".join(f"- {drug.title}: {drug.source}." for drug in drugs().values())
    return f"{kept}\n\n## Each change\n\n{rows()}\n## Groups\n\n{sources()}\n## Sources of the ranges\n\n{cited}\n"
