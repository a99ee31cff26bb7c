"""twin demo."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from gateway.cli.pull import show_report
from gateway.cli.send import words
from gateway.cli.simulate import show_run
from gateway.cli.terminal import Options, note, print_json, print_table, progress, say
from gateway.demo import Summary, demonstration
from gateway.demo_living import LivingPart
from gateway.home import Home
from gateway.simulation import answers_of
from gateway.web import serve_twin
from gateway.wording import said_minutes

__all__ = ["demo_"]


def demo_(*, headless: bool = False, port: int = 0, options: Options = Options()) -> int:
    """Show all of fhirtwin on synthetic patients: three EHRs that disagree, twins, models, write-back, audit, a page.

    One of them wears a virtual sensor, which goes on reading while the page is open.

    Needs no network and leaves nothing running. State goes to a temporary folder, or to --home, which is kept.

    Parameters
    ----------
    headless
        End after the summary instead of serving the page of one twin.
    port
        Port of the page on this machine; 0 takes a free one.
    """
    with ExitStack() as open_things:
        folder = open_things.enter_context(_folder(options.home))
        with progress("Starting") as tell:
            today = datetime.now(UTC).date()
            home, summary, feed = open_things.enter_context(demonstration(folder, today, tell))
        if options.json:
            print_json(summary.as_json())
        else:
            _tell(home, summary, stays=options.home is not None)
        if not headless:
            shown = summary.living.twin if summary.living else summary.example
            serve_twin(home, shown, port, partial(_invite, summary), beside=partial(feed.run, home))
        if options.home is not None:
            note(f"Everything is kept in {folder}; look around with: twin list --home {folder}")
    verified = summary.audit is not None and summary.audit.ok
    return 0 if verified and not summary.failed and not summary.written_again else 1


def _tell(home: Home, summary: Summary, *, stays: bool) -> None:
    say("1. Pulled from three EHRs that disagree")
    for report in summary.reports:
        show_report(report, stays=stays)
    say()
    say(f"2. Linked into {summary.twins} twins, each sealed under its own key")
    say(f"   {summary.over_several_sources} of them are known in several EHRs")
    say()
    say("3. Simulated")
    names = sorted({*summary.runs, *summary.missing})
    print_table("", ["Model", ">Runs", ">Not enough data"], ((n, summary.runs[n], summary.missing[n]) for n in names))
    say(f"   One of them, twin {summary.example[:8]}:")
    shown: set[str] = set()
    for saved, run in answers_of(home, summary.example):
        if saved.model not in shown:
            shown.add(saved.model)
            show_run(run)
            say()
    if summary.living:
        _tell_living(summary.living)
    say("5. Written back to the EHRs that the facts came from")
    proposed = sum(one.is_new for one in summary.proposed)
    say(f"   {proposed} results proposed, {summary.agreed} agreed to by you, {summary.delivered} delivered")
    for source, counts in sorted(summary.written_to.items()):
        say(f"   {source}: {words(counts)}")
    for (source, step), count in sorted(summary.steps.items(), key=str):
        say(f"   {source} takes no {step.instead_of}: {count} times {step.what} went as {step.to}")
    say(f"   everything sent a second time: {summary.written_again} created")
    for sent in summary.failed:
        say(f"   {sent.source}: {sent.fault}")
    say()
    audit = summary.audit
    size, whole = (audit.size, audit.ok) if audit else (0, False)
    say(f"6. Audited: {size} events in a signed Merkle log, {'verified' if whole else 'NOT whole'}")
    say(f"   {summary.seconds:.0f} seconds")


def _tell_living(part: LivingPart) -> None:
    """Tell of the twin under the sensor: it is simulated, and so is said."""
    forecast, course = part.assessed.forecast, part.assessed.forecast.courses[0]
    readings = len(part.found.series.readings)
    say(f"4. A twin that lives: {part.twin[:8]}, a virtual person under a sensor, {readings} readings")
    say(
        f"   Forecast, simulated: in {course.minutes[-1]:.0f} minutes {course.median[-1]:.0f} {course.unit}, "
        f"90 % from {course.low[-1]:.0f} to {course.high[-1]:.0f}"
    )
    for s in forecast.scores:
        say(
            f"   {s.minutes} minutes ahead {s.count} such forecasts missed by {s.rmse:.1f} {course.unit}, "
            f"“nothing changes” by {s.persistence:.1f}; {s.coverage:.0%} inside the interval"
        )
    for one in part.assessed.standing:
        lead = "" if one.lead_minutes is None else f", expected in {said_minutes(one.lead_minutes)}"
        say(
            f"   Warning: {one.rule.title} within {one.rule.minutes} minutes, {one.probability:.0%} likely{lead}; "
            f"{one.evidence.false_alarms_a_day:.2f} false alarms a day on this twin's past"
        )
    for branch in part.tried.branches:
        low = next(o for o in branch.outcomes if o.name == "severe-low")
        say(f"   What if, {branch.plan.title}: {low.title} in {100 * low.value:.0f} % of cases")
    say()


def _invite(summary: Summary, address: str) -> None:
    say()
    say("7. Look at this twin in a browser (this machine only; Ctrl-C ends everything):")
    say(f"   {address}")
    if summary.living:
        say(f"   Its sensor goes on. The twin of part 3 is there, too: /twins/{summary.example}")


@contextmanager
def _folder(home: Path | None) -> Iterator[Path]:
    if home is not None:
        yield home.expanduser().absolute()
        return
    with tempfile.TemporaryDirectory(prefix="fhirtwin-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
