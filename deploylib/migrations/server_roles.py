"""Roles, memberships, rights and settings of a server, brought to a copy.

A revision names roles, finds its tables by the search_path of its role, takes rights away from roles that had them, and is run
by a role of a certain name. What a copy
lacks of that would be blamed on the revision. It goes to a throw-away server of our own and nowhere else, and is never
written down: a setting may be a secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from deploylib.errors import SettingsError
from deploylib.models import Secret
from deploylib.models.database import Copy
from deploylib.postgres import Grant, alter_url, connect, grants
from deploylib.postgres import connection as postgres

__all__ = ["Surroundings", "bring", "read_surroundings", "server_has"]

WHO = "select session_user::text, current_database()::text, current_setting('server_version_num')::int"
ROLES = r"select rolname, rolinherit, rolcreatedb, rolcreaterole, rolbypassrls from pg_roles where rolname !~ '^pg_'"
# Which of the server's own roles may be had on a copy: code of the database runs there, and must not reach this machine
# or anything beyond it (pg_execute_server_program, pg_read_server_files, pg_create_subscription, …).
HARMLESS = (
    "pg_monitor", "pg_read_all_data", "pg_write_all_data", "pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables",
    "pg_maintain", "pg_signal_backend",
)  # fmt: skip
MEMBERS = """
select r.rolname, m.rolname, to_jsonb(a)
from pg_auth_members a join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member
where r.rolname !~ '^pg_' or r.rolname = any (%s)
"""
# Those of the database go before those of the whole server, as the server itself takes them.
CONFIGURED = """
select s.setdatabase <> 0, coalesce(r.rolname, ''), s.setconfig
from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole left join pg_database d on d.oid = s.setdatabase
where (s.setdatabase = 0 or d.datname = current_database()) and (s.setrole = 0 or r.rolname is not null)
order by s.setdatabase <> 0
"""
# Libraries and places of another machine.
ELSEWHERE = {
    "session_preload_libraries", "local_preload_libraries", "dynamic_library_path", "default_tablespace", "temp_tablespaces",
}  # fmt: skip
KNOWN = {
    "role": "select 1 from pg_roles where rolname = %s",
    "extension": "select 1 from pg_available_extensions where name = %s",
    "tablespace": "select 1 from pg_tablespace where spcname = %s",
    "collation": "select 1 from pg_collation where collname = %s",
    "language": "select 1 from pg_language where lanname = %s",
    "access method": "select 1 from pg_am where amname = %s",
    "foreign-data wrapper": "select 1 from pg_foreign_data_wrapper where fdwname = %s",
    "database": "select 1 from pg_database where datname = %s",
    "text search configuration": "select 1 from pg_ts_config where cfgname = %s",
    "text search dictionary": "select 1 from pg_ts_dict where dictname = %s",
    "server": "select 1 from pg_foreign_server where srvname = %s",
    "publication": "select 1 from pg_publication where pubname = %s",
    "subscription": "select 1 from pg_subscription where subname = %s",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Roles, rights and settings that were read of a server.

    Attributes:
        user: the role of the URL, and *name* the database.
        roles: name → its rights: to inherit, to make databases, to make roles, to see all rows.
        members: granted role, member, and the options of that.
        settings: of the database itself or of the whole server, the role or all of them, ``name=value``.
        grants: where the rights of something differ from those that it has from the start.
        options: of the URL, which each session begins with.
    """

    user: str
    name: str
    version: int
    roles: dict[str, tuple[bool, bool, bool, bool]]
    members: tuple[tuple[str, str, dict[str, Any]], ...]
    grants: tuple[Grant, ...]
    settings: tuple[tuple[bool, str, tuple[str, ...]], ...] = field(repr=False)
    options: str = field(repr=False)


class _Refused(SettingsError):
    """The copy's server refuses something.

    What the revision does without it is told.
    """


def read_surroundings(url: Secret) -> Surroundings:
    """Read what surrounds a database on its server.

    Raises:
        Unreachable: it does not answer, or not to us.
    """
    with connect(url) as connection:
        [(user, name, version)] = connection.execute(WHO).fetchall()
        return Surroundings(
            user=user,
            name=name,
            version=version,
            roles={role: tuple(rights) for role, *rights in connection.execute(ROLES).fetchall()},
            members=tuple(connection.execute(MEMBERS, [list(HARMLESS)]).fetchall()),
            settings=tuple((own, role, tuple(some)) for own, role, some in connection.execute(CONFIGURED).fetchall()),
            options=postgres.child_environment(url).get("PGOPTIONS", ""),
            grants=_grants(connection),
        )


def bring(copy: Copy, around: Surroundings) -> tuple[Copy, tuple[str, ...]]:
    """Bring what surrounds the original to its copy.

    Its role and its database get the names that they have there.     Roles are made without login, password and membership in what reaches beyond the server.

    Returns:
        Its new address, and what the copy's server did not take.

    Raises:
        Unreachable: the copy's server is gone.
    """
    if not copy.own:
        return copy, ("roles and settings of the database: it is on a server that is not ours",)
    with connect(copy.server) as connection:
        bringing = _Bringing(connection, copy, around)
        bringing.names()
        bringing.roles()
        bringing.memberships()
        bringing.settings()
    more = {"options": around.options} if around.options else {}
    url = alter_url(copy, user=bringing.user, dbname=bringing.name, **more)
    lacking = [*bringing.lacking, *_given(url, around)]
    return Copy(url, copy.server, own=True, listens=copy.listens), tuple(lacking)


