"""The digest of the newest runs: few requests for many runs, and nothing that it decides."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta

import msgspec
import pytest

from deploylib.state import digest
from deploylib.store import Stored, StoreRefused
from tests.support.counted_store import CountedStore
from tests.support.fakes import FakeClock
from tests.support.told_runs import Teller

KEY = "summaries/production.json"


@pytest.fixture
def store() -> CountedStore:
    """An empty one."""
    return CountedStore()


@pytest.fixture
def teller(store: CountedStore) -> Teller:
    """Writes runs."""
    return Teller(store, FakeClock())


def ids(teller: Teller) -> list[str]:
    """The runs of the environment as the digest gives them."""
    return [run.id for run in teller.history.read_summaries("production")[0]]


def test_the_newest_of_ten_thousand_runs_are_few_requests(store: CountedStore, teller: Teller) -> None:
    """Each of them was closed by this program; nothing is read but the digest and the end of the listing."""
    teller.tell("released", "a" * 40)
    one = teller.history.read_summaries("production")[0][0]
    times = [one.at + timedelta(minutes=10 * number) for number in range(10_000)]
    every = [msgspec.structs.replace(one, id=f"made-{number:05d}", at=at) for number, at in enumerate(times)]
    store.objects |= {f"history/production/{run.at:%Y%m%dT%H%M%S.%f}-{run.id}": b"" for run in every}
    digest.write(store, "production", every)
    store.requests.clear()

    found, unreadable = teller.history.read_summaries("production")

    assert (len(found), unreadable) == (digest.NEWEST, ())
    assert store.requests == [f"get {KEY}", "list history/production/"]


def test_what_a_digest_lacks_is_read_and_is_in_it_afterwards(store: CountedStore, teller: Teller) -> None:
    """Two runs that were closed at once, or one that an older program has closed."""
    told = [teller.tell("released", f"{number:040x}") for number in range(4)]
    known = json.loads(store.objects[KEY])
    store.objects[KEY] = json.dumps([run for run in known if run["id"] != told[1]]).encode()

    assert ids(teller) == told[::-1]
    store.requests.clear()
    assert ids(teller) == told[::-1]
    assert len(store.requests) == 2


@pytest.mark.parametrize("damage", [b"", b"[", b"{}", b'[{"id": 7}]', b"\xff", None])
def test_a_damaged_digest_is_made_anew(store: CountedStore, teller: Teller, damage: bytes | None) -> None:
    """It is only a cache: nobody learns that it was gone."""
    told = [teller.tell(kind, "a" * 40) for kind in ("released", "put back", "nothing")]
    before, whole = teller.history.read_summaries("production"), store.objects.pop(KEY)
    if damage is not None:
        store.objects[KEY] = damage

    after = teller.history.read_summaries("production")

    assert [run.id for run in after[0]] == told[::-1]
    assert after == before
    assert json.loads(store.objects[KEY]) == json.loads(whole)


def test_an_open_run_is_told_and_never_kept(store: CountedStore, teller: Teller) -> None:
    """What it comes to is not known yet."""
    teller.tell("released", "a" * 40)
    run = teller.tell("open", "b" * 40)

    found, _ = teller.history.read_summaries("production")

    assert (found[0].id, found[0].outcome) == (run, "")
    assert run not in store.objects[KEY].decode()


def test_a_run_that_cannot_be_read_is_named(store: CountedStore, teller: Teller) -> None:
    """No figure counts it, and the page says so."""
    good, bad = teller.tell("released", "a" * 40), teller.tell("released", "b" * 40)
    for key in [key for key in store.objects if bad in key and not key.startswith("history/")]:
        store.objects[key] = b"{"
    del store.objects[KEY]

    found, unreadable = teller.history.read_summaries("production")

    assert ([run.id for run in found], unreadable) == ([good], (bad,))


def test_a_run_that_was_taken_out_of_the_store_is_forgotten(store: CountedStore, teller: Teller) -> None:
    """Somebody has kept it aside: the digest does not bring it back."""
    good, gone = teller.tell("released", "a" * 40), teller.tell("released", "b" * 40)
    for key in [key for key in store.objects if gone in key]:
        del store.objects[key]

    assert ids(teller) == [good]


def test_a_digest_keeps_the_newest(teller: Teller, store: CountedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a megabyte, whatever the history has."""
    monkeypatch.setattr(digest, "NEWEST", 3)
    told = [teller.tell("released", f"{number:040x}") for number in range(6)]

    assert [run["id"] for run in json.loads(store.objects[KEY])] == told[-3:]
    assert ids(teller) == told[:2:-1]


def test_a_store_that_takes_no_digest_is_no_failure(teller: Teller) -> None:
    """A run ends all the same, and a look reads the runs."""

    class Full(CountedStore):
        """Takes everything else."""

        def put(self, key: str, pieces: Iterable[bytes], *, new: bool = False, expected: int = 0) -> Stored:
            """Write an object."""
            if key == KEY:
                raise StoreRefused("no room", remedy="make room")
            return super().put(key, pieces, new=new, expected=expected)

    teller.store = Full()
    told = [teller.tell("released", f"{number:040x}") for number in range(3)]

    assert ids(teller) == told[::-1]
