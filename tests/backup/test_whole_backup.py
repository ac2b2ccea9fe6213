"""A whole backup into a bucket that fails at any call, or by a process that dies: no false backup, and nothing left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploylib.backups import repository
from deploylib.errors import BackupFailed, Unreachable
from deploylib.postgres import connection
from deploylib.store import s3_upload
from deploylib.store.s3 import Bucket
from deploylib.system import Clock
from tests.support.bucket import impatient, proxy, s3, server
from tests.support.servers import Base, Servers
from tests.support.store_faults import GOOD, LOST, Fault, Plan, Proxy, Request, Reset, Status

__all__ = ["impatient", "proxy", "s3", "server"]

PROGRAM = Path(__file__).with_name("dying.py")
# What a backup asks of a bucket, in order: three parts; the dump read back whole, and for its table of contents; whether
# it is still there before and after its manifest.
CALLS = ("begin", "part", "part", "part", "HEAD", "complete", "GET", "GET", "HEAD", "PUT", "HEAD")
SOME = (9,)


@pytest.fixture(scope="module")
def base(servers: Servers) -> Base:
    """A database whose dump has three parts of the shortest kind."""
    base = servers.fresh(16)
    base.run(
        "create table entries (id serial primary key, text text)",
        "insert into entries (text) select encode(sha512(n::text::bytea), 'hex') from generate_series(1, 170000) n",
    )
    return base


@pytest.fixture
def bucket(proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty one, reached through the proxy."""
    monkeypatch.setattr(s3_upload, "FIRST", 5 << 20)
    return Bucket(f"s3://deploys/{tmp_path.name}")


def there(s3: Any, bucket: Bucket) -> tuple[list[str], list[str]]:
    """Objects and uploads, asked of the server itself."""
    prefix = bucket.address.removeprefix("s3://deploys/")
    objects = s3.list_objects_v2(Bucket="deploys", Prefix=prefix).get("Contents", [])
    uploads = s3.list_multipart_uploads(Bucket="deploys", Prefix=prefix).get("Uploads", [])
    return sorted(one["Key"].rpartition("/")[2] for one in objects), [one["Key"] for one in uploads]


def made(base: Base, bucket: Bucket, run: str = "run") -> str:
    """Make a backup as the stage does; gives its id."""
    with connection.lock_database(base.url, clock=Clock(), within=10):
        repository.clear(bucket, "test", older_than=0)
        return base.back_up(bucket, run=run, proof="decoded").id


def at(number: int, fault: Fault, *, ever_after: bool = False) -> Plan:
    """A fault at the call of this number, counted from the next one on."""
    seen = iter(range(1_000))

    def plan(_request: Request) -> Fault:
        now = next(seen)
        return fault if now == number or (ever_after and now > number) else GOOD

    return plan


def every(calls: tuple[int, ...] = tuple(range(len(CALLS)))) -> Callable[[Any], Any]:
    """One case for each call; those that are not in `SOME` are long."""
    cases = [
        pytest.param(call, id=f"{call} {CALLS[call]}", marks=() if call in SOME else pytest.mark.load) for call in calls
    ]
    return pytest.mark.parametrize("call", cases)


def after_the_look(plan: Plan) -> Plan:
    """The plan, once the two calls with which the stage clears up are done."""
    looks = iter((GOOD, GOOD))
    return lambda request: next(looks, None) or plan(request)


def test_these_are_the_calls(base: Base, bucket: Bucket, proxy: Proxy) -> None:
    """The others count on them."""
    made(base, bucket)

    assert ["uploads", "GET", *CALLS] == proxy.kinds()


@every()
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Status(500, "InternalError"), id="500", marks=pytest.mark.load),
        pytest.param(Reset(), id="reset", marks=pytest.mark.load),
        pytest.param(LOST, id="done, and the answer lost"),
    ],
)
def test_what_passes_costs_nothing(base: Base, bucket: Bucket, proxy: Proxy, s3: Any, call: int, fault: Fault) -> None:
    """One call fails once: the backup is made, and can be proven."""
    proxy.plan = after_the_look(at(call, fault))

    made(base, bucket)

    objects, uploads = there(s3, bucket)
    assert objects == ["dump", "manifest.json"]
    assert len(uploads) == (CALLS[call] == "begin" and fault is LOST), "of which nobody has heard"
    repository.clear(bucket, "test", older_than=0)
    assert there(s3, bucket) == (objects, [])
    [only] = repository.listing(bucket, "test")
    assert base.prove(only, bucket).proof == "restored"


@every()
@pytest.mark.parametrize(
    "fault",
    [pytest.param(Status(503, "SlowDown"), id="slow down", marks=pytest.mark.load), pytest.param(Reset(), id="gone")],
)
def test_a_store_that_goes_away_leaves_the_last_good_one(
    base: Base, bucket: Bucket, proxy: Proxy, s3: Any, call: int, fault: Fault
) -> None:
    """From some call on nothing works: no false backup; the next run clears up what could not be given up."""
    good = made(base, bucket)
    proxy.plan = after_the_look(at(call, fault, ever_after=True))

    with pytest.raises((Unreachable, BackupFailed)) as raised:
        made(base, bucket, "failing")

    assert raised.value.exit_code in {5, 40}
    proxy.plan = lambda _: GOOD
    whole = [one.id for one in repository.listing(bucket, "test") if one.run == "failing"]
    assert [one.id for one in repository.listing(bucket, "test")] == [*whole, good]
    assert len(whole) == (call == len(CALLS) - 1), "all of it was there, but for the last look at it"
    newest = made(base, bucket, "next")
    kept = [newest, *whole, good]
    assert there(s3, bucket) == (["dump"] * len(kept) + ["manifest.json"] * len(kept), [])
    assert [one.id for one in repository.listing(bucket, "test")] == kept


@pytest.mark.parametrize(
    "moment",
    [
        *(pytest.param(one, marks=pytest.mark.load) for one in ("first piece", "dumped", "written")),
        "second part",
        "manifest",
    ],
)
def test_a_kill_leaves_nothing_after_the_next_run(base: Base, bucket: Bucket, s3: Any, moment: str) -> None:
    """Neither an upload that never ends nor a dump without a manifest."""
    words = [sys.executable, str(PROGRAM), moment, base.url.reveal(), base.server.reveal(), bucket.address]
    root = str(PROGRAM.parents[2])
    killed = subprocess.run(words, env={**os.environ, "PYTHONPATH": root}, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    objects, uploads = there(s3, bucket)
    assert uploads == [] or moment == "second part"
    assert len(uploads) == (moment == "second part")
    assert objects == {"dumped": ["dump"], "manifest": ["dump"], "written": ["dump", "manifest.json"]}.get(moment, [])

    made(base, bucket)

    kept = 2 if moment == "written" else 1
    assert there(s3, bucket) == (["dump"] * kept + ["manifest.json"] * kept, [])
    assert len(repository.listing(bucket, "test")) == kept
