"""The platform's export: unpacked into a folder of its own, restored, and what it holds is written down."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from deploylib.backups import archive, export_archive, repository, restore_test, scratch_server
from deploylib.backups.edges import Place
from deploylib.backups.repository import Manifest
from deploylib.backups.scratch_server import ScratchUnfit
from deploylib.errors import BackupFailed
from deploylib.models import EXPORTED
from deploylib.postgres import connection
from deploylib.store.folder import Folder
from deploylib.system import process
from tests.support.fakes import OLD, FakeClock
from tests.support.filled import filled
from tests.support.servers import Base, Servers


def export(base: Base, folder: Path) -> bytes:
    """As the platform makes one."""
    there = folder / "2026-11-24T10:07Z" / "book"
    words = [base.client.program("pg_dump"), "--format=directory", f"--file={there}"]
    there.parent.mkdir(parents=True)
    subprocess.run(words, env={**os.environ, **connection.child_environment(base.as_root().url)}, check=True)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(there.parent, there.parent.name)
    return packed.getvalue()


def stored(store: Folder, body: bytes, base: Base | None = None) -> Manifest:
    """It in the store."""
    put = store.put("backups/test/one/dump", [body])
    version = base.client.version if base else "16.4"
    return Manifest(
        id="one", key=put.key, environment="test", run="run", commit=OLD, created_at=FakeClock().now(), revision="",
        server_version=version, client_version=version, format=EXPORTED, size=put.size, sha256=put.sha256,
        proof="decoded", tables=0, seconds=1.0,
    )  # fmt: skip


def pieces(body: bytes, size: int = 1000) -> Iterator[bytes]:
    """As they come."""
    return (body[at : at + size] for at in range(0, len(body), size))


def packed(files: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar of these files."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(content), kind, "/etc/passwd"
            tar.addfile(member, io.BytesIO(content))
    return body.getvalue()


def test_it_is_restored_and_holds_what_the_database_holds(servers: Servers, store: Folder, tmp_path: Path) -> None:
    """Every type, large object and extension; by several jobs, and by the commands for any other backup."""
    base = filled(servers.fresh(16))
    made = stored(store, export(base, tmp_path), base)
    edges, target = base.edges(store), servers.fresh(16).as_root()

    assert archive.count_tables(made, edges) > 3
    archive.decode(made, edges)
    archive.load_dump(made, target.url, edges)

    assert target.one("select max(id) from entries") == base.one("select max(id) from entries")
    assert target.one("select count(*) from pg_largeobject_metadata") == base.one(
        "select count(*) from pg_largeobject_metadata"
    )


def test_nothing_is_written_outside_of_the_folder(store: Folder, tmp_path: Path) -> None:
    """Whatever the members are called; links are no files."""
    made = stored(store, body := packed({"../../up": b"1", "/etc/absolute": b"2", "x/y/toc.dat": b"PGDMP"}))
    export_archive.unpack_export(made, pieces(body), tmp_path)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir() if one.is_file()} == {
        "up": b"1", "absolute": b"2", "toc.dat": b"PGDMP",
    }  # fmt: skip

    linked = stored(store, body := packed({"a/toc.dat": b""}, tarfile.SYMTYPE))
    (tmp_path / "linked").mkdir()
    with pytest.raises(BackupFailed, match=r"no toc\.dat"):
        export_archive.unpack_export(linked, pieces(body), tmp_path / "linked")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (packed({"a/toc.dat": b"x" * 9000})[:-40], "can be read"),
        (packed({"a/toc.dat": os.urandom(9000)})[:4000], "can be read"),
        (b"no tar at all", "can be read"),
        (b"", "can be read"),
        (packed({"a/1.dat": b"x"}), "no toc.dat"),
        (packed({"a/toc.dat": b"x", "b/toc.dat": b"y"}), "cannot be unpacked"),
    ],
    ids=["end missing", "cut in half", "something else", "empty", "no dump", "two of them"],
)
def test_what_is_no_export_is_said(store: Folder, tmp_path: Path, body: bytes, said: str) -> None:
    """Before anything is made of it."""
    with pytest.raises(BackupFailed, match=said):
        export_archive.unpack_export(stored(store, body), pieces(body), tmp_path)


def test_other_bytes_than_were_stored_are_found_out(store: Folder, tmp_path: Path) -> None:
    """Also where they make a good tar."""
    made = stored(store, packed({"a/toc.dat": b"x"}))
    (store.root / made.key).write_bytes(packed({"a/toc.dat": b"y"}))

    with pytest.raises(BackupFailed, match=r"checksum|bytes"):
        export_archive.unpack_export(made, repository.read_dump(made, store=store), tmp_path)


def test_no_room_is_said_before_anything_is_written(
    store: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing of the export."""
    monkeypatch.setattr(export_archive, "SPARE", 1 << 60)
    body = packed({"a/toc.dat": b"x"})
    made = stored(store, body)
    (tmp_path / "out").mkdir()

    with pytest.raises(ScratchUnfit, match="is unpacked"):
        export_archive.unpack_export(made, pieces(body), tmp_path / "out")

    assert [*(tmp_path / "out").iterdir()] == []


