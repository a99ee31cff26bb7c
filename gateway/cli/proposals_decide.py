"""twin proposals approve, twin proposals decline."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.deliver.approval import Decision, approve, decline
from gateway.deliver.policy import Person, with_account
from gateway.home import Home, now
from gateway.kept_files import read_secret
from gateway.settings import load_settings
from gateway.smart.at_terminal import log_in
from gateway.store import Delivery
from security.errors import Denied, Fault, Misuse

__all__ = ["approve_", "decline_"]

_SHORT = 12  # digits of an id that are shown


class _Decide(Protocol):
    def __call__(self, home: Home, delivery: Delivery, why: str, *, person: Person | None = None) -> Decision: ...


@dataclass(frozen=True, slots=True)
class _Who:
    """Who decides: who sits at the terminal, or an account that shows its password."""

    user: str
    password_file: Path | None

    def name(self, home: Home) -> str:
        """Return the name of the account, "" for who sits at the terminal. Raises what `log_in` raises."""
        if not self.user:
            if self.password_file is not None:
                raise Misuse("A password without a name shows nothing.", hint="Say --user.")
            return ""
        if self.password_file is not None:
            password = read_secret(self.password_file, "--password-file").rstrip("\r\n")
        elif sys.stdin.isatty():
            password = getpass.getpass(f"Password of {self.user}: ")
        else:
            raise Misuse("Nobody is there to type a password.", hint="Say --password-file.")
        return log_in(home, self.user, password, now()).name


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of one proposal: the decision, or in `fault` why there is none."""

    delivery: Delivery
    decision: Decision | None = None
    fault: Fault | None = None


def approve_(
    *proposals: str, why: str = "", user: str = "", password_file: Path | None = None, options: Options = Options()
) -> int:
    """Agree to proposals, so that they are delivered: twin deliver or twin send brings them to their EHRs.

    [approval] in twin.toml says who may. Who agreed, when and why is kept with the proposal and recorded. Consent and
    scopes are asked for again when it leaves. Exit status 4 where you may agree to none of them, 5 where to some.

    Parameters
    ----------
    proposals
        Their ids, or the beginnings of them; twin proposals list tells them.
    why
        Why you agree. It is kept sealed; [approval] may want it.
    user
        The account of twin user with which you do it, where many share this terminal; its password is asked for.
    password_file
        A file that only you can read, with that password in it.
    """
    return _decide(proposals, approve, why, "approved", _Who(user, password_file), options)


def decline_(
    *proposals: str, why: str = "", user: str = "", password_file: Path | None = None, options: Options = Options()
) -> int:
    """Decline proposals, so that they never leave; nor are the same proposed again.

    Who may agree may decline. Who declined, when and why is kept with the proposal and recorded. Exit status 4 where
    you may decline none of them, 5 where some.

    Parameters
    ----------
    proposals
        Their ids, or the beginnings of them; twin proposals list tells them.
    why
        Why you decline. It has to be said, and is kept sealed.
    user
        The account of twin user with which you do it, where many share this terminal; its password is asked for.
    password_file
        A file that only you can read, with that password in it.
    """
    return _decide(proposals, decline, why, "declined", _Who(user, password_file), options)


def _decide(proposals: Sequence[str], decide: _Decide, why: str, word: str, who: _Who, options: Options) -> int:
    if not proposals:
        raise Misuse("Say which proposals.", hint="twin proposals list tells their ids.")
    with Home.open(load_settings(options.home), create=False) as home:
        chosen = {found.id: found for found in (home.store.delivery(each) for each in proposals)}
        name = who.name(home)
        done = [_one(home, each, decide, why, name) for each in chosen.values()]
    failed = [each.fault for each in done if each.fault is not None]
    if len(done) == 1 and failed:
        raise failed[0]
    if options.json:
        print_json({"proposals": [_as_json(each, word) for each in done]})
    else:
        print_table(
            "",
            ["Proposal", "For", "Now"],
            ((each.delivery.id[:_SHORT], each.delivery.source, str(each.fault or word)) for each in done),
        )
        if word == "approved" and len(failed) < len(done):
            say("twin deliver brings what is agreed to to its EHRs; twin outbox list tells where it is.")
    if not failed:
        return 0
    return max(fault.exit_status for fault in failed) if len(failed) == len(done) else 5


def _one(home: Home, delivery: Delivery, decide: _Decide, why: str, name: str) -> _Done:
    try:
        person = with_account(home, name, delivery.source, now()) if name else None
        return _Done(delivery, decide(home, delivery, why, person=person))
    except (Denied, Misuse) as fault:
        return _Done(delivery, fault=fault)


def _as_json(done: _Done, word: str) -> dict[str, object]:
    return {
        "proposal": done.delivery.id,
        "source": done.delivery.source,
        "state": done.delivery.state if done.fault else word,
        "by": done.decision.who if done.decision else None,
        "how": done.decision.how if done.decision else None,
        "fault": {"code": done.fault.code, "say": str(done.fault)} if done.fault else None,
    }
