"""The lock of an environment, in a folder and in a bucket: one holder, and a dead one blocks nobody for long."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploylib.cli.text import format_lease
from deploylib.errors import LeaseHeld
from deploylib.state.lease import Holder, Lease, Leases
from deploylib.store.folder import Folder
from deploylib.store.interface import Store
from deploylib.system import Clock, process


class Impatient(Clock):
    """Looks again sooner than a command does, so that nobody waits here for a look."""

    def sleep(self, seconds: float) -> None:
        """Wait a tenth of a second."""
        super().sleep(min(seconds, 0.1))


def make_lease(store: Store, run: str, **more: object) -> Lease:
    """A run's hold on ``staging``, from a machine of its own."""
    holder = Holder(**{"run": run, "author": "ada", "host": f"host-of-{run}", "pid": 1, **more})  # type: ignore[arg-type]
    return Lease(Leases(store, "staging"), holder, Impatient())


def test_one_holds_and_the_others_are_told_who(store: Store) -> None:
    """Run, author and how to get on are in the refusal; given back, the next one takes it."""
    first, second = make_lease(store, "one", url="https://ci.example/1"), make_lease(store, "two")
    first.acquire(within=0)

    with pytest.raises(LeaseHeld, match=r"run one of ada holds staging.*https://ci\.example/1") as refused:
        second.acquire(within=0)
    assert "inv lease.release --environment staging --reason" in refused.value.remedy

    first.release()
    second.acquire(within=0)
    assert (2, True) == (second.number, second.leases.is_current(2))
    second.release()


def test_who_waits_gets_it_once_it_is_given_back(make: Callable[[], Store]) -> None:
    """It is told once of whom it waits for."""
    first, second, seen = make_lease(make(), "one"), make_lease(make(), "two"), []
    first.acquire(within=0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second.acquire, within=20, waiting=lambda lease: seen.append(lease.holder.run))
        time.sleep(0.5)
        assert not waiting.done()
        first.release()
        waiting.result(20)

    assert (["one"], 2) == (seen, second.number)
    second.release()


@pytest.mark.parametrize("runs", [7, pytest.param(20, marks=pytest.mark.load)])
def test_many_at_once_are_one_at_a_time(make: Callable[[], Store], runs: int) -> None:
    """Numbers are unique, and no two hold at once."""
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> int:
        mine = make_lease(make(), f"run-{number}")
        mine.acquire(within=120)
        inside.append(number)
        most.append(len(inside))
        mine.fence()
        inside.remove(number)
        taken = mine.number
        mine.release()
        return taken

    with ThreadPoolExecutor(runs) as pool:
        numbers = list(pool.map(work, range(runs)))
    assert (sorted(numbers), {1}) == (list(range(1, runs + 1)), set(most))


def test_a_holder_that_shows_no_life_is_free_and_learns_it(store: Store) -> None:
    """Expiry is by the store's clock; what was only slow is stopped by the fence before its next step."""
    slow, next_one = make_lease(store, "slow", ttl=1.0), make_lease(store, "next")
    slow.leases.try_acquire(slow.holder, None)
    slow.number = 1
    slow.fence()
    time.sleep(2.2)

    next_one.acquire(within=0)

    with pytest.raises(LeaseHeld, match="run next has taken staging over from run slow"):
        slow.fence()
    next_one.release()


def test_a_holder_that_works_shows_life(store: Store) -> None:
    """For longer than its time."""
    working = make_lease(store, "working", ttl=1.2)
    working.acquire(within=0)
    time.sleep(3)

    with pytest.raises(LeaseHeld):
        make_lease(store, "other").acquire(within=0)
    working.release()


