"""What goes into a backup comes out of it: everything that Postgres has, while somebody goes on writing."""

from __future__ import annotations

import contextlib
import importlib.util

import psycopg
import pytest

from deploylib.backups import archive, repository
from deploylib.backups.edges import Place
from deploylib.errors import BackupFailed
from deploylib.store.folder import Folder
from tests.support.filled import filled
from tests.support.servers import MAJORS, Servers, Writer


@pytest.mark.parametrize("major", MAJORS)
def test_everything_is_restored_exactly_while_somebody_writes(servers: Servers, store: Folder, major: int) -> None:
    """Every type and kind of object, on every major version, compared row by row with the snapshot."""
    base = filled(servers.fresh(major))
    writer = Writer(base)

    with writer.writing():
        made = base.back_up(store)
    again = base.prove(made, store)

    assert not writer.failed
    assert writer.wrote > 10
    assert ("restored", ()) == (made.proof, made.notes)
    assert ("restored", ()) == (again.proof, again.notes)
    assert [again] == repository.listing(store, "test")
    contents = repository.read_manifest(made, store=store).contents
    rows = {table.name: table.rows for table in contents.tables}
    ways = {table.name.rpartition(".")[2]: table.how for table in contents.tables}
    assert ("record", "text", "text") == (ways["entries"], ways["measured_2024"], ways["kinds"])
    assert base.one("select count(*) from entries") != rows["public.entries"]
    assert (2, 0, 3) == (rows["public.no_columns"], rows["public.nothing_in_it"], rows["public.kinds"])
    assert (366, 335) == (rows["public.measured_2024"], rows["public.measured_2025_rest"])
    assert contents.objects.number >= 3
    assert contents.objects.size >= 17_000_005
    assert {"public.backwards", "public.untouched", "public.entries_id_seq"} <= {one.name for one in contents.sequences}
    assert {"table public.entries", "policy public.entries everybody", "index public.words"} <= set(contents.schema)


@pytest.mark.parametrize("major", MAJORS)
def test_a_restore_equals_the_backup(servers: Servers, store: Folder, major: int) -> None:
    """Into an empty database of an ordinary role; progress is told in bytes."""
    made = filled(servers.fresh(major)).back_up(store, proof="decoded")
    told: list[int] = []
    target = servers.fresh(major)

    done = target.restore(made, store, progress=lambda size, of: told.append(size if of == made.size else -1))

    assert (made, made.tables, ()) == (done.backup, done.tables, done.notes)
    assert sum(told) == made.size
    assert target.one("select max(id) from entries") == 3000
    assert target.one("select text from entries where id = 7") == "entry 7"


def test_a_database_that_is_too_large_to_hash_is_counted(servers: Servers, store: Folder) -> None:
    """Restored and compared by numbers of rows and by definitions, which the backup says."""
    base = servers.fresh(16)
    base.run("create table t as select n from generate_series(1, 10) n", "select lo_from_bytea(0, 'x')")

    made = base.back_up(store, hashes_below=0)

    contents = repository.read_manifest(made, store=store).contents
    assert ("restored", ("rows were counted, not hashed",)) == (made.proof, made.notes)
    assert [(10, "", "")] == [(table.rows, table.how, table.hash) for table in contents.tables]


@pytest.mark.skipif(
    not any(importlib.util.find_spec(name) for name in ("zstandard", "compression")),
    reason="no zstd for Python here: pip install zstandard (part of Python from 3.14 on)",
)
def test_a_pg_dump_without_zstd_is_compressed_by_us(servers: Servers, store: Folder) -> None:
    """As a stream around its archive; a cut one is found out by the decoder too."""
    base = filled(servers.fresh(16))

    made = base.back_up(store)

    assert made.format in {"custom.zst", "custom:zstd"}
    assert ("restored", ()) == (made.proof, made.notes)
    with pytest.raises(BackupFailed, match="ends too early"):
        [*archive._inflated(iter([(store.root / made.key).read_bytes()[:-9]]), made)]  # noqa: SLF001


def test_a_superusers_database_is_restored_with_a_superusers_rights(servers: Servers, store: Folder) -> None:
    """Event triggers and publications of all tables can be made by nobody else."""
    base = servers.fresh(16, rights="superuser")
    base.run(
        "create table t (id int)",
        "create function never() returns event_trigger language plpgsql as $$ begin null; end $$",
        "create event trigger watch on ddl_command_end execute function never()",
        "create publication everything for all tables",
    )

    assert base.back_up(store).proof == "restored"


def test_the_role_of_a_policy_needs_not_exist_where_it_is_proven(servers: Servers, store: Folder) -> None:
    """It is made for the proof, and removed with it."""
    base = servers.fresh(16)
    base.as_root().run('create role "night reader" nologin')
    base.run(
        "create table t (id int)", "alter table t enable row level security", 'create policy p on t to "night reader"'
    )

    made = base.back_up(store, place=Place())

    assert ("restored", ()) == (made.proof, made.notes)


def test_a_stale_view_and_an_invalid_index_are_remarked_and_no_fault(servers: Servers, store: Folder) -> None:
    """The dump holds neither: a restore fills the one anew and leaves the other out."""
    base = servers.fresh(16)
    base.run(
        "create table t (id int)",
        "insert into t values (1), (1)",
        "create materialized view v as select count(*) from t",
        "insert into t values (2)",
    )
    with contextlib.suppress(psycopg.errors.UniqueViolation):
        base.run("create unique index concurrently i on t (id)")

    made = base.back_up(store)

    assert made.proof == "restored"
    assert made.notes == (
        "materialized view public.v was not fresh: a restore fills it anew",
        "index public.i was not valid, and is not in the dump",
    )


def test_an_extension_that_is_not_here_leaves_a_weaker_proof(servers: Servers, store: Folder) -> None:
    """With the reason in the manifest; the backup is made."""
    base = servers.fresh(16)
    base.run("create table t (id int)")
    row = "99999, 'far_away', extowner, extnamespace, true, '1', null, null"
    base.as_root().run(f"insert into pg_extension select {row} from pg_extension")  # noqa: S608

    made = base.back_up(store)

    assert made.proof == "decoded"
    assert "lacks the extension far_away" in made.notes[0]


def test_a_database_that_cannot_be_read_whole_is_not_backed_up(servers: Servers, store: Folder) -> None:
    """Somebody else's table in it: the server's own words, and nothing is left."""
    base = servers.fresh(16)
    base.run("create table t (id int)")
    base.as_root().run("create table theirs (id int)")

    with pytest.raises(BackupFailed, match=r"permission denied for table theirs|pg_dump ended with code 1"):
        base.back_up(store)

    assert list(store.list("")) == []
