"""twin convert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gateway.cli.terminal import Options, note, print_json, print_table, say
from mappers import FhirVersion, Unreadable, detect_version, read_json
from mappers.ledger import REASONS
from mappers.versions.convert import Converted, convert
from mappers.versions.steps import WHY, VersionStep
from security.errors import Misuse, NotFhir

__all__ = ["convert_"]


def convert_(
    file: Path,
    /,
    *,
    source: Annotated[FhirVersion | None, Parameter(name="--from")] = None,
    target: Annotated[FhirVersion, Parameter(name="--to")] = "r4",
    options: Options = Options(),
) -> int:
    """Write one resource in another FHIR version, with what became of each of its elements.

    The resource goes to stdout as JSON, the ledger after it: what was moved, said in other words, kept by an extension
    or lost, by path. Nothing is stored, and the file stays as it is. It ends with 5 where something was lost.

    Parameters
    ----------
    file
        A file with one resource, or a Bundle of them.
    source
        The FHIR version that it is written in; else it is seen by its elements.
    target
        The version to write it in.
    """
    try:
        resource = read_json(file.read_bytes())
    except OSError as error:
        raise Misuse("The file cannot be read.", hint="Name a file with one resource in JSON.", detail=error) from error
    except Unreadable as error:
        raise NotFhir("The file is no FHIR resource in JSON.", hint=REASONS[error.reason], detail=error) from error
    entries = [entry.get("resource") for entry in resource.get("entry") or () if isinstance(entry, dict)]
    version = source or detect_version([each for each in entries if isinstance(each, dict)] or [resource])
    if version is None:
        raise Misuse("The FHIR version cannot be seen by the elements.", hint="Tell it by --from.")
    made = convert(resource, version, target)
    if made.resource is None:
        raise NotFhir(
            f"FHIR {target} has no such type of resource, or we do not convert it.",
            hint="docs/versions.md lists the types.",
            detail=resource["resourceType"],
        )
    if options.json:
        print_json(_told(made, version, target))
    else:
        print_json(made.resource)
        _show(made, version, target)
    return 5 if made.losses else 0


def _told(made: Converted, version: str, target: str) -> dict[str, Any]:
    return {
        "from": version,
        "to": target,
        "resource": made.resource,
        "counts": dict(made.counts()),
        "steps": [_row(step) for step in made.changes],
    }


def _row(step: VersionStep) -> dict[str, Any]:
    told = {
        "path": step.path,
        "what": step.what,
        "to": step.to,
        "why": step.why,
        "before": step.before,
        "after": step.after,
    }
    return {name: value for name, value in told.items() if value not in ("", None)}


def _show(made: Converted, version: str, target: str) -> None:
    counts = made.counts()
    say()
    told = ", ".join(f"{number} {what}" for what, number in counts.items())
    say(f"{version} to {target}: of {len(made.steps)} elements {told}.")
    if not made.changes:
        return
    say()
    print_table(
        "What did not stay what and where it was",
        ["Element", "Became", "Now at", "Why"],
        ((step.path, _became(step), step.to, WHY[step.why]) for step in made.changes),
    )
    if made.losses:
        note(f"Lost: {len(made.losses)} of {len(made.steps)} elements.")


def _became(step: VersionStep) -> str:
    if step.what != "translated" or step.after is None:
        return step.what
    return f"{step.what}: {step.before} to {step.after}"
