"""twin refusals."""

from __future__ import annotations

from collections import Counter

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.handles import handle
from gateway.home import Home
from gateway.settings import load_settings
from mappers.ledger import REASONS
from security.audit import read_event
from security.errors import UnknownName

__all__ = ["refusals_"]


def refusals_(
    source: str | None = None, /, *, reason: str | None = None, limit: int = 50, options: Options = Options()
) -> None:
    """List what was not understood, where it stands and why. It is patient data, and reading it is recorded.

    Parameters
    ----------
    source
        Only of this source.
    reason
        Only for this reason, such as no-unit.
    limit
        How many to list at most; the counts are of all.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        home.must_know(source)
        if reason is not None and reason not in REASONS:
            raise UnknownName("reason", reason, REASONS)
        home.store.append_audit([read_event(home.access(what=("Basic/refusals",)))])
        found = list(home.store.refusals(source, reason))
        counts = Counter(each.refusal.reason for each in found)
        rows = [
            {
                "handle": handle(home, each.twin, each.refusal.origin),
                "reason": each.refusal.reason,
                "source": each.refusal.origin.source,
                "resource": each.refusal.origin.resource,
                "path": each.refusal.origin.path,
                "place": each.refusal.origin.place,
                "said": each.refusal.said,
                "twin": each.twin,
            }
            for each in found[:limit]
        ]
        if options.json:
            print_json({"counts": dict(counts), "refusals": rows})
            return
        if not found:
            say("Nothing was refused.")
            return
        print_table(
            "Refusals by reason",
            [">Count", "Reason", "What it means, and what to do"],
            ((n, r, REASONS[r]) for r, n in counts.most_common()),
        )
        say()
        print_table(
            f"The first {len(rows)} of {len(found)}",
            ["Handle", "Reason", "Source", "Resource", "Where", "Said"],
            (
                (
                    r["handle"],
                    r["reason"],
                    r["source"],
                    r["resource"],
                    " ".join(t for t in (str(r["path"]), str(r["place"])) if t),
                    r["said"],
                )
                for r in rows
            ),
        )
        say("Why one was refused, step by step: twin explain HANDLE")
