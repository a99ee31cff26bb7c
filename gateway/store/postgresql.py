"""The store in one schema of a PostgreSQL database.

The same promises as in a file, by other means. Writers take turns: each writing transaction first takes an advisory
lock of the whole store, at READ COMMITTED, so that every statement after it sees all that was committed before (with a
snapshot taken before the wait it would not). SERIALIZABLE with retries would have to undo the work of whoever lost,
sealing and all, and the audit log lets only one be next anyway. Readers see one snapshot (REPEATABLE READ, READ ONLY)
and wait for nobody. A commit that returned is on disk: we do not work with a server that is set to do without.
"""

from __future__ import annotations

import hashlib
import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError

from gateway.kept_files import read_secret
from gateway.store.sqlite import BUSY
from gateway.store_place import Server
from security.errors import BadSettings, Fault, Sealed, StoreFull

if TYPE_CHECKING:
    import psycopg

__all__ = ["fault_of", "open_server"]

_OLDEST = 14  # CREATE OR REPLACE TRIGGER
_CONNECTIONS = 20  # of one process, at most
_CONNECT_SECONDS = 10
_GONE_SECONDS = 60  # without an answer of the machine, after which it is gone

# How long a statement takes; how long a process that stands still may keep others from writing.
_SESSION = {
    "statement_timeout": "15min",
    "idle_in_transaction_session_timeout": "5min",
    "default_transaction_isolation": "read committed",
    "client_min_messages": "warning",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_ASKED = ("fsync", "full_page_writes", "server_encoding", "server_version_num")

_OUT = (
    "The server of the store cannot be reached, or does not let us in.",
    "Check that PostgreSQL runs, and [store] in twin.toml: url, user, password_file, tls. --debug tells what it said.",
)
_GONE = (
    "The server of the store went away.",
    "Nothing that was acknowledged is lost: run the same command again once PostgreSQL is there.",
)
_FAULTS = {  # www.postgresql.org/docs/current/errcodes-appendix.html
    "53100": ("The disk that holds the store is full.", "Make room, then run the same command again."),
    "58030": (
        "The store could not be read or written.",
        "Check the disk of the server and its free space, then run the same command again.",
    ),
    "25006": ("The store may not be written.", "The server takes no writes: check that it is no standby."),
    "42501": ("The store may not be written.", "The account lacks rights: let the owner run what twin store sql says."),
    "55P03": BUSY,
    "40001": BUSY,
    "40P01": BUSY,
    "57014": ("The store took too long.", "See what keeps its server busy, then run the same command again."),
    "53200": ("The server of the store is out of memory.", "Wait until it has room, then run the same command again."),
    "53300": ("The server of the store takes no more connections.", "Raise its max_connections, or wait."),
}
_DAMAGED = ("XX001", "XX002")


def open_server(server: Server) -> tuple[Engine, Engine]:
    """Connect to a store's server. Returns an engine that reads and one that writes; they share their connections."""
    try:
        import psycopg  # noqa: F401, PLC0415 - only who stores there needs it
    except ImportError as error:
        raise BadSettings(
            "A store on PostgreSQL needs the driver psycopg.", hint="Run: pip install 'fhirtwin[postgresql]'."
        ) from error
    engine = create_engine(
        "postgresql+psycopg://",
        creator=_door(server),
        hide_parameters=True,  # sealed values only, and even these have no place in an error text
        use_native_hstore=False,
        pool_size=_CONNECTIONS,
        max_overflow=0,
        isolation_level="READ COMMITTED",
    )
    event.listen(engine, "checkout", _leave_if_gone)
    writer = engine.execution_options(fhirtwin_writes=True)
    turn = f"SELECT pg_advisory_xact_lock({_turn_of(server.schema)})"

    @event.listens_for(engine, "begin")
    def _take_turn(connection: Connection) -> None:
        if connection.get_execution_options().get("fhirtwin_writes", False):
            connection.exec_driver_sql(turn)

    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True), writer


def _turn_of(schema: str) -> int:
    """Number the lock of a store; locks are the database's, and a database may hold several stores."""
    return int.from_bytes(hashlib.sha256(f"fhirtwin store in {schema}".encode()).digest()[:8], signed=True)


