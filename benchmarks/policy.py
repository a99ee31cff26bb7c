"""What the policy costs: decisions by scopes, roles and compartment, beside general policy engines, in one run.

    python benchmarks/policy.py [--quick] [--format json] [--only decisions,granular,compiling,narrowing]

Numbers are of one process, one core. `decisions`: one resource after another is allowed or not, by tokens as apps have
them. The peers are what one would take else: pycasbin (a rule: same patient, type, action; the attributes are given)
and cedarpy (the same rule in Cedar). They are asked less: neither reads the resource to see whose it is. Where they are
not installed (`pip install pycasbin cedarpy`), there is no peer. `granular`: what a scope with a constraint adds to a
page of a search: the API's own search over a patient of 500 Observations, by code, 50 a page, with consents, but with
no HTTP and no audit, so the share of a request is smaller. `compiling`: a token that was never seen before.
`narrowing`: the scopes of an authorization request.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from msgspec.json import encode  # noqa: E402

from gateway.api.call import Call  # noqa: E402
from gateway.api.charts import StoreCharts  # noqa: E402
from gateway.api.consents import Consents, Rules  # noqa: E402
from gateway.api.searching import answer_search  # noqa: E402
from gateway.api.view import View  # noqa: E402
from gateway.home import Home  # noqa: E402
from gateway.ingest import ingest  # noqa: E402
from gateway.pull.folder import Folder  # noqa: E402
from gateway.settings import load_settings  # noqa: E402
from mappers.search import matches  # noqa: E402
from security.audit import TokenUse  # noqa: E402
from security.grants import compile_grants  # noqa: E402
from security.narrowing import narrow  # noqa: E402
from security.policy import Caller, Grants  # noqa: E402

Found = dict[str, Any]
BASE = "https://t.example.org/fhir"
A_SECOND, SHARE = 200_000.0, 10.0  # goals of issue 9
LABORATORY = "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
PATIENT = ("launch/patient", "openid", "fhirUser", "offline_access", "patient/*.rs")
WRITER = (*PATIENT[:4], "patient/Patient.rs", "patient/Observation.cruds", "patient/Condition.rs", "patient/Consent.rs")
GRANULAR = (*PATIENT[:4], f"patient/Observation.rs?{LABORATORY}", "patient/Observation.rs?category=vital-signs")


def row(mine: float, theirs: float | None, unit: str, goal: float | None, *, more: bool = False) -> Found:
    """Make one row of the table; less is better, or `more`."""
    met = None if goal is None else mine >= goal if more else mine <= goal
    ratio = round(mine / theirs, 3) if theirs else None
    found = {"ours": round(mine, 3), "peer": None if theirs is None else round(theirs, 3), "ratio": ratio}
    return found | {"unit": unit, "goal": goal, "met": met}


def caller(scopes: tuple[str, ...], patient: str = "anna") -> Caller:
    """Return a clinician with a token."""
    return Caller(
        client="app",
        user="maria",
        roles=frozenset({"clinician"}),
        patient=patient,
        fhir_user="Practitioner/7",
        scopes=scopes,
        token=TokenUse("urn:ietf:params:oauth:jti:1"),
        expires=datetime(2026, 12, 1, tzinfo=UTC),
    )


def observation(number: int, of: str = "anna") -> dict[str, Any]:
    """Return an Observation as an EHR sends it, every second one a laboratory's."""
    category = "laboratory" if number % 2 else "vital-signs"
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "meta": {"versionId": "1", "lastUpdated": "2026-11-30T12:00:00Z"},
        "status": "final",
        "category": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": category}]}
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4", "display": "HbA1c"}], "text": "HbA1c"},
        "subject": {"reference": f"Patient/{of}"},
        "performer": [{"reference": "Practitioner/7"}],
        "effectiveDateTime": "2026-11-30T11:00:00Z",
        "valueQuantity": {"value": 6.1, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"},
        "interpretation": [{"coding": [{"code": "N"}]}],
        "referenceRange": [{"low": {"value": 4.0}, "high": {"value": 6.0}, "text": "4.0 to 6.0"}],
    }


def best(work: Callable[[], object], rounds: int) -> float:
    """Return the least CPU seconds of some tries."""
    least = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        work()
        least = min(least, time.process_time() - begun)
    return least