@pytest.fixture
def made(servers: Servers, store: Folder, tmp_path: Path) -> tuple[Base, Manifest]:
    """An export of a database with a policy for a role that no scratch server knows, and one for everybody."""
    base = servers.fresh(16)
    for role in ('"the app"', "plain"):  # one server for all tests
        base.as_root().run(f"do $$ begin create role {role}; exception when duplicate_object then null; end $$")
    base.run(
        "create table t as select n from generate_series(1, 50) n",
        "create table alembic_version as select '0042' as version_num",
        "alter table t enable row level security",
        'create policy p on t for select to "the app", plain using (n > 1)',
        "create policy q on t for insert with check (n > 1)",
    )
    return base, stored(store, export(base, tmp_path), base)


def explored(base: Base, export: Manifest, store: Folder) -> restore_test.Explored:
    """What it turns out to hold, on a server of our own."""
    return restore_test.explore(export, base.edges(store, place=Place()))


def test_what_it_holds_is_found_out_by_restoring_it(made: tuple[Base, Manifest], store: Folder) -> None:
    """On a server that knows none of its roles; its locale is not in it."""
    found = explored(*made, store)

    assert (found.facts.revision, found.tables) == ("0042", 2)
    assert {table.name: table.rows for table in found.contents.tables} == {"public.t": 50, "public.alembic_version": 1}
    assert found.contents.roles == ("plain", "the app")
    assert found.contents.locale == {}
    assert "compared with nothing" in found.notes[0]


def test_a_later_drill_compares_with_what_was_found_out(made: tuple[Base, Manifest], store: Folder) -> None:
    """One changed row is found."""
    base, export = made
    found = explored(base, export, store)
    known = msgspec.structs.replace(export, proof="restored", contents=found.contents)
    listed = repository.write_manifest(known, store=store)
    assert (listed.exported, listed.proven) == (True, True)
    assert base.prove(listed, store).proof == "restored"

    table = msgspec.structs.replace(found.contents.tables[0], rows=49)
    wrong = msgspec.structs.replace(found.contents, tables=(table, *found.contents.tables[1:]))
    file = store.root / "backups/test/one/manifest.json"
    file.write_bytes(msgspec.json.encode(msgspec.structs.replace(known, contents=wrong)))
    with pytest.raises(BackupFailed, match="does not restore what was backed up"):
        restore_test.try_copy(listed, base.edges(store, place=Place()))


def test_one_that_was_only_decoded_is_restored_later(
    made: tuple[Base, Manifest], servers: Servers, store: Folder
) -> None:
    """It is no fault of it that there was no place for it; and a restore of it claims no comparison."""
    base, export = made
    listed = repository.write_manifest(export, store=store)

    proven = base.prove(listed, store)
    done = servers.fresh(16).as_root().restore(listed, store)

    assert (proven.proof, "compared with nothing" in proven.notes[0]) == ("restored", True)
    assert (done.compared, "nothing was compared" in done.notes[0]) == (False, True)


def test_a_full_disk_says_nothing_of_it(store: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no damage."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    body = packed({"a/toc.dat": b"x"})

    with pytest.raises(ScratchUnfit, match="has no room"):
        export_archive.unpack_export(stored(store, body), pieces(body), tmp_path)


def test_what_a_killed_run_has_unpacked_goes_with_its_scratch(servers: Servers) -> None:
    """It is all the data, in the folder for temporary files."""
    left = Path(tempfile.mkdtemp(prefix=f"{scratch_server.NAME}-999999999-"))
    (left / "toc.dat").write_text("data")
    client = servers.fresh(16).client

    with scratch_server.server(client, runner=process.SYSTEM):
        assert not left.exists()
