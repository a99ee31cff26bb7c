"""twin demo."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from gateway.cli.pull import show_report
from gateway.cli.send import words
from gateway.cli.simulate import show_run
from gateway.cli.terminal import Options, note, print_json, print_table, progress, say
from gateway.demo import Summary, demonstration
from gateway.home import Home
from gateway.simulation import answers_of
from gateway.web import serve_twin

__all__ = ["demo_"]


def demo_(*, headless: bool = False, port: int = 0, options: Options = Options()) -> int:
    """Show all of fhirtwin on synthetic patients: three EHRs that disagree, twins, models, write-back, audit, a page.

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
            home, summary = open_things.enter_context(demonstration(folder, today, tell))
        if options.json:
            print_json(summary.as_json())
        else:
            _tell(home, summary, stays=options.home is not None)
        if not headless:
            serve_twin(home, summary.example, port or _free_port(), _invite)
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
    say("4. Written back to the EHRs that the facts came from")
    for source, counts in sorted(summary.written_to.items()):
        say(f"   {source}: {words(counts)}")
    say(f"   everything sent a second time: {summary.written_again} created")
    for sent in summary.failed:
        say(f"   {sent.source}: {sent.fault}")
    say()
    audit = summary.audit
    size, whole = (audit.size, audit.ok) if audit else (0, False)
    say(f"5. Audited: {size} events in a signed Merkle log, {'verified' if whole else 'NOT whole'}")
    say(f"   {summary.seconds:.0f} seconds")


def _invite(address: str) -> None:
    say()
    say("6. Look at this twin in a browser (this machine only; Ctrl-C ends everything):")
    say(f"   {address}")


@contextmanager
def _folder(home: Path | None) -> Iterator[Path]:
    if home is not None:
        yield home.expanduser().absolute()
        return
    with tempfile.TemporaryDirectory(prefix="fhirtwin-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
