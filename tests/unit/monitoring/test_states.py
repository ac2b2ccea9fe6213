"""The table of states: every state with every look, and what is told of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from deploylib.monitoring.rules import AlertRule
from deploylib.monitoring.states import AlertStep, Condition, Firing, Look, Quiet, Standing, advance
from tests.support.fakes import START

OK, PENDING, FIRING, RECOVERING, UNKNOWN = Condition
GOOD, BAD, BLIND = Look
RULE = AlertRule(lasts=120, recovers=60, reminder=3600)
SLOWLY = AlertRule(reminder=0)
TOLD = Firing(since=START - timedelta(hours=2), told_at=START - timedelta(minutes=1), title="it is wrong")
LONG, SHORT = START - timedelta(minutes=5), START - timedelta(seconds=30)

# state, since, told before, look, rule → state, what is told
TABLE = [
    (OK, LONG, None, GOOD, RULE, OK, None),
    (OK, LONG, None, BAD, RULE, PENDING, None),
    (OK, LONG, None, BAD, SLOWLY, FIRING, AlertStep.FIRES),
    (OK, LONG, None, BLIND, RULE, UNKNOWN, None),
    (PENDING, SHORT, None, GOOD, RULE, OK, None),
    (PENDING, SHORT, None, BAD, RULE, PENDING, None),
    (PENDING, LONG, None, BAD, RULE, FIRING, AlertStep.FIRES),
    (PENDING, LONG, None, BLIND, RULE, UNKNOWN, None),
    (FIRING, LONG, TOLD, GOOD, RULE, RECOVERING, None),
    (FIRING, LONG, TOLD, GOOD, SLOWLY, OK, AlertStep.RESOLVES),
    (FIRING, LONG, TOLD, BAD, RULE, FIRING, None),
    (FIRING, LONG, TOLD, BLIND, RULE, UNKNOWN, None),
    (RECOVERING, SHORT, TOLD, GOOD, RULE, RECOVERING, None),
    (RECOVERING, LONG, TOLD, GOOD, RULE, OK, AlertStep.RESOLVES),
    (RECOVERING, LONG, TOLD, BAD, RULE, FIRING, None),
    (RECOVERING, LONG, TOLD, BLIND, RULE, UNKNOWN, None),
    (UNKNOWN, LONG, None, GOOD, RULE, OK, None),
    (UNKNOWN, LONG, None, BAD, RULE, PENDING, None),
    (UNKNOWN, LONG, None, BLIND, RULE, UNKNOWN, None),
    (UNKNOWN, LONG, TOLD, GOOD, RULE, RECOVERING, None),
    (UNKNOWN, LONG, TOLD, BAD, RULE, FIRING, None),
    (UNKNOWN, LONG, TOLD, BLIND, RULE, UNKNOWN, None),
]


@pytest.mark.parametrize(("state", "since", "told", "look", "rule", "then", "step"), TABLE)
def test_each_look_moves_each_state_on(
    state: Condition,
    since: object,
    told: Firing | None,
    look: Look,
    rule: AlertRule,
    then: Condition,
    step: AlertStep | None,
) -> None:
    """By the table of the module, whatever the signal is."""
    before = Standing(condition=state, since=since, looked=since, firing=told)  # type: ignore[arg-type]

    after, found = advance(before, look, rule, START)

    assert (after.condition, found, after.looked) == (then, step, START)
    assert (after.firing is None) is (then is OK or (then in {PENDING, UNKNOWN} and told is None))
    assert after.since == (since if then is state else START)


def test_the_table_has_every_state_with_every_look() -> None:
    """And whether anything was told before, where both can be."""
    cases = {(state, look) for state, _, _, look, *_ in TABLE}

    assert cases == {(state, look) for state in Condition for look in Look}


def test_a_late_look_changes_nothing() -> None:
    """Of a monitor that began before another, and came after it."""
    before = Standing(condition=OK, since=LONG, looked=START)

    assert advance(before, BAD, SLOWLY, START - timedelta(seconds=1)) == (before, None)


def test_a_reminder_is_told_when_it_is_due_and_counted() -> None:
    """Never while it is silenced, nor from unknown."""
    firing = Standing(condition=FIRING, since=LONG, looked=LONG, firing=Firing(since=LONG, told_at=LONG))
    later = LONG + timedelta(hours=1)

    after, step = advance(firing, BAD, RULE, later)
    assert step is AlertStep.REMINDS
    assert after.firing is not None
    assert (after.firing.reminders, after.firing.told_at) == (1, later)
    assert advance(firing, BAD, RULE, later, Quiet(silenced=True))[1] is None
    assert advance(firing, BLIND, RULE, later)[1] is None
    assert advance(firing, BAD, SLOWLY, later)[1] is None


def test_what_turned_bad_in_a_silence_is_told_at_its_end() -> None:
    """With the run that was under way, and since when it really was so."""
    standing, steps = Standing(), []
    for minute in range(6):
        quiet = Quiet(silenced=minute < 4, run="run-7" if minute < 4 else "")
        standing, step = advance(standing, BAD, RULE, START + timedelta(minutes=minute), quiet)
        steps.append(step)

    assert steps == [None, None, None, None, AlertStep.FIRES, None]
    assert standing.firing is not None
    assert (standing.firing.run, standing.firing.since) == ("run-7", START)


def test_what_is_good_again_in_a_silence_was_never_told() -> None:
    """A release that heals by itself wakes nobody."""
    standing, steps = Standing(), set()
    for minute, look in enumerate((BAD, BAD, BAD, GOOD, GOOD)):
        standing, step = advance(standing, look, RULE, START + timedelta(minutes=minute), Quiet(silenced=True, run="r"))
        steps.add(step)

    assert steps == {None}
    assert (standing.condition, standing.run) == (OK, "")


def test_the_end_of_what_was_told_is_told_in_a_silence() -> None:
    """Who was woken may go back to sleep."""
    told = Standing(condition=RECOVERING, since=LONG, looked=LONG, firing=TOLD)

    assert advance(told, GOOD, RULE, START, Quiet(silenced=True))[1] is AlertStep.RESOLVES
