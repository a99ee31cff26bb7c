"""twin send."""

from __future__ import annotations

import asyncio
from collections import Counter

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.deliver import send
from gateway.home import Home
from gateway.settings import load_settings

__all__ = ["send_", "words"]


def send_(twin: str, /, *, dry_run: bool = False, again: bool = False, options: Options = Options()) -> int:
    """Write what is proposed for a twin to the EHRs, by conditional creates: sent twice, it is there once.

    Exit status 5 where a delivery failed; it stays due, and the same command tries it again.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    dry_run
        Show what would be written, and write nothing; with --format json the FHIR bundles themselves.
    again
        Send also what has arrived already, to see that nothing new is created.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        found = asyncio.run(send(home, home.store.find_twin(twin), dry_run=dry_run, again=again))
    if options.json:
        print_json({"dry_run": dry_run, "deliveries": [s.as_json() for s in found]})
    elif not found:
        say(f"Nothing is proposed for this twin. Run: twin propose {twin}")
    else:
        print_table(
            "Would be written" if dry_run else "Deliveries",
            ["To", "Delivery", "State", "Created", "There already"],
            ((s.source, s.delivery[:12], s.state, words(s.created), words(s.existed)) for s in found),
        )
        for sent in found:
            if sent.fault:
                say(f"{sent.source}: {sent.fault}")
    return 5 if any(s.fault for s in found) else 0


def words(counts: Counter[str]) -> str:
    """Write counts as people read them."""
    return ", ".join(f"{n} {type_}" for type_, n in sorted(counts.items())) or "–"
