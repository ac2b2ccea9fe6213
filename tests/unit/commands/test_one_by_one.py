"""The commands typed one by one: they are one run, and what is asked for beside the releases is none."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from deploylib.cli.text import format_events, format_history
from deploylib.commands import release, status
from deploylib.environment import Environment
from deploylib.errors import Blocked, SettingsError
from deploylib.models import BackedUp, Backup, Commit, Opened, Planned
from deploylib.models.results import Ending, Report, StageResult, StageStatus
from deploylib.release import operation
from deploylib.release.opening import Aim, open_unrecorded
from deploylib.release.run import Options
from deploylib.release.stages import backup
from deploylib.settings import Config, EnvironmentSettings, Settings
from deploylib.state.history import OPERATIONS, History
from deploylib.state.run_state import RunState
from tests.support.fakes import CountingRunner, FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import WITHOUT_SCAN, Product
from tests.support.repository import Repository


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product whose first version is live."""
    made = Product(repository, platform, clock)
    assert made.deploy().outcome == "succeeded"
    return made


def beside(product: Product) -> list[RunState]:
    """The operations, newest first."""
    return list(product.env().history.read_runs("staging", 20, OPERATIONS))


def verify(product: Product) -> Report:
    """``inv verify``."""
    return release.verify(product.env())


def test_verify_proves_the_open_run_and_ends_it(product: Product) -> None:
    """What is live is ours, and nobody else is blamed for it; the last stage ends the run, as in one command."""
    second = product.change("2")
    assert product.deploy("deploy").outcome == "paused"

    report = verify(product)

    assert ("succeeded", [second] * 2) == (report.outcome, [one.commit for one in report.live])
    assert product.runs()[0].release
    assert len(product.runs()) == 2
    assert not product.env().leases.read().taken  # type: ignore[union-attr]


def test_verify_of_an_open_run_that_fails_puts_back(product: Product) -> None:
    """As the same failure does in one command."""
    product.change("2")
    product.deploy("deploy")

    def crash() -> None:
        if product.platform.live("srv-web") != product.first:
            moment = product.clock.now().isoformat()
            product.platform.events = [{"type": "server_failed", "serviceId": "srv-web", "timestamp": moment}]

    product.clock.each_sleep = crash

    assert verify(product).exit_code == 14
    assert product.live() == [product.first] * 2


def test_verify_puts_nothing_back_of_a_run_that_was_left_in_its_deploy(product: Product) -> None:
    """Who looks does not decide: the way on is named."""
    product.change("2")
    product.deploy("deploy")
    folder = product.repository.root / ".deploylib" / "runs" / product.runs()[0].id
    for name in ("*-stage.json", "*-shipped.json"):
        max(folder.glob(name)).unlink()
    writes = product.asked()

    with pytest.raises(Blocked, match="left in the middle of its deploy") as told:
        verify(product)

    assert "inv finish --environment staging" in told.value.remedy
    assert product.asked() == writes


def test_verify_beside_the_open_run_of_a_ci_only_looks(product: Product) -> None:
    """It proves what that run has deployed, and leaves its end to its jobs."""
    second = product.change("2")
    laptop = product.environ
    product.in_ci(41)
    product.deploy("deploy", asked="deploy")
    product.environ = laptop

    report = verify(product)

    assert ("succeeded", [second] * 2) == (report.outcome, [one.commit for one in report.live])
    assert product.runs()[0].report is None


