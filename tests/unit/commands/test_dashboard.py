"""``inv dashboard``: what is live, what waits, what there is to go back to, and what nobody could look at."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

import deploylib
from deploylib import errors
from deploylib.commands.monitor import silence_alerts
from deploylib.loadtest.figures import Figures
from deploylib.loadtest.records import Key, RecordedRun
from deploylib.models.database import Backup
from deploylib.monitoring.records import MonitorRecords
from deploylib.monitoring.states import Condition, Firing, Standing
from deploylib.release import record_operation
from deploylib.settings import EnvironmentSettings
from tests.support.counted_store import CountedStore
from tests.support.fakes import FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import FakeEnvironment, Product, released
from tests.support.repository import Repository
from tests.support.told_runs import Teller

PRIVATE = ("Grace", "Ada", "ada", "a subject", "prices are wrong", "it did not prove itself", "0042-revision")


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product whose first version is live."""
    return released(repository, platform, clock)


def made(env: FakeEnvironment, out: Path, **options: Any) -> dict[str, Any]:
    """What the page says of the environment, as JSON."""
    deploylib.write_dashboard(env, out=str(out), **options)
    (panel,) = json.loads((out / "status.json").read_text())["panels"]
    return dict(panel)


def facts(panel: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Its facts, by name."""
    return {fact["name"]: fact for fact in panel["facts"]}


def test_it_says_what_is_live_what_waits_and_what_there_is_to_go_back_to(product: Product, tmp_path: Path) -> None:
    """By whom it was released, whose commits wait, and the release that a rollback would choose."""
    second = product.change("2")
    product.deploy()
    waiting = [product.change(text) for text in ("3", "4")]

    panel = made(product.env(), tmp_path)
    told = facts(panel)

    assert [(each["service"], each["commit"], each["by"]) for each in panel["serving"]] == [
        ("api", second, "ada"),
        ("web", second, "ada"),
    ]
    assert told["Waiting"]["text"] == f"2 commits up to {waiting[-1][:7]}"
    assert told["Waiting"]["private"] == "Ada (2)"
    assert told["Can go back to"]["text"].startswith(f"{product.first[:7]} of run ")
    assert told["Hold"]["text"] == "nothing is refused"
    assert told["Lease"]["text"] == "free"
    assert [run["commit"]["id"] for run in panel["runs"]] == [second, product.first]


def test_after_a_rollback_it_says_what_is_held(product: Product, tmp_path: Path) -> None:
    """And that there is nothing more to go back to."""
    bad = product.change("2")
    product.deploy()
    product.roll_back()

    panel = made(product.env(), tmp_path)
    told = facts(panel)

    assert {each["commit"] for each in panel["serving"]} == {product.first}
    assert told["Hold"]["text"] == f"refused: {bad[:7]}"
    assert told["Can go back to"]["text"].startswith("nothing")
    assert panel["state"] == "warn"


def test_what_nobody_could_look_at_is_not_examined(product: Product, tmp_path: Path) -> None:
    """Neither healthy nor none: no public address, no monitor, no drill, no load test."""
    panel = made(product.env(), tmp_path)

    assert panel["state"] == "unknown"
    assert {each["health"] for each in panel["serving"]} == {"not examined: it has no public address"}
    unknown = {name for name, fact in facts(panel).items() if fact.get("state") == "unknown"}
    assert unknown == {"Alerts", "Drills", "Latency"}
    assert all(facts(panel)[name]["text"].startswith("not examined: ") for name in unknown)


def test_where_no_clone_is_nobody_knows_what_waits(product: Product, tmp_path: Path) -> None:
    """A folder without git is not a product without commits."""
    (tmp_path / "elsewhere").mkdir()
    env = product.env()
    config = msgspec.structs.replace(env.config, root=tmp_path / "elsewhere")

    panel = made(replace(env, config=config, kept_in=env.store), tmp_path / "site")

    assert facts(panel)["Waiting"]["text"] == "not examined: no clone is here"
    assert "not examined" in panel["figures"][1]["text"]


def test_a_page_for_everybody_has_no_person_and_nothing_of_the_data(product: Product, tmp_path: Path) -> None:
    """Whatever of it stands in the store: names, subjects, reasons, errors, backups, revisions."""
    env = replace(product.env(), kept_in=CountedStore())
    teller = Teller(env.store, FakeClock(), environment="staging", author="Grace")
    for kind in ("released", "released", "put back", "blocked", "stuck"):
        teller.tell(kind, product.first, subject="a subject", url="https://ci.example/grace/7")
    key = next(key for key in env.store.list("states/"))
    assert b"Grace" in b"".join(env.store.read(key))
    env.holds.place([], "prices are wrong", author="Grace")
    _keep_backup(env)
    product.change("2")

    inside, outside = tmp_path / "inside", tmp_path / "outside"
    deploylib.write_dashboard(env, out=str(inside))
    deploylib.write_dashboard(env, out=str(outside), public=True)

    private = "".join(path.read_text() for path in inside.iterdir())
    public = re.sub("<style>.*?</style>", "", "".join(path.read_text() for path in outside.iterdir()), flags=re.DOTALL)
    assert [word for word in ("Grace", *PRIVATE[3:-1]) if word not in private] == []
    assert [word for word in (*PRIVATE, "ackup", "migrate", "ci.example") if word in public] == []
    assert product.first[:7] in public
    assert "refused: every release" in public


def _keep_backup(env: FakeEnvironment) -> None:
    """A backup that was proven."""
    name = "20260301T000000Z-run"
    backup = Backup(
        id=name,
        key=f"backups/{env.name}/{name}/dump",
        environment=env.name,
        run="run",
        commit="a" * 40,
        created_at=env.clock.now(),
        revision="0042-revision",
        server_version="16.1",
        client_version="16.1",
        format="custom",
        size=7,
        sha256="a" * 64,
        proof="restored",
        tables=3,
        seconds=1.0,
        notes=("0042-revision",),
    )
    env.store.put(f"backups/{env.name}/{name}/manifest.json", [msgspec.json.encode(backup)])


def test_the_page_of_ten_thousand_runs_asks_the_store_at_most_twenty_times(product: Product, tmp_path: Path) -> None:
    """Whoever has closed them has kept them in few words."""
    store = CountedStore()
    teller = Teller(store, FakeClock(), environment="staging")
    for number in range(60):
        teller.tell("released", f"{number:040x}")
    summaries, _ = teller.history.read_summaries("staging")
    old = teller.history.read(summaries[-1].id)
    for number in range(10_000 - 60):
        store.objects[f"history/staging/20200101T000000.{number:06d}-old-{number}"] = b""
        store.objects[f"states/old-{number}.json"] = msgspec.json.encode(
            msgspec.structs.replace(old, opened=msgspec.structs.replace(old.opened, run=f"old-{number}"))
        )
    env = replace(product.env(), kept_in=store)
    _keep_backup(env)
    deploylib.write_dashboard(env, out=str(tmp_path))  # the digest is full from now on
    teller.tell("released", "f" * 40)
    store.requests.clear()

    deploylib.write_dashboard(env, out=str(tmp_path))

    assert len(store.requests) <= 20, store.requests
    page = (tmp_path / "index.html").read_text()
    assert page.count("<tr>") == 51
    assert "fffffff" in page


def test_an_environment_that_cannot_be_looked_at_says_why(product: Product, tmp_path: Path) -> None:
    """It is no environment in which nothing happened."""
    env = product.env()
    settings = msgspec.structs.replace(
        env.config.settings, environments={"staging": env.config.environment, "production": EnvironmentSettings()}
    )
    write = "[environments.staging]\nonly_this_machine = true\nstore = '.deploylib'\n[environments.production]\n"
    (product.repository.root / "deploylib.toml").write_text(write)
    env = replace(env, config=msgspec.structs.replace(env.config, settings=settings))

    shown = deploylib.write_dashboard(env, out=str(tmp_path))

    assert shown.states == {"staging": "unknown", "production": "unknown"}
    assert "ledger and backups must be where every machine" in (tmp_path / "index.html").read_text()


def test_an_environment_that_there_is_not_is_refused(product: Product, tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(errors.SettingsError, match="there is no environment 'prod'"):
        deploylib.write_dashboard(product.env(), out=str(tmp_path / "site"), environments=["prod"])
    with pytest.raises(errors.SettingsError, match="--every"):
        deploylib.write_dashboard(product.env(), out=str(tmp_path / "site"), every="soon")

    assert not (tmp_path / "site").exists()


def test_open_alerts_drills_and_load_tests_are_told(product: Product, tmp_path: Path) -> None:
    """Since when, the silences, the last load test and where it stands; for everybody the numbers alone."""
    env = product.env()
    since = env.clock.now()
    standing = Standing(
        condition=Condition.FIRING, looked=since, firing=Firing(since=since, told_at=since, title="api answers 503")
    )
    with record_operation(env, "drill"):
        product.clock.seconds += 60
    MonitorRecords(env.store, env.name, env.clock).change(
        lambda state: msgspec.structs.replace(state, standings={"uptime/api": standing}, rounds=(since,))
    )
    silence_alerts(env, reason="prices move", until="2h", signals=["disk"])
    for number in range(3):
        measure(env, number)

    panel = made(env, tmp_path / "inside")
    told = facts(panel)

    assert (panel["state"], told["Alerts"]["state"], told["Alerts"]["text"]) == ("fail", "fail", "1 open, 1 silence")
    assert told["Alerts"]["lines"][0].startswith("critical: api answers 503, since 2026-03-01 ")
    assert told["Alerts"]["lines"][1].endswith(" UTC: prices move (ada)")
    assert (told["Drills"]["text"], told["Drills"]["at"][:19]) == (
        "the last one",
        f"{env.clock.now():%Y-%m-%dT%H:%M:%S}",
    )
    assert told["Latency"]["text"] == (f"p95 92 ms, typically 12 ms, of {'2' * 7}; of the last 3 typically 10 to 12 ms")
    assert len(told["Latency"]["lines"]) == 3
    public = facts(made(env, tmp_path / "outside", public=True))
    assert public["Alerts"]["text"] == "1 open, 1 silence"
    assert "lines" not in public["Alerts"]

    product.clock.seconds += 2 * 86_400
    late = facts(made(product.env(), tmp_path / "late"))["Alerts"]
    assert (late["state"], late["text"]) == ("unknown", "not examined: no monitor has looked for a day")


def measure(env: FakeEnvironment, number: int) -> None:
    """A load test that is recorded."""
    figures = Figures(
        requests=100, throughput=10, p50=10, p90=50, p95=90 + number, p99=99, longest=100, typical=10 + number, tail=90
    )
    key = Key(
        scenario="s", rate=10, seconds=10, environment=env.name, service="api", plan="", instances=1, generator="g",
        machine="m",
    )  # fmt: skip
    record = RecordedRun(run=f"run-{number}", at=env.clock.now(), commit=f"{number}" * 40, key=key, figures=figures)
    name = f"{key.folder}{record.at:%Y%m%dT%H%M%S.%f}-{record.run}.json"
    env.store.put(name, [msgspec.json.encode(record)])


def test_a_page_that_would_be_old_at_once_is_refused(product: Product, tmp_path: Path) -> None:
    """And one that is never old."""
    for every in ("0s", "59s", "99999999d"):
        with pytest.raises(errors.SettingsError, match="--every"):
            deploylib.write_dashboard(product.env(), out=str(tmp_path / "site"), every=every)
    assert not (tmp_path / "site").exists()
