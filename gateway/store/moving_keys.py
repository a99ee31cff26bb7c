"""Until schema 5 wrapped keys stood beside the data; here they move to the key store.

Killed at any point, it begins again at the next opening: a key is in both places until the store's own transaction
commits, and never in none. Copies that were made of an older store hold its wrapped keys: what makes these useless is
`twin keys rotate --retire` (docs/keys.md).
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from gateway.store.key_table import KeyTable
from gateway.store.owners import source_owner, twin_owner

__all__ = ["move_keys"]

_FROM = (("twin", "id", twin_owner), ("source_key", "source", source_owner))


def move_keys(connection: Connection, keys: KeyTable) -> None:
    """Copy all keys out of an older store's tables, then drop the columns; SQLite zeroes what it drops."""
    connection.exec_driver_sql("PRAGMA secure_delete=ON")
    for table, name, owner_of in _FROM:
        if "key" not in {column["name"] for column in inspect(connection).get_columns(table)}:
            continue
        rows = connection.execute(text(f"SELECT {name}, key, created FROM {table}"))  # noqa: S608 - names of ours
        keys.take_over((owner_of(of), key, created) for of, key, created in rows)
        connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN key")
    connection.exec_driver_sql("PRAGMA secure_delete=FAST")
