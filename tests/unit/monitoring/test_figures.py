"""What the platform measures: judged where it gives a figure, not examined where it gives none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from deploylib.errors import Unreachable
from deploylib.models import Database, Deploy, DeployStatus, Secret
from deploylib.models.metrics import MetricPoint, MetricSeries
from deploylib.models.signals import Signal
from deploylib.monitoring import platform_figures as figures
from deploylib.monitoring.rules import DEFAULTS, make_rules
from deploylib.monitoring.states import Look
from deploylib.monitoring.upkeep import judge_backups, judge_drill
from deploylib.render import Client
from deploylib.settings import Settings
from deploylib.system import http
from tests.support.backups import made
from tests.support.fakes import API, KEY, START, FakeClock, target

DATABASE = Database(id="dpg-1-a", name="shop", version="16", plan="basic_1gb")
SUBJECT = figures.MeasuredSubject("shop", DATABASE.id)


def series(*values: float, every: float = 60, resource: str = DATABASE.id) -> dict[str, Any]:
    """Figures up to now."""
    at = [START - timedelta(seconds=every * back) for back in reversed(range(len(values)))]
    points = [
        {"timestamp": moment.isoformat(), "value": value, "unit": "x"} for moment, value in zip(at, values, strict=True)
    ]
    return {"labels": [{"field": "resource", "value": resource}], "values": points, "unit": "x"}


def client(**answers: Any) -> Client:
    """A platform that answers with these figures, and with none of others."""

    def respond(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2].replace("-", "_")
        found = answers.get(name, [])
        return httpx.Response(found) if isinstance(found, int) else httpx.Response(200, json=found)

    session = http.Session(API, transport=httpx.MockTransport(respond))
    return Client(Secret(KEY), API, read_only=True, clock=FakeClock(), through=session)


@pytest.mark.parametrize(
    ("used", "look"), [(84, Look.GOOD), (86, Look.BAD), (None, Look.UNKNOWN), ("refused", Look.UNKNOWN)]
)
def test_a_full_disk_is_bad_and_one_without_figures_not_examined(used: Any, look: Look) -> None:
    """The share of what there is."""
    answers = {
        "disk_usage": 400 if used == "refused" else [series(used)] if used else [],
        "disk_capacity": [series(100)],
    }

    found = figures.judge_disk(client(**answers), SUBJECT, DEFAULTS, START)

    assert found[0].look is look
    assert found[1].look is Look.UNKNOWN  # too short a record for days


def test_a_service_without_a_disk_says_one_thing_of_it() -> None:
    """That there are no figures, for its use as for its growth."""
    used, growth = figures.judge_disk(client(), SUBJECT, DEFAULTS, START)

    assert used.text == growth.text == "disk: the platform gives no figure, and has none where there is no disk"


@pytest.mark.parametrize(
    ("daily", "left", "look"), [(0.0, float("inf"), Look.GOOD), (2.0, 10, Look.GOOD), (10.0, 2, Look.BAD)]
)
def test_a_disk_is_full_when_a_line_through_its_record_says_so(daily: float, left: float, look: Look) -> None:
    """A dip in between does not count."""
    values = [80 + daily * hour / 24 - daily for hour in range(25)]
    record = MetricSeries(
        points=tuple(MetricPoint(at=START + timedelta(hours=h), value=v) for h, v in enumerate(values))
    )

    assert figures.days_to_full(record, 100) == pytest.approx(left)
    answers = {"disk_usage": [series(*values, every=3600)], "disk_capacity": [series(100)]}
    assert figures.judge_disk(client(**answers), SUBJECT, DEFAULTS, START)[1].look is look


@pytest.mark.parametrize(
    ("count", "plan", "look"),
    [(72, "basic_1gb", Look.GOOD), (73, "basic_1gb", Look.BAD), (73, "pro_8gb", Look.GOOD), (1, "", Look.UNKNOWN)],
)
def test_connections_are_measured_against_the_plan(count: float, plan: str, look: Look) -> None:
    """80 of 100 that the services may hold; what the plan allows is known or it is not examined."""
    database = Database(id=DATABASE.id, name="shop", version="16", plan=plan)
    answers = {"active_connections": [series(count)]}

    reading = figures.judge_connection_count(client(**answers), database, DEFAULTS[Signal.CONNECTIONS], START)

    assert reading.look is look


def test_the_instance_with_the_most_memory_counts() -> None:
    """The others do not make up for it."""
    answers = {"memory": [series(10), series(95)], "memory_limit": [series(100)]}

    reading = figures.judge_share(client(**answers), SUBJECT, DEFAULTS[Signal.MEMORY], START)

    assert (reading.look, reading.text) == (Look.BAD, "memory 95 % used")


@pytest.mark.parametrize(
    "answer",
    [
        {"not": "a list"},
        [1],
        [series(1, resource="dpg-other")],
        [{"values": [{"timestamp": START.isoformat(), "value": "many"}]}],
    ],
    ids=["object", "number", "another's", "text"],
)
def test_figures_that_are_none_are_no_answer(answer: Any) -> None:
    """Neither zero, nor those of another database."""
    with pytest.raises(Unreachable):
        client(memory=answer).metrics("memory", DATABASE.id, since=START)


def test_nulls_among_the_figures_are_left_out() -> None:
    """As are figures without a moment, and those that are no number."""
    values = [None, {}, {"timestamp": "soon", "value": 1}, {"timestamp": START.isoformat(), "value": 2}]
    (found,) = client(memory=[{"labels": None, "values": values, "unit": None}]).metrics("memory", "srv-1", since=START)

    assert (found.last, found.labels, found.unit) == (2, {}, "")
    assert client(memory=[]).metrics("memory", "srv-1", since=START) == []


@pytest.mark.parametrize(("ours", "look"), [(True, Look.GOOD), (False, Look.BAD)])
def test_a_deploy_that_the_history_does_not_know_is_somebody_elses(*, ours: bool, look: Look) -> None:
    """A person, the Dashboard, a CLI or an agent."""
    deploy = Deploy(id="dep-1", status=DeployStatus.LIVE, trigger="manual")

    assert figures.judge_foreign(target("api"), lambda: deploy, lambda _: ours).look is look


def test_who_deploys_is_not_known_where_nobody_tells() -> None:
    """Nothing live is nobody's."""

    def silent() -> Deploy:
        raise Unreachable("no answer", remedy="wait")

    assert figures.judge_foreign(target("api"), silent, lambda _: False).look is Look.UNKNOWN
    assert figures.judge_foreign(target("api"), lambda: None, lambda _: False).look is Look.GOOD


