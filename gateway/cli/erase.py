"""twin erase."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateway.cli.terminal import Options, note, print_json, print_table, say
from gateway.erasure import REASONS, allow_again, check_receipt, counted, erase, read_receipt, told
from gateway.files import read_text, write_new
from gateway.home import Home
from gateway.settings import load_settings
from security.audit.statement import Statement
from security.errors import Misuse

__all__ = ["erase_"]

_Flag = Annotated[bool, Parameter(negative="")]


def erase_(
    twin: str | None = None,
    /,
    *,
    why: str | None = None,
    yes: _Flag = False,
    out: Path | None = None,
    check: Path | None = None,
    public_key: Path | None = None,
    forget: _Flag = False,
    options: Options = Options(),
) -> int:
    """Erase a twin for good: its keys are destroyed, so that no backup of it can be read either. Gives a receipt.

    Counts and audit stay. What an EHR sends about the person from then on is refused and counted. No way leads back.

    Parameters
    ----------
    twin
        The whole id of the twin.
    why
        A code: request, consent-withdrawn, no-longer-needed, unlawful, retention, test-data.
    yes
        Do not ask for the id once more.
    out
        Where to write the receipt; else receipts/RECEIPT.txt in the home.
    check
        Check this receipt instead: who signed it, and that log, key store and data agree with it.
    public_key
        With --check: the file of the log's public key (audit.pub). The receipt is then checked without any store.
    forget
        Let an erased person come again, as a new twin: forget under which (hashed) names they are known.
    """
    if check is not None:
        return _check(check, public_key, options)
    if twin is None:
        raise Misuse("Which twin?", hint="Say its whole id; see twin list.")
    with Home.open(load_settings(options.home), create=False) as home:
        if forget:
            names = allow_again(home, twin)
            print_json({"forgotten": names}) if options.json else say(
                f"{names} hashed names are forgotten. Pull everything again (--since all), and they come as a new twin."
            )
            return 0
        if home.store.erasure_of(twin) is None:
            found = home.store.find_twin(twin)
            if found != twin.lower():
                raise Misuse("An erasure wants the whole id.", hint=f"Did you mean {found}?")
            if why is None:
                raise Misuse("Why is it erased?", hint=f"Say --why with one of: {', '.join(REASONS)}.")
            if not yes:
                _ask(found)
        text = erase(home, twin.lower(), why or "request")
        receipt = read_receipt(text, home.store.audit_public_key)
        place = out or home.settings.home / "receipts" / f"{receipt.get('receipt')}.txt"
        if out is not None or not place.exists():
            write_new(place, text.encode())
    _show(receipt, place, options)
    return 0


def _ask(twin: str) -> None:
    if not sys.stdin.isatty():
        raise Misuse("Nobody is there to ask.", hint="Say --yes to erase without being asked.")
    note("This cannot be undone. Type the whole id once more:")
    if sys.stdin.readline().strip().lower() != twin:
        raise Misuse("That is another id; nothing is erased.", hint="Run it again.")


def _show(receipt: Statement, place: Path, options: Options) -> None:
    if options.json:
        print_json(
            {
                "twin": receipt.get("twin"),
                "receipt": receipt.get("receipt"),
                "file": str(place),
                "event": int(receipt.get("event")),
                "along": receipt.all("along"),
                "keys": receipt.all("key"),
                "erased": counted(receipt),
                "copies_purged": receipt.all("copy-purged"),
                "copies_not_reached": receipt.all("copy-not-reached"),
                "shared_history": receipt.all("shared-history"),
            }
        )
        return
    print_table(
        "Erased for good",
        ["", ""],
        [*told(receipt), *((f"Erased {name}", count) for name, count in counted(receipt).items() if count)],
    )
    say(f"The signed receipt: {place}")
    say(f"Anybody with audit.pub can check it: twin erase --check {place.name} --public-key audit.pub")


def _check(file: Path, public_key: Path | None, options: Options) -> int:
    text = read_text(file)
    if public_key is not None:
        receipt, checks = read_receipt(text, read_text(public_key).strip()), []
    else:
        with Home.open(load_settings(options.home), create=False) as home:
            receipt = read_receipt(text, home.store.audit_public_key)
            checks = check_receipt(home, receipt)
    is_so = all(each.is_so for each in checks)
    if options.json:
        print_json({"signed": True, "ok": is_so, "checks": {each.said: each.is_so for each in checks}})
    else:
        print_table("A receipt signed by this log, whose erasure was in it then", ["", ""], told(receipt))
        for each in checks:
            say(f"{'yes' if each.is_so else 'NO '}  {each.said}")
    return 0 if is_so else 1
