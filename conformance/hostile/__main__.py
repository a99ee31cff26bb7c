"""Start one simulated EHR by hand: `python -m conformance.hostile --version r4 --port 8080 FILES...`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from conformance.cohort import EhrName
from conformance.hostile import FAULTS, Ehr, EhrSettings, FhirVersion, throw
from conformance.hostile.alone import load, load_cohort, register, serve_alone
from security.errors import Fault

app = App(
    name="python -m conformance.hostile",
    help="Serve a simulated EHR on 127.0.0.1 until Ctrl-C.",
    help_format="plaintext",
    version_flags=[],
)


@app.default
def run(
    *files: Path,
    version: FhirVersion = "r4",
    cohort: EhrName | None = None,
    port: int = 8080,
    page_size: int = 50,
    client: tuple[str, ...] = (),
    misbehave: tuple[str, ...] = (),
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False,
) -> None:
    """Serve bundles (JSON) and resources (NDJSON) of one FHIR version, or what an EHR of the cohort holds.

    Parameters
    ----------
    files
        What to load; must be of the version served.
    version
        FHIR version to speak.
    cohort
        Load the people of the cohort that this EHR knows: lakeside (dstu2), harbor (stu3) or summit (r4, r4b, r5).
    port
        Port on 127.0.0.1; 0 takes a free one.
    page_size
        Rows on a page of a search.
    client
        ID=FILE registers a SMART client with its public key set (JWKS). Without any, no token is asked for. Repeatable.
    misbehave
        NAME, NAME:TYPE or NAME,type=..,after=..,times=..,value=.. throws a switch. Repeatable.
    list_
        List the switches and stop.
    """
    if list_:
        sys.stdout.write("".join(f"{name:30} {kind.place:10} {kind.does}\n" for name, kind in FAULTS.items()))
        return
    ehr = Ehr(EhrSettings(fhir_version=version, page_size=page_size, require_auth=bool(client)))
    register(ehr, client)
    ehr.misbehaviours.add(*(throw(told.replace(":", ",type=", 1) if "," not in told else told) for told in misbehave))
    loaded = load(ehr, files) + (load_cohort(ehr, cohort) if cohort else 0)
    token = "" if client else ", no token needed"

    def say(base: str, files: str) -> None:
        sys.stdout.write(f"{base}  ({version}, {loaded} resources{token})\n")
        sys.stdout.flush()

    serve_alone(ehr, port, say)


def main() -> int:
    """Run the command; a foreseen failure is one sentence and its exit status."""
    try:
        app()
    except Fault as fault:
        sys.stderr.write(f"{fault}\n")
        return fault.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