def test_a_named_run_is_shared_on_the_local_render_too(repository: Repository) -> None:
    """And no other: each job of a CI has a local Render of its own."""

    def build(**environ: str) -> str:
        config = Config(
            root=repository.root,
            name="local",
            settings=Settings(),
            environment=EnvironmentSettings(),
            environ={"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "41", **environ},
        )
        env = Environment(config, runner=CountingRunner(), clock=FakeClock())
        return env.build.id if env.build else ""

    assert ("", "mine") == (build(), build(DEPLOYLIB_RUN="mine"))


@pytest.mark.parametrize("asked", ["backup", "changes"])
def test_what_is_asked_for_alone_is_no_run(product: Product, asked: str) -> None:
    """Recorded and listed with who asked; never open, so that it keeps nobody from promoting."""
    report = product.deploy(asked, asked=asked)

    assert ("done", 0) == (report.outcome, report.exit_code)
    [done] = beside(product)
    assert (asked, "ada", "done") == (done.opened.operation, done.opened.author, done.report.outcome)  # type: ignore[union-attr]
    assert len(product.runs()) == 1
    listed = status.history(product.env())
    assert [done.id, product.runs()[0].id] == [one.id for one in listed]
    assert asked in format_history(listed)[0]
    assert format_events(status.find_run(product.env(), done.id[-4:]))[0].endswith("by ada")
    assert release.promote(product.env(), source=product.env(), **WITHOUT_SCAN).exit_code == 0
    with pytest.raises(SettingsError, match="nothing to finish"):
        product.finish(done.id)


def test_in_an_open_run_they_are_its_stages(product: Product) -> None:
    """Also where the jobs of a CI share it."""
    product.change("2")
    product.deploy("changes", asked="deploy")
    assert product.deploy("backup", asked="backup").outcome == "paused"
    assert (2, []) == (len(product.runs()), beside(product))

    product.in_ci(41)
    assert product.deploy("backup", asked="backup").outcome == "paused"
    assert (3, []) == (len(product.runs()), beside(product))


def test_a_look_needs_no_lease_and_ends_nobodys_run(product: Product) -> None:
    """A run that was left half-way is as it was, and so is the lease of one that is at work."""
    product.change("2")
    product.deploy("deploy")
    left, writes = product.runs()[0].id, product.asked()
    product.change("3")
    held = product.env().make_lease("x")
    held.acquire(within=0, known=False, waiting=lambda _lease: None)

    assert product.deploy("changes", asked="changes").outcome == "done"
    assert product.env().leases.read().holder.run == "x"  # type: ignore[union-attr]

    held.release()
    assert product.deploy("backup", asked="backup").outcome == "done"
    assert (left, None) == (product.runs()[0].id, product.runs()[0].report)
    assert product.asked() == writes


def test_an_operation_that_fails_is_recorded_as_that(product: Product) -> None:
    """And one that was killed is none that is open."""
    with pytest.raises(SettingsError), operation.record_operation(product.env(), "restore"):
        raise SettingsError("no such backup", remedy="inv backup.list")
    product.env().history.begin(Opened(run="killed", environment="staging", commit=Commit(id=""), operation="restore"))

    killed, failed = beside(product)

    assert (2, "no such backup") == (failed.report.exit_code, failed.stages["restore"].lines[0])  # type: ignore[union-attr]
    assert "never came to its end" in format_history([killed])[0]
    product.change("2")
    assert product.deploy().outcome == "succeeded"


def test_a_store_that_writes_nothing_down_keeps_nobody_from_it(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Least of all from a restore: that is told, and what was asked for is done."""

    def refuse(*_: object) -> None:
        raise SettingsError("the store is full", remedy="make room")

    monkeypatch.setattr(History, "begin", refuse)
    with operation.record_operation(product.env(), "restore") as said:
        said.lines.append("restored")

    assert product.view.notes == ["the history does not know of this: the store is full"]


def backup_of(commit: str) -> Backup:
    """A backup that was made just now."""
    return Backup(
        id="b", key="backups/staging/b/dump", environment="staging", run="r", commit=commit,
        created_at=FakeClock().now(), revision="0001", server_version="16", client_version="16",
        format="custom", size=1, sha256="", proof="restored", tables=1, seconds=1,
    )  # fmt: skip


@pytest.fixture
def asked_for(product: Product) -> Callable[..., str]:
    """``inv backup`` has made one; then this is done, and it is told what a release says of its own backup."""

    def then(what: Callable[[], object] = lambda: None, planned: Planned | None = None) -> str:
        env = product.env()
        made = backup_of(product.first)
        env.store.put_if_absent("backups/staging/b/manifest.json", msgspec.json.encode(made))
        opened = Opened(
            run="op-1", environment="staging", commit=Commit(id=product.first), author="ada", operation="backup"
        )
        env.history.begin(opened)
        for stage, data in (("changes", Planned()), ("backup", BackedUp(backup=made))):
            done = StageResult(stage=stage, status=StageStatus.DONE, lines=("",), data=msgspec.to_builtins(data))
            env.history.append("op-1", "stage", done)
        told = Report(run="op-1", environment="staging", **msgspec.structs.asdict(Ending(outcome="done")))
        env.history.close(env.history.read("op-1"), told)
        what()
        env = product.env()
        run = open_unrecorded(env, Options(), Aim(commit=env.git.commit("HEAD")))
        data = msgspec.to_builtins(planned or Planned())
        run.record("stage", StageResult(stage="changes", status=StageStatus.DONE, lines=("",), data=data))
        return backup.Backup().plan(run).lines[0]

    return then


def test_a_release_uses_the_backup_that_was_asked_for_before_it(asked_for: Callable[..., str]) -> None:
    """No second one is made."""
    assert asked_for().startswith("skipped: b was made ")


def restored(product: Product) -> None:
    """``inv backup.restore``."""
    with operation.record_operation(product.env(), "restore"):
        product.clock.seconds += 1


def later(product: Product) -> None:
    """Somebody has had lunch."""
    product.clock.seconds += 3600


@pytest.mark.parametrize(
    "what",
    [restored, later, lambda product: product.change("2"), lambda product: product.in_ci(41), None],
    ids=["a restore", "an hour", "another commit", "a CI", "another schema"],
)
def test_a_backup_of_something_else_is_not_used(
    product: Product, asked_for: Callable[..., str], what: Callable[[Product], object] | None
) -> None:
    """Not after a restore, an hour or another commit, nor for another schema; a run of a CI makes its own."""
    other = msgspec.convert({"migration": {"current": "0002"}}, Planned)

    said = asked_for(lambda: what(product)) if what else asked_for(planned=other)

    assert " was made " not in said


def test_what_is_asked_for_by_itself_leads_to_a_release_that_is_not_refused(product: Product) -> None:
    """What comes next is a release, the end of a hold, or a change, as it is."""
    assert product.deploy("changes", asked="changes").next == ()
    commit = product.change("2")
    assert [line.partition(" --")[0] for line in product.deploy("changes", asked="changes").next] == ["inv deploy"]
    product.env().holds.place([commit], "run 1 went back from it", run="run-1")

    (held,) = product.deploy("changes", asked="changes").next
    assert "inv hold.lift" in held
