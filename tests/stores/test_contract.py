"""What the library relies on in a store, of the folder and of a bucket on a real S3 server alike."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploylib.errors import SettingsError
from deploylib.models import Commit, Opened
from deploylib.state.history import History
from deploylib.store import KeyTaken, Store, format_version
from deploylib.store import open as open_store
from deploylib.system import Clock

MIB = 1 << 20
ROOT = Path(__file__).parents[2]


def _read(store: Store, key: str) -> bytes:
    return b"".join(store.read(key))


@pytest.mark.parametrize("size", [0, 1, MIB, 16 * MIB, 16 * MIB + 1, 40 * MIB], ids=str)
def test_what_was_put_is_read(store: Store, size: int) -> None:
    """Of any size, empty and of several parts included; size and checksum are taken in passing."""
    body = os.urandom(size)

    stored = store.put("a/b", (body[at : at + MIB] for at in range(0, size, MIB)))

    assert (size, hashlib.sha256(body).hexdigest()) == (stored.size, stored.sha256)
    assert body == _read(store, "a/b")


@pytest.mark.parametrize("before", [0, 20], ids=["in the first part", "in a later part"])
def test_pieces_that_raise_leave_nothing(store: Store, before: int) -> None:
    """A dump that dies midway is no object, and its error goes on."""

    def pieces() -> Iterator[bytes]:
        for _ in range(before):
            yield bytes(MIB)
        raise RuntimeError("the dump died")

    with pytest.raises(RuntimeError, match="the dump died"):
        store.put("a/b", pieces())

    assert [] == list(store.list(""))
    with pytest.raises(KeyError):
        _read(store, "a/b")


def test_putting_again_replaces(store: Store) -> None:
    """A plain write is the last word."""
    store.put("a", [b"first"])
    store.put("a", [b"second"])

    assert b"second" == _read(store, "a")


@pytest.mark.parametrize("size", [0, 5, 40 * MIB], ids=["empty", "small", "in parts"])
def test_what_must_be_new_replaces_nothing(store: Store, size: int) -> None:
    """The first one stays as it was; the second one leaves nothing, and may have another key."""
    body = os.urandom(size)
    assert size == store.put("a/b", [body], new=True, expected=size).size

    with pytest.raises(KeyTaken, match="b"):
        store.put("a/b", [bytes(size)], new=True)
    store.put("a/c", [bytes(size)], new=True)

    assert body == _read(store, "a/b")
    assert (["a/b", "a/c"], ()) == (list(store.list("")), store.sweep("", 0))


def test_a_writer_that_was_killed_leaves_what_a_sweep_removes(address: str, make: Callable[[], Store]) -> None:
    """No object, the one before it intact, nothing in a listing; and what is young, or elsewhere, is left alone."""
    store = make()
    store.put("backups/x/1/dump", [b"good"])
    args = [sys.executable, "-m", "tests.stores.uploading", address, "backups/x/2/dump", "60", "hang"]
    with subprocess.Popen(args, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert b"hanging" in child.stdout.readline()
        child.kill()

    assert ["backups/x/1/dump"] == list(store.list(""))
    assert ((), ()) == (store.sweep("backups/x/", 3600), store.sweep("backups/y/", 0))
    assert (("backups/x/2/dump",), ()) == (store.sweep("backups/", 0), store.sweep("backups/", 0))
    assert b"good" == _read(store, "backups/x/1/dump")
    store.put("backups/x/2/dump", [b"again"], new=True)


def test_only_the_first_of_two_conditional_writes_counts(store: Store) -> None:
    """The second is told so, and changes nothing."""
    assert [True, False] == [store.put_if_absent("a", b"first"), store.put_if_absent("a", b"second")]
    assert b"first" == _read(store, "a")


@pytest.mark.parametrize("clients", [6, pytest.param(16, marks=pytest.mark.load)])
def test_of_many_writers_one_wins(make: Callable[[], Store], clients: int) -> None:
    """Five races for one key: each has one winner, whose bytes are there."""
    stores = [make() for _ in range(clients)]
    for race in range(5):
        winners: list[bytes] = []
        start = threading.Barrier(clients)

        def write(
            number: int, race: int = race, winners: list[bytes] = winners, start: threading.Barrier = start
        ) -> None:
            body = str(number).encode()
            start.wait(30)
            if stores[number].put_if_absent(f"race-{race}", body):
                winners.append(body)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert [_read(stores[0], f"race-{race}")] == winners


def test_keys_are_listed_in_order_and_by_prefix(store: Store) -> None:
    """Only those that begin with the prefix, also where it ends within a name."""
    for key in ("b/2", "a/10", "a/1", "a/2/x", "ab"):
        store.put(key, [b"."])

    assert ["a/1", "a/10", "a/2/x", "ab", "b/2"] == list(store.list(""))
    assert ["a/1", "a/10", "a/2/x"] == list(store.list("a/"))
    assert ["a/1", "a/10"] == list(store.list("a/1"))
    assert [] == list(store.list("c/"))


def test_keys_are_listed_that_come_after_another(store: Store) -> None:
    """Which need not be there; of many that are older none is looked at."""
    for key in ("a/1", "a/10", "a/2", "b/1"):
        store.put(key, [b"."])

    assert ["a/10", "a/2"] == list(store.list("a/", "a/1"))
    assert ["a/2"] == list(store.list("a/", "a/15"))
    assert [] == list(store.list("a/", "a/2"))


def test_deleting_is_done_when_there_is_nothing(store: Store) -> None:
    """The second delete is no error."""
    store.put("a/b", [b"."])
    store.delete("a/b")
    store.delete("a/b")

    assert [] == list(store.list(""))


def test_what_is_not_there_is_a_key_error(store: Store) -> None:
    """So that a caller can tell it from a store that does not answer."""
    with pytest.raises(KeyError):
        _read(store, "nothing")


def test_a_good_store_passes_the_probe_and_keeps_nothing_of_it(store: Store) -> None:
    """What was written to find out is gone afterwards."""
    store.probe()

    assert [] == list(store.list(""))


def test_a_ledger_of_two_machines_loses_no_event(make: Callable[[], Store]) -> None:
    """Two writers of one run take different numbers for events of one kind, and both find all of them."""
    histories = [History(make(), Clock()), History(make(), Clock())]
    histories[0].begin(Opened(run="r1", environment="staging", commit=Commit(id="a" * 40)))

    def write(history: History) -> None:
        for number in range(10):
            history.append("r1", "note", number)

    threads = [threading.Thread(target=write, args=(history,)) for history in histories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    for history in histories:
        assert sorted([*range(10)] * 2) == sorted(
            event.data for event in history.read_events("r1") if event.kind == "note"
        )
        assert ["r1"] == history.list_ids("staging")


@pytest.mark.parametrize("name", ["ünïcode 日本", "a%20b +c&d", "'\"<>", "new\nline", ".hidden", "x" * 200])
def test_a_stray_object_of_any_name_is_listed_or_left_out(store: Store, name: str) -> None:
    """What somebody else puts into a store disturbs nothing of ours."""
    store.put(f"a/{name}", [b"\0"])
    store.put("a/ours", [b"."])

    listed = set(store.list("a/"))
    assert {"a/ours"} <= listed <= {"a/ours", f"a/{name}"}
    assert _read(store, f"a/{name}") == b"\0"


def test_an_address_of_no_kind_is_refused() -> None:
    """Neither a folder of that name is made, nor a bucket asked."""
    with pytest.raises(SettingsError, match="neither s3://bucket nor a folder"):
        open_store("gs://deploys/x")


def test_a_store_that_was_written_is_known_to_refuse_a_second_write(store: Store) -> None:
    """Nothing is changed by finding out; in an empty one it is not known."""
    assert not format_version.is_known_conditional(store)
    assert [] == list(store.list(""))

    format_version.write_format(store)
    before = list(store.list(""))
    assert format_version.is_known_conditional(store)
    assert before == list(store.list(""))
