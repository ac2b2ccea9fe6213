"""The edge to the database server.

A driver's own error text names host, user and, with an unescaped ``@``, a piece of the password: what leaves this
module is a code from a fixed list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from deploylib.errors import DeployError, MigrationFailed, SettingsError, Unreachable
from deploylib.models import Facts, Secret
from deploylib.models.extras import install_command
from deploylib.postgres import sqlstates
from deploylib.system import Clock, Deadline

__all__ = [
    "LOOPBACK",
    "MISLEADING",
    "OF_TLS",
    "RESTORING",
    "alter_url",
    "child_environment",
    "connect",
    "count_sessions",
    "facts",
    "is_plain",
    "lock_database",
    "lock_room",
    "names_of",
    "read_mark",
    "refusals",
    "require_direct",
]


MISLEADING = ("PGSERVICE", "PGHOSTADDR")
"""Variables of libpq that would lead a child elsewhere whatever the rest of its environment says."""

LOOPBACK = "127.0.0.1"
"""This machine, for whoever reads an address; ``localhost`` may be another one, or ``::1``, by the machine's own files."""

OF_TLS = (
    "PGSSLMODE",
    "PGREQUIRESSL",
    "PGSSLNEGOTIATION",
    "PGSSLROOTCERT",
    "PGCHANNELBINDING",
    "PGGSSENCMODE",
    "PGREQUIREAUTH",
)
"""Variables of libpq that ask of a server what one on this machine need not have."""

RESTORING = "deploylib_restoring"
"""The schema by which a database is marked while a backup is being put into it; its comment says more. See `deploylib.backups.restore_mark`."""

LOCK = 0x6465706C6F79  # "deploy" in ASCII: one key for migrations and backups of one database
ASK_AGAIN = 0.5  # seconds between two tries to get it


# Whatever it is called, and in whatever schema: nothing but one column of that name.
VERSIONS = """
select c.oid::regclass::text, c.oid from pg_class c
where c.relkind = 'r' and (select array_agg(a.attname::text) from pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) = '{version_num}'
order by c.oid is distinct from to_regclass('alembic_version'), c.relname <> 'alembic_version', 1
"""


MARKED = """
select coalesce(nullif(pg_catalog.obj_description(oid, 'pg_namespace'), ''), '{}') from pg_catalog.pg_namespace
where nspname = %s
"""


def facts(url: Secret, *, versions: str = "", timeout: int = 5) -> Facts:
    """Look at a database.

    Args:
        versions: alembic's own table, as SQL names it (``version_table_schema`` and ``version_table`` of ``env.py``); by
            default it is known by its form, and the usual name goes before others.

    Raises:
        Unreachable: it does not answer, or not to us.
    """
    with connect(url, timeout) as connection:
        version = str(_one(connection, "show server_version")).split()[0]
        size = int(_one(connection, "select pg_database_size(current_database())"))
        kept = connection.execute(VERSIONS).fetchall()
        tables = int(
            _one(
                connection,
                "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                "where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' "
                "and c.oid <> all (%s)",
                [oid for _name, oid in kept],
            )
        )
        known = [name for name, _oid in kept]
        if versions:
            known = [name for name in (_one(connection, "select to_regclass(%s)::text", versions),) if name]
        query = "select coalesce(string_agg(version_num, ',' order by version_num), '') from {}"
        revision = str(_one(connection, query.format(known[0]))) if known else ""
        restoring = str(_one(connection, MARKED, RESTORING) or "")
    return Facts(version, size, tables == 0, revision, restoring)


def read_mark(url: Secret) -> str:
    """Read the mark of a database; see `Facts`.

    Nothing that a restore may have locked is looked at.

    Raises:
        Unreachable: it does not answer, or not to us.
    """
    with connect(url) as connection:
        return str(_one(connection, MARKED, RESTORING) or "")


