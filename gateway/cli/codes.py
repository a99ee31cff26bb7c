"""twin codes list, show, check."""

from __future__ import annotations

from collections import Counter

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.code_checks import names_of, replacement_of
from gateway.code_files import CodeTable, read_tables
from gateway.settings import load_settings
from mappers.codes import BUILT_IN
from mappers.systems import short_form
from mappers.translations import Row
from security.errors import UnknownName

__all__ = ["check_", "list_", "show_"]

_OURS = "retired"


def list_(*, options: Options = Options()) -> None:
    """List the tables of codes: those in the folder codes of the home folder, and ours of retired codes."""
    tables, problems = read_tables(load_settings(options.home).home)
    ours = BUILT_IN.translations.rows
    if options.json:
        print_json(
            {
                "tables": [_summary(table) for table in tables],
                "built_in": {"name": _OURS, "rows": len(ours)},
                "mistakes": len(problems),
            }
        )
        return
    rows = [
        (table.name, table.title, table.source or "all", len(table.rows), len(table.unfilled), table.version)
        for table in tables
    ]
    rows.append((_OURS, "Codes that their owners have retired (ours)", "all", len(ours), 0, ""))
    print_table("Tables of codes", ["Name", "Title", "Source", ">Rows", ">Not filled in", "Version"], rows)
    if problems:
        say(f"{len(problems)} mistakes: twin codes check says which.")


def show_(table: str, /, *, options: Options = Options()) -> None:
    """Show the rows of one table, or the one row that a fact names ("4+1a2b3c4d5e" was made by row 1a2b3c4d5e).

    Parameters
    ----------
    table
        A name from twin codes list, or the version of a row.
    """
    tables, _ = read_tables(load_settings(options.home).home)
    by_name = {each.name: each.rows for each in tables} | {_OURS: BUILT_IN.translations.rows}
    rows = by_name.get(table) or [
        row for rows in by_name.values() for row in rows if row.id == table.rpartition("+")[2]
    ]
    if not rows and table not in by_name:
        raise UnknownName("table of codes", table, by_name)
    if options.json:
        print_json({"rows": [_row(row) for row in rows]})
        return
    print_table(
        table,
        ["Code", "Is", "Standard code", "Called", "Source", "Row", "Who says so"],
        (
            (
                short_form(row.told),
                row.relation,
                short_form(row.to) if row.to else "",
                row.to.display if row.to else "",
                row.source or "all",
                row.id,
                row.cite,
            )
            for row in rows
        ),
    )


def check_(*, options: Options = Options()) -> int:
    """Check your tables of codes: every mistake with its file and row, and what will have no effect.

    A table with mistakes stops a pull before it asks anything; a process that runs goes on with the tables as they were
    without them.
    """
    settings = load_settings(options.home)
    tables, problems = read_tables(settings.home)
    warnings = [warning for table in tables for warning in _warnings(table, frozenset(settings.sources))]
    if options.json:
        print_json(
            {
                "tables": [_summary(table) for table in tables],
                "mistakes": [{"file": p.file, "row": p.row, "what": p.what} for p in problems],
                "warnings": warnings,
            }
        )
        return 1 if problems else 0
    for problem in problems:
        say(f"mistake  {problem}")
    for warning in warnings:
        say(f"note     {warning}")
    rows = sum(len(table.rows) for table in tables)
    relations = Counter(row.relation for table in tables for row in table.rows)
    told = ", ".join(f"{count} {relation}" for relation, count in sorted(relations.items()))
    of_kind = f" ({told})" if told else ""
    say(f"Tables without mistakes: {len(tables)}. Rows: {rows}{of_kind}. Mistakes: {len(problems)}.")
    if rows and not problems:
        say("They count from now on. For what came before: twin codes replay.")
    return 1 if problems else 0


def _warnings(table: CodeTable, sources: frozenset[str]) -> list[str]:
    found = []
    if table.source and sources and table.source not in sources:
        found.append(f"{table.file}: there is no [sources.{table.source}] in twin.toml.")
    if table.unfilled:
        found.append(f"{table.file}: {len(table.unfilled)} codes are not filled in, and stay refused.")
    for row in table.rows:
        if row.to is None:
            continue
        where = f"{table.file}: {short_form(row.told)} to {short_form(row.to)}:"
        if (current := replacement_of(row.to)) is not None:
            found.append(f"{where} this code is retired; {short_form(current)} took its place.")
        elif not names_of(row.to):
            found.append(
                f"{where} our tables have no name for it: no model finds it, and a number of it stays refused."
            )
    return found


def _summary(table: CodeTable) -> dict[str, object]:
    return {
        "name": table.name,
        "title": table.title,
        "source": table.source,
        "rows": len(table.rows),
        "unfilled": len(table.unfilled),
        "version": table.version,
    }


def _row(row: Row) -> dict[str, object]:
    return {
        "from": f"{row.told.system}|{row.told.code}",
        "is": row.relation,
        "to": f"{row.to.system}|{row.to.code}" if row.to else None,
        "display": row.to.display if row.to else row.told.display,
        "source": row.source,
        "row": row.id,
        "cite": row.cite,
        "table": row.table,
    }
