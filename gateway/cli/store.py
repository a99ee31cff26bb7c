"""twin store."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from gateway.cli.terminal import Options, print_json, say
from gateway.settings import load_settings
from gateway.store.condition import condition_of
from gateway.store.script import script
from gateway.store_place import NAME, Server
from security.errors import Misuse

__all__ = ["sql_", "status_"]


def status_(*, options: Options = Options()) -> int:
    """Say where the data is, and whether its database is set up as it should be. Exit status 1 where it is not."""
    settings = load_settings(options.home)
    found = condition_of(settings.store.where(settings.home))
    if options.json:
        print_json(asdict(found))
        return 1 if found.warnings else 0
    say(f"{found.kind}: {found.place}")
    if found.account:
        line = "encrypted" if found.is_encrypted else "not encrypted"
        say(f"  as {found.account}, over a line that is {line}")
    say(f"  {found.bytes / 1e6:,.1f} MB")
    for warning in found.warnings:
        say(f"  ! {warning}")
    return 1 if found.warnings else 0


def sql_(
    *,
    owner: Annotated[str, Parameter(help="The role that owns the tables, and that nobody logs in as.")] = "twin_owner",
    writer: Annotated[str, Parameter(help="The role that we work as; else the user of [store] url.")] = "",
    options: Options = Options(),
) -> None:
    """Print what the owner of a PostgreSQL database runs: tables, rules, and rights of the account that we work as.

    Nothing is sent to the server. It may run again, and has to after an upgrade: twin store sql | psql DATABASE.
    """
    settings = load_settings(options.home)
    where = settings.store.where(settings.home)
    schema = where.schema if isinstance(where, Server) else settings.store.db_schema
    writer = writer or (where.user if isinstance(where, Server) else "") or "twin_writer"
    for name in (owner, writer):
        if not NAME.fullmatch(name):
            raise Misuse("The name of a role has lower-case letters, digits and _ only.")
    if owner == writer:
        raise Misuse("Owner and writer are two roles.", hint="Who owns the audit log could change it.")
    text = script(schema, writer, owner)
    if options.json:
        print_json({"schema": schema, "owner": owner, "writer": writer, "sql": text})
    else:
        say(text.rstrip("\n"))