def _door(server: Server) -> Callable[[], psycopg.Connection[Any]]:
    """Make what connects. A password is read each time, so that one that was changed is taken without a restart."""

    def connect() -> psycopg.Connection[Any]:
        import psycopg  # noqa: PLC0415

        from gateway.store.streaming import Stream  # noqa: PLC0415 - it needs psycopg, too

        told: dict[str, Any] = {
            "host": server.host,
            "port": server.port,
            "dbname": server.database,
            "application_name": "fhirtwin",
            "connect_timeout": _CONNECT_SECONDS,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": _GONE_SECONDS * 1000,
            "gssencmode": "disable",
            "sslmode": "verify-full" if server.tls else "disable",
        }
        if server.tls:
            told |= {"sslrootcert": str(server.ca_file or "system"), "ssl_min_protocol_version": "TLSv1.2"}
        if server.user:
            told["user"] = server.user
        if server.password_file:
            told["password"] = read_secret(server.password_file, "password_file").rstrip("\r\n")
        if server.client_certificate_file and server.client_key_file:
            read_secret(server.client_key_file, "client_key_file")
            told |= {"sslcert": str(server.client_certificate_file), "sslkey": str(server.client_key_file)}
        connection = psycopg.connect("", autocommit=True, **told)
        try:
            _settle(connection, server)
            connection.autocommit = False
            connection.server_cursor_factory = Stream
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


def _settle(connection: psycopg.Connection[Any], server: Server) -> None:
    """Set what a session of ours needs, and refuse a server that does not keep what it acknowledges."""
    wanted = {
        "search_path": f"{server.schema}, pg_temp",
        "lock_timeout": f"{server.patience_seconds}s",
        **_SESSION,
    }
    set_all = ", ".join("set_config(%s, %s, false)" for _ in wanted)
    ask_all = ", ".join(f"current_setting('{name}')" for name in _ASKED)
    # A stronger setting (remote_apply) stays. Neither of these two waits for all that was asked of the server.
    durable = (
        "CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')"
        " THEN set_config('synchronous_commit', 'on', false) END"
    )
    values = [part for pair in wanted.items() for part in pair]
    row = connection.execute(f"SELECT {ask_all}, {durable}, {set_all}", values).fetchone()
    fsync, whole_pages, encoding, version = (str(value) for value in (row or ())[: len(_ASKED)])
    if (fsync, whole_pages) != ("on", "on"):
        raise BadSettings(
            "The server of the store says that something is kept before it is.",
            hint="Set fsync and full_page_writes to on in its postgresql.conf.",
        )
    if encoding != "UTF8":
        raise BadSettings("The database of the store is not in UTF-8.", hint="Make it with: ENCODING 'UTF8'.")
    if int(version) < _OLDEST * 10_000:
        raise BadSettings(f"The server of the store is older than PostgreSQL {_OLDEST}.", hint="Use a newer one.")


def _leave_if_gone(connection: Any, record: Any, proxy: Any) -> None:
    """Take another connection where the server closed this one meanwhile; it says so, and that can be seen unasked."""
    if connection.closed or _has_news(connection.pgconn.socket):
        raise DisconnectionError


def _has_news(socket: int) -> bool:
    if hasattr(select, "poll"):
        waiting = select.poll()
        waiting.register(socket, select.POLLIN)
        return bool(waiting.poll(0))
    return bool(select.select([socket], [], [], 0)[0])


def fault_of(cause: BaseException | None, detail: object) -> Fault | None:
    """Say what an error of PostgreSQL means; `None` where it is a mistake of ours."""
    state = getattr(cause, "sqlstate", None)
    if state in _FAULTS:
        message, hint = _FAULTS[state]
        return StoreFull(message, hint=hint, detail=detail)
    if state in _DAMAGED:
        return Sealed("The files of the store are damaged.", hint="Restore them from a backup.", detail=detail)
    if state == "3F000":
        return BadSettings(
            "The schema of the store is not there, or not for us.",
            hint="Let the owner of the database run what twin store sql says.",
            detail=detail,
        )
    is_away = state is None or state.startswith("08") or state in ("57P01", "57P02", "57P03", "57P04", "57P05", "25P03")
    if is_away and _is_operational(cause):
        never_was = str(cause).startswith("connection")  # libpq's "connection to server … failed"
        message, hint = _OUT if never_was else _GONE
        return StoreFull(message, hint=hint, detail=detail)
    return None


def _is_operational(cause: BaseException | None) -> bool:
    """Whether the driver blames the connection: its errors of that class have no state of their own."""
    return any(kind.__name__ == "OperationalError" for kind in type(cause).__mro__)