def _grants(connection: Any) -> tuple[Grant, ...]:
    """Read what differs from the rights of a new object.

    A search_path of its own would shorten the names.
    """
    with connection.transaction():
        connection.execute("set local search_path = ''")
        return grants.read_grants(connection)


def _given(url: Secret, around: Surroundings) -> Iterator[str]:
    """Give and take until the copy's rights are the original's.

    It tells where that cannot be had.
    """
    try:
        with connect(url) as connection, connection.transaction(), postgres.refusals(_Refused, "rights"):
            connection.execute("set local search_path = ''")
            connection.execute(grants.alike(around.grants))
    except SettingsError as error:
        yield f"rights of its roles: {error.message}"


class _Bringing:
    """Brings the surroundings, one thing after the other.

    What is refused is written down.

    Attributes:
        mighty: the roles of the copy's server, and whether each is a superuser: those are left as they are.
    """

    def __init__(self, connection: Any, copy: Copy, around: Surroundings) -> None:
        self.run = connection.execute
        self.around = around
        self.user, self.name = postgres.names_of(copy)
        self.mighty: dict[str, bool] = dict(self.run("select rolname, rolsuper from pg_roles").fetchall())
        self.lacking: list[str] = []

    def names(self) -> None:
        """Name role and database as the original's, where those names are free."""
        user, name = self.around.user, self.around.name
        if user not in self.mighty:
            with self.note_refusals(f"role {user} as its own"):
                self.run(f"alter role {_name(self.user)} rename to {_name(user)}")
                self.mighty[user] = self.mighty.pop(self.user)
                self.user = user
        if not self.run("select 1 from pg_database where datname = %s", [name]).fetchone():
            with self.note_refusals(f"name of its own but {self.name}"):
                self.run(f"alter database {_name(self.name)} rename to {_name(name)}")
                self.name = name

    def roles(self) -> None:
        """Bring the roles, without login and without password."""
        for role, may in self.around.roles.items():
            if role not in self.mighty:
                with self.note_refusals(f"role {role}"):
                    self.run(f"create role {_name(role)} nologin")
                    self.mighty[role] = False
            if not self.mighty.get(role, True):
                with self.note_refusals(f"rights of role {role}"):
                    self.run(f"alter role {_name(role)} {_rights(may, self.around.version)}")

    def memberships(self) -> None:
        """Bring memberships, but none in a superuser of the copy's server."""
        for role, member, how in self.around.members:
            if not self.mighty.get(role, True) and not self.mighty.get(member, True):
                with self.note_refusals(f"membership of {member} in {role}"):
                    self.run(f"grant {_name(role)} to {_name(member)} {_options(how)}")

    def settings(self) -> None:
        """Bring settings as they are stored.

        Which are lists, only the server knows.
        """
        for (role, own), values in _settings(self.around).items():
            if not self.mighty.get(role, bool(role)):
                with self.note_refusals(f"settings of {role or 'the database'}"):
                    self.run(
                        "insert into pg_catalog.pg_db_role_setting (setdatabase, setrole, setconfig) select "
                        "coalesce((select oid from pg_database where datname = %s), 0), "
                        "coalesce((select oid from pg_roles where rolname = %s), 0), %s::text[]",
                        [self.name if own else "", role, [f"{key}={value}" for key, value in values.items()]],
                    )

    @contextmanager
    def note_refusals(self, what: str) -> Iterator[None]:
        """Note what the server refuses, and go on."""
        try:
            with postgres.refusals(_Refused, "the copy has not"):
                yield
        except _Refused:
            self.lacking.append(what)


def server_has(url: Secret, kind: str, name: str) -> bool:
    """Tell whether a server has a thing of that name.

    Args:
        kind: as Postgres calls it in its messages; of one that is not known here it is taken for granted.

    Raises:
        Unreachable: it does not answer, or not to us.
    """
    if kind not in KNOWN:
        return True
    with connect(url) as connection:
        return bool(connection.execute(KNOWN[kind], [name]).fetchone())


def _rights(rights: tuple[bool, bool, bool, bool], version: int) -> str:
    """Write a role's rights.

    Before Postgres 16 a role that makes roles could give itself those that reach beyond the server.
    """
    names = zip(("inherit", "createdb", "createrole", "bypassrls"), rights, strict=True)
    given = {name: has and (name != "createrole" or version >= 160000) for name, has in names}
    return " ".join(name if has else f"no{name}" for name, has in given.items())


def _options(how: dict[str, Any]) -> str:
    known = {"admin": "admin_option", "inherit": "inherit_option", "set": "set_option"}
    if "set_option" not in how:  # before Postgres 16
        return "with admin option" if how["admin_option"] else ""
    return "with " + ", ".join(f"{word} {'true' if how[key] else 'false'}" for word, key in known.items())


def _settings(around: Surroundings) -> dict[tuple[str, bool], dict[str, str]]:
    """Gather settings by role, and whether of this database alone.

    Those of all roles of the server become the database's.
    """
    gathered: dict[tuple[str, bool], dict[str, str]] = {}
    for own, role, some in around.settings:
        values = dict(one.split("=", 1) for one in some)
        kept = {name: value for name, value in values.items() if name not in ELSEWHERE}
        if kept:
            gathered.setdefault((role, own or not role), {}).update(kept)
    return gathered


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
