"""A bucket behind a bad line: what passes is tried again, what may have been done is found out, nothing is left over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploylib.errors import Unreachable
from deploylib.store import s3_upload
from deploylib.store.interface import KeyTaken, StoreRefused
from deploylib.store.s3 import Bucket
from deploylib.store.s3_client import TRIES
from tests.support.store_faults import GOOD, LOST, Cut, Fault, Proxy, Request, Reset, Slow, Status, once

MIB = 1 << 20
SLOW_DOWN = Status(503, "SlowDown")
CONFLICT = Status(409, "ConditionalRequestConflict")
BODY = os.urandom(12 * MIB)  # three parts


@pytest.fixture
def bucket(proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty one, reached through the proxy; parts are as short as the protocol allows, for the sake of time."""
    monkeypatch.setattr(s3_upload, "FIRST", 5 * MIB)
    return Bucket(f"s3://deploys/{tmp_path.name}")


def pieces() -> Iterator[bytes]:
    """The body as a program gives it."""
    return (BODY[at : at + MIB] for at in range(0, len(BODY), MIB))


def uploads(s3: Any, bucket: Bucket) -> list[str]:
    """The uploads that were begun there and have not ended, asked of the server itself."""
    prefix = bucket.address.removeprefix("s3://deploys/")
    return [one["Key"] for one in s3.list_multipart_uploads(Bucket="deploys", Prefix=prefix).get("Uploads", [])]


@pytest.mark.parametrize(
    "faults",
    [
        [Status(500, "InternalError"), Status(502, "BadGateway")],
        [SLOW_DOWN, Status(429, "TooManyRequests")],
        [Reset(), Reset()],
        [LOST, Cut(after=20)],
        [Status(400, "RequestTimeout"), Status(400, "BadDigest")],
    ],
    ids=["5xx", "slow down", "reset in the middle of a part", "answer lost", "part damaged on the way"],
)
def test_a_part_that_failed_is_sent_again(proxy: Proxy, bucket: Bucket, faults: list[Fault]) -> None:
    """That part alone, and the object is what it should be."""
    proxy.plan = once("part", GOOD, *faults)

    bucket.put("dump", pieces(), new=True)

    assert ["begin", *["part"] * (3 + len(faults)), "HEAD", "complete"] == proxy.kinds()
    assert BODY == b"".join(bucket.read("dump"))


@pytest.mark.parametrize(
    ("kind", "fault", "tries", "said"),
    [
        ("part", SLOW_DOWN, TRIES, "refused an upload: SlowDown"),
        ("part", Status(404, "NoSuchUpload"), 1, "refused an upload: NoSuchUpload"),
        ("part", Status(403, "AccessDenied"), 1, "refused an upload: AccessDenied"),
        ("part", Reset(), TRIES, "cannot be reached: "),
        ("begin", SLOW_DOWN, TRIES, "refused a write: SlowDown"),
        ("complete", Status(500, "InternalError"), TRIES, "refused an upload: InternalError"),
        ("complete", CONFLICT, TRIES, "did not complete the upload of dump: ConditionalRequestConflict"),
        ("complete", Status(404, "NoSuchUpload"), 1, "did not complete the upload of dump: NoSuchUpload"),
    ],
    ids=[
        "slow down",
        "upload gone",
        "no right",
        "resets",
        "slow from the start",
        "500 at the end",
        "409 at the end",
        "upload gone at the end",
    ],
)
def test_trouble_that_stays_ends_it(
    s3: Any, proxy: Proxy, bucket: Bucket, kind: str, fault: Fault, tries: int, said: str
) -> None:
    """After so many tries, with the server's word for it; neither object nor parts are left."""
    proxy.plan = lambda request: fault if request.kind == kind else GOOD

    with pytest.raises(Unreachable, match=said):
        bucket.put("dump", pieces(), new=True)

    assert tries == proxy.kinds().count(kind)
    assert ([], []) == (list(bucket.list("")), uploads(s3, bucket))


def test_a_stream_that_dies_waits_for_the_part_on_its_way(s3: Any, proxy: Proxy, bucket: Bucket) -> None:
    """A part that arrives after the abort would stay for ever."""

    def dying() -> Iterator[bytes]:
        yield from pieces()
        raise RuntimeError("the dump died")

    proxy.plan = once("part", SLOW_DOWN)

    with pytest.raises(RuntimeError, match="the dump died"):
        bucket.put("dump", dying(), new=True)

    assert "abort" == proxy.kinds()[-1]
    assert ([], []) == (list(bucket.list("")), uploads(s3, bucket))


