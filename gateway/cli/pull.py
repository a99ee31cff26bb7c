"""twin pull."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from gateway.cli.terminal import Options, print_json, print_table, progress, say
from gateway.home import Home
from gateway.ingest import Report, ingest
from gateway.pull.page import STOPS
from gateway.settings import SourceSettings, load_settings
from gateway.sources import open_source
from mappers import FhirVersion
from mappers.ledger import REASONS
from security.errors import Fault, Misuse, Sealed, StoreFull, Tampered

__all__ = ["pull_", "show_report"]


def pull_(
    source: str | None = None,
    /,
    *,
    folder: Path | None = None,
    fhir_version: FhirVersion | None = None,
    name: str | None = None,
    ask_all: bool = False,
    options: Options = Options(),
) -> int:
    """Copy an EHR, or a folder of FHIR files, into twins. Stopped half-way, run it again: it goes on.

    What is not understood is refused with its reason and counted; that is no failure. Exit status 5 where a source
    could not be walked to its end; what came is stored all the same.

    Parameters
    ----------
    source
        A name from [sources] in twin.toml; without it, all of them.
    folder
        A folder of FHIR bundles or NDJSON (plain or .gz), or one such file, instead of a source.
    fhir_version
        The FHIR version of the folder, where it cannot be detected.
    name
        What to call the folder as a source; by default the folder's own name. It is not sealed: no patient's name.
    ask_all
        Ask the server for all that it does not list any more, however much that is, and take back what it says is gone.
    """
    settings = load_settings(options.home)
    if folder is not None:
        if source is not None:
            raise Misuse("A source and a folder were both given.", hint="Say one of them.")
        told = SourceSettings(folder=folder.expanduser().absolute(), fhir_version=fhir_version)
        label = name or _label(folder)
        if label in settings.sources and settings.sources[label].folder != told.folder:
            raise Misuse("twin.toml has another source of this name.", hint="Say --name.")
        wanted = {label: told}
    elif source is not None:
        wanted = {source: settings.source(source)}
    else:
        wanted = settings.sources
    if not wanted:
        raise Misuse("There is nothing to pull from.", hint="Say --folder FOLDER, or add [sources.NAME] to twin.toml.")
    with Home.open(settings) as home:
        reports, faults = _pull_each(home, wanted, ask_all=ask_all)
        touched = frozenset().union(*(report.touched for report in reports))
        several = sum(len(twin.sources) > 1 for twin in home.store.twins() if twin.id in touched)
        twins = {"total": len(touched), "over_several_sources": several}
    if options.json:
        failed = {label: {"code": fault.code, "say": str(fault)} for label, fault in faults.items()}
        print_json({"sources": [r.as_json() for r in reports], "twins": twins, "failed": failed})
    else:
        for report in reports:
            show_report(report)
        for label, fault in faults.items():
            say(f"{label}: {fault}")
    return 5 if faults or any(report.certificate.verdict == "incomplete" for report in reports) else 0


def _pull_each(
    home: Home, wanted: Mapping[str, SourceSettings], *, ask_all: bool
) -> tuple[list[Report], dict[str, Fault]]:
    """Pull from each source; where there are several, one that fails costs only itself."""
    reports, faults = [], {}
    for name, told in wanted.items():
        try:
            reports.append(asyncio.run(_pull(home, name, told, ask_all=ask_all)))
        except (StoreFull, Tampered, Sealed):
            raise  # the store is of all sources
        except Fault as fault:
            if len(wanted) == 1:
                raise
            faults[name] = fault
    return reports, faults


async def _pull(home: Home, name: str, told: SourceSettings, *, ask_all: bool) -> Report:
    async with open_source(name, told) as source:
        with progress(f"Pulling {name}") as tell:
            return await ingest(home, source, tell, ask_all=ask_all)


def show_report(report: Report, *, stays: bool = True) -> None:
    """Tell a person what one pull brought; `stays` where the store is there afterwards."""
    count = report.ledger
    resumed = " (went on from where the last try stopped)" if report.resumed else ""
    version = report.fhir_version or "no FHIR version"
    say(f"{report.source}: {version}, certificate {report.certificate.verdict}{resumed}")
    say(
        f"  {count.resources} resources = {count.understood} understood + {count.refused} refused; "
        f"{count.facts} facts of {len(report.touched)} twins, {len(report.changed)} changed"
    )
    if taken := report.certificate.retracted:
        say(
            f"  {taken} resources retracted, because the source no longer has them so: twin show and twin diff tell why"
        )
    for asked in report.certificate.asked:
        if asked.stopped:
            said = "an unknown number" if asked.said is None else asked.said
            say(f"  {asked.what}: stopped ({asked.stopped}) after {asked.came} of {said}. {STOPS[asked.stopped]}")
    if report.certificate.note:
        say(f"  {report.certificate.note}")
    if count.refusals and stays:
        told = ((n, reason, REASONS[reason]) for reason, n in count.refusals.most_common())
        print_table("", [">Refused", "Reason", "What it means, and what to do"], told)
        say("  To see each with its place: twin refusals " + report.source)
    elif count.refusals:
        say("  refused: " + ", ".join(f"{n} {reason}" for reason, n in count.refusals.most_common()))


def _label(folder: Path) -> str:
    if folder.is_file():
        return "files"  # a file's own name may be a patient's
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in folder.expanduser().absolute().name)
    return plain.strip("-") or "folder"