@pytest.mark.parametrize(
    ("age", "proofs", "unreadable", "look"),
    [
        (1.0, ("restored",), (), Look.GOOD),
        (3.0, ("restored",), (), Look.BAD),
        (1.0, ("unproven", "restored"), (), Look.BAD),
        (1.0, ("unproven",), (), Look.BAD),
        (1.0, (), (), Look.BAD),
        (1.0, (), ("backups/x",), Look.UNKNOWN),
    ],
)
def test_a_backup_counts_when_it_is_proven_and_young(
    age: float, proofs: tuple[str, ...], unreadable: tuple[str, ...], look: Look
) -> None:
    """What cannot be read is not none."""
    backups = [msgspec.structs.replace(made(), proof=proof, created_at=START - timedelta(days=age)) for proof in proofs]
    rule = make_rules(Settings())[Signal.BACKUP]

    assert judge_backups("shop", backups, rule, START, unreadable).look is look


@pytest.mark.parametrize(("days", "look"), [(None, Look.UNKNOWN), (34, Look.GOOD), (36, Look.BAD)])
def test_a_drill_grows_old(days: float | None, look: Look) -> None:
    """Where nobody ever practised, nobody has said that they want to."""
    last = None if days is None else START - timedelta(days=days)

    assert judge_drill(last, DEFAULTS[Signal.DRILL], START).look is look


def ended(*values: float, ago: float = 300, **more: Any) -> dict[str, Any]:
    """Figures of an instance that ended so many seconds ago."""
    found = series(*values, **more)
    for point in found["values"]:
        point["timestamp"] = (datetime.fromisoformat(point["timestamp"]) - timedelta(seconds=ago)).isoformat()
    return found


def test_an_instance_that_has_ended_is_not_what_runs_now() -> None:
    """Its series is in the answer for a while: full memory, a full disk, connections that are closed."""
    limit = {"memory_limit": [series(100)], "disk_capacity": [series(100)]}
    now = client(memory=[ended(99), series(40)], disk_usage=[ended(99), series(40)], **limit)
    assert figures.judge_share(now, SUBJECT, DEFAULTS[Signal.MEMORY], START).text == "memory 40 % used"
    assert figures.judge_disk(now, SUBJECT, DEFAULTS, START)[0].text == "disk 40 % used"
    connections = client(active_connections=[ended(90), series(5)])
    rule = DEFAULTS[Signal.CONNECTIONS]
    assert figures.judge_connection_count(connections, DATABASE, rule, START).text.startswith("5 of ")

    both = client(memory=[series(60), ended(95, ago=45)], **limit)  # two that run are measured at their own moments
    assert figures.judge_share(both, SUBJECT, DEFAULTS[Signal.MEMORY], START).text == "memory 95 % used"


def test_the_growth_of_a_disk_goes_on_from_one_instance_to_the_next() -> None:
    """A release a day leaves none of them a record that is long enough; an old one is no guess of its own."""
    hour = 3600
    old, new = ended(*range(40, 50), every=hour, ago=10 * hour), series(50, 51, 52, 53, 54, every=hour)
    answers = {"disk_usage": [old, new], "disk_capacity": [series(100)]}
    service = figures.MeasuredSubject("api", DATABASE.id, "api")

    found = figures.judge_disk(client(**answers), service, DEFAULTS, START)[1]

    assert found.text.startswith("disk: full in 3 days")
    assert figures.judge_disk(client(**answers), SUBJECT, DEFAULTS, START)[1].look is Look.UNKNOWN
