"""How the database of a store is set up, for its operator to see: what it is, if the line is sealed, our rights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from gateway.store.database import faults, open_engine
from gateway.store.tables import GROWING
from gateway.store_place import Where

__all__ = ["Condition", "condition_of"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What a store's database says of itself. `warnings` are sentences, none where all is as it should be."""

    kind: str
    place: str
    account: str = ""
    is_encrypted: bool = False
    bytes: int = 0
    warnings: tuple[str, ...] = ()


_SERVER = text(
    "SELECT current_setting('server_version'), current_user, pg_database_size(current_database()),"
    " coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),"
    " coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false)"
)
_RIGHTS = text(
    "SELECT has_table_privilege(:named, 'UPDATE') OR has_table_privilege(:named, 'DELETE')"
    " OR has_table_privilege(:named, 'TRUNCATE')"
)
_ALWAYS = text("SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass(:named) AND tgenabled = 'A'")


def condition_of(where: Where) -> Condition:
    """Look at a store's database; nothing of what is kept is opened."""
    if isinstance(where, Path):
        return Condition("SQLite", str(where), bytes=sum(f.stat().st_size for f in where.parent.glob(f"{where.name}*")))
    reader, _ = open_engine(where)
    try:
        with faults(), reader.connect() as connection:
            [(version, account, size, is_encrypted, is_super)] = connection.execute(_SERVER)
            warnings = tuple(_warnings(connection, where.schema, is_super=is_super))
    finally:
        reader.dispose()
    if not is_encrypted and not where.host.startswith("/"):
        warnings = (*warnings, "The line is not encrypted: only to a server on this machine is that let pass.")
    place = f"{where.database}, schema {where.schema}, at {where.host}:{where.port}"
    return Condition(f"PostgreSQL {version}", place, account, is_encrypted, size, warnings)


def _warnings(connection: Connection, schema: str, *, is_super: bool) -> list[str]:
    if is_super:
        return ["The account is a superuser: it could change the audit log. Use the one of twin store sql."]
    found = []
    for table in GROWING:
        named = {"named": f"{schema}.{table}"}
        rules = connection.scalar(_ALWAYS, named)
        if not rules:
            found.append(f"{table} has no rules that let it only grow: run what twin store sql says as its owner.")
        elif connection.scalar(_RIGHTS, named):
            found.append(f"The account may change {table}, or owns it. Use the one of twin store sql.")
    return found
