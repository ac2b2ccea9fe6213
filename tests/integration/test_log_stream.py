"""The log of services as it comes: none lost, none twice, in order, whatever becomes of the websocket."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import timedelta

import pytest

from deploylib.models import LogLine
from deploylib.render import Client, Refused, rollout
from tests.support.log_platform import PAGE, SINCE, LogPlatform


def followed(platform: LogPlatform, count: int) -> list[LogLine]:
    """The first lines that a stream gives, within half a minute."""
    over = threading.Event()
    late = threading.Timer(30, over.set)
    late.daemon = True
    late.start()
    with platform.serving() as url:
        found = []
        for line in rollout.LogStream(Client("rnd_key", url), "tea-1", {"srv-api": "api"}, SINCE, over).lines():
            found += [line] if line is not None else []
            if len(found) >= count:
                over.set()
        late.cancel()
        return found


def numbers(lines: Iterable[LogLine]) -> list[int]:
    """Which they are."""
    return [int(line.id.removeprefix("log-")) for line in lines]


def test_ten_thousand_lines_with_five_cuts_and_two_refusals_come_once_each_and_in_order() -> None:
    """What comes while the websocket is away is asked for, and what comes twice is told apart by its id."""
    platform = LogPlatform(10_000, cuts=(900, 2500, 4000, 6100, 8800), refusals=2)
    lines = followed(platform, 10_000)
    assert numbers(lines) == list(range(10_000))
    assert (platform.opened, platform.refused) == (6, 2)
    assert platform.pages > 6, "what was missed was asked for"
    assert {(line.service, line.kind) for line in lines} == {("api", "build")}


def test_what_came_in_a_moment_is_not_read_anew_after_each_cut() -> None:
    """Two thousand lines in a fiftieth of a second, which are nearer to each other than lines come out of order."""
    platform = LogPlatform(2_000, cuts=(400, 800, 1_200, 1_600), spacing=timedelta(microseconds=10))
    assert numbers(followed(platform, 2_000)) == list(range(2_000))
    each_once, after_a_cut = 2_000 // PAGE, 3
    assert platform.pages <= each_once + after_a_cut * len(platform.cuts)


def test_without_a_websocket_asking_does() -> None:
    """All pages, each line once."""
    platform = LogPlatform(1_000, without_websocket=True)
    assert numbers(followed(platform, 1_000)) == list(range(1_000))
    assert platform.opened == 0


@pytest.mark.parametrize(("come", "given"), [(0, 0), (450, 450), (5_000, 1_000)])
def test_what_came_by_the_end_is_read_although_it_is_many_pages(come: int, given: int) -> None:
    """Ten of them: nobody waits for the log of a whole day."""
    over = threading.Event()
    over.set()
    with LogPlatform(come, before=come).serving() as url:
        lines = rollout.LogStream(Client("rnd_key", url), "tea-1", {"srv-api": "api"}, SINCE, over).lines()
        assert numbers(line for line in lines if line is not None) == list(range(given))


def test_a_key_that_is_refused_ends_it() -> None:
    """It is told, and not asked for ever."""
    over = threading.Event()
    with LogPlatform(1).serving() as url, pytest.raises(Exception, match="refused the API key") as refused:
        list(rollout.LogStream(Client("rnd_other", url), "tea-1", {"srv-api": "api"}, SINCE, over).lines())
    assert not isinstance(refused.value, Refused)


def test_what_could_not_be_asked_for_after_a_cut_is_asked_for_later() -> None:
    """New lines that come meanwhile do not hide that some are missing."""
    platform = LogPlatform(400, cuts=(100, 300), unanswered=1)
    assert sorted(numbers(followed(platform, 400))) == list(range(400))
