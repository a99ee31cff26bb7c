"""Start one simulated EHR by hand: `python -m conformance.hostile --version r4 --port 8080 FILES...`."""

from __future__ import annotations

import json
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from conformance.cohort import EhrName, build, to_json
from conformance.hostile import MISBEHAVIOURS, Ehr, EhrSettings, FhirVersion, Misbehaviour, serve
from security.errors import BadSettings, Fault

_SEED = 7  # the cohort of the demonstration

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
        NAME or NAME:TYPE throws a switch, for good. Repeatable.
    list_
        List the switches and stop.
    """
    if list_:
        sys.stdout.write("".join(f"{name:24} {kind.place:8} {kind.does}\n" for name, kind in MISBEHAVIOURS.items()))
        return
    ehr = Ehr(EhrSettings(fhir_version=version, page_size=page_size, require_auth=bool(client)))
    for told in client:
        ehr.smart.register(*_client(told))
    ehr.misbehaviours.add(*(Misbehaviour(*told.partition(":")[::2]) for told in misbehave))
    bundles = build(_SEED, datetime.now(UTC).date()).bundles(cohort, version) if cohort else []
    loaded = sum(ehr.load_file(file) for file in files) + ehr.load(*map(to_json, bundles))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with serve([ehr], ports=[port]) as [base]:
        sys.stdout.write(f"{base}  ({version}, {loaded} resources{'' if client else ', no token needed'})\n")
        sys.stdout.flush()
        stop.wait()


def _client(told: str) -> tuple[str, dict[str, object]]:
    name, mark, file = told.partition("=")
    if not mark or not name:
        raise BadSettings("--client is told as ID=FILE.", hint="FILE is the client's public JWKS.")
    try:
        keys = json.loads(Path(file).read_bytes())
    except (OSError, ValueError) as error:
        raise BadSettings(
            "The client's key set cannot be read as JSON.", hint="Give a JWKS file.", detail=error
        ) from error
    if not isinstance(keys, dict):
        raise BadSettings("The client's key set is not a JSON object.", hint='It reads {"keys": [...]}.')
    return name, keys


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