def test_jobs_of_one_run_share_it_until_the_last_one_takes_it(store: Store) -> None:
    """A job that comes later goes on with the same number; who finishes the run shuts the jobs out."""
    job, later, last = (make_lease(store, "ci", shared=shared) for shared in (True, True, False))
    job.acquire(within=0)
    job.leave()
    later.acquire(within=0, known=True)
    assert later.number == 1

    last.acquire(within=0, known=True)

    assert last.number == 2
    with pytest.raises(LeaseHeld, match="somebody has taken staging over"):
        later.fence()
    later.leave()
    last.release()


def test_a_run_that_lost_it_does_not_get_it_back(store: Store) -> None:
    """What it has decided is no longer so."""
    first, second = make_lease(store, "one"), make_lease(store, "two")
    first.acquire(within=0)
    first.abandon()
    second.acquire(within=0)
    second.release()

    with pytest.raises(LeaseHeld, match="run two has taken staging over"):
        make_lease(store, "one").acquire(within=0, known=True)


def test_a_holder_that_was_killed_here_is_known_to_be_dead(store: Store) -> None:
    """No waiting for its time: its process runs no more."""
    host, _ = process.this_process()
    gone = subprocess.Popen(["true"])
    gone.wait(10)
    killed = make_lease(store, "killed", host=host, pid=gone.pid)
    killed.leases.try_acquire(killed.holder, None)

    found = killed.leases.read()
    assert found is not None
    assert found.state == "dead"
    make_lease(store, "next").acquire(within=0)


@pytest.mark.parametrize(
    "elsewhere",
    ["{name}", "{name} 00000000-0000-4000-8000-000000000000 {space}", "{name} {boot} pid:[1]", "x {boot} {space}"],
    ids=["an earlier version", "another machine of the same name", "a container of this machine", "another name"],
)
def test_a_holder_that_runs_elsewhere_is_not_taken_for_dead(tmp_path: Path, elsewhere: str) -> None:
    """Its process id says nothing here, whatever its machine is called."""
    name, boot, space = process.this_process()[0].split(" ")
    gone = subprocess.Popen(["true"])
    gone.wait(10)
    holder = make_lease(
        Folder(tmp_path), "theirs", host=elsewhere.format(name=name, boot=boot, space=space), pid=gone.pid
    )
    holder.leases.try_acquire(holder.holder, None)

    found = holder.leases.read()
    assert found is not None
    assert found.state == "held"


def test_somebody_else_may_give_it_back(store: Store) -> None:
    """With a reason, which the holder is told."""
    holder = make_lease(store, "one")
    holder.acquire(within=0)
    holder.leases.release(1, "by ada: its machine is gone")

    with pytest.raises(LeaseHeld) as lost:
        holder.fence()
    assert lost.value.details == ("by ada: its machine is gone",)
    holder.leave()


def test_a_sign_of_life_from_the_future_is_told_as_that(tmp_path: Path) -> None:
    """The clock was wrong: it does not end by itself for a day; who releases it by hand needs not wait for that."""
    store = Folder(tmp_path)
    make_lease(store, "one").acquire(within=0)
    for name in ("lease.json", "beat"):
        path = tmp_path / "leases/staging/00000001" / name
        path.touch()
        os.utime(path, (time.time() + 86400,) * 2)
    second = make_lease(store, "two")

    with pytest.raises(LeaseHeld, match=r"last sign of life was in the future, by 24 h: a clock was wrong") as refused:
        second.acquire(within=0)
    assert refused.value.remedy.startswith("see whether it has ended; if so: inv lease.release --environment staging")
    now = second.leases.read()
    assert now is not None
    assert "if it has ended: inv lease.release" in "".join(format_lease(now, "staging"))

    second.leases.release(1, "its clock was wrong")
    second.acquire(within=0)
    second.release()


def test_old_leases_are_removed(tmp_path: Path) -> None:
    """The listing stays short, and numbers go on."""
    store = Folder(tmp_path)
    for _ in range(30):
        mine = make_lease(store, "one")
        mine.acquire(within=0)
        mine.release()

    last = mine.leases.read()
    assert last is not None
    assert (30, 20) == (last.number, len(list((tmp_path / "leases/staging").iterdir())))
