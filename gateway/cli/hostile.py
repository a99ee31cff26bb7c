"""twin hostile list, twin hostile serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from gateway.cli.terminal import Options, counted, print_json, print_table, say
from security.errors import Misuse

__all__ = ["list_", "serve_"]


def list_(place: str | None = None, /, *, options: Options = Options()) -> None:
    """List the faults that the simulated EHR can play: what each does, where it bites, and who reported it.

    Parameters
    ----------
    place
        Only those that bite here, such as page, body, poll or manifest.
    """
    from conformance.hostile import FAULTS, PLACES

    if place is not None and place not in PLACES:
        raise Misuse(f"No fault bites at {place}.", hint=f"Places: {', '.join(PLACES)}.")
    shown = [kind for kind in FAULTS.values() if place in (None, kind.place)]
    if options.json:
        rows = [
            {
                "name": kind.name,
                "place": kind.place,
                "does": kind.does,
                "value": kind.value,
                "times": kind.times,
                "cite": kind.cite,
            }
            for kind in shown
        ]
        print_json({"places": PLACES, "faults": rows})
        return
    rows_ = ((kind.name, kind.place, kind.does, kind.value, kind.cite) for kind in shown)
    print_table(counted(len(shown), "fault"), ["Name", "Place", "What it plays", "Value", "Reported as"], rows_)
    say()
    say("To play some: twin hostile serve --fault NAME[,type=Observation][,after=1][,times=2][,value=7]")


def serve_(
    *,
    fault: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    fhir_version: Literal["dstu2", "stu3", "r4", "r4b", "r5"] = "r4",
    port: int = 8080,
    data: str = "cohort",
    page_size: int = 50,
    bulk: Literal["stu2", "stu3", "stu4"] = "stu2",
    client: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    options: Options = Options(),
) -> None:
    """Serve a simulated EHR on 127.0.0.1 until Ctrl-C, with faults, to try a FHIR client on. It holds no real person.

    Parameters
    ----------
    fault
        NAME[,type=TYPE][,after=N][,times=N][,value=VALUE] plays a fault of `twin hostile list`. Repeatable.
    fhir_version
        FHIR version to speak.
    port
        Port on 127.0.0.1; 0 takes a free one.
    data
        A folder or file of FHIR bundles and NDJSON of that version, or "cohort" for invented people.
    page_size
        Rows on a page of a search.
    bulk
        Dialect of the bulk export.
    client
        ID=FILE registers a SMART client with its public key set (JWKS). Without any, no token is asked for. Repeatable.
    """
    from conformance.hostile import BulkHabits, Ehr, EhrSettings, throw
    from conformance.hostile.alone import load, load_cohort, register, serve_alone

    thrown = [throw(told) for told in fault]
    ehr = Ehr(
        EhrSettings(
            fhir_version=fhir_version,
            page_size=page_size,
            require_auth=bool(client),
            bulk=BulkHabits(dialect=bulk),
        )
    )
    register(ehr, client)
    loaded = load_cohort(ehr) if data == "cohort" else load(ehr, [Path(data)])
    ehr.misbehaviours.add(*thrown)

    def tell(base: str, files: str) -> None:
        if options.json:
            print_json({"base": base, "files": files, "fhir_version": fhir_version, "resources": loaded})
            return
        say(f"{base}  ({fhir_version}, {loaded} resources{'' if client else ', no token needed'})")
        for each in thrown:
            say(f"  {each.name}: {each.kind.does}")
        say("Ctrl-C ends it.")

    serve_alone(ehr, port, tell)
