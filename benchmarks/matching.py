"""How well people are told apart over several EHRs, and how fast, beside splink on the same records in one run.

    python benchmarks/matching.py [--quick] [--format json] [--only town,held-out,worse,febrl,settling]

Made-up towns (`conformance/cohort/registrations.py` cites its error rates) of 20,000 people who register with three
EHRs. The parameters of the matcher (`mappers/tables/likelihood.toml`) were set on seeds 1 to 3; the rows are of seeds
that it never saw ("town", "held-out"), of clerks who err one and a half and two times as often ("worse"), and of FEBRL
4, which others made. `splink` gets the same fields and learns on the very records; of its thresholds the one counts
that has the highest recall with a precision of 0.999 (where none has, of 0.99, else 0.95), which nobody could know
without the truth.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from conformance.cohort.registrations import Rates, Registration, register  # noqa: E402
from gateway.census import Census  # noqa: E402
from gateway.home import Home, now  # noqa: E402
from gateway.settings import load_settings  # noqa: E402
from mappers.identity import Person, lookup_tokens, read_person  # noqa: E402
from mappers.matching import choose, search_keys  # noqa: E402
from tests.mappers.town import NAMES  # noqa: E402

PEERS = ("splink==5.0.0", "recordlinkage==0.16")
PRECISION, RECALL = 0.999, 0.97  # goals
Found = dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """How many pairs of records of one person there are, and how many were put together, rightly and in all."""

    true: int
    right: int
    together: int

    @property
    def precision(self) -> float:
        """The share of what was put together that is one person."""
        return self.right / self.together if self.together else 1.0

    @property
    def recall(self) -> float:
        """The share of what is one person that was put together."""
        return self.right / self.true


def judge(who: Sequence[int], clusters: Sequence[Any]) -> Judged:
    """Count pairs: of people, of clusters, and of both."""

    def pairs(keys: Iterable[Any]) -> int:
        return sum(n * (n - 1) // 2 for n in Counter(keys).values())

    return Judged(pairs(who), pairs(zip(who, clusters, strict=True)), pairs(clusters))


def ours(people: Sequence[Person]) -> tuple[list[int], set[frozenset[int]], float]:
    """Settle people one by one, as `gateway.census` does; gives their twins, the pairs that wait, and CPU seconds."""
    began = time.process_time()
    index: dict[str, set[int]] = defaultdict(set)
    twins: list[list[Person]] = []
    chosen, waiting = [], set()
    for person in people:
        tokens = lookup_tokens(person) | search_keys(person)
        alike = sorted({twin for token in tokens for twin in index[token]})
        found = choose(person, {str(twin): twins[twin] for twin in alike}, len(twins))
        twin = len(twins) if found.twin is None else int(found.twin)
        if twin == len(twins):
            twins.append([])
        twins[twin].append(person)
        for token in tokens:
            index[token].add(twin)
        chosen.append(twin)
        waiting.update(frozenset((twin, int(other))) for other in found.possible)
    return chosen, waiting, time.process_time() - began


def peer(*command: str) -> Any:
    """Run the peer in an environment of its own, or say why that is not possible."""
    place = HERE.parent / ".cache" / "splink"
    python = place / "bin" / "python"
    ready = place / "ready"
    if not ready.exists():
        venv.create(place, with_pip=True)
        pip = [str(place / "bin" / "pip"), "install", "--quiet", *PEERS]
        if subprocess.run(pip, check=False, capture_output=True).returncode:  # noqa: S603 - what was made above
            return f"{' and '.join(PEERS)} cannot be installed here"
        ready.touch()
    ran = subprocess.run(  # noqa: S603 - our own
        [str(python), str(HERE / "matching_peer.py"), *command], check=False, capture_output=True, text=True
    )
    return json.loads(ran.stdout.splitlines()[-1]) if not ran.returncode else f"the peer failed: {ran.stderr[-300:]}"


def splink(who: Sequence[int], people: Sequence[Person]) -> tuple[Judged, str, Found] | str:
    """Link the same people by splink; of its thresholds take the best of those that are precise enough.

    Where none is, 0.99 is enough, else 0.95, else anything.
    """
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "people.json"
        file.write_text(json.dumps([_flat(n, person) for n, person in enumerate(people)]), "utf-8")
        told = peer("link", str(file))
    if isinstance(told, str):
        return told
    judged = []
    for threshold, clusters in told["clusters"].items():
        of = [clusters.get(str(n), f"alone {n}") for n in range(len(people))]
        judged.append((judge(who, of), threshold))
    for wanted in (PRECISION, 0.99, 0.95, 0.0):
        precise = [each for each in judged if each[0].precision >= wanted]
        if precise:
            break
    return *max(precise, key=lambda each: each[0].recall), told


def _flat(number: int, person: Person) -> Found:
    name = person.names[0] if person.names else None
    home = person.homes[0] if person.homes else None
    ssn = next((i.value for i in person.identifiers if i.system.endswith("us-ssn")), "")
    return {
        "unique_id": str(number),
        "given": name.given if name else "",
        "family": name.family if name else "",
        "middle": name.others[:1] if name else "",
        "birth": person.birth_date,
        "sex": person.sex,
        "street": home.street if home else "",
        "postal": home.postal if home else "",
        "phone": person.phones[0] if person.phones else "",
        "email": person.emails[0] if person.emails else "",
        "ssn": ssn,
    }


def row(
    mine: float, theirs: float | None, unit: str, goal: float | None, *, more: bool = True, met: bool | None = None
) -> Found:
    """Make one row of the table; `more` is better, or less."""
    found: Found = {"ours": round(mine, 5), "peer": None if theirs is None else round(theirs, 5)}
    found["ratio"] = round(mine / theirs, 3) if theirs else None
    found |= {"unit": unit, "goal": goal}
    if met is None and goal is not None:
        met = mine >= goal if more else mine <= goal
    return found | {"met": met}


def town(name: str, count: int, seed: int, rates: Rates, *, goals: bool = True, beside: bool = True) -> Found:
    """Judge one town; where clerks err more than published there is no goal for recall."""
    registered = register(NAMES, count=count, seed=seed, rates=rates)
    people = [read_person(each.patient, f"s{each.source}") for each in registered]
    return matched(name, [each.who for each in registered], people, goals=goals, beside=beside)


def matched(name: str, who: Sequence[int], people: Sequence[Person], *, goals: bool, beside: bool) -> Found:
    """Judge ours and the peer on the same records."""
    twins, waiting, seconds = ours(people)
    mine = judge(who, twins)
    theirs = splink(who, people) if beside else "not asked"
    judged, threshold, told = theirs if not isinstance(theirs, str) else (None, theirs, {})
    beside_us = f"of {mine.true} pairs; splink at {threshold}"
    goal = RECALL if goals else None
    found = {
        f"{name}_precision": row(
            mine.precision, judged and judged.precision, f"pairs right of {mine.together}", PRECISION
        ),
        f"{name}_recall": row(mine.recall, judged and judged.recall, beside_us, goal),
        f"{name}_waiting": row(len(waiting), None, f"pairs of twins that wait, of {len(set(twins))} twins", None),
        f"{name}_a_record": row(
            1e6 * seconds / len(people),
            1e6 * told["linked_s"] / len(people) if told else None,
            "CPU µs a record, all at once, without training",
            None,
        ),
    }
    if told:
        unit = "CPU µs to look one record up"
        found[f"{name}_one_by_one"] = row(1e6 * seconds / len(people), 1e6 * told["one_by_one_s"], unit, None)
    return found


def febrl() -> Found:
    """Judge FEBRL 4, without its numbers, which it never mistypes: it has no sexes, telephones or nicknames."""
    told = peer("febrl")
    if isinstance(told, str):
        return {"febrl4": {"skipped": told}}
    people = [read_person(_patient(each), f"s{each['source']}") for each in told]
    return matched("febrl4", [each["who"] for each in told], people, goals=False, beside=True)


def _patient(record: Found) -> Found:
    born = str(record["date_of_birth"])
    line = f"{record['street_number']} {record['address_1']}".strip()
    patient = {
        "name": [{"family": record["surname"], "given": [record["given_name"]]}],
        "birthDate": f"{born[:4]}-{born[4:6]}-{born[6:8]}" if len(born) >= 8 else "",
        "address": [{"line": [line], "postalCode": str(record["postcode"]), "city": record["suburb"]}],
    }
    return {key: value for key, value in patient.items() if value}


def settling(count: int) -> Found:
    """Say what it costs to put patients down in a store: new ones, and those who come again."""
    registered = register(NAMES, count=count, seed=2)
    found: Found = {}
    with tempfile.TemporaryDirectory() as place, Home.open(load_settings(Path(place))) as home:
        for source in range(3):
            mine = [each for each in registered if each.source == source]
            for what in ("new", "again"):
                census = _census(source, mine)
                home.store.begin_pull(census.source, now())
                began = time.process_time()
                census.settle(home)
                cost = 1e6 * (time.process_time() - began) / len(mine)
                found[f"settle_{what}_{source}"] = row(cost, None, f"CPU µs a patient, {len(mine)} of them", None)
    return found


def _census(source: int, registered: Sequence[Registration]) -> Census:
    census = Census(f"s{source}", "https://ehr.example.org/fhir")
    census.people = {f"Patient/{r.patient['id']}": read_person(r.patient, census.source) for r in registered}
    return census


def main() -> int:
    """Run what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small towns, and fewer")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--only", default="town,held-out,worse,febrl,settling")
    told = parser.parse_args()
    count = 3_000 if told.quick else 20_000
    found: Found = {}
    for name in told.only.split(","):
        match name:
            case "town":
                found |= town("town", count, 11, Rates())
            case "held-out":
                for seed in () if told.quick else (12, 13, 14):
                    found |= town(f"seed_{seed}", count, seed, Rates(), beside=seed == 12)
            case "worse":
                for factor in (2.0,) if told.quick else (0.5, 1.5, 2.0):
                    rates = Rates().times(factor)
                    found |= town(f"errors_x{factor}", count, 15, rates, goals=False, beside=factor == 2.0)
            case "febrl":
                found |= febrl()
            case "settling":
                found |= settling(2_000 if told.quick else 20_000)
            case _:
                parser.error(f"there is no {name}")
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, one in found.items():
            print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in one.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
