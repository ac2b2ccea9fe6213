"""The platform's export: unpacked into a folder of its own, restored, and what it holds is written down."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploylib import archive, bundle, manifest, postgres
from deploylib.contents import Contents
from deploylib.errors import BackupFailed
from deploylib.manifest import Manifest
from deploylib.models import EXPORTED
from deploylib.process import SYSTEM
from deploylib.scratch import ScratchUnfit
from deploylib.store import Folder
from tests.backup.servers import Base, Servers
from tests.backup.test_round_trip import filled
from tests.unit.fakes import OLD, FakeClock


def export(base: Base, folder: Path) -> bytes:
    """As the platform makes one."""
    there = folder / "2026-11-24T10:07Z" / "book"
    words = [base.client.program("pg_dump"), "--format=directory", f"--file={there}"]
    there.parent.mkdir(parents=True)
    subprocess.run(words, env={**os.environ, **postgres.child_environment(base.as_root().url)}, check=True)
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
    client, target = base.client, servers.fresh(16).as_root()

    assert archive.table_count(made, store=store, client=client, runner=SYSTEM) > 3
    assert "plpgsql" not in archive.extensions(made, store=store, client=client, runner=SYSTEM)
    archive.decode(made, store=store, client=client, runner=SYSTEM, within=60, progress=None)
    archive.load(made, target.url, store=store, client=client, runner=SYSTEM, within=60, progress=None)

    assert target.one("select max(id) from entries") == base.one("select max(id) from entries")
    assert target.one("select count(*) from pg_largeobject_metadata") == base.one(
        "select count(*) from pg_largeobject_metadata"
    )


def test_nothing_is_written_outside_of_the_folder(store: Folder, tmp_path: Path) -> None:
    """Whatever the members are called; links are no files."""
    made = stored(store, body := packed({"../../up": b"1", "/etc/absolute": b"2", "x/y/toc.dat": b"PGDMP"}))
    bundle.unpack(made, pieces(body), tmp_path)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir() if one.is_file()} == {
        "up": b"1", "absolute": b"2", "toc.dat": b"PGDMP",
    }  # fmt: skip

    linked = stored(store, body := packed({"a/toc.dat": b""}, tarfile.SYMTYPE))
    (tmp_path / "linked").mkdir()
    with pytest.raises(BackupFailed, match=r"no toc\.dat"):
        bundle.unpack(linked, pieces(body), tmp_path / "linked")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (packed({"a/toc.dat": b"x" * 9000})[:-40], "can be read"),
        (packed({"a/toc.dat": os.urandom(9000)})[:4000], "can be read"),
        (b"no tar at all", "can be read"),
        (b"", "can be read"),
        (packed({"a/1.dat": b"x"}), "no toc.dat"),
        (packed({"a/toc.dat": b"x", "b/toc.dat": b"y"}), "can be read"),
    ],
    ids=["end missing", "cut in half", "something else", "empty", "no dump", "two of them"],
)
def test_what_is_no_export_is_said(store: Folder, tmp_path: Path, body: bytes, said: str) -> None:
    """Before anything is made of it."""
    with pytest.raises(BackupFailed, match=said):
        bundle.unpack(stored(store, body), pieces(body), tmp_path)


def test_other_bytes_than_were_stored_are_found_out(store: Folder, tmp_path: Path) -> None:
    """Also where they make a good tar."""
    made = stored(store, packed({"a/toc.dat": b"x"}))
    (store.root / made.key).write_bytes(packed({"a/toc.dat": b"y"}))

    with pytest.raises(BackupFailed, match=r"checksum|bytes"):
        bundle.unpack(made, archive.verified(made, store=store), tmp_path)


def test_no_room_is_said_before_anything_is_written(
    store: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing of the export."""
    monkeypatch.setattr(bundle, "SPARE", 1 << 60)
    body = packed({"a/toc.dat": b"x"})
    made = stored(store, body)
    (tmp_path / "out").mkdir()

    with pytest.raises(ScratchUnfit, match="is unpacked"):
        bundle.unpack(made, pieces(body), tmp_path / "out")

    assert [*(tmp_path / "out").iterdir()] == []


def test_it_is_listed_as_what_it_is(store: Folder) -> None:
    """With its contents, by which a later proof compares."""
    made = stored(store, b"x")
    manifest.write(made, store=store)

    [found] = manifest.listing(store, "test")

    assert (found.exported, found.proven, manifest.manifest(found, store=store).contents) == (True, True, Contents())
