"""The contract of a store, for every adapter; and what is special to a folder."""

from __future__ import annotations

import hashlib
import os
import pwd
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploylib.errors import SettingsError, Unreachable
from deploylib.store.folder import Folder
from deploylib.store.interface import KeyTaken, Store, Stored

ADAPTERS: dict[str, Callable[[Path], Store]] = {"folder": lambda folder: Folder(folder / "store")}


@pytest.fixture(params=list(ADAPTERS))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store."""
    return ADAPTERS[request.param](tmp_path)


def test_an_object_is_read_as_it_was_written(store: Store) -> None:
    """The pieces add up; size and checksum are those of the whole."""
    pieces = [b"one", b"", b"x" * 3_000_000]

    stored = store.put("a/b", iter(pieces))

    body = b"".join(pieces)
    assert Stored("a/b", len(body), hashlib.sha256(body).hexdigest()) == stored
    assert body == b"".join(store.read("a/b"))


def test_an_object_that_is_not_there_is_a_key_error(store: Store) -> None:
    """Reading says so; deleting does not mind."""
    with pytest.raises(KeyError, match="a/b"):
        list(store.read("a/b"))
    store.delete("a/b")


def test_pieces_that_raise_leave_nothing(store: Store) -> None:
    """An object is written whole or not at all, and the error goes on."""

    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("the program died")

    with pytest.raises(RuntimeError, match="the program died"):
        store.put("a/b", pieces())

    assert list(store.list("")) == []
    with pytest.raises(KeyError):
        list(store.read("a/b"))


def test_what_is_there_is_not_put_again(store: Store) -> None:
    """The first one stays."""
    assert store.put_if_absent("a", b"first")
    assert not store.put_if_absent("a", b"second")
    assert b"first" == b"".join(store.read("a"))


def test_of_many_writers_one_wins(store: Store) -> None:
    """Whoever is told that it won finds its own bytes there, however closely they race."""
    rounds, barrier = 15, threading.Barrier(4)

    def attempt(number: int) -> list[bool]:
        won = []
        for turn in range(rounds):
            barrier.wait()
            won.append(store.put_if_absent(f"lease/{turn}", str(number).encode()))
        return won

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(attempt, range(4)))

    for turn in range(rounds):
        winners = [number for number in range(4) if won[number][turn]]
        assert [b"".join(store.read(f"lease/{turn}")).decode()] == [str(number) for number in winners]


def test_of_many_writers_of_what_must_be_new_one_wins(store: Store) -> None:
    """The others are told that the key is taken, and leave nothing."""
    barrier = threading.Barrier(4)

    def attempt(number: int) -> bytes:
        barrier.wait()
        body = bytes([number]) * 3_000_000
        try:
            store.put("dump", [body], new=True)
        except KeyTaken:
            return b""
        return body

    with ThreadPoolExecutor(4) as pool:
        won = list(filter(None, pool.map(attempt, range(4))))

    assert [b"".join(store.read("dump"))] == won
    assert store.sweep("", 0) == ()


def test_a_listing_holds_the_prefix_alone(store: Store) -> None:
    """A prefix is text, not a folder."""
    for key in ("runs/1/0001-a", "runs/10/0001-b", "runs/2/x", "other/1"):
        store.put_if_absent(key, b"")

    assert list(store.list("runs/1")) == ["runs/1/0001-a", "runs/10/0001-b"]
    assert list(store.list("runs/1/")) == ["runs/1/0001-a"]
    assert list(store.list("nothing/")) == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.from_regex(r"[a-c0-9-]{1,3}/[a-c0-9-]{1,3}", fullmatch=True), min_size=1, max_size=4), st.data())
@pytest.mark.parametrize("adapter", list(ADAPTERS))
def test_keys_are_listed_in_their_order(
    adapter: str, tmp_path_factory: pytest.TempPathFactory, keys: set[str], data: st.DataObject
) -> None:
    """In the order of the key, whatever the order of writing, and exactly those that begin with the prefix."""
    store = ADAPTERS[adapter](tmp_path_factory.mktemp("store"))
    for key in data.draw(st.permutations(sorted(keys))):
        store.put_if_absent(key, b"")
    prefix = data.draw(st.sampled_from(sorted(keys)))[: data.draw(st.integers(0, 5))]

    assert sorted(key for key in keys if key.startswith(prefix)) == list(store.list(prefix))


def test_deleting_removes_one_object(store: Store) -> None:
    """Its neighbour stays."""
    store.put_if_absent("a/1", b"")
    store.put_if_absent("a/2", b"")

    store.delete("a/1")

    assert list(store.list("a/")) == ["a/2"]


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "/etc/outside"])
def test_a_key_cannot_leave_the_store(store: Store, key: str) -> None:
    """Whatever is asked for, before anything is touched."""
    for attempt in (
        lambda: store.put(key, [b""]),
        lambda: store.put_if_absent(key, b""),
        lambda: list(store.read(key)),
        lambda: store.delete(key),
        lambda: list(store.list(f"{key}/")),
    ):
        with pytest.raises(ValueError, match="not a key"):
            attempt()


def test_a_folder_is_made_by_the_first_write(tmp_path: Path) -> None:
    """Looking makes nothing."""
    store = Folder(tmp_path / "deep" / "store")

    assert list(store.list("runs/")) == []
    assert not store.root.parent.exists()
    store.put_if_absent("runs/1", b"")
    assert list(store.list("")) == ["runs/1"]


@pytest.mark.parametrize("below", ["", "product/store"])
def test_a_store_that_a_link_leads_to_and_that_is_not_there_is_not_empty(tmp_path: Path, below: str) -> None:
    """A disk that is not mounted: nobody knows what was kept there."""
    (disk := tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(disk)
    store = Folder(tmp_path / "link" / below)
    store.put_if_absent("runs/1", b"")
    disk.rename(tmp_path / "away")

    attempts: tuple[Callable[[], object], ...] = (
        lambda: list(store.list("runs/")),
        lambda: list(store.read("runs/1")),
        lambda: store.put_if_absent("runs/2", b""),
        lambda: store.age("runs/1"),
        store.require_writable,
    )
    for attempt in attempts:
        with pytest.raises(Unreachable, match=f"{tmp_path}/link leads to {disk}, which is not there") as raised:
            attempt()
        assert raised.value.remedy == f"mount the disk of {disk}, or correct {tmp_path}/link"
    (tmp_path / "away").rename(disk)
    assert list(store.list("runs/")) == ["runs/1"]


def test_a_folder_keeps_itself_out_of_git(tmp_path: Path) -> None:
    """It brings its own ``.gitignore``, which is no object."""
    store = Folder(tmp_path)
    store.put("a", [b""])

    assert (tmp_path / ".gitignore").read_text() == "*\n"
    assert list(store.list("")) == ["a"]


def test_deleting_the_last_object_of_a_folder_removes_the_folder(tmp_path: Path) -> None:
    """Empty folders do not pile up; the store itself stays."""
    store = Folder(tmp_path)
    store.put("a/b/c", [b""])

    store.delete("a/b/c")

    assert not (tmp_path / "a").exists()
    assert tmp_path.exists()


@pytest.mark.parametrize("number", [28, 30, 13], ids=["full", "read-only", "no rights"])
def test_a_disk_that_cannot_be_written_is_told_with_a_remedy(tmp_path: Path, number: int) -> None:
    """A full or read-only disk is the operator's to mend, not a traceback."""

    def pieces() -> Iterator[bytes]:
        yield b"some"
        raise OSError(number, os.strerror(number))

    with pytest.raises(SettingsError, match=f"cannot be written: {os.strerror(number)}") as raised:
        Folder(tmp_path).put("a", pieces())

    assert "df -h" in raised.value.remedy