def test_an_abort_that_fails_does_not_hide_what_happened(s3: Any, proxy: Proxy, bucket: Bucket) -> None:
    """The next sweep removes what stayed."""

    def plan(request: Request) -> Fault:
        return {"part": Status(403, "AccessDenied"), "abort": Status(501, "NotImplemented")}.get(request.kind, GOOD)

    proxy.plan = plan
    with pytest.raises(StoreRefused, match="AccessDenied"):
        bucket.put("dump", pieces(), new=True)
    proxy.plan = lambda _: GOOD

    assert (("dump",), ()) == (bucket.sweep("", 0), bucket.sweep("", 0))
    assert [] == uploads(s3, bucket)


def test_a_begin_whose_answer_was_lost_is_swept(s3: Any, proxy: Proxy, bucket: Bucket) -> None:
    """Nobody knows its id; the object came to be by the second one."""
    proxy.plan = once("begin", LOST)

    bucket.put("dump", pieces(), new=True)

    assert ("dump",) == bucket.sweep("dump", 0)
    assert [] == uploads(s3, bucket)
    assert BODY == b"".join(bucket.read("dump"))


@pytest.mark.parametrize("new", [True, False], ids=["new", "plain"])
@pytest.mark.parametrize("fault", [LOST, Cut(after=0), Status(500, "InternalError")], ids=["reset", "cut", "500"])
def test_a_completion_in_doubt_is_found_out(proxy: Proxy, bucket: Bucket, fault: Fault, *, new: bool) -> None:
    """The second try is told that the object exists, or that the upload does not: both because of the first one."""
    proxy.plan = once("complete", fault)

    stored = bucket.put("dump", pieces(), new=new)

    assert len(BODY) == stored.size
    assert BODY == b"".join(bucket.read("dump"))


def test_a_conflict_on_completion_passes(proxy: Proxy, bucket: Bucket) -> None:
    """A 409 says that another request is not done yet."""
    proxy.plan = once("complete", CONFLICT)

    bucket.put("dump", pieces(), new=True)

    assert BODY == b"".join(bucket.read("dump"))


def test_a_key_taken_in_the_last_moment(s3: Any, proxy: Proxy, bucket: Bucket) -> None:
    """Between our look and the completion: the condition decides, theirs stays, ours leaves nothing."""
    theirs = f"{bucket.address.removeprefix('s3://deploys/')}/dump"

    def plan(request: Request) -> Fault:
        if request.kind == "complete":
            s3.put_object(Bucket="deploys", Key=theirs, Body=b"theirs")
        return LOST if proxy.kinds().count("complete") == 1 and request.kind == "complete" else GOOD

    proxy.plan = plan

    with pytest.raises(KeyTaken, match="dump"):
        bucket.put("dump", pieces(), new=True)

    assert (b"theirs", []) == (b"".join(bucket.read("dump")), uploads(s3, bucket))


def test_a_small_conditional_write_in_doubt_is_found_out(proxy: Proxy, bucket: Bucket) -> None:
    """Who wrote it is the winner, though the second try was refused; somebody else is not, whatever was lost."""
    proxy.plan = once("PUT", LOST)
    assert bucket.put_if_absent("lease", b"mine")

    proxy.plan = once("PUT", Reset(), LOST)
    assert not bucket.put_if_absent("lease", b"mine")
    assert b"mine" == b"".join(bucket.read("lease"))


@pytest.mark.parametrize("fault", [Reset, Cut], ids=["reset", "cut short"])
def test_a_read_goes_on_where_it_broke_off(proxy: Proxy, bucket: Bucket, fault: type[Reset]) -> None:
    """Three times, with the rest alone."""
    bucket.put("dump", pieces())
    proxy.plan = once("GET", fault(7 * MIB), fault(3 * MIB), fault(0), Status(503, "SlowDown"))

    assert BODY == b"".join(bucket.read("dump"))

    ranges = [request.headers.get("range") for request in proxy.seen if request.kind == "GET"]
    asked = [int(one.removeprefix("bytes=").rstrip("-")) for one in ranges if one]
    assert (5, None) == (len(ranges), ranges[0])
    assert 0 < asked[0] <= 7 * MIB < 2 * asked[0]
    assert asked[0] <= asked[1] == asked[2] == asked[3], "a reset takes along what had come, and nobody had read yet"


