"""twin quality."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
from cyclopts import Parameter

from gateway.cli.terminal import print_json, print_table, progress, say
from gateway.home import Home, now
from gateway.quality import Quality, Share, quality_of_pull, quality_of_source, quality_of_twin, record_reading
from gateway.quality_fhir import as_fhir
from gateway.settings import load_settings
from gateway.store import Pull
from gateway.timeliness import DELAYS
from mappers.duplicates import OVERRULED
from mappers.ledger import FLAGS
from security.errors import UnknownName

__all__ = ["quality_"]

_COLUMNS = (
    *("Pull", "Source", "Ended (UTC)", ">Resources", ">Understood", ">Facts", ">Refused", ">Coded", ">Units"),
    *("Completeness", "Refused most for"),
)
_EQUIVALENCE = {"equal": "the same", "wider": "more general than told", "narrower": "more special than told"}


@Parameter(name="*")
@dataclass(frozen=True)
class Shown:
    """What every command takes, with one format more."""

    home: Path | None = None
    """Folder of the store, the keys and twin.toml; else TWIN_HOME, else a user data folder."""

    format: Literal["text", "json", "fhir"] = "text"
    """Words for people, one JSON object for scripts, or a Bundle with an OperationOutcome and a MeasureReport (R4)."""

    debug: bool = False
    """Show the details of a failure. They may hold patient data."""


def quality_(of: str | None = None, /, *, options: Shown = Shown()) -> None:
    """Say how good what came is: what was refused and why, what has codes and units, what came late, what is doubled.

    It is made of counts, without a word of any patient. Without a name, one line for each pull, newest first. That a
    twin, or all twins of a source, were opened to be counted is recorded.

    Parameters
    ----------
    of
        A source, a twin (the beginning of its id), or a pull (the beginning of its id).
    """
    with Home.open(load_settings(options.home), create=False) as home:
        reports = _reports(home, of)
    if options.format == "fhir":
        bundles = [as_fhir(report, now()) for report in reports]
        entries = [entry for bundle in bundles for entry in bundle["entry"]]
        print_json({"resourceType": "Bundle", "type": "collection", "entry": entries} if not of else bundles[0])
    elif options.format == "json":
        print_json({"reports": [_json(report) for report in reports]})
    elif of:
        _show(reports[0])
    else:
        _list(reports)


def _reports(home: Home, of: str | None) -> list[Quality]:
    """Find what is meant: all pulls, a source, a twin, or a pull, in this order."""
    pulls = [pull for pull in home.store.pulls() if pull.ledger or pull.state == "done"]
    if of is None:
        record_reading(home)
        return [quality_of_pull(home, pull) for pull in pulls]
    sources = home.store.sources()
    if of in sources:
        with progress("quality") as tell:
            return [quality_of_source(home, of, tell)]
    if chosen := _begins(pulls, of):
        record_reading(home)
        return [quality_of_pull(home, chosen)]
    try:
        return [quality_of_twin(home, of)]
    except UnknownName as error:
        raise UnknownName("source, twin or pull", of, [*sources, *(pull.id[:8] for pull in pulls[:3])]) from error


def _begins(pulls: list[Pull], of: str) -> Pull | None:
    found = [pull for pull in pulls if len(of) >= 4 and pull.id.startswith(of.lower())]
    return found[0] if len(found) == 1 else None


def _list(reports: list[Quality]) -> None:
    if not reports:
        say("Nothing was pulled yet. Run: twin pull")
        return
    print_table(
        "Pulls, newest first",
        _COLUMNS,
        (
            (
                report.name[:8],
                report.verdicts[0].source,
                f"{report.ended:%Y-%m-%d %H:%M}" if report.ended else "",
                f"{report.resources:,}",
                _percent(Share(report.understood, report.resources)),
                f"{report.statements:,}",
                f"{report.refused:,}",
                _percent(report.codes),
                _percent(report.units),
                report.verdicts[0].verdict,
                ", ".join(f"{each.reason} {each.count:,}" for each in report.refusals[:3]),
            )
            for report in reports
        ),
    )
    say("More of one: twin quality SOURCE, TWIN or PULL")


def _show(report: Quality) -> None:
    say(f"Quality of {report.what} {report.name}")
    say(
        f"  {report.resources:,} resources = {report.understood:,} understood + {report.refused:,} with a refusal; "
        f"{report.statements:,} statements, {report.facts:,} facts, {report.links:,} links"
    )
    say(f"  with a standard code: {_of(report.codes)}; numbers with a unit that can be converted: {_of(report.units)}")
    for each in report.verdicts:
        ended = f", pull of {each.ended:%Y-%m-%d %H:%M} UTC" if each.ended else ""
        say(f"  completeness of {each.source}: {each.verdict}{ended}")
    if report.refusals:
        print_table(
            "Refused",
            [">Count", "Reason", "What it means, and what to do", "In"],
            (
                (f"{r.count:,}", r.reason, r.meaning, ", ".join(f"{kind} {n:,}" for kind, n in r.types.items()))
                for r in report.refusals
            ),
        )
    for title, counts in (("Codes missing most", report.codes.missing), ("Units missing most", report.units.missing)):
        _counts(title, counts)
    if report.flags:
        print_table(
            "Odd, and used as it stands",
            [">Count", "Flag", "What it means"],
            ((f"{count:,}", flag, FLAGS.get(flag, "")) for flag, count in report.flags.items()),
        )
    if report.what != "pull":
        say(f"Duplicates: {report.copies:,} statements are told by others as well; {report.possible:,} groups may be.")
        for reason, count in report.not_used.items():
            say(f"  not used, {reason}: {count:,}. {OVERRULED.get(reason, '')}")  # type: ignore[call-overload]
    _counts("Units converted", report.conversions)
    _counts("Codes translated", {_EQUIVALENCE.get(how, how): count for how, count in report.translations.items()})
    _counts("FHIR versions", report.versions)
    _counts("Facts by version of the mapping", report.mappings)
    if report.delays:
        print_table(
            "Delays",
            ["What", ">Of", ">Median", ">90 % within", ">Before"],
            ((DELAYS[d.what], f"{d.count:,}", _time(d.median), _time(d.most), f"{d.before:,}") for d in report.delays),
        )


def _counts(title: str, counts: Any) -> None:
    if counts:
        say(f"{title}: {', '.join(f'{name} {count:,}' for name, count in counts.items())}")


def _percent(share: Share) -> str:
    return "" if share.share is None else f"{100 * share.share:.1f} %"


def _of(share: Share) -> str:
    return f"{_percent(share)} ({share.count:,} of {share.of:,})" if share.of else "not counted"


def _time(hours: float) -> str:
    """Write hours as a person says them."""
    if abs(hours) < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if abs(hours) < 48 else f"{hours / 24:.1f} days"


def _json(report: Quality) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(report, builtin_types=(type(now()),))
    told["codes"]["share"], told["units"]["share"] = report.codes.share, report.units.share
    return told
