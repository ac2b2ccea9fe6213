"""Whether a release is slower."""

from __future__ import annotations

import random

import msgspec
import pytest

from deploylib.loadtest.degradation import Conclusion, Objectives, combine_rulings, judge_run, needs_another
from deploylib.loadtest.figures import Figures
from deploylib.loadtest.records import RecordedRun
from tests.support.measurements import measured, record

TEN = [record(number) for number in range(1, 11)]
NONE = Objectives()


def figures(typical: float = 30.0, seed: int = 99) -> Figures:
    """Those of a run."""
    return Figures.of(measured(seed, typical=typical))


def test_an_unchanged_release_is_as_fast_as_before() -> None:
    """With what it was compared with."""
    judged = judge_run(figures(), TEN, NONE)

    assert judged.conclusion is Conclusion.STEADY
    assert [each.what for each in judged.compared] == ["typical time", "typical p95"]


def test_a_third_slower_is_degraded_and_says_by_what() -> None:
    """Figure, usual value, change and limit."""
    judged = judge_run(figures(39.0), TEN, NONE)

    assert judged.conclusion is Conclusion.DEGRADED
    assert judged.slower == {"typical time", "typical p95"}
    assert "usually" in judged.why[0]
    assert "limit +10%" in judged.why[0]


def test_less_than_a_tenth_is_no_degradation_however_alike_the_runs_are() -> None:
    """Ten runs that are equal have no deviation at all."""
    same = [msgspec.structs.replace(TEN[0], run=f"r{number}") for number in range(10)]
    now = msgspec.structs.replace(TEN[0].figures, typical=1.09 * TEN[0].figures.typical)

    assert judge_run(now, same, NONE).conclusion is Conclusion.STEADY


def test_the_first_runs_have_no_baseline() -> None:
    """Four are too few; nothing is passed for that."""
    judged = judge_run(figures(90.0), TEN[:4], NONE)

    assert judged.conclusion is Conclusion.NO_BASELINE
    assert judged.why == ("4 of the 5 runs that it takes",)


def test_runs_of_another_machine_are_not_comparable() -> None:
    """Which is not the same as none."""
    assert judge_run(figures(), [], NONE, elsewhere=12).conclusion is Conclusion.NOT_COMPARABLE


def test_a_release_that_is_as_fast_as_the_one_before_has_not_made_it_slow() -> None:
    """The pair of one sender tells that the machine, or an earlier release, is slow."""
    now = figures(39.0)

    assert judge_run(now, TEN, NONE, before=figures(38.0, seed=5)).conclusion is Conclusion.STEADY
    assert judge_run(now, TEN, NONE, before=figures(30.0, seed=5)).conclusion is Conclusion.DEGRADED


def test_a_pair_alone_finds_what_is_plain() -> None:
    """Where there is no history yet, a quarter more than just before."""
    assert judge_run(figures(42.0), [], NONE, before=figures(30.0, seed=5)).conclusion is Conclusion.DEGRADED
    assert judge_run(figures(33.0), [], NONE, before=figures(30.0, seed=5)).conclusion is Conclusion.STEADY


def test_objectives_hold_without_any_history() -> None:
    """Of latency and of errors."""
    slow = judge_run(figures(), [], Objectives(p95=20.0))
    failing = judge_run(msgspec.structs.replace(figures(), error_rate=0.02, errors={"503": 20}), TEN, NONE)

    assert slow.conclusion is Conclusion.DEGRADED
    assert "the objective is 20 ms" in slow.why[0]
    assert failing.conclusion is Conclusion.DEGRADED
    assert "20 503" in failing.why[0]


def test_most_of_the_measurements_decide() -> None:
    """By the same figure: two that agree need no third one, and of three the median is what two of them say."""
    slower, steady = judge_run(figures(39.0), TEN, NONE), judge_run(figures(), TEN, NONE)
    tail = judge_run(msgspec.structs.replace(figures(), tail=200.0), TEN, NONE)
    typical = judge_run(msgspec.structs.replace(figures(39.0), tail=10.0), TEN, NONE)

    assert not needs_another([slower, slower])
    assert combine_rulings([slower, slower]).conclusion is Conclusion.DEGRADED
    assert needs_another([slower, steady])
    assert combine_rulings([slower, steady]).conclusion is Conclusion.STEADY
    assert combine_rulings([slower, steady, slower]).conclusion is Conclusion.DEGRADED
    assert combine_rulings([slower, steady, steady]).conclusion is Conclusion.STEADY
    assert not needs_another([slower, steady, slower])
    assert needs_another([typical, tail])
    assert combine_rulings([typical, tail, steady]).conclusion is Conclusion.STEADY
    assert combine_rulings([typical, tail, typical]).slower == {"typical time"}


def test_what_nearly_is_slower_is_measured_again() -> None:
    """A release that is slower is beyond its limit in most of its measurements, and not in each."""
    slower, steady = judge_run(figures(39.0), TEN, NONE), judge_run(figures(28.0), TEN, NONE)
    usual = steady.compared[0]
    nearly = judge_run(msgspec.structs.replace(figures(28.0), typical=(usual.suspect + usual.limit) / 2), TEN, NONE)

    assert nearly.conclusion is Conclusion.STEADY
    assert needs_another([nearly])
    assert not needs_another([steady])
    assert not needs_another([nearly, nearly])
    assert needs_another([nearly, slower])
    assert combine_rulings([nearly, slower, slower]).conclusion is Conclusion.DEGRADED


def test_a_missed_objective_is_confirmed_too() -> None:
    """In most of the measurements, as well."""
    missed, met = judge_run(figures(), [], Objectives(p95=20.0)), judge_run(figures(), [], Objectives(p95=200.0))

    assert needs_another([missed])
    assert needs_another([missed, met])
    assert combine_rulings([missed, met, met]).conclusion is Conclusion.NO_BASELINE
    assert combine_rulings([missed, met, missed]).missed


@pytest.mark.parametrize(
    ("noise", "slower", "least", "most"),
    [(0.04, 1.0, 0, 0.01), (0.04, 1.3, 1, 1), (0.08, 1.0, 0, 0.03), (0.08, 1.3, 0.95, 1)],
)
def test_four_hundred_releases_on_a_machine_with_noise(noise: float, slower: float, least: float, most: float) -> None:
    """False alarms and what is found, where runs differ by as much as on a quiet machine, and on a busy one."""
    chance, base = random.Random(2), TEN[0].figures  # noqa: S311 - the same each time

    def run(factor: float = 1.0) -> Figures:
        luck = chance.lognormvariate(0, noise) * factor
        return msgspec.structs.replace(
            base, typical=base.typical * luck, tail=base.tail * luck * chance.lognormvariate(0, noise)
        )

    def earlier() -> list[RecordedRun]:
        return [msgspec.structs.replace(TEN[0], figures=run()) for _ in range(10)]

    degraded = 0
    for _ in range(400):
        history = earlier()
        rulings = [judge_run(run(slower), history, NONE)]
        while needs_another(rulings):
            rulings.append(judge_run(run(slower), history, NONE))
        degraded += combine_rulings(rulings).conclusion is Conclusion.DEGRADED
    assert least <= degraded / 400 <= most
