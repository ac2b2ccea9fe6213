"""How often the platform is asked: what its headers say, and when the next look at a deploy is worth it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploylib.render import rate_limit
from deploylib.render.rate_limit import Budget, Left
from tests.support.fakes import START


def headers(remaining: int | str, reset: int | str, limit: int | str = 400) -> dict[str, str]:
    """What every answer of Render has."""
    return {"ratelimit-limit": f"{limit}", "ratelimit-remaining": f"{remaining}", "ratelimit-reset": f"{reset}"}


def told(budget: Budget, remaining: int | str, reset: int | str, at: float = 0.0) -> None:
    """An answer that came at once."""
    budget.learn_from(headers(remaining, reset), sent=at, received=at, at=START)


def test_everything_is_allowed_as_long_as_nothing_was_said() -> None:
    """The first request has to be sent to learn anything."""
    budget = Budget(keep=4)

    assert [0.0] * 1000 == [budget.take(0.0) for _ in range(1000)]
    assert budget.compute_left(0.0) is None


@pytest.mark.parametrize("reset", ["20", str(int(START.timestamp()) + 20)], ids=["seconds left", "epoch second"])
def test_the_end_of_a_window_is_understood_in_both_readings(reset: str) -> None:
    """Whole seconds, rounded down: it may end up to a second later."""
    budget = Budget()

    told(budget, 7, reset, at=100.0)

    assert budget.compute_left(100.0) == Left(requests=7, seconds=21.0)
    assert budget.compute_left(110.0) == Left(requests=7, seconds=11.0)


@pytest.mark.parametrize(
    "missing",
    [
        {},
        {"ratelimit-remaining": "3"},
        headers("", 20),
        headers(3, "soon"),
        headers(-3, 20),
        headers("9" * 5000, 20),
        headers(3, 20, "many"),
    ],
    ids=["none", "one", "empty", "a word", "negative", "endless", "no limit"],
)
def test_headers_that_say_nothing_teach_nothing(missing: dict[str, str]) -> None:
    """A platform without them, or with other ones, is asked as before."""
    budget = Budget()

    budget.learn_from(missing, sent=0.0, received=0.0, at=START)

    assert budget.compute_left(0.0) is None
    assert budget.take(0.0) == 0.0


def test_a_window_that_is_used_up_is_waited_for() -> None:
    """What is left is counted down with each request that is taken; a part is kept for others."""
    budget = Budget(keep=2)
    told(budget, 5, 30)

    assert [0.0, 0.0, 0.0, 31.0] == [budget.take(0.0) for _ in range(4)]
    assert budget.compute_left(0.0) == Left(requests=0, seconds=31.0)
    assert budget.take(30.0) == 1.0
    assert budget.take(31.0) == 0.0


def test_a_wait_has_a_bound() -> None:
    """Whatever the header says, the platform is asked again after a minute."""
    budget = Budget()
    told(budget, 0, 3000)

    assert rate_limit.LONGEST == budget.take(0.0)


def test_the_next_window_allows_as_much_as_the_last() -> None:
    """Nothing is known of its end before its first answer, and it is not asked for more than it has."""
    budget = Budget()
    told(budget, 0, 9)

    assert budget.compute_left(10.0) is None
    assert budget.take(10.0) == 0.0
    told(budget, 399, 59, at=10.0)
    assert budget.compute_left(10.0) == Left(requests=399, seconds=60.0)


def test_the_end_is_known_better_with_every_answer() -> None:
    """Two answers on both sides of a whole second leave little doubt."""
    budget = Budget()

    told(budget, 9, 30, at=0.0)
    told(budget, 8, 29, at=0.1)

    assert budget.compute_left(0.1) == Left(requests=8, seconds=30.0)


def test_requests_of_others_count_and_late_answers_do_not() -> None:
    """Within a window nothing is given back, so the smaller number is right; the window before is over."""
    budget = Budget()
    told(budget, 100, 30)
    told(budget, 40, 30)
    told(budget, 90, 30)
    assert budget.compute_left(0.0) == Left(requests=40, seconds=31.0)

    told(budget, 399, 59, at=30.5)
    budget.learn_from(headers(1, 3), sent=27.0, received=30.6, at=START)
    budget.learn_from(headers(1, 1), sent=26.0, received=30.6, at=START)

    assert budget.compute_left(30.5) == Left(requests=399, seconds=60.0)


def test_several_threads_never_take_more_than_there_is() -> None:
    """Each request is taken before it is sent."""
    budget = Budget()
    told(budget, 50, 30)

    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: budget.take(0.0), range(200)))

    assert waits.count(0.0) == 50


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 2.0)), min_size=1, max_size=80), st.integers(1, 12))
def test_no_request_is_one_too_many(steps: list[tuple[float, float]], limit: int) -> None:
    """A platform that counts in fixed windows never refuses, whenever it is asked and however slowly it answers."""
    budget = Budget()
    now, used = 17.3, dict[int, int]()
    for gap, latency in steps:
        now += gap
        while (wait := budget.take(now)) > 0:
            now += wait
        arrived = now + latency / 2
        window = int(arrived // 60)
        used[window] = used.get(window, 0) + 1
        assert used[window] <= limit
        left = 59 - int(arrived) % 60
        budget.learn_from(headers(limit - used[window], left, limit), sent=now, received=now + latency, at=START)
        now += latency


@pytest.mark.parametrize(
    ("elapsed", "expected", "seconds"),
    [
        (0, 0, 0.25), (6, 0, 0.25), (60, 0, 2.5), (120, 0, 5), (9999, 0, 5),
        (0, 300, 0.25), (12, 300, 1), (150, 300, 5), (292, 300, 2), (299.5, 300, 0.25), (300, 300, 0.25),
        (306, 300, 0.5), (400, 300, 5),
    ],
)  # fmt: skip
def test_looks_are_quick_at_first_and_near_the_expected_end(elapsed: float, expected: float, seconds: float) -> None:
    """Never slower than every five seconds, so that a build that fails early is seen soon."""
    assert rate_limit.seconds_to_next_look(elapsed, expected) == seconds
    assert rate_limit.seconds_to_next_look(elapsed, expected, 1, Left(requests=10_000, seconds=30.0)) == seconds


def test_what_is_left_of_the_window_is_shared() -> None:
    """Fifty deploys and a hundred looks in fifty seconds: each is looked at every 25 seconds."""
    assert rate_limit.seconds_to_next_look(5, 0, 50, Left(requests=100, seconds=50.0)) == 25.0
    assert rate_limit.seconds_to_next_look(5, 0, 2, Left(requests=100, seconds=50.0)) == 1.0


@pytest.mark.parametrize("requests", [0, 1, 10])
def test_a_look_that_the_window_does_not_allow_waits_for_the_next(requests: int) -> None:
    """Not longer: that one is a new budget."""
    assert rate_limit.seconds_to_next_look(5, 0, 50, Left(requests, seconds=20.0)) == 20.0


def test_a_scarce_look_is_spent_on_the_expected_end() -> None:
    """Each service by its own history, where the share alone would come too late."""
    left = Left(requests=100, seconds=50.0)

    assert rate_limit.seconds_to_next_look(5, 20, 50, left) == pytest.approx(14.6)
    assert rate_limit.seconds_to_next_look(5, 70, 50, left) == 25.0


@pytest.mark.parametrize(("elapsed", "seconds"), [(19.7, 0.8), (21, 1.4), (23, 3.4), (60, 25)])
def test_one_that_takes_longer_than_usual_is_looked_at_again_soon(elapsed: float, seconds: float) -> None:
    """Then less and less often, down to its share."""
    assert rate_limit.seconds_to_next_look(elapsed, 20, 50, Left(requests=100, seconds=50.0)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("Sun, 01 Mar 2026 11:58:00 GMT", 120.0),
        ("Sun, 01 Mar 2026 12:00:05 GMT", -5.0),
        ("yesterday", None),
        (f"Sun, 01 Mar {'9' * 20} 12:00:05 GMT", None),
        (None, None),
    ],
)
def test_a_clock_is_compared_with_the_date_of_an_answer(date: str | None, ahead: float | None) -> None:
    """Ahead or behind; where the answer does not tell the time nothing is known."""
    assert rate_limit.seconds_ahead({"date": date} if date else {}, START) == ahead
