"""twin show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.cli.orders import utc
from gateway.cli.terminal import Options, counted, print_json, print_table, say
from gateway.handles import handle
from gateway.home import Home
from gateway.pull.page import RETRACTIONS
from gateway.settings import load_settings
from gateway.simulation import open_twin
from gateway.wording import said_name, said_value
from mappers.duplicates import OVERRULED
from mappers.facts import Fact, Kind, Origin
from mappers.ledger import REASONS
from security.errors import Misuse
from twin_engine.chronology import sort_facts

__all__ = ["fact_json", "show_"]

_NAME = 34  # letters
_EARLIEST = datetime.min.replace(tzinfo=UTC)


def show_(
    twin: str,
    /,
    *,
    at: datetime | None = None,
    as_of: datetime | None = None,
    kind: Kind | None = None,
    limit: int = 60,
    web: bool = False,
    port: int = 0,
    options: Options = Options(),
) -> None:
    """Show one twin: the timeline of its facts with their sources, what was refused and what was retracted.

    Reading it is recorded.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    at
        What was true by this time (UTC where no zone is told): facts whose clinical time is not after it. Those whose
        date leaves it open, or that have none, are listed apart.
    as_of
        What was known at this time, such as 2026-11-24T10:00, whenever it was true.
    kind
        Only facts of this kind.
    limit
        How many facts to list at most, newest first; 0 lists all.
    web
        Show it as a page in a browser on this machine, as it is now, until Ctrl-C: there forecasts, warnings and
        what-ifs stand, too.
    port
        Port of the page; 0 takes a free one.
    """
    if web:
        _serve(twin, port, options, past=bool(at or as_of))
        return
    if limit < 0:
        raise Misuse("A list is not shorter than nothing.", hint="Say --limit 0 for all of it.")
    known, true = utc(as_of), utc(at)
    with Home.open(load_settings(options.home), create=False) as home:
        record = open_twin(home, twin, known)

        def named(origin: Origin) -> str:
            return handle(home, record.id, origin)

    chosen = [f for f in record.facts if kind in (None, f.kind)]
    seen = sort_facts(chosen, true) if true else None
    facts = sorted(seen.before if seen else chosen, key=_newest, reverse=True)
    refusals = list(record.refusals)
    sources = sorted({resource.source for resource in record.resources})
    if options.json:
        print_json(
            {
                "id": record.id,
                "version": record.version,
                "sources": sources,
                "as_of": known,
                "at": true,
                "facts": [fact_json(f, named) for f in facts],
                "undecided": [fact_json(f, named) for f in seen.undecided] if seen else [],
                "later": len(seen.later) if seen else 0,
                "not_used": [
                    {**fact_json(each.fact, named), "reason": each.reason, "by": named(each.by)}
                    for each in record.settled.overruled
                ],
                "retracted": [{"reason": r.retracted, "source": r.source, "resource": r.key} for r in record.retracted],
                "refusals": [
                    {
                        "handle": named(r.origin),
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
    told = f" as known at {known:%Y-%m-%d %H:%M} UTC" if known else ""
    held = f"{len(record.resources)} resources from {', '.join(sources) or 'nowhere yet'}"
    say(f"Twin {record.id}, version {record.version}{told}: {held}")
    by = f" true by {true:%Y-%m-%d %H:%M} UTC" if true else ""
    _print_facts(f"{len(facts)} facts{by}", facts, limit, named)
    if seen:
        if seen.undecided:
            _print_facts(f"{len(seen.undecided)} facts that may be from before or after", seen.undecided, limit, named)
        say(f"{len(seen.later)} facts are of a later time. Statuses are those that are known, not those of the time.")
    if overruled := [each for each in record.settled.overruled if kind in (None, each.fact.kind)]:
        print_table(
            f"{len(overruled)} facts that are told and not used",
            ["Handle", "What", ">Value", "Source", "Why"],
            (
                (
                    named(each.fact.origin),
                    said_name(each.fact),
                    said_value(each.fact.value),
                    ", ".join(each.fact.sources),
                    f"{OVERRULED[each.reason]} It is {named(each.by)}, in {each.by.source}.",
                )
                for each in overruled[: limit or None]
            ),
        )
    if record.retracted:
        print_table(
            f"{len(record.retracted)} resources retracted; twin diff tells their facts",
            ["Reason", "Resource", "What it means"],
            ((r.retracted, f"{r.source} {r.key}", RETRACTIONS[r.retracted]) for r in record.retracted[: limit or None]),
        )
    if refusals:
        print_table(
            counted(len(refusals), "refusal"),
            ["Handle", "Reason", "Resource", "What it means, and what to do"],
            (
                (
                    named(r.origin),
                    r.reason,
                    f"{r.origin.source} {r.origin.resource} {r.origin.path}".strip(),
                    REASONS[r.reason],
                )
                for r in refusals[: limit or None]
            ),
        )


def _serve(twin: str, port: int, options: Options, *, past: bool) -> None:
    from gateway.web import serve_twin

    if past:
        raise Misuse("The page shows a twin as it is now.", hint="Leave out --at and --as-of, or --web.")
    with Home.open(load_settings(options.home), create=False) as home:
        serve_twin(home, home.store.find_twin(twin), port, say)


def _print_facts(title: str, facts: Sequence[Fact], limit: int, named: Callable[[Origin], str]) -> None:
    shown = facts[:limit] if limit else facts
    is_flagged = any(f.flags for f in shown)
    print_table(
        title + (f", the newest {len(shown)}" if len(shown) < len(facts) else ""),
        ["Handle", "When", "Kind", "What", ">Value", "Status", "Source", *(["Flags"] if is_flagged else [])],
        (
            (
                named(f.origin),
                f.when.text if f.when else "",
                f.kind,
                said_name(f),
                said_value(f.value),
                f.status,
                " and ".join(map(_short, f.origins)),
                *([", ".join(f.flags)] if is_flagged else []),
            )
            for f in shown
        ),
    )


def _short(origin: Origin) -> str:
    """Name a resource so that a line holds it; its handle, and --format json, name it whole."""
    name = origin.resource
    return f"{origin.source} {name if len(name) <= _NAME else f'{name[:_NAME]}…'}"


def _newest(fact: Fact) -> datetime:
    return fact.when.earliest if fact.when else _EARLIEST


def fact_json(fact: Fact, named: Callable[[Origin], str] | None = None) -> dict[str, Any]:
    """Write a fact with the keys that scripts rely on; with its handle where `named` gives one."""
    value = fact.value
    return {
        **({"handle": named(fact.origin)} if named else {}),
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
        "flags": list(fact.flags),
        "also": [{"source": o.source, "resource": o.resource, "path": o.path} for o in fact.also],
        "equivalence": fact.equivalence,
        "said": [str(coding) for coding in fact.said],
        **({"relative": str(fact.relative)} if fact.relative else {}),
    }
