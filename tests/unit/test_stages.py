"""What a stage does and why it is left out, where no database is needed to know."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from deploylib import elsewhere, flow, local, stages
from deploylib.config import EnvironmentSettings
from deploylib.errors import MigrationFailed, SettingsError
from deploylib.ledger import Journal, Opened
from deploylib.models import Backup, Change, Changes, Commit, Elsewhere, Live, Migration, Revision
from deploylib.outcome import StageResult, StageStatus
from deploylib.postgres import Facts
from deploylib.stages import survey
from deploylib.stages.context import Checked, Made, Planned, table
from deploylib.verify import Expected
from tests.unit.conftest import Repository
from tests.unit.fakes import NEW, OLD, START, FakeClock, target
from tests.unit.in_memory import Platform
from tests.unit.product import FakeContext, Product

FACTS = Facts(version="16.4", size=1, empty=False, revision="0001")
PENDING = Migration(
    current="0001", target="0002", pending=(Revision(id="0002", title="Add mood"),), sql="ALTER TABLE e\n  ADD m;\n"
)


@pytest.fixture
def make(repository: Repository, platform: Platform, clock: FakeClock) -> Callable[..., FakeContext]:
    """A context whose run has checked and planned this."""
    product = Product(repository, platform, clock)

    def context(
        facts: Facts | None = FACTS,
        migration: Migration | None = None,
        *deploying: str,
        backups: str = "on",
        asked: str = "",
    ) -> FakeContext:
        ctx = product.context(asked=asked, dry=True)
        environment = msgspec.convert({"only_this_machine": True, "backups": backups}, EnvironmentSettings)
        ctx.config = msgspec.structs.replace(ctx.config, environment=environment)
        ctx.commit = Commit(id=NEW)
        ctx.journal = Journal.open(ctx.ledger, Opened(run="x-7f3a", environment="staging", commit=ctx.commit), dry=True)
        decided = Changes(
            services=tuple(
                Change(service=name, deploy=name in deploying, reason="", live=Live(service=name, commit=OLD))
                for name in ("api", "web")
            )
        )
        found = Checked(targets=(target("api"), target("web")), facts=facts)
        for stage, data in (("check", found), ("changes", Planned(decided, migration or Migration()))):
            done = StageResult(stage=stage, status=StageStatus.DONE, lines=("fine",), data=msgspec.to_builtins(data))
            ctx.journal.record("stage", done)
        return ctx

    return context


def made(revision: str = "0001", hours: float = 0) -> Backup:
    """A backup of some hours ago."""
    return Backup(
        id="b", key="backups/staging/b/dump", environment="staging", run="r", commit=OLD,
        created_at=START - timedelta(hours=hours), revision=revision, server_version="16", client_version="16",
        format="custom", size=1, sha256="", proof="decoded", tables=1, seconds=1,
    )  # fmt: skip


def test_what_cannot_run_here_is_refused_with_what_could_be_done(make: Callable[..., FakeContext]) -> None:
    """Another service of the Blueprint, or an account where none runs here; what was not asked for is let be."""
    here = local.Here(left_out={"a": "it is an image"})
    ready, ctx = stages.Check()._ours, make()  # noqa: SLF001 - the rule, without a local Render

    assert ready(ctx, ("a", "b"), here) == ("b",)
    with pytest.raises(SettingsError) as none:
        ready(ctx, ("a",), here)
    ctx.only = ("a",)
    with pytest.raises(SettingsError, match="a cannot be released here: it is an image") as one:
        ready(ctx, ("a", "b"), here)
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
    make: Callable[..., FakeContext], options: dict[str, object], line: str
) -> None:
    """No silent skip, and no backup without a why."""
    planned = stages.Backup().plan(make(**options))

    assert (line,) == planned.lines
    assert (StageStatus.SKIPPED if line.startswith("skipped") else StageStatus.PLANNED) is planned.status


@pytest.mark.parametrize(
    ("hours", "line"), [(3, "skipped: no migration, and the last one is 3 h old"), (25, "the last one is 1 d old")]
)
def test_a_backup_is_made_when_the_last_one_is_too_old(
    make: Callable[..., FakeContext], hours: float, line: str
) -> None:
    """As old as the settings say."""
    ctx = make()
    ctx.store.put_if_absent("backups/staging/b/manifest.json", msgspec.json.encode(made(hours=hours)))

    assert (line,) == stages.Backup().plan(ctx).lines


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
    make: Callable[..., FakeContext], files: tuple[str, ...], deployed: str, line: str
) -> None:
    """Where their files changed; of what could not be located, where those of its service did."""
    others = Migration(elsewhere=(Elsewhere(what="'x'", files=files, service="api", remedy="y"),))
    ctx = make(FACTS, others, deployed)
    ctx.store.put_if_absent("backups/staging/b/manifest.json", msgspec.json.encode(made(hours=1)))

    assert (line,) == stages.Backup().plan(ctx).lines
    assert stages.Migrate().plan(ctx).lines == ("skipped: not ours to run: 'x'",)


def test_only_what_changed_of_a_located_system_asks_for_a_backup(
    repository: Repository, platform: Platform, clock: FakeClock
) -> None:
    """Compared with what serves, not with the commit before."""
    product = Product(repository, platform, clock)
    product.deploy()
    for files, changed in (({"api/b": "1"}, ""), ({"api/migrations/001_a.sql": ""}, "api/migrations/001_a.sql")):
        product.commit(files)
        ctx = product.context(dry=True)
        flow.run(ctx, until="changes")
        [one] = ctx.planned.migration.elsewhere or [None]
        assert (one.files if one else ()) == (("api/migrations/**",) if changed else ())
        assert stages.Backup()._changed_migrations(ctx) == changed  # noqa: SLF001 - the rule, without a database


def test_migrations_in_a_submodule_that_is_not_here_are_not_none(
    repository: Repository, platform: Platform, clock: FakeClock
) -> None:
    """The release is refused, with the step that fetches it."""
    product = Product(repository, platform, clock)
    repository.run("update-index", "--add", "--cacheinfo", f"160000,{NEW},migrations")
    repository.run("commit", "--quiet", "--message", "library")
    lost = elsewhere.lost(repository.git.submodules("HEAD"), repository.root, [])

    with pytest.raises(SettingsError, match="migrations is a submodule that this clone has not fetched") as raised:
        survey._require_fetched(lost)  # noqa: SLF001 - the rule, without a database

    assert "submodule update --init" in raised.value.remedy
    assert product.first


def test_a_store_that_keeps_what_should_go(make: Callable[..., FakeContext]) -> None:
    """A clean-up that fails after a success is said, and is no failure."""
    ctx = make()
    ctx.config = msgspec.structs.replace(
        ctx.config, settings=msgspec.structs.replace(ctx.config.settings, keep_backups=1)
    )
    for number in (1, 2):
        manifest = msgspec.structs.replace(
            made(hours=10 - number), id=f"b{number}", key=f"backups/staging/b{number}/dump"
        )
        ctx.store.put_if_absent(f"backups/staging/b{number}/manifest.json", msgspec.json.encode(manifest))
        ctx.store.put_if_absent(f"backups/staging/b{number}/dump", b"")
    dump = next(Path(ctx.config.store).rglob("b1/dump"))
    dump.unlink()
    dump.mkdir()  # what no program can unlink, whoever runs it
    (dump / "file").touch()

    (line,) = stages.Backup()._pruned(ctx)  # noqa: SLF001 - the rule, without a database

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
    make: Callable[..., FakeContext], migration: Migration, lines: tuple[str, ...]
) -> None:
    """What would be executed, in order, or that it cannot be said."""
    planned = stages.Migrate().plan(make(FACTS, migration))

    assert (StageStatus.PLANNED, lines) == (planned.status, planned.lines)


def test_a_migration_needs_this_runs_backup_of_that_very_revision(make: Callable[..., FakeContext]) -> None:
    """None, or one of another revision, is no backup; an empty database or data that may be lost needs none."""
    require = stages.Migrate()._require_backup  # noqa: SLF001 - the rule, without a database
    ctx = make(FACTS, PENDING)
    for backup in (None, made("0000")):
        done = StageResult(stage="backup", status=StageStatus.DONE, lines=("",), data=msgspec.to_builtins(Made(backup)))
        ctx.journal.record("stage", done)
        with pytest.raises(MigrationFailed, match="the schema is at 0001, and this run has no backup of that"):
            require(ctx, FACTS)

    done = StageResult(stage="backup", status=StageStatus.DONE, lines=("",), data=msgspec.to_builtins(Made(made())))
    ctx.journal.record("stage", done)
    require(ctx, FACTS)
    require(make(FACTS, PENDING, backups="none"), FACTS)
    require(make(FACTS, PENDING), Facts(version="16", size=1, empty=True, revision=""))


def test_a_deploy_that_is_planned_says_the_way_back(make: Callable[..., FakeContext]) -> None:
    """Of each service; skipped where none changed, and then nothing is verified either."""
    assert stages.Deploy().plan(make(FACTS, None, "api")).lines == ("api  would be put back to aaaaaaa",)
    assert stages.Verify().plan(make(FACTS, None, "api")).lines == ("would ask api for bbbbbbb",)
    assert stages.Deploy().plan(make()).lines == ("skipped: no service changed",)
    assert stages.Verify().plan(make()).lines == ("skipped: nothing was deployed",)
    assert stages.Verify().apply(make()).lines == ("skipped: nothing was deployed",)


def test_services_are_proven_at_once(make: Callable[..., FakeContext]) -> None:
    """What each has shown comes in the order of the services, whatever was named first."""
    ctx = make(FACTS, None, "api", "web")
    assert ctx.platform is not None
    for name in ("api", "web"):
        ctx.platform.begin(f"srv-{name}", NEW, "live")

    proven = stages.prove(ctx, {name: Expected(NEW) for name in ("web", "api")})

    assert ["api", "web"] == [one.service for one in proven]


def test_rows_are_aligned() -> None:
    """The first column is as wide as it needs."""
    assert table([("a", "x"), ("long", "y")]) == ("a     x", "long  y")
    assert table([]) == ()
