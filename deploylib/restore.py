"""A backup goes back into a database: only into an empty one, unless one insists; checked on the way, compared after.

The checksum is verified while the dump streams into pg_restore, and its last piece is held back until it is right.
"""

from __future__ import annotations

from typing import Any

import msgspec

from deploylib import archive, manifest, postgres, proof
from deploylib.archive import Progress
from deploylib.clock import Clock
from deploylib.errors import SettingsError
from deploylib.models import Backup, Secret
from deploylib.process import Runner
from deploylib.programs import Client
from deploylib.snapshot import Exporter, exported
from deploylib.store import Store

__all__ = ["Done", "into"]

WITHIN = 6 * 3600.0
# All schemas of the database, their comments and rights as a new database has them; what lies outside of schemas, too.
EMPTY = r"""
do $$ declare one record; begin
  for one in select format('drop publication %I', pubname) as sql from pg_publication
    union all select format('drop event trigger %I cascade', evtname) from pg_event_trigger
    union all select format('drop schema %I cascade', nspname) from pg_namespace
      where nspname !~ '^pg_' and nspname <> 'information_schema'
  loop execute one.sql; end loop;
  create schema public;
  comment on schema public is 'standard public schema';
  if current_setting('server_version_num')::int >= 150000 then
    alter schema public owner to pg_database_owner;
    grant usage on schema public to public;
  else
    grant all on schema public to public;
  end if;
  perform lo_unlink(oid) from pg_largeobject_metadata;
end $$
"""
ANYTHING = r"""
select coalesce(
  (select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not exists (select from pg_depend d
     where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e') order by c.relkind <> 'r', 1 limit 1),
  (select format('the schema %I', nspname) from pg_namespace
   where nspname !~ '^pg_' and nspname not in ('information_schema', 'public') and not exists (select from pg_depend d
     where d.classid = 'pg_namespace'::regclass and d.objid = pg_namespace.oid and d.deptype = 'e') limit 1),
  (select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where n.nspname = 'public' and not exists (select from pg_depend d
     where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e') limit 1),
  (select format('the type %s', t.oid::regtype) from pg_type t join pg_namespace n on n.oid = t.typnamespace
   where n.nspname = 'public' and not exists (select from pg_depend d
     where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype in ('e', 'i')) limit 1),
  (select format('the large object %s', oid) from pg_largeobject_metadata limit 1))
"""


class Done(msgspec.Struct, frozen=True):
    """A restore; where it was compared with the backup, it was found equal.

    Attributes:
        seconds: from the first look to the comparison.
        tables: how many were restored.
        notes: what should be known, for example that an extension has another version.
        compared: with what the backup says it holds; not where it does not say.
    """

    backup: Backup
    seconds: float
    tables: int
    notes: tuple[str, ...] = ()
    compared: bool = True


def into(
    url: Secret,
    backup: Backup,
    *,
    store: Store,
    client: Client,
    runner: Runner,
    clock: Clock,
    force: bool = False,
    within: float = WITHIN,
    progress: Progress = None,
    exporter: Exporter = exported,
) -> Done:
    """Restore a backup into a database, and compare what is there then with the backup.

    Owners and grants are not restored: all belongs to the URL's role. Statistics are gathered at the end.

    Args:
        url: of the database; its role must be allowed to make what the backup holds.
        backup: as `backup.listing` gives it.
        client: of a version that fits the database's server and the one that the backup was made of.
        force: *empty the database first* where it is not empty; the dump is read once more before that, and decoded, so
            that nothing is given up for a backup that turns out to be damaged.
        within: seconds after which the restore is given up.
        progress: told the bytes of the dump that have been read (twice as many with *force*).

    Raises:
        SettingsError: the database is not empty, and nobody insisted; or the programs cannot read the dump.
        BackupFailed: the backup is damaged, cannot be restored, or the database holds something else than it should,
            which is named. Except for a damaged backup found out before, the database holds a part of it then.
        Unreachable: the database does not answer.
    """
    began = clock.monotonic()
    found = manifest.manifest(backup, store=store)
    refused = postgres.refusals(SettingsError, "the database cannot be emptied", "connect as its owner")
    with postgres.connected(url, 10, statements="0") as connection, refused:
        if (something := _one(connection, ANYTHING)) is not None:
            if not force:
                raise SettingsError(
                    f"the database is not empty: it has {something}",
                    remedy="restore into a new database; or insist, which removes everything in this one first",
                )
            archive.decode(found, store=store, client=client, runner=runner, within=within, progress=progress)
            connection.execute(EMPTY)
    archive.load(found, url, store=store, client=client, runner=runner, within=within, progress=progress)
    expected = found.contents
    why = "of an export nobody knows" if found.exported else "its manifest, of an older version, does not say"
    notes: tuple[str, ...] = (f"nothing was compared: {why} what it should hold",)
    if expected.schema_by:
        there = proof.held(url, like=expected, client=client, runner=runner, exporter=exporter)
        notes = proof.compared(found, expected, there)
    with postgres.connected(url, 10, statements="0") as connection:
        connection.execute("analyze")
    return Done(backup, round(clock.monotonic() - began, 3), found.tables, notes, compared=bool(expected.schema_by))


def _one(connection: Any, query: str) -> Any:
    return connection.execute(query).fetchone()[0]
