"""twin send."""

from __future__ import annotations

import asyncio
from collections import Counter

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.deliver import send
from gateway.home import Home
from gateway.settings import load_settings

__all__ = ["send_", "words"]


def send_(
    twin: str, /, *, why: str = "", dry_run: bool = False, again: bool = False, options: Options = Options()
) -> int:
    """Agree to what is proposed for a twin, where [approval] lets you, and write it to the EHRs, each result once.

    Exit status 5 where something was not agreed to or did not arrive; what did not arrive stays due, and the same
    command tries it again, as twin deliver does.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    why
        Why you agree. It is kept sealed with each agreement; [approval] may want it.
    dry_run
        Show what would be written, and agree to nothing and write nothing; with --format json the FHIR bundles
        themselves.
    again
        Send also what has arrived already, to see that nothing new is created.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        found = asyncio.run(send(home, home.store.find_twin(twin), why=why, dry_run=dry_run, again=again))
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
