"""What a run stands on: model and calibration, each input, the facts behind it, and the bytes that each was read in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from gateway.lineage.calibration import calibration_of
from gateway.lineage.graph import Graph, Node
from gateway.lineage.kept import Came, Kept, Pulled, last_before
from gateway.lineage.read_run import ReadRun, read_run, said_outputs
from gateway.lineage.recorded import Recorded
from gateway.store import SavedRun
from gateway.wording import said_name, said_value
from mappers.facts import Fact, Origin
from twin_engine import Input

__all__ = ["Grounds", "facts_of"]

_FOLLOWS: Final = frozenset({"forecast", "what-if"})
_ABSENT: Final = "none recorded"  # twin_engine.answer
_ASKED: Final = frozenset({"crawl", "patients"})  # ways of pulling that put questions


class Grounds:
    """Writes into a graph what runs of one twin stand on."""

    def __init__(self, kept: Kept, recorded: Recorded, graph: Graph) -> None:
        self._kept, self._recorded, self._graph = kept, recorded, graph
        self._versions: dict[tuple[str, str], list[Came]] = {}
        for each in kept.came:
            self._versions.setdefault((each.source, each.key), []).append(each)
        self._before: dict[int, datetime | None] = {}  # when the version of the record before one came
        last: datetime | None = None
        for each in kept.came:
            self._before.setdefault(each.number, last)
            last = each.when
        self._withheld: dict[tuple[str, str], int] = {}
        self.others: list[Grounds] = []
        """Those of the other twins that the same person is or was."""

    def run(self, saved: SavedRun) -> str:
        """Write a run, and all that it stands on; returns its id."""
        name = f"run {saved.id}"
        if name in self._graph:
            return name
        run, may = read_run(saved.content), self._kept.may_run(saved)
        told: dict[str, Any] = {
            "run": saved.id,
            "made": saved.created,
            "twin": saved.twin,
            "twin_version": saved.twin_version,
        }
        if may and run is not None:
            told |= _said(run)
        elif may:
            told["model"] = saved.model
        events = self._recorded.naming(saved.id)
        self._graph.add(Node(name, "run", told, events=events))
        if not events:
            self._graph.lack(name, "not-recorded")
        if not may:
            self._graph.lack(name, "withheld")
        if run is None:
            self._graph.lack(name, "no-inputs")
            return name
        if may:
            self._model(name, saved, run)
        if run.type in _FOLLOWS:
            self._graph.lack(name, "readings")
        for number, each in enumerate(run.inputs):
            self._input(name, saved, number, each, may=may)
        return name

    def _model(self, name: str, saved: SavedRun, run: ReadRun) -> None:
        model = f"{run.model}@{run.version}"
        told = {"model": run.model, "version": run.version, "title": run.title, "citation": run.citation}
        self._graph.join(name, self._graph.add(Node(f"model {model}", "model", told)), "computed by")
        found = calibration_of(self._kept, saved, run)
        if found is None:
            return
        events = self._recorded.calibrating(model, saved.created)
        state: dict[str, Any] = {"kind": found.kind}
        if found.revision:
            state |= {"revision": found.revision, "updated": found.updated, "twin_version": found.twin_version}
        id_ = f"calibration {saved.id}"
        self._graph.add(Node(id_, "calibration", state, (found.lack,) if found.lack else (), events))
        self._graph.join(name, id_, "started from")

    def _input(self, run: str, saved: SavedRun, number: int, each: Input, *, may: bool) -> None:
        """Write an input. One of a run of which a part is withheld shows no more than it must."""
        allowed = all(self._kept.may(o.source, o.resource) for fact in each.facts for o in (fact.origin,))
        shown = allowed and (may or bool(each.facts))  # what was derived may follow from what is withheld
        id_ = f"input {saved.id} {number}"
        told: dict[str, Any] = {"basis": each.basis}
        if shown:
            told = {"name": each.name, "title": each.title, "said": each.said, "unit": each.unit, "basis": each.basis}
            told["when"] = each.when
        self._graph.add(Node(id_, "input", told, () if shown else ("withheld",)))
        self._graph.join(run, id_, "used")
        if not each.facts:
            if shown and not (each.basis == _ABSENT and self._absence(id_, saved)):
                self._graph.lack(id_, "no-fact")
            return
        for fact in each.facts:
            if self._kept.may(fact.origin.source, fact.origin.resource):
                self._graph.join(id_, self._fact(saved, fact), "rests on")

    def _absence(self, id_: str, saved: SavedRun) -> bool:
        """Say on which pulls it stands that something is not on record: the last of each source before the run."""
        sources = dict.fromkeys(one.source for one in self._kept.came if one.number <= saved.twin_version)
        found = [last_before(self._kept.pulls, source, saved.created) for source in sources]
        for pull in found:
            if pull is not None:
                self._graph.join(id_, self._pulled(pull), "not among what had come with")
        return bool(found) and None not in found

    def _fact(self, saved: SavedRun, fact: Fact) -> str:
        handle = self._kept.handle(fact.origin)
        place = f"{fact.origin.source} {fact.origin.resource} {fact.origin.path}".rstrip()
        id_ = f"fact {place} {fact.kind} {fact.name or fact.code} {fact.origin.version} {saved.twin_version}"
        if id_ in self._graph:
            return id_
        told = {
            "kind": fact.kind,
            "name": said_name(fact),
            "value": said_value(fact.value),
            "when": fact.when.text if fact.when else "",
            "status": fact.status,
            "path": fact.origin.path,
            "explain": handle,
            "original": said_value(fact.original) if fact.original else "",
        }
        self._graph.add(Node(id_, "fact", told))
        mapping = self._graph.add(Node(f"mapping {fact.mapping}", "mapping", {"version": fact.mapping}))
        self._graph.join(id_, mapping, "read by the rules of")
        for origin in fact.origins:
            self._graph.join(id_, self._origin(saved.twin_version, origin), "read in")
        return id_

    def _origin(self, until: int, origin: Origin) -> str:
        """Write the version of a resource that was current when a run was made."""
        if not self._kept.may(origin.source, origin.resource):
            number = self._withheld.setdefault((origin.source, origin.resource), len(self._withheld) + 1)
            id_ = f"raw withheld {self._kept.twin} {number}"
            return self._graph.add(Node(id_, "raw", {"source": origin.source}, ("withheld",)))
        return self.raw(origin.source, origin.resource, until, origin.version)

    def raw(self, source: str, key: str, until: int, version: str = "") -> str:
        """Write the version of a resource that a version of the record has; returns its id."""
        versions = self._versions.get((source, key), [])
        found = next((one for one in reversed(versions) if one.number <= until and not one.ended), None)
        if found is None:
            missing = {"source": source, "resource": key, "address": self._kept.address(source, key, version)}
            return self._graph.add(Node(f"raw {source} {key}", "raw", missing, ("not-kept",)))
        id_ = f"raw {source} {key} {found.number}"
        if id_ in self._graph:
            return id_
        later = [one for one in versions if one.number > found.number]
        events, pull, moved = self._how(found)
        told: dict[str, Any] = {
            "source": source,
            "resource": key,
            "address": self._kept.address(source, key, found.version),
            "version": found.version,
            "fhir_version": found.fhir_version,
            "sha256": found.sha256,
            "came": found.when,
            "record_version": found.number,
            "since": _since(later),
        }
        if moved:
            told["joined_from"] = moved
        self._graph.add(Node(id_, "raw", told, () if events else ("not-recorded",), events))
        self._pull(id_, found, pull)
        return id_

    def _how(self, came: Came) -> tuple[tuple[int, ...], Pulled | None, str]:
        """Say how a version came: its events, its pull, and the twin that it was moved from when two were joined."""
        pull = self._pull_of(came)
        events = self._recorded.coming(came, self._before[came.number], pull)
        if pull is not None and pull.way in _ASKED and events and not self._recorded.is_by_question(events):
            pull = self._lane_of(came) or pull
        if pull is None:
            for other in self.others:
                same = (one for one in other._versions.get((came.source, came.key), ()) if one.sha256 == came.sha256)
                first = next(same, None)
                if first is not None and first.when < came.when:
                    before, theirs, _ = other._how(first)
                    return tuple(sorted({*before, *events})), theirs, other._kept.twin
        return events, pull, ""

    def _pull(self, id_: str, came: Came, pull: Pulled | None) -> None:
        if pull is None:
            self._graph.lack(id_, "no-pull")
            return
        type_ = came.key.partition("/")[0].partition("@")[0]
        verdict = pull.verdicts.get(type_, "")
        how = f"came with (its list of {type_}: {verdict})" if verdict else "came with"
        self._graph.join(id_, self._pulled(pull), how)

    def _pulled(self, pull: Pulled) -> str:
        told = {
            "pull": pull.id,
            "source": pull.source,
            "began": pull.started,
            "ended": pull.finished,
            "way": "by itself" if pull.state == "listening" else pull.way,
            "verdict": pull.verdict,
        }
        lacks = () if pull.verdict else ("no-certificate",)
        return self._graph.add(Node(f"pull {pull.id}", "pull", told, lacks, self._recorded.naming(pull.id)))

    def _pull_of(self, came: Came) -> Pulled | None:
        found = [
            pull
            for pull in self._kept.pulls
            if pull.source == came.source
            and pull.started <= came.when
            and (pull.finished is None or came.when <= pull.finished)
        ]
        asked = [pull for pull in found if pull.state != "listening"]
        return next(reversed(asked or found), None)

    def _lane_of(self, came: Came) -> Pulled | None:
        lanes = (p for p in self._kept.pulls if p.source == came.source and p.state == "listening")
        return next((lane for lane in lanes if lane.started <= came.when), None)


def facts_of(saved: SavedRun) -> Iterator[tuple[Input, Fact]]:
    """Walk the facts that a run used, each with the input that rests on it."""
    run = read_run(saved.content)
    for each in run.inputs if run else ():
        for fact in each.facts:
            yield each, fact


def _said(run: ReadRun) -> dict[str, Any]:
    told: dict[str, Any] = {
        "kind": run.type,
        "title": run.title,
        "model": f"{run.model}@{run.version}",
        "settings": dict(run.settings),
        "seed": run.seed,
        "members": run.members,
        "at": run.at,
        "valid_at": run.valid_at or run.last,
    }
    told["outputs"] = said_outputs(run)
    told["assumptions"] = list(run.assumptions)
    plans = [run.plan, *run.plans, *(b.get("plan") for b in run.branches if isinstance(b, Mapping))]
    if titles := [str(plan["title"]) for plan in plans if isinstance(plan, Mapping) and "title" in plan]:
        told["plans"] = titles
    return told


def _since(later: list[Came]) -> str:
    """Say what became of a version of a resource since."""
    if not later:
        return "current"
    last = later[-1]
    return f"retracted: {last.ended}" if last.ended else "replaced by a newer version"
