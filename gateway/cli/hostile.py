"""twin hostile list, twin hostile serve, twin hostile proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from gateway.cli.terminal import Options, counted, print_json, print_table, say
from security.errors import Misuse

__all__ = ["list_", "proxy_", "serve_"]


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


def proxy_(
    url: str,
    /,
    *,
    seed: int = 1,
    port: int = 0,
    refused: float = 0.02,
    swallowed: float = 0.01,
    reset: float = 0.005,
    storm: float = 0.001,
    storm_s: float = 1.0,
    hold_s: float = 1.0,
    options: Options = Options(),
) -> None:
    """Put a proxy that loses things before a FHIR server, on 127.0.0.1 until Ctrl-C, to try on it what writes.

    Parameters
    ----------
    url
        The base of a server that speaks plain http, such as `twin hostile serve`.
    seed
        What it does is drawn from this, in the order in which requests arrive.
    port
        Port on 127.0.0.1; 0 takes a free one.
    refused
        Share of requests that get 503, of which the server hears nothing.
    swallowed
        Share of requests that the server does and nobody is told of.
    reset
        Share of requests whose connection is reset: half of them before the server hears of it.
    storm
        Share of requests that begin a storm of 429.
    storm_s
        How many seconds a storm lasts.
    hold_s
        How many seconds a connection is held whose answer is swallowed.
    """
    from conformance.hostile import Weather, proxied
    from conformance.hostile.alone import until_stopped

    weather = Weather(refused, swallowed, reset, storm, storm_s, hold_s)
    with until_stopped() as stop, proxied(url, weather, seed=seed, port=port) as proxy:
        if options.json:
            print_json({"base": proxy.base_url, "seed": seed})
        else:
            say(f"{proxy.base_url}  (seed {seed})")
            say("Ctrl-C ends it.")
        stop.wait()
        say(", ".join(f"{number} {fate}" for fate, number in sorted(proxy.counts.items())) or "nobody asked anything")
