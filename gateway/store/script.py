"""What a PostgreSQL database is given for a store: tables, the rules of the audit log, and who may do what.

Every statement may run again, on a store of any earlier version too. Whoever may make tables can leave it to us; else
their owner runs the text that `script` makes, and the account that we use never gets more than it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, MetaData, String, text
from sqlalchemy.dialects.postgresql import dialect
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel

from gateway.store.tables import COLUMNS, GROWING, PARTIAL
from security.errors import BadSettings

__all__ = ["make_tables", "script"]

_DENIED = "42501"
_HAS_SCHEMA = text("SELECT to_regnamespace(:of_schema)::text")
_THERE = text(
    "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
    " WHERE c.relnamespace = to_regnamespace(:of_schema) AND a.attnum > 0 AND NOT a.attisdropped"
)
_postgresql: Any = dialect()  # type: ignore[no-untyped-call]


def make_tables(connection: Connection, schema: str) -> None:
    """Make what is missing in a schema; all of it becomes true with the commit, or nothing.

    Raises `BadSettings` where the account may not.
    """
    there = {tuple(row) for row in connection.execute(_THERE, {"of_schema": schema})}
    if all((column.table.name, column.name) in there for column in _columns()):
        return
    try:
        if connection.scalar(_HAS_SCHEMA, {"of_schema": schema}) is None:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
        for statement in _statements(schema):
            connection.exec_driver_sql(statement)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _DENIED:
            raise
        raise BadSettings(
            "The tables of the store are not all there, and the account may not make them.",
            hint="Let the owner of the schema run what twin store sql says, then try again.",
            detail=error,
        ) from error


def script(schema: str, writer: str, owner: str) -> str:
    """Write what an owner runs, as text for psql: the schema, its tables, and what the account `writer` may do.

    That account may add to the audit log and read it, and nothing else (security requirement K6); it may write to the
    other tables. It owns nothing, so that it can neither drop a rule nor a table.
    """
    lines = [
        "\\set ON_ERROR_STOP on",
        "BEGIN;",
        *(_role(name, rights) for name, rights in ((owner, "NOLOGIN"), (writer, "LOGIN"))),
        f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner};",
        f"SET LOCAL ROLE {owner};",
        f"SET LOCAL search_path = {schema}, pg_temp;",
        "SET LOCAL client_min_messages = warning;",
        *(f"{statement};" for statement in _statements(schema)),
        *(f"{statement};" for statement in _grants(schema, writer)),
        "COMMIT;",
    ]
    return "\n".join(" ".join(line.split()) for line in lines) + "\n"


def _columns() -> Iterator[Column[Any]]:
    return (column for table in SQLModel.metadata.tables.values() for column in table.columns)


def _role(name: str, rights: str) -> str:
    made = f"IF to_regrole('{name}') IS NULL THEN CREATE ROLE {name} {rights}; END IF;"
    return f"DO $$ BEGIN {made} END $$;"


def _statements(schema: str) -> Iterator[str]:
    tables = _as_kept_there().sorted_tables
    for table in tables:
        yield str(CreateTable(table, if_not_exists=True).compile(dialect=_postgresql)).strip()
        for name in COLUMNS.get(table.name, ()):
            kind = table.columns[name].type.compile(dialect=_postgresql)
            yield f"ALTER TABLE {table.name} ADD COLUMN IF NOT EXISTS {name} {kind}"
        for index in sorted(table.indexes, key=lambda each: str(each.name)):
            if which := PARTIAL.get(str(index.name)):
                index.dialect_options["postgresql"]["where"] = text(which)
            yield str(CreateIndex(index, if_not_exists=True).compile(dialect=_postgresql)).strip()
        for column in table.columns:
            if isinstance(column.type, LargeBinary):  # what is sealed does not pack; to try takes the server's time
                yield f"ALTER TABLE {table.name} ALTER COLUMN {column.name} SET STORAGE EXTERNAL"
    yield from _rules(schema)


def _as_kept_there() -> MetaData:
    """Copy the tables with PostgreSQL's types: text that sorts by its bytes, as in a file, and numbers of 64 bits."""
    kept = MetaData()
    for table in SQLModel.metadata.sorted_tables:
        for column in table.to_metadata(kept).columns:
            kind = column.type.impl if isinstance(column.type, TypeDecorator) else column.type
            if isinstance(kind, String):
                column.type = String(kind.length, collation="C")
            elif isinstance(kind, Integer):
                column.type = BigInteger()
    return kept


def _rules(schema: str) -> Iterator[str]:
    """Let rows of the audit log be added at its end and never changed, nor removed, not even by its owner's mistake.

    `ENABLE ALWAYS`: a session that plays replica fires them too. Whoever owns the tables can drop them, and a superuser
    anything: that is what the signed tree is for.
    """
    yield (
        f"CREATE OR REPLACE FUNCTION {schema}.only_grows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'the audit log only grows' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for table, following in GROWING.items():
        rule = following.format(table=f"{schema}.{table}")
        yield (
            f"CREATE OR REPLACE FUNCTION {schema}.{table}_follows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF ({rule}) IS NOT TRUE THEN RAISE EXCEPTION 'the audit log only grows'"
            " USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$"
        )
        kept = f"BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {schema}.only_grows"
        added = f"BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {schema}.{table}_follows"
        for name, when in ((f"{table}_no_change", kept), (f"{table}_at_the_end", added)):
            yield f"CREATE OR REPLACE TRIGGER {name} {when}()"
            yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"


def _grants(schema: str, writer: str) -> Iterator[str]:
    yield f"REVOKE ALL ON SCHEMA {schema} FROM PUBLIC, {writer}"
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC, {writer}"
    yield f"GRANT USAGE ON SCHEMA {schema} TO {writer}"
    yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {writer}"
    for table in SQLModel.metadata.sorted_tables:
        rights = "SELECT, INSERT" if table.name in GROWING else "SELECT, INSERT, UPDATE, DELETE"
        yield f"GRANT {rights} ON {table.name} TO {writer}"
