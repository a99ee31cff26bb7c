"""twin codes missing."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cyclopts import Parameter

from gateway.cli.terminal import note, print_json, print_table, say
from gateway.home import Home
from gateway.missing_codes import fill_in, find_missing, find_unnamed
from gateway.settings import load_settings
from mappers.systems import short_form
from security.audit import read_event

__all__ = ["missing_"]


@Parameter(name="*")
@dataclass(frozen=True)
class Shown:
    """What every command takes, with one format more."""

    home: Path | None = None
    """Folder of the store, the keys and twin.toml; else TWIN_HOME, else a user data folder."""

    format: Literal["text", "json", "toml"] = "text"
    """Words for people, one JSON object for scripts, or a table to fill in."""

    debug: bool = False
    """Show the details of a failure. They may hold patient data."""


def missing_(*, source: str | None = None, limit: int = 50, unnamed: bool = False, options: Shown = Shown()) -> None:
    """List the codes that no table has, each once with how often it came, most frequent first.

    With --format toml, a table to fill in: save it in the folder codes of the home folder. What it shows is read from
    sealed refusals, and reading them is recorded.

    Parameters
    ----------
    source
        Only of this source. Codes without a system are in the table of their source only.
    limit
        How many to list at most.
    unnamed
        List instead the codes of facts for which our tables have no name, so that no model finds them. A row with
        `is = "wider"` gives them that of a more general code, such as the ingredient of a tablet.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        home.must_know(source)
        home.store.append_audit([read_event(home.access(what=("Basic/missing-codes",)))])
        found = find_unnamed(home, source) if unnamed else find_missing(home, source)
    if options.format == "toml":
        sys.stdout.write(fill_in(found[:limit], source))
        if source is None and any(not one.code.system for one in found[:limit]):
            note("Codes without a system are one source's own: say --source to have them in the table.")
        return
    if options.format == "json":
        print_json(
            {
                "count": len(found),
                "statements": sum(one.count for one in found),
                "codes": [one.as_json() for one in found[:limit]],
            }
        )
        return
    if not found:
        say("All facts have a name." if unnamed else "Nothing was refused for its code.")
        return
    print_table(
        f"Codes without a name: {len(found):,}" if unnamed else f"Codes that no table has: {len(found):,}",
        [">Times", "Code", "Called", "In", "From", ""],
        (
            (
                f"{one.count:,}",
                short_form(one.code),
                one.display,
                ", ".join(one.types),
                ", ".join(one.sources),
                "standard, but no measurement of ours" if one.standard and not unnamed else "",
            )
            for one in found[:limit]
        ),
    )
    say("To fill them in: twin codes missing --format toml > HOME/codes/mine.toml, then twin codes check.")
