"""twin show."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.home import Home
from gateway.settings import load_settings
from gateway.simulation import open_twin
from gateway.wording import said_name, said_value
from mappers.facts import Fact
from mappers.ledger import REASONS

__all__ = ["show_"]

_EARLIEST = datetime.min.replace(tzinfo=UTC)


def show_(
    twin: str,
    /,
    *,
    as_of: datetime | None = None,
    kind: str | None = None,
    limit: int = 60,
    options: Options = Options(),
) -> None:
    """Show one twin: the timeline of its facts with their sources, and what was refused. Reading it is recorded.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    as_of
        What was known at this time (UTC where no zone is told), such as 2026-11-24T10:00.
    kind
        Only facts of this kind: measurement, condition, medication, procedure, allergy, immunisation, encounter,
        report, demographic.
    limit
        How many facts to list at most, newest first; 0 lists all.
    """
    moment = as_of.replace(tzinfo=UTC) if as_of and as_of.tzinfo is None else as_of
    with Home.open(load_settings(options.home), create=False) as home:
        record = open_twin(home, twin, moment)
    facts = sorted((f for f in record.facts if kind in (None, f.kind)), key=_newest, reverse=True)
    refusals = list(record.refusals)
    sources = sorted({resource.source for resource in record.resources})
    if options.json:
        print_json(
            {
                "id": record.id,
                "version": record.version,
                "sources": sources,
                "facts": [_fact_json(f) for f in facts],
                "refusals": [
                    {
                        "reason": r.reason,
                        "source": r.origin.source,
                        "resource": r.origin.resource,
                        "path": r.origin.path,
                    }
                    for r in refusals
                ],
            }
        )
        return
    at = f" as known at {moment:%Y-%m-%d %H:%M} UTC" if moment else ""
    known = f"{len(record.resources)} resources from {', '.join(sources) or 'nowhere yet'}"
    say(f"Twin {record.id}, version {record.version}{at}: {known}")
    shown = facts[:limit] if limit else facts
    print_table(
        f"{len(facts)} facts" + (f", the newest {len(shown)}" if len(shown) < len(facts) else ""),
        ["When", "Kind", "What", ">Value", "Status", "Source"],
        (
            (
                f.when.text if f.when else "",
                f.kind,
                said_name(f),
                said_value(f.value),
                f.status,
                f"{f.origin.source} {f.origin.resource}",
            )
            for f in shown
        ),
    )
    if refusals:
        print_table(
            f"{len(refusals)} refusals",
            ["Reason", "Resource", "What it means, and what to do"],
            (
                (r.reason, f"{r.origin.source} {r.origin.resource} {r.origin.path}".strip(), REASONS[r.reason])
                for r in refusals[: limit or None]
            ),
        )


def _newest(fact: Fact) -> datetime:
    return fact.when.earliest if fact.when else _EARLIEST


def _fact_json(fact: Fact) -> dict[str, Any]:
    value = fact.value
    return {
        "kind": fact.kind,
        "name": fact.name,
        "code": str(fact.code),
        "value": value,
        "words": said_value(value),
        "when": fact.when.text if fact.when else None,
        "precision": fact.when.precision if fact.when else None,
        "status": fact.status,
        "source": fact.origin.source,
        "resource": fact.origin.resource,
        "version": fact.origin.version,
        "original": fact.original,
        "mapping": fact.mapping,
    }
