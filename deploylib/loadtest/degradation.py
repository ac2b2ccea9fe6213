"""Judge whether a release is slower.

It may be slower than the runs before it, than the release that was live just before it, or than the objectives allow.
One run against the last one is wrong for each ninth release that has not changed (runs differ by 5 % and more by themselves).
Compared is with the median of the last ten, by their own robust deviation, in logarithms. What looks slower at all is measured
again, up to twice, and the median of the three decides. Where runs differ by 8 %, that calls 2.3 % of unchanged releases
degraded and finds 96 % of those that are 30 % slower; two measurements that must both be beyond the limit, 2.0 % and 94 % (simulated).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum
from itertools import combinations
from statistics import median

import msgspec

from deploylib.loadtest.figures import Figures
from deploylib.loadtest.records import RecordedRun
from deploylib.models import Value
from deploylib.models.units import count

__all__ = [
    "BASELINE",
    "Comparison",
    "Conclusion",
    "Objectives",
    "Ruling",
    "combine_rulings",
    "judge_run",
    "needs_another",
]

BASELINE, FEWEST = 10, 5  # runs to compare with
SAME = 0.10  # the release just before is as slow
DEVIATIONS = 1.65  # of the median of three measurements
ALONE = 0.25  # of the live release just before, where there is nothing else to compare with
# Beyond these parts of a limit it is measured again. Most that are slower pass them, and one in five that are not.
SUSPECT, SUSPECT_DEVIATIONS = 0.7, 1.0
MEASUREMENTS = 3
LEAST = 0.01  # milliseconds: of a run without any good answer
# Less than that is no degradation, however alike the runs are; a young baseline knows badly how alike they are.
FLOORS = {"typical": 0.10, "tail": 0.20}
COMPARED = {"typical": "typical time", "tail": "typical p95"}


class Conclusion(StrEnum):
    """The conclusion of a load test about a release."""

    STEADY = "as fast as before"
    DEGRADED = "degraded"
    NO_BASELINE = "no baseline yet"
    NOT_COMPARABLE = "not comparable"
    INVALID = "invalid"


class Objectives(Value, frozen=True):
    """The objectives of the settings.

    Attributes:
        p95: milliseconds from when a request was due; 0: nothing is asked.
        error_rate: share of the requests.
    """

    p95: float = 0.0
    error_rate: float = 0.01


class Comparison(Value, frozen=True):
    """One figure against another time, in milliseconds.

    Attributes:
        what: the figure.
        against: the other time, in words.
        limit: beyond which it is slower.
        suspect: beyond which it is measured again.
    """

    what: str
    against: str
    now: float
    then: float
    limit: float
    suspect: float

    @property
    def change(self) -> float:
        """The relative change; 0.3 is 30 % slower."""
        return self.now / self.then - 1 if self.then else 0.0

    @property
    def is_slower(self) -> bool:
        """Whether it is beyond its limit."""
        return self.now > self.limit

    @property
    def text(self) -> str:
        """The comparison in words."""
        return (
            f"{self.what} {self.now:.1f} ms, {self.against} {self.then:.1f} ms: "
            f"{self.change:+.0%} (limit {self.limit / self.then - 1:+.0%})"
        )


class Ruling(Value, frozen=True):
    """The ruling of a load test on a release.

    Attributes:
        why: it is degraded, or nothing can be said.
        slower: the figures by which it is slower.
        suspected: those, and others that nearly are.
        missed: the objectives that it misses, in words.
        compared: with the runs before, and with the release that was live just before.
    """

    conclusion: Conclusion
    why: tuple[str, ...] = ()
    slower: frozenset[str] = frozenset()
    suspected: frozenset[str] = frozenset()
    missed: tuple[str, ...] = ()
    compared: tuple[Comparison, ...] = ()


def judge_run(
    figures: Figures,
    earlier: Sequence[RecordedRun],
    objectives: Objectives,
    *,
    before: Figures | None = None,
    elsewhere: int = 0,
) -> Ruling:
    """Judge one valid measurement.

    Args:
        earlier: valid ones of the same key, oldest first.
        before: of the release that was live just before, by the same sender.
        elsewhere: how many runs differ in the machine only.
    """
    history = tuple(_with_history(figures, earlier[-BASELINE:])) if len(earlier) >= FEWEST else ()
    pair = tuple(_with_before(figures, before)) if before is not None else ()
    # The release before is as slow, so that it is not this one which made it so.
    spared = {each.what for each in pair if each.change <= SAME} if history else set[str]()
    slower = {each.what for each in history or pair if each.is_slower} - spared
    suspected = {each.what for each in history or pair if each.now > each.suspect} - spared
    missed = tuple(_missed(figures, objectives))
    compared = (*history, *pair)
    if slower or missed:
        ruling = _degraded(slower, missed, compared)
        return msgspec.structs.replace(ruling, suspected=frozenset(suspected))
    if compared:
        return Ruling(conclusion=Conclusion.STEADY, suspected=frozenset(suspected), compared=compared)
    if elsewhere and not earlier:
        why = f"the {count(elsewhere, 'earlier run')} of it were sent by another machine"
        return Ruling(conclusion=Conclusion.NOT_COMPARABLE, why=(why,))
    return Ruling(conclusion=Conclusion.NO_BASELINE, why=(f"{len(earlier)} of the {FEWEST} runs that it takes",))


def needs_another(rulings: Sequence[Ruling]) -> bool:
    """Tell whether these measurements of a release do not decide yet."""
    if rulings[-1].conclusion is Conclusion.INVALID or len(rulings) >= MEASUREMENTS:
        return False
    if len(rulings) == 1:
        return bool(rulings[0].suspected or rulings[0].missed)
    votes = [sum(name in each.slower for each in rulings) for name in COMPARED.values()]
    return 1 in {*votes, sum(bool(each.missed) for each in rulings)}


def combine_rulings(rulings: Sequence[Ruling]) -> Ruling:
    """Judge a release by what most of its measurements say."""
    last, most = rulings[-1], len(rulings) // 2 + 1
    if last.conclusion is Conclusion.INVALID:
        return last
    slower = {name for name in COMPARED.values() if sum(name in each.slower for each in rulings) >= most}
    missing = [each for each in rulings if each.missed]
    missed = missing[-1].missed if len(missing) >= most else ()
    if slower or missed:
        shown = next(each for each in reversed(rulings) if each.slower & slower or each.missed)
        return _degraded(slower, missed, shown.compared)
    if last.conclusion is not Conclusion.DEGRADED:
        return last
    return Ruling(conclusion=Conclusion.STEADY, compared=last.compared)


def _degraded(slower: AbstractSet[str], missed: tuple[str, ...], compared: tuple[Comparison, ...]) -> Ruling:
    texts = [each.text for each in compared if each.what in slower]
    return Ruling(
        conclusion=Conclusion.DEGRADED,
        why=(*missed, *texts),
        slower=frozenset(slower),
        missed=missed,
        compared=compared,
    )


def _with_history(figures: Figures, earlier: Sequence[RecordedRun]) -> Iterator[Comparison]:
    for name, what in COMPARED.items():
        usual = [math.log(max(getattr(each.figures, name), LEAST)) for each in earlier]
        middle = median(usual)
        # It is the standard deviation of normal values, too, and of ten it is nearer to it than that from their median.
        deviation = median(abs(one - other) for one, other in combinations(usual, 2))
        floor = math.log(1 + FLOORS[name] * BASELINE / len(earlier))
        yield Comparison(
            what=what,
            against="usually",
            now=getattr(figures, name),
            then=math.exp(middle),
            limit=math.exp(middle + max(floor, DEVIATIONS * deviation)),
            suspect=math.exp(middle + max(SUSPECT * floor, SUSPECT_DEVIATIONS * deviation)),
        )


def _with_before(figures: Figures, before: Figures) -> Iterator[Comparison]:
    for name, what in COMPARED.items():
        then = max(getattr(before, name), LEAST)
        yield Comparison(
            what=what,
            against="just before",
            now=getattr(figures, name),
            then=then,
            limit=then * (1 + ALONE),
            suspect=then * (1 + SUSPECT * ALONE),
        )


def _missed(figures: Figures, objectives: Objectives) -> Iterator[str]:
    if objectives.p95 and figures.p95 > objectives.p95:
        yield f"p95 {figures.p95:.0f} ms, the objective is {objectives.p95:.0f} ms"
    if figures.error_rate > objectives.error_rate:
        kinds = ", ".join(f"{number} {kind}" for kind, number in list(figures.errors.items())[:3])
        yield f"{figures.error_rate:.1%} of the requests went wrong ({kinds}), the objective is {objectives.error_rate:.1%}"
