"""twin rehearse."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from gateway.calibration import current, dynamic_model
from gateway.cli.branches import draw_branches, show_comparison
from gateway.cli.orders import ORDER, read_orders, read_script, utc
from gateway.cli.simulate import show_missing
from gateway.cli.terminal import Options, note, print_json, say
from gateway.home import Home, now
from gateway.outlook import keep, start_of
from gateway.settings import load_settings
from gateway.simulation import open_twin
from security.errors import Fault, Misuse
from twin_engine import Missing
from twin_engine.clock import said_of_age
from twin_engine.plan_text import write_plan
from twin_engine.rehearsal import Rehearsal

__all__ = ["rehearse_"]

_WAIT = re.compile(r"(wait|look)\s+(\d{1,6})\s*(min|h)?")
_HELP = f"""give {ORDER[1:-1]}     give or do something now, or at a later time
wait 30 min          let time pass
look 3 h             how far to look ahead
undo                 take the last step back
plan                 print what was given, as a plan that "twin what-if --plan" reads
compare              compare with doing nothing
quit                 keep the rehearsal as a run, and leave"""


def rehearse_(
    twin: str,
    /,
    *,
    script: Path | None = None,
    model: str = "glucose",
    minutes: int = 180,
    at: datetime | None = None,
    as_of: datetime | None = None,
    options: Options = Options(),
) -> int:
    """Rehearse with a simulated patient: let time pass, give something, see the curve. Nothing reaches anybody.

    Type "help" for what can be typed. Where data is missing, it says what (exit status 5).

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    script
        Read what would be typed from this file, a line each; the first that cannot be done stops it.
    model
        The model's name; "twin model list" lists them.
    minutes
        How far to look ahead.
    at
        Start at this time (UTC where no zone is told), at most a day after the last reading; by default at that one.
        Facts later than this time are not used.
    as_of
        Use only what was known at this time.
    """
    lines = read_script(script) if script else None
    with Home.open(load_settings(options.home), create=False) as home:
        chosen = dynamic_model(home, model)
        record = open_twin(home, twin, utc(as_of))
        moment = utc(at)
        is_past = moment is not None and moment <= now()
        found = current(home, record, chosen, at=moment if is_past else None)  # of what is to come no facts are used
        if isinstance(found, Missing):
            if options.json:
                print_json(
                    {"twin": record.id, "run": None, "result": msgspec.to_builtins(found, builtin_types=(datetime,))}
                )
            else:
                show_missing(found)
            return 5
        start = start_of(found, moment)
        notes = said_of_age(found.track.at, moment or found.at, "rehearsal")
        if not options.json:
            for text in notes:
                say(text)
        begun = Rehearsal(found.model, found.track, start, tuple(found.series.doses))
        desk = _Desk(begun, minutes, quiet=options.json)
        desk.work(lines)
        result = desk.rehearsal.look(desk.ahead)
        result = msgspec.structs.replace(
            result, inputs=found.grounds, assumptions=(*found.assumptions, *result.assumptions)
        )
        run = keep(home, found, result) if desk.rehearsal.given else ""
    if options.json:
        told = msgspec.to_builtins(result, builtin_types=(datetime,))
        minutes_passed = desk.rehearsal.minutes
        print_json({"twin": record.id, "run": run or None, "minutes": minutes_passed, "result": told, "notes": notes})
    elif run:
        say(f"Kept as run {run[:12]}. To see it again, beside others: twin compare {run[:12]}")
    return 0


class _Desk:
    """Where a person types: what is rehearsed, and how far they look ahead."""

    def __init__(self, rehearsal: Rehearsal, ahead: int, *, quiet: bool) -> None:
        self.rehearsal = rehearsal
        self.ahead = ahead
        self.quiet = quiet

    def work(self, script: list[str] | None) -> None:
        """Do what is typed, line by line, until "quit" or the end. A script stops at what cannot be done."""
        self.show()
        for line in script if script is not None else _typed():
            try:
                if self.do(line):
                    return
            except Fault as fault:
                if script is not None:
                    raise
                note(str(fault))

    def do(self, line: str) -> bool:
        """Do one line; returns whether it was the last."""
        word, _, rest = line.partition(" ")
        if found := _WAIT.fullmatch(line):
            count = int(found[2]) * (60 if found[3] == "h" else 1)
            if found[1] == "wait":
                self.rehearsal = self.rehearsal.wait(count)
            else:
                self.rehearsal.look(count)  # refuses what is too far
                self.ahead = count
            self.show()
        elif word == "give" and rest:
            plan = read_orders([rest], "rehearsed", self.rehearsal.model, self.rehearsal.now)
            self.rehearsal = self.rehearsal.give(*plan.doses)
            self.show()
        elif line == "undo":
            self.rehearsal = self.rehearsal.undo()
            self.show()
        elif line == "plan":
            self.say(write_plan(self.rehearsal.plan, self.rehearsal.model).rstrip())
        elif line == "compare":
            if not self.quiet:
                show_comparison(self.rehearsal.look(self.ahead), now=self.rehearsal.now)
        elif line == "help":
            self.say(_HELP)
        elif line == "quit":
            return True
        elif line:
            raise Misuse("This is nothing that can be done here.", hint='Type "help".', detail=line)
        return False

    def show(self) -> None:
        """Show the time, the curve, and what it says now."""
        if self.quiet:
            return
        now = self.rehearsal.now
        nothing, rehearsed = (branch.courses[0] for branch in self.rehearsal.look(self.ahead).branches)
        place = self.rehearsal.minutes // self.rehearsal.model.every_minutes
        self.say(
            f"{now:%Y-%m-%d %H:%M} UTC: {rehearsed.title} {rehearsed.median[place]:.4g} {rehearsed.unit} "
            f"({rehearsed.low[place]:.4g} to {rehearsed.high[place]:.4g}), simulated"
        )
        courses = [nothing, rehearsed] if self.rehearsal.given else [nothing]
        for line in draw_branches(courses, self.rehearsal.start, now=now):
            self.say(line)
        if self.rehearsal.given:
            self.say("A: nothing new, B: rehearsed")

    def say(self, text: str) -> None:
        """Write a line, unless the result goes out as JSON."""
        if not self.quiet:
            say(text)


def _typed() -> Iterator[str]:
    """Yield what a person types, or what comes through a pipe, until its end."""
    while True:
        if sys.stdin.isatty():
            sys.stderr.write("> ")
            sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            return
        yield " ".join(line.split())
