"""How a person is watched: what was typed, when, and until when; on a folder alone, without a local Render."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import deploylib
from deploylib.drills import choose_drill, list_drills, shop
from deploylib.drills.catalog import DRILLS
from deploylib.drills.definition import Drill
from deploylib.drills.practice import Nobody, Person, record_drill
from deploylib.drills.results import DrillResult
from deploylib.drills.scene import Scene
from deploylib.environment import Environment
from deploylib.errors import SettingsError, Unreachable
from deploylib.models import Commit, Opened
from tests.support.fakes import FakeClock, RecordingRunner, RecordingView
from tests.support.repository import Repository


@pytest.fixture
def env(repository: Repository, clock: FakeClock) -> Environment:
    """Of the person who practises."""
    repository.commit({"a": "1"})
    opened = Environment.open("local", folder=repository.root)
    return dataclasses.replace(opened, clock=clock, progress=RecordingView())


@pytest.fixture
def scene(env: Environment, tmp_path: Path) -> Scene:
    """A shop in which one can type, and nothing runs."""
    made = Scene(tmp_path / "drill", env)
    made.copy.mkdir(parents=True)
    (made.copy / "tasks.py").write_text(shop.write_shop(database=False)["tasks.py"])
    return made


def kind(scene: Scene) -> Drill:
    """A drill that is mended by ``inv rollback`` having been typed."""
    return dataclasses.replace(
        DRILLS[0],
        meanwhile=lambda _: None,
        find_fault=lambda scene: "" if scene.has_typed("rollback") else "it is broken",
    )


def note(scene: Scene, *words: str) -> None:
    """As the shop's own tasks do."""
    at = scene.host.clock.now().timestamp()
    line = f'{{"at": {at}, "words": [{", ".join(f"{word!r}" for word in words)}]}}\n'.replace("'", '"')
    with (scene.folder / "commands.jsonl").open("a") as file:
        file.write(line)


def notes(env: Environment) -> list[str]:
    """What the person was told."""
    assert isinstance(env.progress, RecordingView)
    return env.progress.notes


def test_what_is_typed_in_the_shop_is_noted_beside_it(scene: Scene) -> None:
    """By its own tasks, with flags; the working copy has no new file."""
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "lease", "--json"],
        cwd=scene.copy,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(deploylib.__file__).parents[1])},
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    (typed,) = scene.typed
    assert (typed.task, typed.line) == ("lease", "inv lease --json")
    assert {path.name for path in scene.copy.iterdir()} <= {"tasks.py", "__pycache__", ".deploylib"}


def test_a_person_is_watched_until_all_is_well(scene: Scene, env: Environment, clock: FakeClock) -> None:
    """Each command as it comes, the first right one marked; then it is over."""
    typed = {5.0: ("status",), 9.0: ("rollback", "--reason", "bad orders"), 10.0: ("verify",)}
    clock.each_sleep = lambda: note(scene, *typed[clock.seconds]) if clock.seconds in typed else None

    well, fault = Person(env).work(scene, kind(scene), 60)

    began = clock.now().timestamp() - clock.seconds
    assert fault == ""
    assert well is not None
    assert well - began == 9
    told = notes(env)
    assert "  0:05  inv status" in told
    assert "  0:09  inv rollback --reason 'bad orders'  ← right" in told
    assert f"    cd {scene.copy}" in told
    assert [line for line in told if len(line) > 58 and str(scene.copy) not in line and "activate" not in line] == []


def test_it_is_given_up_when_the_time_is_over(scene: Scene, env: Environment, clock: FakeClock) -> None:
    """What is wrong still is told."""
    well, fault = Person(env).work(scene, kind(scene), 30)

    assert (well, fault) == (None, "time is over: it is broken")
    assert clock.seconds == 30


def test_a_local_render_that_somebody_has_stopped_is_not_well(scene: Scene, env: Environment) -> None:
    """What happens beside cannot happen then; it goes on until the time is over, and says so."""

    def fail(_: Scene) -> str:
        raise Unreachable("the local Render is not running", remedy="inv local.up")

    gone = dataclasses.replace(kind(scene), meanwhile=lambda scene: [fail(scene)].clear(), find_fault=fail)

    assert Person(env).work(scene, gone, 3) == (
        None, "time is over: nobody can look: the local Render is not running"
    )  # fmt: skip


def test_nobody_mends_nothing(scene: Scene) -> None:
    """Looking alone is no cure."""
    assert Nobody().work(scene, kind(scene), 30) == (None, "")


