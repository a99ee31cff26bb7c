"""twin hold and twin restrict."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.erasure import hold, restrict
from gateway.home import Home
from gateway.settings import load_settings
from security.errors import Misuse

__all__ = ["hold_", "restrict_"]

_Flag = Annotated[bool, Parameter(negative="")]


def hold_(twin: str | None = None, /, *, why: str = "", release: _Flag = False, options: Options = Options()) -> None:
    """Put a legal hold on a twin: it is not erased until that is released. Without a twin, list all holds.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    why
        A code or a reference number, such as case-2026-17; never a name.
    release
        Release it again.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        if twin is None:
            _list(home, options)
            return
        found = home.store.find_twin(twin)
        _demand(why)
        is_new = hold(home, found, why, release=release)
    state = "no hold" if release else "held"
    _tell(options, found, state, is_new)


def restrict_(twin: str, /, *, why: str = "", lift: _Flag = False, options: Options = Options()) -> None:
    """Restrict what may be done with a twin: it can be read, nothing new is made of it, and what comes is refused.

    What came meanwhile is not kept: after lifting it, pull with --since all.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    why
        A code or a reference number, such as case-2026-17; never a name.
    lift
        Open it again.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        found = home.store.find_twin(twin)
        _demand(why)
        is_new = restrict(home, found, why, lift=lift)
    _tell(options, found, "open" if lift else "read-only", is_new)


def _demand(why: str) -> None:
    if not why:
        raise Misuse("Why?", hint="Say --why with a code or a reference number, such as case-2026-17.")


def _tell(options: Options, twin: str, state: str, is_new: bool) -> None:
    if options.json:
        print_json({"twin": twin, "state": state, "changed": is_new})
    else:
        say(f"Twin {twin}: {state}{'' if is_new else ', as it was already'}.")


def _list(home: Home, options: Options) -> None:
    guards = home.store.guards()
    if options.json:
        print_json({"guards": [{"twin": g.twin, "kind": g.kind, "since": g.since, "why": g.why} for g in guards]})
        return
    rows = ((g.twin, g.kind, f"{g.since:%Y-%m-%d %H:%M}", g.why) for g in guards)
    print_table(f"{len(guards)} holds and restrictions", ["Twin", "What", "Since (UTC)", "Why"], rows)
