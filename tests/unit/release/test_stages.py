"""What a stage does and why it is left out, where no database is needed to know."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploylib.errors import MigrationFailed, SettingsError
from deploylib.migrations import discovery
from deploylib.models import (
    BackedUp,
    Change,
    Changes,
    Checked,
    Commit,
    Elsewhere,
    Facts,
    Live,
    Migration,
    Planned,
    Revision,
    StageName,
)
from deploylib.models.results import StageResult, StageStatus
from deploylib.probes import Expected
from deploylib.release.opening import Aim, open_unrecorded
from deploylib.release.prove import prove_services
from deploylib.release.run import Options, Run, table
from deploylib.release.stages import changes, check, deploy, migrate, verify
from deploylib.release.stages.backup import Backup
from deploylib.render import local
from deploylib.settings import EnvironmentSettings
from tests.support.backups import made
from tests.support.fakes import NEW, OLD, FakeClock, target
from tests.support.in_memory import Platform
from tests.support.in_memory_product import FakeEnvironment, Product
from tests.support.repository import Repository

FACTS = Facts(version="16.4", size=1, empty=False, revision="0001")
PENDING = Migration(
    current="0001", target="0002", pending=(Revision(id="0002", title="Add mood"),), sql="ALTER TABLE e\n  ADD m;\n"
)


@pytest.fixture
def make(repository: Repository, platform: Platform, clock: FakeClock) -> Callable[..., Run]:
    """A context whose run has checked and planned this."""
    product = Product(repository, platform, clock)

    def planned(
        facts: Facts | None = FACTS,
        migration: Migration | None = None,
        *deploying: str,
        backups: str = "on",
        asked: StageName | None = None,
        **settings: Any,
    ) -> Run:
        product.settings = settings
        env = product.env()
        environment = msgspec.convert({"only_this_machine": True, "backups": backups}, EnvironmentSettings)
        config = msgspec.structs.replace(env.config, environment=environment)
        reading = dataclasses.replace(env, config=config).looking()
        run = open_unrecorded(reading, Options(asked=asked, dry_run=True), Aim(commit=Commit(id=NEW)))
        decided = Changes(
            services=tuple(
                Change(service=name, deploy=name in deploying, reason="", live=Live(service=name, commit=OLD))
                for name in ("api", "web")
            )
        )
        found = Checked(targets=(target("api"), target("web")), facts=facts)
        for stage, data in (("check", found), ("changes", Planned(decided, migration or Migration()))):
            done = StageResult(stage=stage, status=StageStatus.DONE, lines=("fine",), data=msgspec.to_builtins(data))
            run.record("stage", done)
        return run

    return planned


def test_what_cannot_run_here_is_refused_with_what_could_be_done(make: Callable[..., Run]) -> None:
    """Another service of the Blueprint, or an account where none runs here; what was not asked for is let be."""
    here = local.Here(left_out={"a": "it is an image"})
    ready, run = check.Check()._ours, make()  # noqa: SLF001 - the rule, without a local Render

    assert ready(run, ("a", "b"), here) == ("b",)
    with pytest.raises(SettingsError) as none:
        ready(run, ("a",), here)
    run.services = ("a",)
    with pytest.raises(SettingsError, match="a cannot be released here: it is an image") as one:
        ready(run, ("a", "b"), here)
    assert (one.value.remedy, "to an account" in none.value.remedy) == ("leave a out: inv deploy --service b", True)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"facts": None}, "skipped: the product has no database"),
        ({"facts": Facts(version="16", size=1, empty=True, revision="")}, "skipped: the database is empty"),
        (
            {"backups": "none", "migration": PENDING},
            "skipped: the settings say that this environment's data may be lost",
        ),
        ({"asked": "backup"}, "asked for"),
        ({"migration": PENDING}, "before 1 migration"),
        ({}, "there is none yet"),
    ],
    ids=["no database", "empty", "may be lost", "asked for", "migration", "none yet"],
)
def test_a_backup_is_made_or_left_out_for_a_reason(
    make: Callable[..., Run], options: dict[str, object], line: str
) -> None:
    """No silent skip, and no backup without a why."""
    planned = Backup().plan(make(**options))

    assert (line,) == planned.lines
    assert (StageStatus.SKIPPED if line.startswith("skipped") else StageStatus.PLANNED) is planned.status


@pytest.mark.parametrize(
    ("hours", "line"), [(3, "skipped: no migration, and the last one is 3 h old"), (25, "the last one is 1 d old")]
)
def test_a_backup_is_made_when_the_last_one_is_too_old(make: Callable[..., Run], hours: float, line: str) -> None:
    """As old as the settings say."""
    run = make()
    run.env.store.put_if_absent("backups/staging/b/manifest.json", msgspec.json.encode(made(hours=hours)))

    assert (line,) == Backup().plan(run).lines


@pytest.mark.parametrize(
    ("files", "deployed", "line"),
    [
        ((), "api", "'x', was not located: something of api differs from what serves"),
        ((), "web", "skipped: no migration, and the last one is 1 h old"),
        (
            ("db/**",),
            "api",
            "api serves aaaaaaa, which is not known here: nobody can tell what differs from what serves",
        ),
    ],
)
def test_a_backup_comes_before_what_may_migrate_by_others(
    make: Callable[..., Run], files: tuple[str, ...], deployed: str, line: str
) -> None:
    """Where their files changed; of what could not be located, where those of its service did."""
    others = Migration(elsewhere=(Elsewhere(what="'x'", files=files, service="api", remedy="y"),))
    run = make(FACTS, others, deployed)
    run.env.store.put_if_absent("backups/staging/b/manifest.json", msgspec.json.encode(made(hours=1)))

    assert (line,) == Backup().plan(run).lines
    assert migrate.Migrate().plan(run).lines == ("skipped: not ours to run: 'x'",)


def test_only_what_changed_of_a_located_system_asks_for_a_backup(
    repository: Repository, platform: Platform, clock: FakeClock
) -> None:
    """Compared with what serves, not with the commit before."""
    product = Product(repository, platform, clock)
    product.deploy()
    for files, changed in (({"api/b": "1"}, ""), ({"api/migrations/001_a.sql": ""}, "api/migrations/001_a.sql")):
        product.commit(files)
        env = product.env().looking()
        run = open_unrecorded(env, Options(dry_run=True), Aim(commit=env.git.commit("HEAD")))
        for stage in (check.Check(), changes.Changes()):
            run.record("stage", stage.plan(run))
        [one] = run.planned.migration.elsewhere or [None]
        assert (one.files if one else ()) == (("api/migrations/**",) if changed else ())
        assert Backup()._changed_migrations(run) == changed  # noqa: SLF001 - the rule, without a database


def test_migrations_in_a_submodule_that_is_not_here_are_not_none(
    repository: Repository, platform: Platform, clock: FakeClock
) -> None:
    """The release is refused, with the step that fetches it."""
    product = Product(repository, platform, clock)
    repository.run("update-index", "--add", "--cacheinfo", f"160000,{NEW},migrations")
    repository.run("commit", "--quiet", "--message", "library")
    lost = discovery.find_unfetched(repository.git.submodules("HEAD"), repository.root, [])

    with pytest.raises(SettingsError, match="migrations is a submodule that this clone has not fetched") as raised:
        changes._require_fetched(lost)  # noqa: SLF001 - the rule, without a database

    assert "submodule update --init" in raised.value.remedy
    assert product.first


def test_a_store_that_keeps_what_should_go(make: Callable[..., Run]) -> None:
    """A clean-up that fails after a success is said, and is no failure."""
    run = make(keep_backups=1)
    for number in (1, 2):
        manifest = msgspec.structs.replace(
            made(hours=10 - number), id=f"b{number}", key=f"backups/staging/b{number}/dump"
        )
        run.env.store.put_if_absent(f"backups/staging/b{number}/manifest.json", msgspec.json.encode(manifest))
        run.env.store.put_if_absent(f"backups/staging/b{number}/dump", b"")
    dump = next(Path(run.env.config.store).rglob("b1/dump"))
    dump.unlink()
    dump.mkdir()  # what no program can unlink, whoever runs it
    (dump / "file").touch()

    (line,) = Backup()._pruned(run)  # noqa: SLF001 - the rule, without a database

    assert line.startswith("older ones could not be removed: ")


@pytest.mark.parametrize(
    ("migration", "lines"),
    [
        (PENDING, ("0001 → 0002", "ALTER TABLE e", "  ADD m;")),
        (msgspec.structs.replace(PENDING, current="", sql=""), ("empty → 0002", "(its SQL depends on the data)")),
        (msgspec.structs.replace(PENDING, current="", sql="x", unchecked=("y",)), ("not recorded → 0002", "x")),
    ],
    ids=["said", "not known", "another tool's"],
)
def test_a_migration_is_planned_with_its_sql(
    make: Callable[..., Run], migration: Migration, lines: tuple[str, ...]
) -> None:
    """What would be executed, in order, or that it cannot be said."""
    planned = migrate.Migrate().plan(make(FACTS, migration))

    assert (StageStatus.PLANNED, lines) == (planned.status, planned.lines)


def test_a_migration_needs_this_runs_backup_of_that_very_revision(make: Callable[..., Run]) -> None:
    """None, or one of another revision, is no backup; an empty database or data that may be lost needs none."""
    require = migrate.Migrate()._require_backup  # noqa: SLF001 - the rule, without a database
    run = make(FACTS, PENDING)
    for backup in (None, made("0000")):
        done = StageResult(
            stage="backup", status=StageStatus.DONE, lines=("",), data=msgspec.to_builtins(BackedUp(backup))
        )
        run.record("stage", done)
        with pytest.raises(MigrationFailed, match="the schema is at 0001, and this run has no backup of that"):
            require(run, FACTS)

    done = StageResult(stage="backup", status=StageStatus.DONE, lines=("",), data=msgspec.to_builtins(BackedUp(made())))
    run.record("stage", done)
    require(run, FACTS)
    require(make(FACTS, PENDING, backups="none"), FACTS)
    require(make(FACTS, PENDING), Facts(version="16", size=1, empty=True, revision=""))


def test_a_deploy_that_is_planned_says_the_way_back(make: Callable[..., Run]) -> None:
    """Of each service; skipped where none changed, and then nothing is verified either."""
    assert deploy.Deploy().plan(make(FACTS, None, "api")).lines == (
        "api  would be deployed; on failure it would be put back to aaaaaaa",
    )
    assert verify.Verify().plan(make(FACTS, None, "api")).lines == ("would ask api for bbbbbbb",)
    assert deploy.Deploy().plan(make()).lines == ("skipped: no service changed",)
    assert verify.Verify().plan(make()).lines == ("skipped: nothing was deployed",)
    assert verify.Verify().apply(make()).lines == ("skipped: nothing was deployed",)


def test_services_are_proven_at_once(make: Callable[..., Run]) -> None:
    """What each has shown comes in the order of the services, whatever was named first."""
    run = make(FACTS, None, "api", "web")
    assert isinstance(run.env, FakeEnvironment)
    assert run.env.platform is not None
    for name in ("api", "web"):
        run.env.platform.begin(f"srv-{name}", NEW, "live")

    proven = prove_services(run.env, run.checked.targets, {name: Expected(NEW) for name in ("web", "api")}, run.pace)

    assert ["api", "web"] == [one.service for one in proven]


def test_rows_are_aligned() -> None:
    """The first column is as wide as it needs."""
    assert table([("a", "x"), ("long", "y")]) == ("a     x", "long  y")
    assert table([]) == ()
