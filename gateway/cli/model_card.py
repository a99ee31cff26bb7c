"""twin model card."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from cyclopts import Parameter

from gateway.cli.model_parts import Part, as_json, assumed, parts_of
from gateway.cli.terminal import note, print_json, print_table, say
from gateway.evidence import Evidence, evidence_of
from gateway.settings import load_settings
from twin_engine import TwinModel, model
from twin_engine.checks.course import AWAY, LEAST, LIGHT, MEMBERS

__all__ = ["CardOptions", "card_", "markdown_of"]

LAID = (
    f"Courses are those of {MEMBERS} members from the priors (alike where none has one), of a person at the middle of "
    f"the needs, moved from rest by {AWAY:g} sd of the first channel, over {LEAST} minutes or more. A light plan is "
    f"{LIGHT:.0%} of the way between the bounds of each plan input, a full one their upper bounds."
)


@Parameter(name="*")
@dataclass(frozen=True)
class CardOptions:
    """What every command takes, with one more format."""

    home: Path | None = None
    """Folder of the store, the keys and twin.toml; else TWIN_HOME, else a user data folder."""

    format: Literal["text", "markdown", "json"] = "text"
    """Words for people, Markdown for a file, or one JSON object for scripts."""

    debug: bool = False
    """Show the details of a failure. They may hold patient data."""


def card_(name: str, /, *, options: CardOptions = CardOptions()) -> int:
    """Hand out the evidence for a model: what it is for, how well it was tested, where it stops, on what it rests.

    It checks the model anew, and tells what it saw beside what the author says. Exit status 1 where the model does not
    keep the contract. `--format markdown > card.md` makes a file of it.

    Parameters
    ----------
    name
        The model's name.
    """
    found = model(name, load_settings(options.home).trusted_models)
    note(f"Checking {found.name} ...")
    evidence = evidence_of(found)
    match options.format:
        case "json":
            print_json(as_json(found) | {"evidence": asdict(evidence)})
        case "markdown":
            say("\n".join(markdown_of(found, evidence)))
        case "text":
            _text(found, evidence)
    return 1 if evidence.findings else 0


def _sections(model: TwinModel, evidence: Evidence) -> Iterator[tuple[str, list[str]]]:
    """Order the words of a card: after ASME V&V 40, what was seen here beside what the author says."""
    card, where = model.card, evidence.provenance
    origin = f"{where.distribution} {where.distribution_version}".strip() or "no installed distribution"
    yield (
        "Identity",
        [
            f"Model {model.name}, version {model.version}, from {origin}, module {where.module}"
            + (f", SHA-256 of its file {where.sha256}." if where.sha256 else "."),
        ],
    )
    yield "Context of use", [card.context_of_use]
    yield "Population", [model.population]
    yield "Description and assumptions", assumed(model).split("\n\n")
    yield "Verification, as the author says", [card.verification]
    yield "Verification, as seen now", list(_seen(evidence))
    yield "Validation", [card.validation]
    yield "Uncertainty", [card.uncertainty]
    yield "Limits", [card.limits]
    yield "Citation", [model.citation]


def _seen(evidence: Evidence) -> Iterator[str]:
    if evidence.findings:
        yield f"Checked by {evidence.checked_by}: the model does not keep the contract."
        yield from (f"{finding.rule}: {finding.says} {finding.do}" for finding in evidence.findings)
        return
    yield f"Checked by {evidence.checked_by}: all rules of the contract are kept."
    if evidence.steps:
        yield LAID
    yield from map(str, evidence.steps)
    yield from (f"With a plan at its upper bounds: {said}" for said in evidence.at_the_limits)


def _text(model: TwinModel, evidence: Evidence) -> None:
    say(f"{model.title} ({model.name} {model.version})")
    for title, paragraphs in _sections(model, evidence):
        say()
        say(title)
        for paragraph in paragraphs:
            say(f"  {paragraph}")
    for part in parts_of(model):
        say()
        print_table(part.title, part.columns, part.rows)


def markdown_of(model: TwinModel, evidence: Evidence) -> Iterator[str]:
    """Write a card in Markdown, line by line."""
    yield f"# {_plain(model.title)} ({model.name} {model.version})"
    for title, paragraphs in _sections(model, evidence):
        yield from ("", f"## {title}")
        for paragraph in paragraphs:
            yield from ("", _plain(paragraph))
    for part in parts_of(model):
        yield from ("", f"## {part.title}", "", *_table(part))


def _table(part: Part) -> Iterator[str]:
    yield _row([column.lstrip(">") for column in part.columns])
    yield "|" + "|".join(" ---: " if column.startswith(">") else " --- " for column in part.columns) + "|"
    yield from (_row(row) for row in part.rows)


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(_plain(cell) for cell in cells) + " |"


def _plain(text: str) -> str:
    """Write a text so that Markdown shows it as it is."""
    for mark in "\\`*_[]<>|":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
