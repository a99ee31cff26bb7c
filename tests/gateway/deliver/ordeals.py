"""What deliveries endure: the worst that the hostile EHR does with writes, a proxy that loses things, and kill -9."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conformance.hostile import Ehr, EhrSettings, FaultProxy, Misbehaviour, Weather, proxied, serve
from gateway.home import Home
from gateway.settings import load_settings
from tests.gateway.deliver.many import Expected, Found, home_of, patients, propose_many, tally
from tests.gateway.deliver.workers import Course, Foreman, deliver_all

__all__ = ["MODES", "Outcome", "deliver_to_hostile", "outcome_of", "recorded", "thrown"]

LATE: Final = 0.3  # seconds that a slow commit comes late, and that a search lags behind
SETTLE: Final = 1.0
EVERY: Final = 8  # of so many writes, one has its answer lost, or is committed late
LOSING: Final = Weather(refused=0.02, swallowed=0.01, reset=0.005, storm=0.001, storm_s=0.5, hold_s=0.3)

MODES: Final[tuple[str, ...]] = (
    "honest",
    "not atomic",
    "condition ignored",
    "id replaced",
    "transaction unsupported",
    "batch unsupported too",
    "slow commit",
    "search lags",
    "all together",
)


def thrown(mode: str, number: int) -> list[Misbehaviour]:
    """Say what the hostile EHR does in a mode, to so many deliveries."""
    match mode:
        case "not atomic":
            return [Misbehaviour("create-not-atomic", value="0.05")]
        case "condition ignored":
            return [Misbehaviour("condition-ignored"), *_now_and_then("lost-answer", number)]
        case "id replaced":
            return [Misbehaviour("id-replaced"), *_now_and_then("lost-answer", number)]
        case "transaction unsupported":
            return [Misbehaviour("transaction-refused"), *_now_and_then("lost-answer", number)]
        case "batch unsupported too":
            return [
                Misbehaviour("transaction-refused"),
                Misbehaviour("batch-refused"),
                *_now_and_then("lost-answer", number),
            ]
        case "slow commit":
            return _now_and_then("slow-commit", number, value=str(LATE))
        case "search lags":
            return [Misbehaviour("search-lag", value=str(LATE)), *_now_and_then("lost-answer", number)]
        case "all together":
            worst = MODES[1:-1]
            found: dict[tuple[str, int], Misbehaviour] = {}
            for each in (switch for name in worst for switch in thrown(name, number)):
                found.setdefault((each.name, each.after), each)
            return [*found.values()]
        case _:
            return []


def _now_and_then(name: str, number: int, **told: Any) -> list[Misbehaviour]:
    return [Misbehaviour(name, after=EVERY * n + EVERY // 2, times=1, **told) for n in range(8 * number // EVERY)]


@dataclass(frozen=True)
class Outcome:
    """How it ended: what was at the server, what the proxy did, whether the audit log is whole and has each of them."""

    mode: str
    seed: int
    course: Course
    found: Found
    proxy: Mapping[str, int]
    log_is_whole: bool
    unrecorded: int

    @property
    def is_well(self) -> bool:
        """Say whether each is there once and in order, none was lost, and each was recorded."""
        return set(self.course.states) == {"sent"} and self.found.is_well and self.log_is_whole and self.unrecorded == 0

    def __str__(self) -> str:
        lost = (len(self.found.lost), len(self.found.doubled), len(self.found.out_of_order))
        return (
            f"SEED={self.seed} {self.mode}: {dict(self.course.states)}, {self.course.killed} killed, "
            f"{self.course.seconds:.0f} s, lost {lost[0]}, doubled {lost[1]}, out of order {lost[2]}, "
            f"{self.found.strangers} of nobody, log whole {self.log_is_whole}, unrecorded {self.unrecorded}, "
            f"proxy {dict(sorted(self.proxy.items()))}"
        )


def deliver_to_hostile(
    folder: Path,
    men: Foreman,
    mode: str,
    seed: int,
    *,
    number: int,
    of: int,
    kills: int,
    workers: int = 2,
    most_s: float = 300.0,
    weather: Weather = LOSING,
    store: str = "",
) -> Outcome:
    """Let two workers deliver so many proposals to the hostile EHR in one of its modes, and count there.

    `store` is the table of twin.toml that says where the store is, where that is not a file.
    """
    ehr = Ehr(EhrSettings(name="ward", require_auth=False, judges_writes=False, page_size=200))
    ehr.load(*patients(of))
    with serve([ehr]) as [base], proxied(base, weather, seed=seed) as proxy:
        ehr.origin = proxy.origin  # its links lead through the proxy
        home_of(folder, proxy.base_url, store, settle_s=SETTLE, at_once=8)
        expected = propose_many(folder, number, of=of, seed=seed)
        ehr.misbehaviours.add(*thrown(mode, number))
        with Home.open(load_settings(folder)) as home:
            course = deliver_all(home, men, seed=seed, workers=workers, kills=kills, most_s=most_s)
            time.sleep(2 * LATE)  # what is committed late has to be there when it is counted
            held = {type_: ehr.store.all(type_) for type_ in expected.names}
            return outcome_of(home, mode, seed, course, expected, held, proxy)


def outcome_of(
    home: Home,
    mode: str,
    seed: int,
    course: Course,
    expected: Expected,
    held: Mapping[str, Sequence[Mapping[str, Any]]],
    proxy: FaultProxy,
) -> Outcome:
    """Put together how it ended."""
    return Outcome(
        mode,
        seed,
        course,
        tally(expected, held),
        {str(fate): number for fate, number in proxy.counts.items()},
        home.store.verify_audit().ok,
        len(set(expected.deliveries) - recorded(home)),
    )


def recorded(home: Home) -> set[str]:
    """List the deliveries for which the audit log has an event that they left."""
    return {
        thing["what"]["identifier"]["value"]
        for entry in home.store.audit_events(10_000_000)
        if entry.event["action"] == "C"
        for thing in entry.event.get("entity", ())
        if "identifier" in thing.get("what", {})
    }