def require_direct(url: Secret, *, timeout: int = 5) -> None:
    """See that a connection is one session of the server.

    What holds a lock or a limit must be there for the next line.

    While one connection rests outside a transaction, another begins one; a pooler that gives out the server's sessions
    by the transaction now gives it the session that the first one had, or the first one another
    (https://www.pgbouncer.org/features.html).

    Raises:
        SettingsError: there is a pooler in between.
        Unreachable: the database does not answer, or not to us.
    """
    with connect(url, timeout) as resting, connect(url, timeout) as busy, ThreadPoolExecutor(1) as pool:
        for _ in range(3):
            before = _one(resting, "select pg_backend_pid()")
            with busy.transaction():
                other = _one(busy, "select pg_backend_pid()")
                asked = pool.submit(_one, resting, "select pg_backend_pid()")
                answered = wait((asked,), timeout).done  # a pool of one session has none left for the one that rests
            if not answered or other in {before, asked.result()} or before != asked.result():
                break
        else:
            return
    raise SettingsError(
        "the database's URL leads to a pooler that gives out sessions by the transaction: locks and limits do not hold",
        remedy=REMEDIES["pooler"],
    )


def lock_room(url: Secret) -> tuple[int, int]:
    """Count a dump's locks, and the room for all sessions.

    By the manual's `max_locks_per_transaction`; a server may hold some more, as its shared memory has a reserve.

    Raises:
        Unreachable: the database does not answer, or not to us.
    """
    query = (
        "select (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where c.relkind in ('r', 'p', 'S') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'), "
        "current_setting('max_locks_per_transaction')::bigint * "
        "(current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)"
    )
    with connect(url) as connection:
        taken, room = connection.execute(query).fetchone()
    return int(taken), int(room)


