"""twin lineage."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from gateway.cli.terminal import Options, print_json, say
from gateway.home import Home
from gateway.lineage import Lineage, lineage
from gateway.lineage.archive import lineage_in
from gateway.lineage.checked import Check
from gateway.lineage.provenance import as_bundle
from gateway.lineage.there import look_there
from gateway.lineage.words import said_counts, tree
from gateway.settings import load_settings
from gateway.texts import key_or_file
from security.errors import Misuse

__all__ = ["lineage_"]


def lineage_(
    result: str,
    /,
    *,
    source: str = "",
    check: bool = False,
    fhir: bool = False,
    in_: Annotated[Path | None, Parameter(name="--in")] = None,
    public_key: str = "",
    options: Options = Options(),
) -> int:
    """Show on what a result at an EHR stands, or which results stand on a raw resource. Reading it is recorded.

    From a resource of ours at an EHR it goes back to the delivery, who agreed, the run, model and calibration, each
    input, fact and mapping, the bytes that it was read in, the pull that brought them, and the audit record of each
    step. From a raw resource it goes forth to every result that stood on it. What is not there says why.

    Exit status 1 where an export (--in) is not what it says.

    Parameters
    ----------
    result
        A resource at a source ("RiskAssessment/12", "Observation/lab-7"), its address, urn:uuid:…, the id of a
        delivery or a run (or its beginning), or a handle of twin show.
    source
        The source that has the resource, where several have one of that name.
    check
        Ask the EHR what stands there now.
    fhir
        Write it as a Bundle of Provenance (FHIR R4).
    in_
        A file of twin export: it is followed and checked there; no store and no key is needed.
    public_key
        With --in, the installation's public key or the file that has it (audit.pub): signatures are checked, too.
    """
    if in_ is not None:
        if check:
            raise Misuse("An export asks no EHR.", hint="Leave --check or --in away.")
        found, checks = lineage_in(in_, result, source, key_or_file(public_key) if public_key else "")
        _show(found, checks, options, fhir=fhir)
        return 0 if all(each.is_so is not False for each in checks) else 1
    if public_key:
        raise Misuse("A public key is for an export.", hint="Say --in, or run twin audit verify.")
    with Home.open(load_settings(options.home), create=False) as home:
        found = lineage(home, result, source)
        if check:
            found = asyncio.run(look_there(home, found))
    _show(found, [], options, fhir=fhir)
    return 0


def _show(found: Lineage, checks: list[Check], options: Options, *, fhir: bool) -> None:
    if fhir:
        print_json(as_bundle(found))
        return
    if options.json:
        told: dict[str, Any] = {**msgspec.to_builtins(found), "counts": found.counts, "missing": found.missing}
        print_json(told | ({"checks": msgspec.to_builtins(checks)} if checks else {}))
        return
    for depth, line in tree(found):
        say(f"{'  ' * depth}{line}")
    say()
    for line in said_counts(found):
        say(line)
    for each in checks:
        say(f"{'not checked' if each.is_so is None else 'yes' if each.is_so else 'NO'}: {each.said}")