def test_a_drill_that_was_not_passed_does_not_count(env: Environment) -> None:
    """In the history it has ended badly, with what came of it all the same."""
    result = DrillResult(drill="held", passed=False, seconds=3, fault="everything is held")
    with record_drill(env, "held") as results:
        results.append(result)

    (state,) = env.history.read_operations("local", 5)
    assert state.report is not None
    assert (state.opened.operation, state.report.exit_code) == ("drill", 3)
    assert state.stages["drill"].data == result.record


def test_one_that_was_passed_does(env: Environment) -> None:
    """With its times."""
    with record_drill(env, "held") as results:
        results.append(DrillResult(drill="held", passed=True, seconds=30, noticed=2, restored=29))

    (state,) = env.history.read_operations("local", 5)
    assert state.report is not None
    assert state.report.exit_code == 0
    assert state.stages["drill"].lines == ("held: passed; noticed 0:02, restored 0:29",)


def test_a_drill_waits_for_nobody_where_nobody_reads(env: Environment) -> None:
    """Without a terminal it says what to type instead; a name that is none comes first."""
    with pytest.raises(SettingsError, match="this is no terminal") as refused:
        choose_drill(env, name="held", watched=False)
    assert refused.value.remedy == "inv drill held --unattended types the right commands itself"

    with pytest.raises(SettingsError, match="there is no drill 'hled'") as unknown:
        choose_drill(env, name="hled", watched=False)
    assert unknown.value.details == tuple(each.name for each in list_drills(env))
    with pytest.raises(SettingsError, match="--all is all of them"):
        choose_drill(env, name="held", every=True)
    with pytest.raises(SettingsError, match="--within"):
        choose_drill(env, name="held", within="soon", unattended=True)


def test_the_list_tells_all_of_them_and_the_one_of_an_environment(env: Environment) -> None:
    """It starts nothing."""
    listed = choose_drill(env)

    assert isinstance(listed, tuple)
    assert [one.name for one in listed] == [*(drill.name for drill in DRILLS), "there-and-back"]
    assert listed[-1].place == "the environment itself, with --confirm"


def test_a_line_that_cannot_be_read_is_no_command(scene: Scene) -> None:
    """One that is being written; and what has only flags is no task."""
    note(scene, "--list")
    with (scene.folder / "commands.jsonl").open("a") as file:
        file.write('{"at": 17, "wor')

    assert [(one.task, one.line) for one in scene.typed] == [("", "inv --list")]
    assert not scene.has_typed("rollback")


@pytest.mark.parametrize("where", [("--environment", "production"), ("--environment=production",), ("-e", "staging")])
def test_a_command_about_another_environment_mends_nothing(scene: Scene, where: tuple[str, ...]) -> None:
    """There is none in the shop; the name of its own may be typed."""
    note(scene, "rollback", *where)
    assert not scene.has_typed("rollback")

    note(scene, "rollback", "--environment", "local")
    assert scene.has_typed("rollback")


def test_a_shop_sees_no_key_of_the_person(scene: Scene, env: Environment) -> None:
    """Neither its environment nor what is typed in it."""
    secrets = {"RENDER_API_KEY": "rnd_abc", "AWS_SECRET_ACCESS_KEY": "abc", "DEPLOYLIB_STORE": "s3://deploys"}
    config = msgspec.structs.replace(env.config, environ={**secrets, "PATH": "/usr/bin:/bin"})
    runner = RecordingRunner({})
    host = dataclasses.replace(env, config=config, runner=runner)
    inside = Scene(scene.folder, host)

    assert set(inside.enter().config.environ) == {"PATH"}
    inside.type_line("inv status")
    assert set(runner.commands[0].drops) >= set(secrets)


def test_a_shop_that_is_gone_is_not_well(scene: Scene) -> None:
    """What does not answer takes no orders and serves nothing; ending it once more does nothing."""
    scene.__dict__["_urls"] = dict.fromkeys(("shop", "orders"), "http://127.0.0.1:9/")

    assert not scene.order("Ann")
    assert scene.orders() == []
    assert scene.read_served() == {"shop": "", "orders": ""}
    assert scene.left == ""
    with pytest.raises(Unreachable):
        scene.query("select 1")
    scene.end()


def test_what_has_not_ended_is_not_well(scene: Scene) -> None:
    """A run, a lease, a hold of everything, in this order; then nothing."""
    inside = scene.enter()
    opened = Opened(run="20260301T120000-aaaa", environment="local", commit=Commit(id="a" * 40))
    assert scene.unrest == ""
    held = inside.holds.place([], "moving", author="Bea")
    assert scene.unrest == "everything is held"
    lease = inside.make_lease("20260301T120000-aaaa", shared=True)
    lease.acquire(within=0)
    assert scene.unrest == "somebody holds the environment"
    inside.history.begin(opened)
    assert scene.unrest == "a run is open"
    lease.release()
    inside.holds.lift(held)
