"""Telling another process, or twin.toml, where a store is, and opening it there."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from gateway.store import Store
from gateway.store_place import Server, Where
from security.keys import KeyRing


def told(where: Where) -> str:
    """Write where a store is into one argument."""
    if isinstance(where, Path):
        return json.dumps({"path": str(where)})
    return json.dumps(
        {
            "host": where.host,
            "database": where.database,
            "port": where.port,
            "user": where.user,
            "password_file": str(where.password_file),
            "schema": where.schema,
        }
    )


def store_table(server: Server) -> str:
    """Write the table of twin.toml that leads to a database."""
    url = f"postgresql://{server.user}@127.0.0.1:{server.port}/{server.database}"
    told = {"url": url, "password_file": str(server.password_file), "db_schema": server.schema}
    return "\n".join(["[store]", *(f"{name} = {json.dumps(value)}" for name, value in told.items()), "tls = false\n"])


def open_told(argument: str, keys: str, ring: KeyRing, now: datetime) -> Store:
    """Open what `told` wrote."""
    read = json.loads(argument)
    if "path" in read:
        return Store.create_or_open(Path(read["path"]), ring, now, keys=Path(keys))
    server = Server(**{**read, "password_file": Path(read["password_file"])}, tls=False)
    return Store.create_or_open(server, ring, now, keys=Path(keys))
