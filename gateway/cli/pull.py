"""twin pull."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from pydantic import ValidationError

from gateway.abandoned import abandon
from gateway.cli.terminal import Options, note, print_json, print_table, progress, say
from gateway.home import Home
from gateway.identities import waiting
from gateway.ingest import Report, ingest
from gateway.pull.bulk import BulkExport
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
    since: str | None = None,
    way: Literal["crawl", "patients", "bulk"] | None = None,
    types: str | None = None,
    ask_all: Annotated[bool, Parameter(negative="")] = False,
    no_wait: Annotated[bool, Parameter(negative="")] = False,
    cancel: Annotated[bool, Parameter(negative="")] = False,
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
    since
        What to ask for: "all"; "auto", what changed since the last pull; or what changed since an instant, such as
        2026-11-24T10:00:00Z. By default what twin.toml says of the source.
    way
        How to ask: "crawl", search type after type; "patients", patient after patient; "bulk", an export.
    types
        Resource types to ask for, with commas between: Patient,Observation.
    ask_all
        Ask the server for all that it does not list any more, however much that is, and take back what it says is gone.
    no_wait
        End where a bulk export is not ready, with exit status 3; the same command goes on with it.
    cancel
        Give up on the pull of this source that was not finished, and have the server drop its export.
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
    wanted = {label: _changed(each, since, way, types) for label, each in wanted.items()}
    if not wanted:
        raise Misuse("There is nothing to pull from.", hint="Say --folder FOLDER, or add [sources.NAME] to twin.toml.")
    with Home.open(settings) as home:
        if cancel:
            return _cancel(home, wanted, options)
        reports, faults = _pull_each(home, wanted, ask_all=ask_all, waits=not no_wait)
        touched = frozenset().union(*(report.touched for report in reports))
        several = sum(len(twin.sources) > 1 for twin in home.store.twins() if twin.id in touched)
        twins = {"total": len(touched), "over_several_sources": several}
        pairs = len(waiting(home))
    if options.json:
        failed = {label: {"code": fault.code, "say": str(fault)} for label, fault in faults.items()}
        print_json({"sources": [r.as_json() for r in reports], "twins": twins, "failed": failed})
    else:
        for report in reports:
            show_report(report)
        for label, fault in faults.items():
            say(f"{label}: {fault}")
        if pairs:
            note(f"Twins that may be one person, and wait for you: {pairs}. See twin identities list.")
    return 5 if faults or any(report.certificate.verdict == "incomplete" for report in reports) else 0


def _pull_each(
    home: Home, wanted: Mapping[str, SourceSettings], *, ask_all: bool, waits: bool
) -> tuple[list[Report], dict[str, Fault]]:
    """Pull from each source; where there are several, one that fails costs only itself."""
    reports, faults = [], {}
    for name, told in wanted.items():
        try:
            reports.append(asyncio.run(_pull(home, name, told, ask_all=ask_all, waits=waits)))
        except (StoreFull, Tampered, Sealed):
            raise  # the store is of all sources
        except Fault as fault:
            if len(wanted) == 1:
                raise
            faults[name] = fault
    return reports, faults


async def _pull(home: Home, name: str, told: SourceSettings, *, ask_all: bool, waits: bool) -> Report:
    async with open_source(name, told, home) as source:
        with progress(f"Pulling {name}") as tell:
            if isinstance(source, BulkExport):
                source.waiting.tell, source.waiting.is_allowed = tell, waits
            return await ingest(home, source, tell, ask_all=ask_all)


def _cancel(home: Home, wanted: Mapping[str, SourceSettings], options: Options) -> int:
    """Give up on what was not finished, of the one source that was named."""
    if len(wanted) != 1:
        raise Misuse("Several pulls may be unfinished.", hint="Name the source to cancel.")
    [(name, told)] = wanted.items()
    became = asyncio.run(abandon(home, name, told))
    if options.json:
        print_json({"name": name, "export": became})
        return 0
    words = {"none": "", "dropped": " The server drops its export.", "left": " Its export expires by itself."}
    say(f"{name}: the unfinished pull is given up.{words[became]} What was mapped stays.")
    return 0


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


def _changed(settings: SourceSettings, since: str | None, way: str | None, types: str | None) -> SourceSettings:
    """Take what was said at the command line instead of what twin.toml says."""
    said = {
        "since": since,
        "way": way,
        "types": tuple(filter(None, types.split(","))) if types is not None else None,
    }
    told = {key: value for key, value in said.items() if value is not None}
    if not told:
        return settings
    if settings.folder:
        raise Misuse("A folder is always read whole.", hint="Leave --since, --way and --types out.")
    try:
        return SourceSettings.model_validate({**settings.model_dump(exclude_unset=True), **told})
    except ValidationError as error:
        hint = 'Say --since all, auto, or an instant with its zone, such as "2026-11-24T10:00:00Z".'
        raise Misuse("That cannot be asked for.", hint=hint, detail=error) from error


def _label(folder: Path) -> str:
    if folder.is_file():
        return "files"  # a file's own name may be a patient's
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in folder.expanduser().absolute().name)
    return plain.strip("-") or "folder"
