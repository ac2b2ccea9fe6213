"""Reports as text, to the letter: what an operator reads is part of what is promised."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploylib.cli import text as cli_text
from deploylib.commands.status import Log, Status
from deploylib.models import Commit, Live, LogLine, Opened, Shipped
from deploylib.models.results import PutBack, Report, StageResult, StageStatus, Visitors
from deploylib.monitoring.readings import Reading
from deploylib.monitoring.round import MonitorRound
from deploylib.monitoring.states import Condition, Look
from deploylib.state.holds import Hold
from deploylib.state.lease import Holder, LeaseState
from deploylib.state.run_state import RunState
from tests.support.fakes import NEW, OLD, START, THIRD

COMMIT = Commit(id=NEW, subject="Add paging")
SUCCESS = Report(
    run="20260301T120000-7f3a",
    environment="local",
    outcome="succeeded",
    exit_code=0,
    commit=COMMIT,
    live=(
        Live(service="backend", commit=NEW, url="http://127.0.0.1:41801"),
        Live(service="jobs", commit=OLD),
        Live(service="new"),
    ),
    visitors=Visitors(requests=212, failed=1, longest_gap=0.42),
    seconds=10.21,
)
FAILURE = Report(
    run="20260301T120000-7f3a",
    environment="production",
    outcome="start failed",
    exit_code=11,
    commit=COMMIT,
    error="backend: the program exited with code 1 after 0.9 s",
    details=("KeyError: 'CACHE_URL'",),
    live=(Live(service="backend", commit=OLD), Live(service="frontend", commit=OLD), Live(service="new")),
    put_back=(PutBack(service="frontend", commit=OLD, text="→ aaaaaaa, verified: answers aaaaaaa 5/5"),),
    next=("correct it, commit, inv deploy",),
    seconds=61.04,
)


def test_a_success_is_told_with_its_addresses() -> None:
    """What is live where, what visitors met, and what one may do next."""
    assert cli_text.format_report(SUCCESS).splitlines() == [
        "",
        "SUCCEEDED   bbbbbbb is live on local                        10.2s",
        "  backend  http://127.0.0.1:41801/  bbbbbbb",
        "  jobs     (no public address)  aaaaaaa",
        "  new      (no public address)  not deployed yet",
        "Visitors    212 requests during the switch, 1 failed; longest gap 0.4 s",
        "",
        "Next        change something, commit, inv deploy",
        "            your account:    inv check --environment production",
    ]


def test_in_the_first_week_the_way_back_is_told() -> None:
    """With the environment in its commands, before what is next."""
    way = "inv rollback goes back to aaaaaaa (run 6), verified 3 h ago (told until 2026-03-08)"
    early = msgspec.structs.replace(SUCCESS, environment="production", live=(), visitors=Visitors(), first_week=(way,))

    assert cli_text.format_report(early).splitlines() == [
        "",
        "SUCCEEDED   bbbbbbb is live on production                   10.2s",
        "First week  inv rollback --environment production goes back to aaaaaaa (run 6), verified 3 h ago (told until 2026-03-08)",
        "",
        "Next        inv status --environment production shows what is live, and what inv rollback --environment production goes back to",
    ]


def test_a_failure_is_told_with_what_is_live_now() -> None:
    """The first error, what was put back, what serves, and the next step; no addresses."""
    assert cli_text.format_report(FAILURE).splitlines() == [
        "",
        "FAILED      start failed (exit code 11)                     61.0s",
        "Why         backend: the program exited with code 1 after 0.9 s",
        "Put back    frontend → aaaaaaa, verified: answers aaaaaaa 5/5",
        "Live        backend aaaaaaa · frontend aaaaaaa · new nothing",
        "",
        "Next        correct it, commit, inv deploy --environment production",
    ]


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        ("nothing to do", "NOTHING TO DO production is up to date with bbbbbbb"),
        ("planned", "PLANNED     nothing was changed"),
        ("paused", "PAUSED      run 7f3a of bbbbbbb stays open"),
    ],
)
def test_an_ending_that_is_no_failure_is_told_in_words(outcome: str, line: str) -> None:
    """None of them is a failure, so none has an exit code."""
    told = Report(run="x-7f3a", environment="production", outcome=outcome, exit_code=0, commit=COMMIT)

    lines = cli_text.format_report(told).splitlines()

    assert lines[1].startswith(line)
    where = "--environment production"
    assert lines[-1] == f"Next        inv status {where} shows what is live, and what inv rollback {where} goes back to"


def test_what_is_not_known_to_be_live_is_not_claimed() -> None:
    """The platform could not be asked."""
    told = Report(run="x", environment="production", outcome="platform unreachable", exit_code=40, error="e")

    assert "Live        unknown: inv status --environment production" in cli_text.format_report(told).splitlines()


@pytest.mark.parametrize(
    ("result", "ago", "lines"),
    [
        (
            StageResult(stage="check", status=StageStatus.DONE, lines=("render.yaml valid",), seconds=0.31),
            None,
            ["✓ check     render.yaml valid                               0.3s"],
        ),
        (
            StageResult(stage="backup", status=StageStatus.SKIPPED, lines=("skipped: no database",)),
            None,
            ["– backup    skipped: no database"],
        ),
        (
            StageResult(stage="deploy", status=StageStatus.FAILED, lines=("api: failed", "KeyError"), seconds=2),
            None,
            ["✗ deploy    api: failed                                     2.0s", "            │ KeyError"],
        ),
        (
            StageResult(stage="migrate", status=StageStatus.PLANNED, lines=("empty → 0001", "create table t")),
            None,
            ["→ migrate   empty → 0001", "            create table t"],
        ),
        (
            StageResult(stage="put back", status=StageStatus.DONE, lines=("api  → aaaaaaa",), seconds=1.1),
            None,
            ["↩ put back  api  → aaaaaaa                                  1.1s"],
        ),
        (
            StageResult(stage="check", status=StageStatus.DONE, lines=(), seconds=0.31),
            40.2,
            ["✓ check                                                     done 40 s ago by this run"],
        ),
    ],
    ids=["done", "skipped", "failed", "planned", "put back", "done before"],
)
def test_a_stage_is_a_mark_its_name_and_its_lines(result: StageResult, ago: float | None, lines: list[str]) -> None:
    """A sign of its own for each ending, so that colour is not needed to tell them apart."""
    assert lines == cli_text.format_stage(result, ago)


def test_the_first_line_names_the_run_and_what_goes_where() -> None:
    """A run that restores does not know its commit yet."""
    assert cli_text.format_header("20260301T120000-7f3a", "local", COMMIT) == 'run 7f3a   local ← bbbbbbb "Add paging"'
    assert cli_text.format_header("20260301T120000-7f3a", "local", None) == "run 7f3a   local ← the release before"


@given(st.text())
def test_ascii_is_ascii(text: str) -> None:
    """Whatever is in a commit's subject or a program's last words."""
    assert cli_text.ascii_only(text).isascii()


def test_a_plain_stream_loses_no_meaning() -> None:
    """Every sign of ours has one in ASCII, and none becomes a question mark."""
    told = cli_text.format_report(FAILURE) + "✓–→✗←·│…↩"

    assert "?" not in cli_text.ascii_only(told)
    assert cli_text.ascii_only("✓ a – b → c … ü") == "+ a - b > c ... ?"


def state(run: str, *, closed: Report | None = None, back: bool = False, **more: StageResult) -> RunState:
    """A run."""
    opened = Opened(run=run, environment="local", commit=COMMIT, back=back)
    shipped = {"api": Shipped(service="api", deploy_id="d", commit=NEW, previous=Live(service="api"))} if closed else {}
    return RunState(opened=opened, at=START, last=START, report=closed, shipped=shipped, stages=more)


def test_a_history_is_a_line_a_run() -> None:
    """Id, moment, kind, commit, outcome, services and subject; a rollback names the commit that it restored."""
    restored = Report(
        run="x", environment="local", outcome="succeeded", exit_code=0, commit=Commit(id=OLD, subject="Old")
    )

    assert cli_text.format_history([state("x-2222"), state("x-1111", closed=restored, back=True)]) == [
        "2222  2026-03-01 12:00  deploy    bbbbbbb  open                  -                     Add paging",
        "1111  2026-03-01 12:00  rollback  aaaaaaa  succeeded             api                   Old",
    ]


def test_a_run_is_told_as_it_was() -> None:
    """Its stages and its end; an open one says how it goes on."""
    check = StageResult(stage="check", status=StageStatus.DONE, lines=("fine",))
    opened = cli_text.format_events(state("x-7f3a", check=check))
    closed = cli_text.format_events(state("x-7f3a", closed=SUCCESS, check=check))

    assert opened[:3] == ['run 7f3a   local ← bbbbbbb "Add paging"', "2026-03-01 12:00:00Z", ""]
    assert opened[3] == "          ✓ check     fine"
    assert "inv deploy goes on" in opened[-1]
    assert closed[4:] == cli_text.format_report(SUCCESS).splitlines()


def test_a_status_is_one_screen() -> None:
    """What is live since when, what one can go back to, the last run, the backup."""
    found = Status(
        environment="production",
        live=(Live(service="api", commit=NEW, since=START, url="https://api.example"), Live(service="worker")),
        back_to="aaaaaaa (run 1111)",
        back_trouble="web would be built again",
        held=(
            Hold(id="1", at=START, reason="it loses orders", author="ada", commits=(THIRD,), run="x-1111"),
            Hold(id="2", at=START, reason="moving", author="ada"),
        ),
        lease=LeaseState(
            number=1, holder=Holder(run="x-7f3a", author="grace", url="https://ci.example/1"), age=5, state="held"
        ),
        last="7f3a bbbbbbb succeeded",
        last_at=START,
        backup="20260301T120000Z-x (decoded)",
        backup_at=START,
    )

    assert cli_text.format_status(found, START + timedelta(minutes=12)) == [
        "environment  production",
        "",
        "  api     bbbbbbb  for 12 min  https://api.example",
        "  worker  nothing",
        "",
        "rollback     aaaaaaa (run 1111)",
        "             web would be built again",
        "held         ccccccc: it loses orders (ada, 12 min ago)",
        "held         every release, also going back: moving (ada, 12 min ago)",
        "lease        run 7f3a of grace, seen 5 s ago  https://ci.example/1",
        "last run     7f3a bbbbbbb succeeded, 12 min ago",
        "backup       20260301T120000Z-x (decoded), 12 min ago",
    ]
    assert cli_text.format_status(Status(environment="x", trouble="no answer"), START)[2:] == [
        "  no answer",
        "",
        "rollback     nothing to go back to",
        "held         nothing",
        "lease        free",
        "last run     none",
        "backup       none",
    ]


def test_logs_have_a_heading_for_each_service() -> None:
    """An empty one is said to be empty, and so is a run that deployed nothing."""
    build = Log(service="api", kind="build", lines=(LogLine(at="2026-03-01T12:00:01.5Z", text="npm ci"),))
    found = (build, Log(service="api", kind="app", lines=()))

    assert cli_text.format_logs(found) == ["── api build", "12:00:01  npm ci", "── api app", "  (empty)"]
    assert cli_text.format_logs(()) == ["(this run deployed nothing)"]


def test_the_local_render_is_a_table() -> None:
    """Its address, those of the services, and the databases."""
    said = {
        "api_url": "http://127.0.0.1:1/v1",
        "urls": {"web": "http://127.0.0.1:2"},
        "databases": {"book": {"version": "16"}},
    }

    assert cli_text.format_local(said) == [
        "api   http://127.0.0.1:1/v1",
        "web   http://127.0.0.1:2",
        "book  Postgres 16",
    ]
    assert cli_text.format_local({}) == ["api  not running"]


def test_a_round_stands_in_columns_whatever_names_are_long() -> None:
    """And what is not examined for one reason is one line; what was seen is a line each."""
    api, lone = "customer-facing-api", "jobs"
    none = "disk: the platform gives no figure, and has none where there is no disk"
    readings = (
        Reading(signal="uptime", subject=api, look=Look.BAD, text="answers 503", remedy="inv logs"),
        Reading(signal="disk", subject=api, look=Look.UNKNOWN, text=none),
        Reading(signal="disk_full", subject=api, look=Look.UNKNOWN, text=none),
        Reading(signal="memory", subject=api, look=Look.UNKNOWN, text="memory: the platform gives no figure"),
        Reading(signal="disk", subject=lone, look=Look.UNKNOWN, text=none),
        Reading(signal="disk_full", subject=lone, look=Look.GOOD, text="as it was"),
        Reading(signal="disk", subject="", look=Look.GOOD, text="as it was"),
        Reading(signal="memory", subject="", look=Look.GOOD, text="as it was"),
    )

    done = MonitorRound(environment="local", at=START, readings=readings, conditions={f"disk/{lone}": Condition.FIRING})

    assert cli_text.format_round(done)[1:] == [
        "  ✓ local               disk            as it was",
        "  ✓ local               memory          as it was",
        "  ✗ customer-facing-api uptime          answers 503",
        "                        next: inv logs",
        f"  – customer-facing-api disk, disk_full not examined: {none}",
        "  – customer-facing-api memory          not examined: memory: the platform gives no figure",
        f"  – jobs                disk            not examined: {none}  (firing)",
        "  ✓ jobs                disk_full       as it was",
    ]