def test_a_file_where_a_folder_should_be_is_told(tmp_path: Path) -> None:
    """No traceback: what stands in the way is named."""
    (tmp_path / "a").write_text("a file where a folder should be")

    with pytest.raises(SettingsError, match=r"cannot be written: .*(exist|directory)"):
        Folder(tmp_path).put("a/b", [b""])


@contextmanager
def ordinary(folder: Path) -> Iterator[None]:
    """Be a user without privileges, whom rights hold back; the folder is theirs."""
    if os.geteuid() != 0:
        yield
        return
    nobody = pwd.getpwnam("nobody").pw_uid
    for path in (folder, *folder.rglob("*")):
        os.chown(path, nobody, nobody)
    os.seteuid(nobody)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("closed", [".", "leases", "leases/staging"])
def test_a_folder_that_may_only_be_read_is_named_before_anything_is_written(closed: str) -> None:
    """Whichever of its folders it is; and one that may be written is let through."""
    with tempfile.TemporaryDirectory() as place, ordinary(Path(place)):
        folder = Folder(Path(place, "store"))
        folder.require_writable()
        folder.put("leases/staging/00000001/lease.json", [b"."])
        folder.require_writable()
        (folder.root / closed).chmod(0o500)

        with pytest.raises(SettingsError, match=rf"{closed.strip('.')} cannot be written: Permission denied"):
            folder.require_writable()
        assert ["leases/staging/00000001/lease.json"] == list(folder.list(""))

        (folder.root / closed).chmod(0o700)


def test_what_cannot_be_written_is_named_and_not_the_part_of_it() -> None:
    """Its temporary name says nothing to anybody."""
    with tempfile.TemporaryDirectory() as place, ordinary(Path(place)):
        folder = Folder(Path(place))
        folder.put("a/b", [b"."])
        (folder.root / "a").chmod(0o500)

        with pytest.raises(SettingsError, match=r"/a/c cannot be written: Permission denied"):
            folder.put("a/c", [b"."])

        (folder.root / "a").chmod(0o700)
