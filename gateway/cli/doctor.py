"""twin doctor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.deliver.learned import learned as learned_by_writing
from gateway.deliver.taken import what_it_takes
from gateway.home import Home
from gateway.profiles import profile_of
from gateway.pull.doctor import Finding, examine
from gateway.pull.known import Known, what_is_known
from gateway.pull.metadata import Capability
from gateway.pull.profile import Profile
from gateway.pull.tokens import narrowed
from gateway.settings import SourceSettings, load_settings
from gateway.sources import WRITTEN, connect
from security.audit import query_event
from security.errors import Misuse

__all__ = ["doctor_"]

_QUERY = b"GET [type]?_count=1, GET Patient/[id]/$everything?_count=1"
_SIGNS = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "–"}


def doctor_(source: str | None = None, /, *, options: Options = Options()) -> int:
    """Look at a source step by step, and say what to do about each failure. Nothing is written there.

    One resource of each type is asked for, and that is recorded. Checks URL, metadata, version, token, scopes granted
    against asked, one read of each type, and whether we may write. Then says what is known of the server, from where,
    and what it means for a pull; that is learned anew and kept. At last, what it takes of results, and in which shape
    they would go there. Exit status 1 where a check failed.

    Parameters
    ----------
    source
        A name from [sources] in twin.toml; without it, all of them.
    """
    settings = load_settings(options.home)
    wanted = {source: settings.source(source)} if source else settings.sources
    if not wanted:
        raise Misuse("There is no source to look at.", hint="Add [sources.NAME] to twin.toml; see docs/settings.md.")
    found, profiles, taken = {}, {}, {}
    with Home.open(settings) as home:
        for name, told in wanted.items():
            asked = home.access(peer=home.peer(name), query=_QUERY, basis="doctor")
            home.store.append_audit([query_event(asked)])  # one resource of each type will be read
            found[name], profile, takes = asyncio.run(_look(home, name, told))
            if profile is not None:
                profiles[name] = [*what_is_known(profile)]
            if takes:
                taken[name] = takes
    if options.json:
        print_json(
            {
                "sources": {name: [_json(f) for f in findings] for name, findings in found.items()},
                "known": {name: [asdict(each) for each in known] for name, known in profiles.items()},
                "writes": {name: [asdict(each) for each in takes] for name, takes in taken.items()},
            }
        )
    else:
        for name, findings in found.items():
            print_table(
                name,
                ["", "Check", "Seen", "What to do"],
                ((_SIGNS[f.state], f.check, f.seen, f.hint) for f in _gathered(findings)),
            )
            say()
            if name in profiles:
                _show(f"What is known of {name}", profiles[name])
            if name in taken:
                _show(f"How results would go to {name}; nothing was written", taken[name])
    return 1 if any(f.state == "failed" for findings in found.values() for f in findings) else 0


async def _look(home: Home, name: str, told: SourceSettings) -> tuple[list[Finding], Profile | None, list[Known]]:
    if told.folder:
        there = told.folder.exists()
        state = Finding(
            "folder",
            "ok" if there else "failed",
            "The folder is there." if there else "The folder does not exist.",
            "" if there else "Check folder in twin.toml.",
        )
        return [state], None, []
    learned: list[Profile] = []
    said: list[Capability] = []
    async with connect(told, home=home, name=name) as connection:

        async def know(capability: Capability) -> Profile:
            said.append(capability)
            learned.append(await profile_of(connection, capability, home.settings.home, name, told, fresh=True))
            return learned[0]

        create = WRITTEN if told.write else ()
        found = [f async for f in examine(connection, types=told.types, create=create, know=know)]
        written = learned_by_writing(home.settings.home, name)
        takes = [*what_it_takes(said[0], written, narrowed(connection.auth))] if said and told.write else []
    return found, learned[0] if learned else None, takes


def _show(title: str, known: Sequence[Known]) -> None:
    print_table(
        title,
        ["What", "Is", "Known from", "What it means"],
        ((each.what, each.value, each.because, each.means) for each in known),
    )
    say()


def _gathered(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Tell the types that can be read in one line, and those that cannot each in its own."""
    fine = [f for f in findings if f.check.startswith("read ") and f.state == "ok"]
    types = ", ".join(f.check.removeprefix("read ") for f in fine)
    for finding in findings:
        if finding not in fine:
            yield finding
        elif finding is fine[0]:
            yield Finding("read", "ok", f"{len(fine)} types can be searched: {types}.")


def _json(finding: Finding) -> dict[str, str]:
    return {"check": finding.check, "state": finding.state, "seen": finding.seen, "hint": finding.hint}