def count_sessions(url: Secret) -> tuple[int, int]:
    """Count the sessions that there are, and that there may be.

    Those of clients; what is kept for the server's own users is not among them.

    Raises:
        Unreachable: the database does not answer, or not to us.
    """
    query = (
        "select (select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()), "
        "current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    )
    with connect(url) as connection:
        used, most = connection.execute(query).fetchone()
    return int(used), int(most)


@contextmanager
def lock_database(url: Secret, *, clock: Clock, within: float) -> Iterator[None]:
    """Hold the one lock for backups and migrations of this database.

    Polled, on an autocommit connection of its own: a session that *waits* in ``pg_advisory_lock`` keeps a snapshot
    open and hangs ``CREATE INDEX CONCURRENTLY``.

    Args:
        within: seconds after which waiting ends.

    Raises:
        MigrationFailed: somebody else held it all the time.
        SettingsError: the URL leads to a pooler, where a lock of a session is nobody's.
    """
    require_direct(url)
    deadline = Deadline.after(within, clock)
    with connect(url, 5) as connection:
        while not _one(connection, "select pg_try_advisory_lock(%s)", LOCK):
            if deadline.has_passed():
                holder = _one(
                    connection,
                    "select coalesce(max(format('pid %%s, %%s, since %%s', a.pid, nullif(a.application_name, ''), "
                    "a.backend_start::timestamp(0))), 'unknown') from pg_locks l join pg_stat_activity a using (pid) "
                    "where l.locktype = 'advisory' and l.granted and (l.classid::bigint << 32) + l.objid::bigint = %s",
                    LOCK,
                )
                raise MigrationFailed(
                    f"another backup or migration of this database held the lock for {within:.0f} s ({holder})",
                    remedy="wait for it to end, then run the same command again",
                )
            clock.sleep(ASK_AGAIN)
        try:
            yield
        finally:
            if not connection.closed:
                _one(connection, "select pg_advisory_unlock(%s)", LOCK)


def child_environment(url: Secret) -> dict[str, str]:
    """Write the connection as libpq's variables, for a child program.

    Nothing of it in its arguments.

    Raises:
        SettingsError: the URL cannot be read.
    """
    from psycopg.pq import Conninfo

    parts = _parts(url)
    # libpq itself knows the variable of each parameter; keepalives and the like have none.
    names = {option.keyword.decode(): option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar}
    return {names[key]: str(value) for key, value in parts.items() if key in names and value is not None}


def alter_url(url: Secret, **parts: str) -> Secret:
    """Replace some parameters of libpq in a URL, such as ``dbname``.

    A URL that others read too.

    Host and port are before the path, as people and platforms write them. What cannot be there (the path of a socket, several
    hosts) is in its query, where libpq, SQLAlchemy and the drivers of Node take it; Prisma wants a host before the path all the
    same, and its documentation says ``localhost``.

    Raises:
        SettingsError: the URL cannot be read.
    """
    known = {name: str(value) for name, value in _parts(url, **parts).items() if value is not None}
    user, password, name = (quote(known.pop(key, ""), safe="") for key in ("user", "password", "dbname"))
    who = f"{user}:{password}@" if password else f"{user}@" if user else ""
    return Secret(
        f"postgresql://{who}{_authority(known)}/{name}" + (f"?{urlencode(known, quote_via=quote)}" if known else "")
    )


def is_plain(url: Secret) -> bool:
    """Tell whether every program finds the place that a URL names.

    That is one host before the path. The path of a socket, several hosts, none, and ``hostaddr`` are read by libpq in its
    own way: other programs go to this machine's port 5432.

    Raises:
        SettingsError: the URL cannot be read.
    """
    known = _parts(url)
    host = str(known.get("host") or "")
    if not host or set(host) & set("/@,") or known.get("hostaddr"):
        return False
    return urlsplit(_plain(url)).hostname == host.lower()


def names_of(url: Secret) -> tuple[str, str]:
    """Read the role and the database that a URL names.

    Raises:
        SettingsError: the URL cannot be read.
    """
    known = _parts(url)
    return str(known.get("user") or ""), str(known.get("dbname") or "")


@contextmanager
def connect(url: Secret, timeout: int = 5, *, statements: str = "30s") -> Iterator[Any]:
    """Open a connection of psycopg in autocommit mode for the block.

    Args:
        timeout: seconds to connect.
        statements: how long one statement may take, as Postgres writes it; ``0``: as long as it takes.

    Raises:
        Unreachable: it does not answer, or not to us, or closed the connection meanwhile.
        SettingsError: the driver is missing, or the URL cannot be read.
    """
    try:
        import psycopg
    except ImportError as error:
        raise SettingsError("the database driver is missing", remedy=install_command("postgres")) from error
    _parts(url)
    try:
        connection = psycopg.connect(
            _plain(url),
            autocommit=True,
            connect_timeout=timeout,
            client_encoding="utf8",  # of a database in SQL_ASCII all text would come as bytes, and some encodings not at all
            application_name="deploylib",
            options=f"-c statement_timeout={statements}",
            keepalives_idle=30,
        )
    except UnicodeError:  # of a host with a label that is too long, or none
        raise Unreachable("the database cannot be reached: dns", remedy=REMEDIES["dns"]) from None
    except psycopg.Error as error:
        code = _code(str(error))
        raise Unreachable(f"the database cannot be reached: {code}", remedy=REMEDIES[code]) from None
    try:
        yield connection
    except psycopg.Error as error:
        if (code := _code(str(error))) == "pooler" and connection.broken:
            raise Unreachable("the database cannot be reached: pooler", remedy=REMEDIES[code]) from None
        if connection.broken or sqlstates.is_gone(error.sqlstate):
            raise Unreachable("the database closed the connection", remedy=_next(error)) from error
        if not error.sqlstate:
            raise
        raise Unreachable(f"the database refused: {error.diag.message_primary}", remedy=_next(error)) from None
    finally:
        connection.close()


@contextmanager
def refusals(kind: type[DeployError], what: str, rights: str = "") -> Iterator[None]:
    """Turn what the server refuses in this block into *kind*.

    Its own sentence, which names objects and no secret.

    A session that is over is none of that: it goes on to `connect`, which says so.

    Args:
        rights: the next step where it is a matter of rights; that of every other refusal is by its SQLSTATE.
    """
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        if not error.sqlstate or sqlstates.is_gone(error.sqlstate):
            raise
        step = _next(error)
        if rights and sqlstates.is_right(error.sqlstate) and step != sqlstates.HIDDEN:
            step = rights
        raise kind(f"{what}: {error.diag.message_primary}", remedy=step) from None


def _next(error: Any) -> str:
    """Choose the next step for an error of the driver."""
    return sqlstates.remedy(error.sqlstate or "08006", str(error))


EXPORT = 'leave it closed, with backups = "export" in the settings (see the runbook)'
REMEDIES = {
    "refused": "start the database, or open it for this machine (Render: the database's access control list); or "
    + EXPORT,
    "timeout": "open the database for this machine (Render: the database's access control list); or " + EXPORT,
    "auth": "check user and password in the database's URL",
    "full": sqlstates.REMEDIES["53300"],
    "starting": sqlstates.REMEDIES["57P03"],
    "rights": "grant connect on the database to the URL's user, or use the URL of its owner",
    "locks": sqlstates.LOCKS,
    "route": "this machine has no way to the database's host: from outside Render it is the external one",
    "certificate": "sslmode verifies the server's certificate: check sslrootcert in the URL, or the host's name",
    "no tls": "the server speaks no TLS: take sslmode out of the database's URL, if it is meant to be so",
    "not postgres": "check host and port in the database's URL: what answers there is no Postgres",
    "dns": "check the host in the database's URL; from outside Render it is the external one",
    "no such database": "check the name in the database's URL",
    "url": "correct the parameter in the database's URL that libpq does not know",
    "tls": "add ?sslmode=require to the database's URL",
    "pooler": "use the direct connection string of the database, not the pooler's",
    "other": "try the URL with psql, which says more",
}


# The driver has no code for a connection that did not come about, only sentences: of libpq, of the system, of the server.
SIGNS = {
    "pooler": (
        r"unsupported startup parameter",
        r"pgbouncer",
        r"no more connections allowed \(max_client_conn\)",
        r"pooling mode",
    ),
    "full": (r"too many (?:clients|connections)", r"connection slots are reserved"),
    "locks": (r"out of shared memory",),
    "not postgres": (
        r"expected authentication request|invalid response to (?:SSL|GSSAPI) negotiation|unsupported frontend",
    ),
    "rights": (r"permission denied for database|not currently accepting connections",),
    "auth": (
        r"authentication failed|no password supplied|authentication method requirement",
        r'role "[^"]*" (?:does not exist|is not permitted)',
    ),
    "no such database": (r'database "[^"]*" does not exist',),
    "dns": (r"resolve host|name or service|translate host name|nodename|name resolution",),
    "route": (r"network is unreachable|no route to host",),
    "timeout": (r"timeout|timed out",),
    "url": (r"invalid \w+ value|unrecognized \w+ value",),
    "certificate": (r"certificate verify failed|root certificate file|does not match host name|certificate.*expired",),
    "no tls": (r"does not support SSL",),
    "tls": (r"ssl|no pg_hba\.conf entry",),
    "starting": (r"database system is (?:starting up|shutting down|in recovery|not (?:yet )?accepting)",),
    "refused": (r"refused|closed the connection|reset by peer",),
}


def _code(text: str) -> str:
    for code, signs in SIGNS.items():
        if any(re.search(sign, text, re.IGNORECASE) for sign in signs):
            return code
    return "other"


def _parts(url: Secret, **others: str) -> dict[str, Any]:
    """Give the parameters of a URL, some of them replaced."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        return dict(conninfo_to_dict(_plain(url), **others))
    except (ProgrammingError, UnicodeError):  # their words quote a piece of the URL
        raise SettingsError(
            "the database's URL cannot be read",
            remedy="write it as postgresql://user:password@host:port/name, with %-escapes in the password",
        ) from None


def _authority(known: dict[str, str]) -> str:
    """Take what stands before the path out of the parameters.

    Where they say all of it.
    """
    if known.get("host", "").startswith("/"):
        return "localhost"
    if not known.get("host") or "," in known["host"] + known.get("port", ""):
        return ""
    host, port = known.pop("host"), known.pop("port", "")
    return (f"[{host}]" if ":" in host else quote(host, safe="")) + (f":{port}" if port else "")


def _plain(url: Secret) -> str:
    """Write the URL as libpq knows it.

    Without the driver's name that SQLAlchemy wants.
    """
    return re.sub(r"^(postgres(?:ql)?)\+\w+(?=://)", r"\1", url.reveal())


def _one(connection: Any, query: str, *args: Any) -> Any:
    row = connection.execute(query, args or None).fetchone()
    return row[0] if row else None
