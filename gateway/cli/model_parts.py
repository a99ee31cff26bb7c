"""The parts of a model as tables, for `twin model show` and `twin model card`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mappers.facts import Coding
from twin_engine.dynamic import Channel, DynamicModel
from twin_engine.model import Need, TwinModel

__all__ = ["Part", "as_json", "assumed", "parts_of"]


@dataclass(frozen=True, slots=True)
class Part:
    """One table: its title, its columns (> in front: numbers), its rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def parts_of(model: TwinModel) -> Iterator[Part]:
    """List what a model needs, gives and is made of, each as a table; what it has none of is left out."""
    yield from (part for part in _parts(model) if part.rows)


def _parts(model: TwinModel) -> Iterator[Part]:
    yield Part(
        "Needs",
        ("Name", "What", "Unit", ">From", ">To", "Why", "Not older than", "Where unknown"),
        tuple(
            (need.name, need.title, need.unit, *_range(need.bounds), need.why, _age(need), _imputed(need))
            for need in model.needs
        ),
    )
    yield Part(
        "Gives",
        ("Name", "What", "Unit", "Code", "Needs", "Reference"),
        tuple(
            (
                wanted.name,
                wanted.title,
                wanted.unit,
                _code(wanted.code or wanted.outcome),
                ", ".join(wanted.needs),
                wanted.reference,
            )
            for wanted in model.yields
        ),
    )
    yield Part(
        "Holds for",
        ("Name", "What", "Unit", ">From", ">To", "Only for", "Why"),
        tuple(
            (
                limit.name,
                limit.title,
                limit.unit,
                f"{limit.low:g}",
                f"{'below ' if limit.below else ''}{limit.high:g}",
                ", ".join(limit.yields),
                limit.why,
            )
            for limit in model.holds_for
        ),
    )
    yield Part(
        "Parameters",
        ("Name", "What", "Unit", ">Value", ">From", ">To", "Prior", "Source"),
        tuple(
            (
                each.name,
                each.title,
                each.unit,
                f"{each.value:.6g}",
                *_range(each.bounds),
                str(each.prior or "fixed"),
                each.citation,
            )
            for each in model.parameters
        ),
    )
    if isinstance(model, DynamicModel):
        yield from _moving(model)
    yield Part("Settings", ("Name", "Value"), tuple(model.settings.items()))


def _moving(model: DynamicModel) -> Iterator[Part]:
    yield Part(
        "States",
        ("Name", "What", "Unit", ">From", ">To", ">Not modelled, in an hour"),
        tuple(
            (state.name, state.title, state.unit, *_range(state.bounds), f"{state.noise:g}" if state.noise else "")
            for state in model.states
        ),
    )
    yield Part(
        "Answers to",
        (
            *("Name", "What", "Group", "Kind", "Unit", ">From", ">To"),
            *("At rest", "Felt after", "On record as", "Why, source"),
        ),
        tuple(
            (
                given.name,
                given.title,
                given.group,
                given.kind,
                given.unit,
                *_range(given.bounds),
                f"{given.resting:g}" if given.kind == "rate" else "",
                f"{given.delay:g} min" if given.delay else "",
                ", ".join([*given.logged, *(f"{drug} over {minutes:g} min" for drug, minutes in given.depots)]),
                " ".join(text for text in (given.why, given.citation) if text),
            )
            for given in model.plan
        ),
    )
    yield Part(
        "Is kept current by",
        ("Name", "What", "Code", "Unit", ">Error (sd)", ">From", ">To", ">Fastest, a minute", "Beyond", "Source"),
        tuple(
            (
                ", ".join(channel.names),
                channel.title,
                _code(channel.code),
                channel.unit,
                f"{channel.sd:g}",
                *_range(channel.bounds),
                f"{channel.per_minute:g}",
                _beyond(channel),
                channel.citation,
            )
            for channel in model.channels
        ),
    )


def _beyond(channel: Channel) -> str:
    """Say what a value past the ends means: of other devices, and of the model."""
    told = []
    if channel.beyond:
        told.append(f"others tell {channel.beyond[0]:g} to {channel.beyond[1]:g}: a bound")
    if channel.within:
        told.append(f"the model tells {channel.within[0]:g} to {channel.within[1]:g}, which mean these or further")
    return "; ".join(told)


def as_json(model: TwinModel) -> dict[str, Any]:
    """Return all that a model says of itself, as values for JSON."""
    told: dict[str, Any] = {
        "name": model.name,
        "version": model.version,
        "title": model.title,
        "citation": model.citation,
        "population": model.population,
        "assumptions": assumed(model),
        "moves": isinstance(model, DynamicModel),
        "valid_at": model.valid_at,
        "needs": [asdict(need) for need in model.needs],
        "yields": [asdict(wanted) for wanted in model.yields],
        "holds_for": [asdict(limit) for limit in model.holds_for],
        "parameters": [asdict(parameter) for parameter in model.parameters],
    }
    if isinstance(model, DynamicModel):
        told |= {
            "states": [asdict(state) for state in model.states],
            "plan": [asdict(given) for given in model.plan],
            "channels": [asdict(channel) for channel in model.channels],
            "filter": model.filter,
            "horizon_minutes": model.horizon_minutes,
            "every_minutes": model.every_minutes,
        }
    return told | {"settings": model.settings, "card": asdict(model.card)}


def assumed(model: TwinModel) -> str:
    """Return what the docstring of a model says, without its line breaks inside a paragraph."""
    paragraphs = (type(model).__doc__ or "").strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _range(bounds: tuple[float, float]) -> tuple[str, str]:
    return f"{bounds[0]:g}", f"{bounds[1]:g}"


def _age(need: Need) -> str:
    if need.max_age_days is None:
        return ""
    return f"{need.max_age_days} {'day' if need.max_age_days == 1 else 'days'} ({need.age_why})"


def _imputed(need: Need) -> str:
    return f"{need.imputed} ({need.imputed_from})" if need.imputed else ""


def _code(code: Coding | None) -> str:
    if code is None:
        return ""
    system = {"http://loinc.org": "LOINC", "http://snomed.info/sct": "SNOMED CT"}.get(code.system, code.system)
    return f"{system} {code.code}"
