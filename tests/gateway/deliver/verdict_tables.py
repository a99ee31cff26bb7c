"""What each status and each reason of a delivery means: the two tables in docs/delivery.md.

`python -m tests.gateway.deliver.verdict_tables` writes them anew; `test_delivery_document.py` says when that is due.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.deliver.refusal import Refusal
from gateway.deliver.verdict import REASONS, Deed, verdict_on
from gateway.pull.outcome import Outcome
from tests.gateway.pull.written_table import WrittenTable

__all__ = ["DEEDS", "REASON_TABLE", "STATUS_TABLE", "reasons", "statuses"]

_DOCUMENT: Final = Path(__file__).resolve().parents[3] / "docs" / "delivery.md"
STATUS_TABLE: Final = WrittenTable(_DOCUMENT, "statuses")
REASON_TABLE: Final = WrittenTable(_DOCUMENT, "reasons")

DEEDS: Final[dict[Deed, str]] = {
    "ask": "nobody knows whether it was done: it is looked for there, and only then sent again",
    "again": "looked for there, then tried again after a pause, three times in one attempt",
    "rest": "nothing goes to this source for a while: what Retry-After says, else 5 s (425, 429) or a minute",
    "other-way": "in a smaller way: batch in place of transaction, then single requests; refused in each, laid aside",
    "other-type": "a step down the ladder: as a type that the server takes; on the last rung laid aside",
    "several": "looked for there: what is the same is taken as it; what is not, is laid aside",
    "lay-aside": "laid aside for a person",
}


def statuses() -> str:
    """Write the table of statuses: each that has a row of its own, and what all others mean."""
    told = {status: verdict_on(_refused(status)) for status in range(300, 600)}
    others = {4: told[418], 5: told[599]}
    rows = []
    for status, verdict in told.items():
        if status >= 400 and verdict != others[status // 100]:
            rows.append((str(status), verdict))
    rows += [("other 4xx", others[4]), ("5xx", others[5]), ("3xx", told[302])]
    lines = ["| status | reason | what is done |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | `{v.reason}` | {DEEDS[v.deed]} |" for name, v in rows)])


def reasons() -> str:
    """Write the table of reasons: what it means, whether it is tried again by itself, and what would help."""
    lines = ["| reason | what it means | by itself | what would help |", "| --- | --- | --- | --- |"]
    for code, reason in REASONS.items():
        lines.append(f"| `{code}` | {reason.said} | {'tried again' if reason.again else 'no'} | {reason.hint} |")
    return "\n".join(lines)


def _refused(status: int) -> Refusal:
    return Refusal(status, Outcome(), b"")


if __name__ == "__main__":
    STATUS_TABLE.write(statuses())
    REASON_TABLE.write(reasons())
