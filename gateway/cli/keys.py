"""twin keys status."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.store.key_table import Kek

__all__ = ["status_"]

_OLD_DAYS = 2 * 365  # NIST SP 800-57 part 1 revision 5, section 5.3.6: a key that wraps keys is used for two years


def status_(*, options: Options = Options()) -> None:
    """Show which key-encryption keys wrap how many twins' keys, how old they are, and what a rotation left to do."""
    with Home.open(load_settings(options.home), create=False) as home:
        table, there = home.store.keys, now()
        current, keks, erased = table.current, table.keks(), len(table.tombstones())
        left = sum(kek.owners for kek in keks if kek.id != current)
        shown = [_shown(kek, current, there) for kek in keks]
        told: dict[str, Any] = {
            "kind": home.ring.kind,
            "ring": home.ring.place,
            "store": str(table.path),
            "current": current,
            "keks": shown,
            "owners": sum(kek.owners for kek in keks),
            "formats": {str(number): count for number, count in sorted(table.formats().items())},
            "left": left,
            "erased": erased,
            "advice": _advice(shown, left, table.formats().get(1, 0)),
        }
    if options.json:
        print_json(told)
        return
    say(f"Key ring: {told['kind']}, {told['ring']}")
    say(f"Key store: {told['store']}, {told['owners']} keys, {erased} destroyed")
    rows = ((k["id"], k["state"], (k["since"] or "")[:10], _days(k["days"]), k["owners"]) for k in shown)
    print_table("", ("key-encryption key", "state", "since", ">age", ">keys wrapped"), rows)
    for line in told["advice"]:
        say(line)


def _shown(kek: Kek, current: str, there: datetime) -> dict[str, Any]:
    state = "current" if kek.id == current else "retired" if kek.ended else "old" if kek.created else "unknown"
    return {
        "id": kek.id,
        "state": state,
        "since": kek.created.isoformat() if kek.created else None,
        "days": (there - kek.created).days if kek.created else None,
        "ended": kek.ended.isoformat() if kek.ended else None,
        "owners": kek.owners,
    }


def _days(days: int | None) -> str:
    return "" if days is None else "1 day" if days == 1 else f"{days} days"


def _advice(keks: list[dict[str, Any]], left: int, first_format: int) -> list[str]:
    lines = []
    if first_format and not left:
        lines.append(f"{first_format} keys are wrapped in the first format. Run: twin keys rotate")
    if left:
        lines.append(f"{left} keys are still wrapped by an older key. Run: twin keys rotate")
    elif any(kek["state"] == "old" for kek in keks):
        lines.append("An old key wraps nothing any more. Run: twin keys rotate --retire")
    if any(kek["state"] == "current" and (kek["days"] or 0) > _OLD_DAYS for kek in keks):
        lines.append("The current key is older than two years. Run: twin keys rotate")
    return lines
