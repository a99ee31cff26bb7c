"""twin audit retain."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from gateway.audit_export import export_events
from gateway.audit_question import ask
from gateway.cli.terminal import Options, print_json, progress, say
from gateway.home import Home, now
from gateway.settings import load_settings
from security.errors import Misuse

__all__ = ["retain_"]


def retain_(*, out: Path | None = None, dry_run: bool = False, options: Options = Options()) -> None:
    """Write the events that are older than `[audit] keep_years` into a file, to be kept apart; none is removed.

    The log only grows: what was recorded stays in it, so that it can be verified from its first event on.

    Parameters
    ----------
    out
        The file for the archive (NDJSON, an AuditEvent a line), with its SHA-256 beside it; it must not be there yet.
    dry_run
        Only say how many events would go into it.
    """
    settings = load_settings(options.home)
    years = settings.audit.keep_years
    if years is None:
        raise Misuse(
            "Nothing says how long events are kept by themselves: they are kept for good.",
            hint="Set keep_years in [audit] of twin.toml; see docs/audit.md.",
        )
    if (out is None) is not dry_run:
        raise Misuse("Say --dry-run to see what would be archived, or --out FILE to do it.")
    with Home.open(settings, create=False) as home:
        before = _years_before(now(), years)
        question = ask(home, until=f"{before:%Y-%m-%d}")
        if out is None:
            with progress("Counting events") as tell:
                events = home.store.count_audit(question.span, lambda count: tell(f"{count:,} events"))
            if options.json:
                print_json({"until": f"{before:%Y-%m-%d}", "events": events, "file": None})
            else:
                say(f"{events} events were recorded by {before:%Y-%m-%d}, {years} years ago. Nothing was written.")
            return
        with progress("Writing events") as tell:
            done = export_events(home, question, "ndjson", out, lambda count: tell(f"{count:,} events written"))
        if options.json:
            print_json({"until": f"{before:%Y-%m-%d}", "events": done.events, "file": str(out), "sha256": done.sha256})
        else:
            say(f"{done.events} events recorded by {before:%Y-%m-%d} are in {out.name}; SHA-256 {done.sha256}.")
            say("They are in the log still: it only grows.")


def _years_before(when: datetime, years: int) -> datetime:
    """Return the day before the same day some years ago: what was recorded on that very day is kept."""
    day = when.astimezone(UTC)
    try:
        same = day.replace(year=day.year - years)
    except ValueError:  # 29 February
        same = day.replace(year=day.year - years, day=28)
    return same.fromordinal(same.toordinal() - 1)
