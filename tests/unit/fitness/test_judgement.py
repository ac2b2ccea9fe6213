"""What was seen, judged: one cause makes one row unfit, and what nobody saw is neither good nor bad."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from deploylib.fitness.instances import Exit, Instance, Program
from deploylib.fitness.judgement import judge_connections, judge_service
from deploylib.fitness.measurement import Burst, Flight, Measured, Outage, ServiceSubject, Shutdown
from deploylib.models import Kind
from deploylib.models.connection_limits import connection_limit
from deploylib.models.fitness import FitnessRow, FitVerdict, Question

FIT, UNFIT, UNMEASURED = FitVerdict.FIT, FitVerdict.UNFIT, FitVerdict.UNMEASURED
PORT = 12345


def subject(**more: Any) -> ServiceSubject:
    """A service of Python with a database."""
    known = ServiceSubject(
        name="api",
        service_id="srv-1",
        kind=Kind.WEB,
        runtime="python",
        start_command="python app.py",
        health_path="/live",
        uses_database=True,
        database_ports=frozenset({5432}),
        busy=("/deep",),
    )
    return replace(known, **more)


def instance(*addresses: str, sigterm: str = "caught", port: int = PORT, leader: str = "") -> Instance:
    """One that listens so; behind another program where that is named."""
    listening = tuple((address, port) for address in addresses)
    serving = Program(pid=8, name="python", on_sigterm=sigterm, listening=listening)
    programs = (Program(pid=7, name=leader), serving) if leader else (serving,)
    return Instance(id="one", pid=7 if leader else 8, host="127.0.0.2", port=PORT, programs=programs)


GOOD = Measured(
    started=instance("0.0.0.0"),  # noqa: S104 - what it shall listen on
    burst=Burst(paths=("/deep?key=1",), kept=20, held=3, answered=100),
    shutdown=Shutdown(
        before=instance("0.0.0.0"),  # noqa: S104
        ended=Exit(code=0, seconds=1.5, killed=False),
        flight=Flight(line="GET /slow", status=200),
        idle=20,
        closed=0.1,
    ),
    outage=Outage(health=(200, 200), exit_code=None, back=0.5, asked=("/deep?key=1",)),
)


def with_shutdown(**more: Any) -> Measured:
    """The same, whose shutdown was otherwise."""
    assert GOOD.shutdown is not None
    return replace(GOOD, shutdown=replace(GOOD.shutdown, **more))


def verdicts(seen: Measured, of: ServiceSubject | None = None) -> dict[str, FitVerdict]:
    """What is not fit, by its question."""
    return {row.question: row.fit for row in judge_service(of or subject(), seen) if row.fit is not FIT}


def row(seen: Measured, question: Question, of: ServiceSubject | None = None) -> FitnessRow:
    """The row of a question."""
    return next(one for one in judge_service(of or subject(), seen) if one.question is question)


def test_a_program_that_does_all_of_it_is_fit() -> None:
    """In six questions; the seventh is about all services."""
    rows = judge_service(subject(), GOOD)

    assert [one.question for one in rows] == [
        *(Question.SIGNAL, Question.FLIGHT, Question.EXIT, Question.IDLE, Question.DATABASE, Question.ADDRESS)
    ]
    assert {one.fit for one in rows} == {FIT}


SAID: dict[str, tuple[dict[str, Any], dict[str, FitVerdict]]] = {
    "a shell that leaves it": (
        {
            "before": instance("::", leader="bash"),
            "ended": Exit(143, 0.0, killed=False, left=(Program(8, "python"), Program(9, "cat"))),
            "flight": Flight("GET /slow", 0),
        },
        {"signal": UNFIT, "in flight": UNMEASURED, "exit": UNMEASURED, "idle": UNMEASURED},
    ),
    "what does not serve, and ends a moment later": (
        {"ended": Exit(0, 1.0, killed=False, left=(Program(9, "python3.11"),)), "flight": Flight("GET /slow", 0)},
        {"in flight": UNFIT},
    ),
    "a shell that keeps it": (
        {"before": instance("::", leader="npm start", sigterm="default"), "ended": Exit(137, 30.0, killed=True)},
        {"signal": UNFIT, "in flight": UNMEASURED, "exit": UNMEASURED, "idle": UNMEASURED},
    ),
    "a request that is cut": ({"flight": Flight("GET /slow", 0)}, {"in flight": UNFIT}),
    "a request that is given up with an answer": ({"flight": Flight("GET /slow", 500)}, {"in flight": UNFIT}),
    "a body that breaks it": ({"flight": Flight("POST /", 500)}, {"in flight": UNMEASURED}),
    "a body that it refuses": ({"flight": Flight("POST /", 400)}, {}),
    "no request in flight": ({"flight": Flight(why="answered at once")}, {"in flight": UNMEASURED}),
    "nothing in flight, and no handler": (
        {"flight": Flight(why="at once"), "before": instance("::", sigterm="default"), "ended": Exit(143, 0.0, killed=False)},
        {"in flight": UNFIT},
    ),
    "an exit code of its own": ({"ended": Exit(1, 1.0, killed=False)}, {"exit": UNFIT}),
    "the signal's own exit code": ({"ended": Exit(143, 1.0, killed=False)}, {}),
    "almost killed": ({"ended": Exit(0, 29.0, killed=False)}, {"exit": UNFIT}),
    "killed": ({"ended": Exit(137, 30.0, killed=True), "closed": None}, {"exit": UNFIT, "idle": UNMEASURED}),
    "killed for nothing": (
        {"ended": Exit(137, 30.0, killed=True), "closed": None, "released": 18.0},
        {"exit": UNFIT, "idle": UNMEASURED},
    ),
    "held by idle connections": (
        {"ended": Exit(0, 18.1, killed=False), "closed": None, "released": 18.0},
        {"exit": UNMEASURED, "idle": UNFIT},
    ),
    "no idle connection": ({"idle": 0}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_one_cause_makes_one_row_unfit(name: str) -> None:
    """What follows from it could not be measured."""
    changed, wanted = SAID[name]
    assert verdicts(with_shutdown(**changed)) == wanted


@pytest.mark.parametrize(
    ("outage", "verdict"),
    [
        (Outage((200, 503), None, 0.5, ("/deep",)), UNFIT),
        (Outage((200, 0), None, 0.5, ("/deep",)), UNFIT),
        (Outage((200,), None, None, ("/deep",)), UNFIT),
        (Outage((200,), 1, None, ("/deep",)), UNFIT),
        (Outage((302,), None, 0.5, ("/deep",)), FIT),
        (Outage((200,), None, 0.5, ()), UNMEASURED),
        (None, UNMEASURED),
    ],
)
def test_a_stopped_database(outage: Outage | None, verdict: FitVerdict) -> None:
    """A redirect is as well as Render takes it; where nothing that asks the database was asked, nobody knows."""
    assert row(replace(GOOD, outage=outage), Question.DATABASE).fit is verdict


def test_a_service_without_a_database_is_not_asked_about_one() -> None:
    """Also where another service of the Blueprint has one."""
    alone = subject(uses_database=False, busy=())
    seen = replace(GOOD, outage=None, burst=Burst(("/",), 20, 0, 100))

    assert Question.DATABASE not in {one.question for one in judge_service(alone, seen)}
    assert judge_connections(alone, seen, {"api": 0}, 90, "basic-256mb") is None


@pytest.mark.parametrize(
    ("started", "without_host", "verdict"),
    [
        (instance("::"), None, FIT),
        (instance("127.0.0.2"), ("0.0.0.0",), FIT),  # noqa: S104
        (instance("127.0.0.2"), ("127.0.0.1",), UNFIT),
        (instance("127.0.0.2"), (), UNMEASURED),
        (instance("127.0.0.1", "::1"), None, UNFIT),
        (instance("::", port=8000), None, UNFIT),
        (instance(), None, UNMEASURED),
    ],
)
def test_where_a_program_listens(started: Instance, without_host: tuple[str, ...] | None, verdict: FitVerdict) -> None:
    """On all interfaces, at its port, also where nothing sets HOST."""
    assert row(replace(GOOD, started=started, without_host=without_host), Question.ADDRESS).fit is verdict


def test_a_program_that_did_not_start_is_judged_by_where_it_listened() -> None:
    """All else could not be measured, and says why."""
    seen = Measured(trouble="it exited with code 3", failed=(instance("127.0.0.1"),))
    found = {one.question: one for one in judge_service(subject(), seen)}

    assert {one.question for one in found.values() if one.fit is UNFIT} == {Question.ADDRESS}
    assert "exited with code 3" in found[Question.FLIGHT].text


def test_a_worker_is_asked_about_its_end_alone() -> None:
    """It has no address."""
    worker = subject(kind=Kind.WORKER, uses_database=False, database_ports=frozenset())
    rows = judge_service(worker, with_shutdown(before=instance(), flight=Flight(), idle=0))

    assert [one.question for one in rows] == [Question.SIGNAL, Question.EXIT]


@pytest.mark.parametrize(
    ("held", "verdict"),
    [({"api": 45}, FIT), ({"api": 46}, UNFIT), ({"api": 3, "web": 60}, FIT), ({"api": 60, "web": 3}, UNFIT)],
)
def test_those_that_hold_more_than_their_share_are_unfit(held: dict[str, int], verdict: FitVerdict) -> None:
    """Where two generations of all services are more than the plan allows."""
    seen = replace(GOOD, burst=Burst(("/deep",), 20, held["api"], 100))
    found = judge_connections(subject(), seen, held, 90, "basic-256mb")

    assert found is not None
    assert found.fit is verdict


def test_no_connection_is_no_small_number() -> None:
    """Where nothing that asks the database was asked, or its plan is not known."""
    quiet = replace(GOOD, burst=Burst(("/live",), 20, 0, 100))
    for found in (
        judge_connections(subject(busy=()), quiet, {"api": 0}, 90, "basic-256mb"),
        judge_connections(subject(), GOOD, {"api": 3}, None, "colossal"),
    ):
        assert found is not None
        assert found.fit is UNMEASURED


def test_no_row_shows_a_query() -> None:
    """Which may be a secret."""
    rows = [*judge_service(subject(), GOOD), judge_connections(subject(), GOOD, {"api": 3}, 90, "basic-256mb")]
    assert b"key=1" not in msgspec.json.encode(rows)


@pytest.mark.parametrize("question", list(Question))
@pytest.mark.parametrize("runtime", ["python", "node", "ruby"])
@pytest.mark.parametrize(
    "command", ["", "npm start", "gunicorn app:app", "uvicorn app:app", "flask run", "cd a && ./run"]
)
def test_there_is_a_line_to_change_for_everything(question: Question, runtime: str, command: str) -> None:
    """In every language, whatever starts it."""
    from deploylib.fitness import advice

    line = advice.change(question, subject(runtime=runtime, start_command=command), size=7)
    assert line
    assert "{size}" not in line
    assert "{{" not in line


@pytest.mark.parametrize(
    ("plan", "limit"),
    [
        ("", 90), ("free", 90), ("basic-256mb", 90), ("basic-4gb", 90), ("pro-8gb", 190), ("pro-16gb", 390),
        ("accelerated-64gb", 490), ("starter", 87), ("pro plus", 387), ("colossal", None), ("custom", None),
    ],
)  # fmt: skip
def test_what_a_plan_allows(plan: str, limit: int | None) -> None:
    """By its memory; a plan that is not known allows nobody knows how many."""
    assert connection_limit(plan) == limit