def asked(grants: Grants, resources: list[dict[str, Any]], expected: int) -> Callable[[], object]:
    """Return what asks about each resource, and makes sure that the answers are those expected."""

    def ask() -> None:
        said = sum(grants.allows("s", "Observation", each, "anna") for each in resources)
        assert said == expected, said  # noqa: S101 - else it counts for nothing

    return ask


def decisions(*, quick: bool) -> dict[str, Found]:
    """Decide about one resource after another."""
    count, rounds = (5_000, 3) if quick else (50_000, 7)
    some = [observation(number) for number in range(100)]
    resources = [some[number % 100] for number in range(count)]
    others = [observation(number, "bert") for number in range(100)] * (count // 100)
    peers = {"pycasbin": _casbin(), "cedarpy": _cedar()}
    found = {}
    for name, scopes, among, expected in (
        ("patient", PATIENT, resources, count),
        ("patient_denied", PATIENT, others, 0),
        ("many_scopes", WRITER, resources, count),
        ("user", ("openid", "fhirUser", "user/*.rs"), resources, count),
    ):
        rate = count / best(asked(compile_grants(caller(scopes), matches), among, expected), rounds)
        peer = peers["pycasbin"]() if name == "patient" and peers["pycasbin"] else None
        unit = "decisions/s a core, allowed or not by what each resource says" + ("; peer: pycasbin" if peer else "")
        found[f"decisions_{name}"] = row(rate, peer, unit, A_SECOND, more=True)
    if peers["cedarpy"]:
        found["decisions_cedar"] = row(
            found["decisions_patient"]["ours"], peers["cedarpy"](), "the same; peer: cedarpy", A_SECOND, more=True
        )
    return found


def granular(*, quick: bool) -> dict[str, Found]:
    """Make a page of a search, with a plain and with a granular scope, over the same resources."""
    rounds = 5 if quick else 30
    with tempfile.TemporaryDirectory() as folder, Home.open(load_settings(Path(folder) / "home")) as home:
        entries = [{"resource": {"resourceType": "Patient", "id": "anna", "name": [{"family": "A"}]}}]
        entries += [{"resource": observation(number)} for number in range(500)]
        (Path(folder) / "in").mkdir()
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        (Path(folder) / "in" / "anna.json").write_bytes(encode(bundle))
        asyncio.run(ingest(home, Folder("files", Path(folder) / "in", "r4"), lambda text: None))
        kept = StoreCharts(home, BASE)
        [twin] = kept.twins("")
        consents = Consents(kept, Rules())
        now = datetime.now(UTC)

        def page(scopes: tuple[str, ...], *, opens: bool) -> Callable[[], object]:
            asks = caller(scopes, twin)
            told = (("patient", f"Patient/{twin}"), ("code", "http://loinc.org|4548-4"), ("_count", "50"))

            def work() -> None:
                charts = StoreCharts(home, BASE) if opens else kept
                view = View(asks, charts, compile_grants(asks, matches), consents.during(), now)
                call = Call(
                    home=home,
                    view=view,
                    request_id="1",
                    method="GET",
                    url="/Observation",
                    path={"type": "Observation"},
                    parameters=told,
                    base=BASE,
                    now=now,
                )
                assert len(answer_search(call).found[twin]) == 50  # noqa: S101 - else it counts for nothing

            return work

        def added(text: str, *, opens: bool) -> Found:
            works = [page(scopes, opens=opens) for scopes in (PATIENT, GRANULAR)]
            tries = [[best(work, 1) for work in works] for _ in range(rounds * (1 if opens else 10))]  # by turns
            without, with_ = (1e3 * min(some) for some in zip(*tries, strict=True))
            unit = f"% that two granular scopes add to a page, {text} ({without:.2f} ms without; no HTTP, no audit)"
            return row(100 * (with_ - without) / without, None, unit, SHARE)

        found = {
            "granular_page": added("of a patient whose chart is open", opens=False),
            "granular_first_page": added("of a patient whose chart is opened for it", opens=True),
        }
    fine, bodies = compile_grants(caller(GRANULAR), matches), [observation(number) for number in range(500)]
    rate = 500 / best(asked(fine, bodies, 500), rounds)
    unit = "decisions/s a core, by two scopes with a constraint"
    return found | {"decisions_granular": row(rate, None, unit, A_SECOND, more=True)}


def compiling(*, quick: bool) -> dict[str, Found]:
    """Compile tokens that were never seen, and use each once."""
    count, one = 200 if quick else 2_000, observation(1)
    tokens = [caller((*WRITER, f"patient/Observation.rs?code=a{number}"), "anna") for number in range(2 * count)]
    again = caller(PATIENT)

    def work(some: list[Caller]) -> None:
        for each in some:
            compile_grants(each, matches).allows("r", "Observation", one, "anna")

    return {
        "compiling_new": row(
            1e6 * best(lambda: work(tokens[:count]), 1) / count, None, "CPU µs for a token never seen", None
        ),
        "compiling_known": row(
            1e6 * best(lambda: work([again] * count), 3) / count, None, "CPU µs for one known", None
        ),
    }


def narrowing(*, quick: bool) -> dict[str, Found]:
    """Narrow what an app asks for to what it is registered for, new each time."""
    count = 200 if quick else 2_000
    registered = tuple(
        f"patient/{name}.rs" for name in ("Patient", "Observation", "Condition", "Procedure", "Encounter")
    )

    def work() -> None:
        for number in range(count):
            narrow((f"patient/*.rs?code=a{number}", "patient/*.read", "openid"), registered)

    return {"narrowing": row(1e6 * best(work, 1) / count, None, "CPU µs an authorization request", None)}


def _casbin() -> Callable[[], float] | None:
    try:
        casbin = importlib.import_module("casbin")
    except ImportError:
        return None
    model = """[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub.patient == r.obj.patient && (p.obj == "*" || p.obj == r.obj.type) && r.act in p.act
"""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model").write_text(model, "utf-8")
        (Path(folder) / "policy").write_text("p, app, *, rs\n", "utf-8")
        enforcer = casbin.Enforcer(str(Path(folder) / "model"), str(Path(folder) / "policy"))

    class Thing:
        patient, type = "anna", "Observation"

    def rate() -> float:
        assert enforcer.enforce(Thing, Thing, "s")  # noqa: S101 - else it counts for nothing
        return 2_000 / best(lambda: [enforcer.enforce(Thing, Thing, "s") for _ in range(2_000)], 5)

    return rate


def _cedar() -> Callable[[], float] | None:
    try:
        cedarpy = importlib.import_module("cedarpy")
    except ImportError:
        return None
    policy = """permit(principal, action in [Action::"r", Action::"s"], resource)
when {resource.patient == principal.patient};"""
    entities = json.dumps(
        [
            {"uid": {"type": "App", "id": "1"}, "attrs": {"patient": "anna"}, "parents": []},
            {"uid": {"type": "Observation", "id": "1"}, "attrs": {"patient": "anna"}, "parents": []},
        ]
    )
    request = {"principal": 'App::"1"', "action": 'Action::"s"', "resource": 'Observation::"1"', "context": {}}

    def rate() -> float:
        assert cedarpy.is_authorized(request, policy, entities).allowed  # noqa: S101 - else it counts for nothing
        return 1_000 / best(lambda: [cedarpy.is_authorized(request, policy, entities) for _ in range(1_000)], 5)

    return rate


PARTS: dict[str, Callable[..., dict[str, Found]]] = {
    "decisions": decisions,
    "granular": granular,
    "compiling": compiling,
    "narrowing": narrowing,
}


def main() -> int:
    """Print the table; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--only", default=",".join(PARTS))
    said = parser.parse_args()
    found: dict[str, Found] = {}
    for name in said.only.split(","):
        found |= PARTS[name](quick=said.quick)
    if said.format == "json":
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for name, each in found.items():
            beside = f", peer {each['peer']}, ratio {each['ratio']}" if each["peer"] is not None else ""
            goal = f"; goal {each['goal']}, {'met' if each['met'] else 'missed'}" if each["goal"] is not None else ""
            print(f"{name}: {each['ours']} {each['unit']}{beside}{goal}")
    return int(any(each["met"] is False for each in found.values()))


if __name__ == "__main__":
    sys.exit(main())
