"""The figures: each is what a recount of the raw events comes to, and says what it has left out."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploylib.dashboard.figures import FEWEST, Figure, figures
from tests.support.counted_store import CountedStore
from tests.support.fakes import START, FakeClock
from tests.support.told_runs import KINDS, Teller

# One after the other each is made of the one before, or of an earlier one.
COMMITS = [f"{number:040x}" for number in range(1, 60)]
Ancestry = dict[str, tuple[datetime, tuple[str, ...]]]


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[tuple[str, str, float]], Ancestry]:
    """Runs with their kind, commit and seconds; and the commits, of which some are not in this clone."""
    kinds = st.sampled_from((*KINDS, "released", "released", "released", "put back"))
    runs = draw(st.lists(st.tuples(kinds, st.sampled_from(COMMITS), st.floats(1, 9000)), min_size=1, max_size=30))
    parents = {
        commit: tuple(
            {COMMITS[draw(st.integers(0, place - 1))] for _ in range(draw(st.integers(1, 2)))} if place else ()
        )
        for place, commit in enumerate(COMMITS)
    }
    known = draw(st.sets(st.sampled_from(COMMITS), max_size=10))
    ancestry = {
        commit: (START + timedelta(minutes=place), parents[commit])
        for place, commit in enumerate(COMMITS)
        if commit not in known
    }
    return runs, ancestry


def recounted(store: CountedStore) -> list[dict[str, Any]]:
    """Every run, oldest first, from the objects of its events, with nothing of the library."""
    runs: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for key, body in sorted(store.objects.items()):
        if key.startswith("runs/"):
            _, run, name = key.split("/")
            runs[run].append((name[5:-5], json.loads(body)))
    told = []
    for run, events in runs.items():
        of_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for kind, event in events:
            of_kind[kind].append(event["data"] | {"event_at": datetime.fromisoformat(event["at"])})
        end = of_kind["closed"][0] if of_kind["closed"] else {}
        serving = {live["commit"] for live in end.get("live", [])} if end.get("outcome") == "succeeded" else set()
        before = {intent["previous"]["commit"] for intent in of_kind["intent"]}
        back = of_kind["opened"][0]["back"]
        told.append(
            {
                "run": run,
                "commit": of_kind["opened"][0]["commit"]["id"],
                "back": back,
                "outcome": end.get("outcome", ""),
                "ended": end.get("event_at"),
                "live_at": min((each["event_at"] for each in of_kind["shipped"]), default=None),
                "left": before - serving if back and serving else set(),
                "well_back": bool(of_kind["put-back"]) and all(each.get("ok", True) for each in of_kind["put-back"]),
            }
        )
    return told


def reach(commit: str, ancestry: Ancestry) -> set[str]:
    """All that a commit has in it, as far as this clone knows."""
    if commit not in ancestry:
        return set()
    return {commit}.union(*(reach(parent, ancestry) for parent in ancestry[commit][1]))


def released(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that brought a release."""
    return [run for run in runs if run["outcome"] == "succeeded" and not run["back"] and run["live_at"]]