@pytest.mark.parametrize("rest", [SLOW_DOWN, Cut(0), Status(404, "NoSuchKey")], ids=["refused", "nothing", "deleted"])
def test_a_read_that_cannot_be_ended_raises(proxy: Proxy, bucket: Bucket, rest: Fault) -> None:
    """It never looks like a shorter object."""
    bucket.put("dump", pieces())
    got: list[bytes] = []
    proxy.plan = lambda _: Cut(5 * MIB) if proxy.kinds().count("GET") == 1 else rest

    with pytest.raises(Unreachable, match=r"SlowDown|cannot be reached|broke off after \d+"):
        got.extend(bucket.read("dump"))

    assert 0 < len(b"".join(got)) < 5 * MIB


def test_a_read_that_makes_no_way_raises(proxy: Proxy, bucket: Bucket) -> None:
    """Answers that begin and bring nothing are not asked for without end."""
    bucket.put("dump", pieces())
    proxy.plan = lambda request: Cut(2 * MIB if "range" not in request.headers else 600)

    with pytest.raises(Unreachable, match=f"broke off after [0-9]+ of {len(BODY)} bytes: IncompleteRead"):
        list(bucket.read("dump"))


def test_an_object_that_was_replaced_is_not_gone_on_with(proxy: Proxy, bucket: Bucket) -> None:
    """Half of one and half of another would be neither."""
    bucket.put("dump", pieces())
    proxy.plan = once("GET", Cut(5 * MIB))
    reading = bucket.read("dump")
    next(reading)
    bucket.put("dump", [b"another"])

    with pytest.raises(Unreachable, match="it was replaced"):
        list(reading)


def test_a_slow_answer_is_waited_for(proxy: Proxy, bucket: Bucket) -> None:
    """As long as something comes."""
    bucket.put("dump", [BODY[: 2 * MIB]])
    proxy.plan = lambda _: Slow()

    assert BODY[: 2 * MIB] == b"".join(bucket.read("dump"))


def test_a_page_that_failed_is_asked_for_again(proxy: Proxy, bucket: Bucket) -> None:
    """A listing loses nothing."""
    for number in range(3):
        bucket.put(f"k/{number}", [b"."])
    proxy.plan = once("GET", SLOW_DOWN, Reset(), Cut(200))

    assert ["k/0", "k/1", "k/2"] == list(bucket.list("k/"))


def test_a_lock_that_keeps_an_object_is_told(proxy: Proxy, bucket: Bucket) -> None:
    """As an error of its own, at once, with the key and what to look at."""
    bucket.put("dump", [b"."])
    proxy.plan = lambda request: Status(403, "AccessDenied") if request.method == "DELETE" else GOOD

    with pytest.raises(StoreRefused, match=r"/dump stays: .*AccessDenied") as refused:
        bucket.delete("dump")

    assert "lock" in refused.value.remedy
    assert 1 == proxy.kinds().count("DELETE")
    assert ["dump"] == list(bucket.list(""))


def test_a_bucket_that_may_only_be_read_is_told_by_the_write_that_it_refused(proxy: Proxy, bucket: Bucket) -> None:
    """And not by the clean-up after it, which it refuses too; it is found out without an object that comes or goes."""
    bucket.require_writable()
    assert (["begin", "abort"], [], ()) == (proxy.kinds(), list(bucket.list("")), bucket.sweep("", 0))
    proxy.plan = lambda request: GOOD if request.method in {"GET", "HEAD"} else Status(403, "AccessDenied")

    for look in (bucket.probe, bucket.require_writable):
        with pytest.raises(StoreRefused, match="refused a write: AccessDenied"):
            look()
    assert [] == list(bucket.list(""))


def test_a_sweep_that_may_not_look_says_so(proxy: Proxy, bucket: Bucket) -> None:
    """It needs a right of its own."""
    proxy.plan = lambda _: Status(403, "AccessDenied")

    with pytest.raises(StoreRefused, match="AccessDenied"):
        bucket.sweep("backups/", 0)