def undone(run: dict[str, Any], runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rollbacks that went back from this very release."""
    found = []
    for place, back in enumerate(runs):
        for commit in back["left"]:
            older = [each for each in released(runs[:place]) if each["commit"] == commit]
            found += [back] if older and older[-1] is run else []
    return found


def measured(store: CountedStore, clock: FakeClock, ancestry: Ancestry) -> dict[str, Figure]:
    """What the library says."""
    teller = Teller(store, clock)
    runs, _ = teller.history.read_summaries("production")
    return {figure.name: figure for figure in figures(runs, ancestry, clock.now())}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories())
def test_each_figure_is_what_a_recount_of_the_raw_events_comes_to(
    story: tuple[list[tuple[str, str, float]], Ancestry],
) -> None:
    """By the events alone: counted, left out, and the value."""
    told, ancestry = story
    store, clock = CountedStore(), FakeClock()
    teller = Teller(store, clock)
    for kind, commit, seconds in told:
        teller.tell(kind, commit, seconds=seconds)
    runs = recounted(store)
    found = measured(store, clock, ancestry)

    for figure in found.values():
        counted, left = [each.run for each in figure.counted], [each.run for each in figure.left_out]
        assert sorted(counted + left) == sorted(run["run"] for run in runs) or figure.name.startswith("Failed")
        assert all(each.reason for each in figure.left_out)

    frequency = found["Deployment frequency"]
    assert {each.run for each in frequency.counted} == {run["run"] for run in released(runs)}
    if len(released(runs)) >= FEWEST:
        weeks = max(1.0, (clock.now() - START - timedelta(seconds=60)) / timedelta(weeks=1))
        assert frequency.value == pytest.approx(len(released(runs)) / weeks)

    seen: set[str] = set()
    waited, brought = [], []
    for run in released(runs):
        new = reach(run["commit"], ancestry) - seen
        if seen and new:
            brought.append(run["run"])
            waited += [max(0.0, (run["ended"] - ancestry[commit][0]).total_seconds()) for commit in new]
        seen |= new
    lead = found["Lead time for changes"]
    assert {each.run for each in lead.counted} == set(brought)
    assert lead.value == (pytest.approx(median(waited)) if len(brought) >= FEWEST else None)

    outside = {"", "superseded by a newer release", "foreign deploy"}
    changes = [run for run in runs if run["live_at"] and not run["back"] and run["outcome"] not in outside]
    failed = [run for run in changes if run["outcome"] != "succeeded" or undone(run, runs)]
    rate = found["Change failure rate"]
    assert {each.run for each in rate.counted} == {run["run"] for run in changes}
    assert rate.value == (pytest.approx(len(failed) / len(changes)) if len(changes) >= FEWEST else None)

    times = {}
    for run in failed:
        later = [each["ended"] for each in runs if each["outcome"] == "succeeded" and each["run"] > run["run"]]
        backs = [back["ended"] for back in undone(run, runs)]
        ends = backs[-1:] or ([run["ended"]] if run["well_back"] else later[:1])
        if ends:
            times[run["run"]] = (ends[0] - run["live_at"]).total_seconds()
    recovery = found["Failed deployment recovery time"]
    assert {each.run for each in recovery.counted} == set(times)
    if len(changes) >= FEWEST and times:
        assert recovery.value == pytest.approx(median(times.values()))
    else:
        assert recovery.value is None


def test_fewer_than_ten_are_too_few() -> None:
    """A figure of nine says more of chance than of the team; it names them all the same."""
    store, clock = CountedStore(), FakeClock()
    teller = Teller(store, clock)
    for number in range(FEWEST - 1):
        teller.tell("released", COMMITS[number])

    few = measured(store, clock, {})
    teller.tell("released", COMMITS[20])
    enough = measured(store, clock, {})

    assert (few["Deployment frequency"].value, few["Deployment frequency"].text) == (None, "too few: 9 releases")
    assert len(few["Deployment frequency"].counted) == 9
    assert enough["Deployment frequency"].value == 10
    assert enough["Failed deployment recovery time"].text == "no change has failed"
    assert few["Failed deployment recovery time"].text == "too few: 9 changes"


def test_what_nobody_could_look_at_is_not_examined() -> None:
    """Without a clone there is no lead time, and it is not zero."""
    teller = Teller(CountedStore(), clock := FakeClock())
    teller.tell("released", COMMITS[0])
    runs, _ = teller.history.read_summaries("production")

    lead = figures(runs, None, clock.now())[1]

    assert (lead.value, lead.text) == (None, "not examined: no clone with the whole history is here")


def test_what_is_older_than_the_window_is_not_counted() -> None:
    """And yet it tells what had been released before."""
    store, clock = CountedStore(), FakeClock()
    teller = Teller(store, clock)
    teller.tell("released", COMMITS[0])
    clock.seconds += timedelta(days=91).total_seconds()
    teller.tell("released", COMMITS[1])
    ancestry = {COMMITS[0]: (START, ()), COMMITS[1]: (START, (COMMITS[0],))}

    found = measured(store, clock, ancestry)

    assert [each.run for each in found["Deployment frequency"].counted] == ["run-00002"]
    assert [each.text for each in found["Lead time for changes"].counted] == ["1 commit, median 91 d"]


def test_a_rollback_tells_that_a_release_had_failed() -> None:
    """It was verified, and somebody went back from it: a failed change, recovered from when the rollback had ended."""
    store, clock = CountedStore(), FakeClock()
    teller = Teller(store, clock)
    for number in range(FEWEST):
        teller.tell("released", COMMITS[number])
    teller.tell("rolled back", "")

    found = measured(store, clock, {})

    assert found["Change failure rate"].text == "10%: 1 of 10"
    assert found["Change failure rate"].counted[0].text == "gone back from"
    (recovered,) = found["Failed deployment recovery time"].counted
    assert recovered.run == "run-00010"


def test_a_record_of_an_older_version_says_that_it_does_not_know() -> None:
    """It has no moment at which a service went live."""
    store, clock = CountedStore(), FakeClock()
    teller = Teller(store, clock)
    for number in range(FEWEST):
        teller.tell("put back", COMMITS[number])
    for key in [key for key in store.objects if key.startswith("states/")]:
        state = json.loads(store.objects[key])
        del state["went_live"]
        store.objects[key] = json.dumps(state).encode()
    del store.objects["summaries/production.json"]

    recovery = measured(store, clock, {})["Failed deployment recovery time"]

    assert recovery.value is None
    assert {each.reason for each in recovery.left_out} == {"its record does not say when it went live"}
