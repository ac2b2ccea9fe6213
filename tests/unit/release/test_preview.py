"""What a commit would change, told by its files and a published page: without a key, and nothing of it is run."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from deploylib.commands import dashboard, release
from deploylib.errors import SettingsError
from deploylib.models.results import Report
from deploylib.system import process
from tests.support.answerer import answering
from tests.support.fakes import FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import Product
from tests.support.repository import Repository

ENV_PY = "raise SystemExit('env.py was run')\n"
REVISION = """\
\"\"\"{title}.\"\"\"
import sqlalchemy as sa
from alembic import op

revision = {id!r}
down_revision = {after!r}


def upgrade() -> None:
    {body}


def downgrade() -> None:
    op.drop_table("x")
"""


def revision(number: str, after: str | None, body: str, title: str = "Something") -> dict[str, str]:
    """The file of a revision."""
    return {f"migrations/versions/{number}.py": REVISION.format(id=number, after=after, body=body, title=title)}


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product that is released, with a table."""
    made = Product(repository, platform, clock)
    made.commit(
        {"migrations/env.py": ENV_PY, **revision("0001", None, 'op.create_table("x", sa.Column("a", sa.Text))')}
    )
    assert made.deploy().outcome == "succeeded"
    return made


def published(product: Product, folder: Path) -> str:
    """The page that says what is live, for everybody."""
    dashboard.write_dashboard(product.env(), out=str(folder), public=True)
    return str(folder / "status.json")


def look(product: Product, place: str) -> Report:
    """``inv changes --status``, where there is neither key nor store."""
    product.platform.requests.clear()
    product.runner = process.ReadOnlyRunner(product.runner)
    product.environment = {"store": "s3://nowhere/at-all"}
    report = release.changes(product.env(), status=place)
    assert product.platform.requests == []
    return report


def lines(report: Report, stage: str) -> str:
    """What a stage says."""
    (found,) = [one for one in report.stages if one.stage == stage]
    return "\n".join(found.lines)


def test_services_and_migrations_are_told_with_what_they_are_compared_with(product: Product, tmp_path: Path) -> None:
    """Of what is live as it was published; the migration is read, and nothing of it runs."""
    place, base = published(product, tmp_path), product.live()[0]
    product.commit({"web/a": "2", **revision("0002", "0001", 'op.drop_column("x", "a")', "No a any more")})

    report = look(product, place)

    assert ("planned", 0) == (report.outcome, report.exit_code)
    assert {one.service: one.commit for one in report.live} == {"api": base, "web": base}
    assert "as published 1 s ago" in lines(report, "changes")
    assert "api  left as it is: nothing of it changed" in lines(report, "changes")
    assert "web  deployed: web/a changed" in lines(report, "changes")
    assert "0002 No a any more. (migrations/versions/0002.py)" in lines(report, "migrate")
    assert "would be refused: 0002: ALTER TABLE x DROP COLUMN a [ban-drop-column]" in lines(report, "migrate")


def test_what_hangs_on_the_size_of_a_table_is_a_warning(product: Product, tmp_path: Path) -> None:
    """Nobody has looked; but a table that the same revisions make is new."""
    place = published(product, tmp_path)
    product.commit(revision("0002", "0001", 'op.create_index("i", "x", ["a"])'))
    told = lines(look(product, place), "migrate")
    assert "warn: 0002: CREATE INDEX i ON x (a) [require-concurrent-index-creation]" in told
    assert "would be refused" not in told
    assert "how large a table is was not looked at" in told

    product.commit(
        revision("0003", "0002", 'op.create_table("y", sa.Column("b", sa.Text))')
        | revision("0004", "0003", 'op.create_index("j", "y", ["b"])')
    )
    told = lines(look(product, place), "migrate")
    assert "0004 Something." in told
    assert "0004: CREATE INDEX" not in told


@pytest.mark.parametrize(
    "body",
    [
        "__import__('os').system('touch ran')",
        "[op.execute(text) for text in ('select 1',)]",
        "op.execute(f'select {1}')",
        "op.execute(open('ran', 'w').name)",
        "op.execute(sa.create_engine('sqlite://').url)",
        "op.execute(sa.Column.__init__.__globals__)",
        "op.get_bind().execute('select 1')",
        "op.execute(*['select 1'])",
    ],
)
def test_a_revision_that_is_not_plain_is_not_run_and_not_called_clean(
    product: Product, tmp_path: Path, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only running it would tell what it does; whoever has written it is not known yet."""
    place = published(product, tmp_path)
    monkeypatch.chdir(tmp_path)
    product.commit(revision("0002", "0001", body))

    told = lines(look(product, place), "migrate")

    assert "not examined: 0002: its SQL depends on the data, or is not known before it runs" in told
    assert not (tmp_path / "ran").exists()
    assert not (product.repository.root / "ran").exists()


def test_an_edited_revision_and_files_of_another_tool_are_named(product: Product, tmp_path: Path) -> None:
    """It may be applied already; and what is not ours to read is not passed over."""
    place = published(product, tmp_path)
    product.commit(
        revision("0001", None, 'op.create_table("x", sa.Column("b", sa.Text))')
        | {"prisma/schema.prisma": "datasource db {}\n", "prisma/migrations/1_a/migration.sql": "select 1;\n"}
    )

    told = lines(look(product, place), "migrate")

    assert "0001 is edited, and may be applied already" in told
    assert "risma" in told
    assert "not read from here" in told


@pytest.mark.parametrize(
    "text", [None, "<html>log in</html>", '{"panels": 7}', "", '{"built_at": "2026-01-01T00:00:00Z"}']
)
def test_what_nobody_has_published_is_unknown(product: Product, tmp_path: Path, text: str | None) -> None:
    """Neither first deploys nor no migrations: nobody knows, and why."""
    place = tmp_path / "status.json"
    if text is not None:
        place.write_text(text)

    report = look(product, str(place))

    assert (report.exit_code, report.live) == (0, ())
    assert lines(report, "changes").startswith("unknown: ")
    assert lines(report, "changes").count("unknown: nobody has published what it serves") == 2
    assert lines(report, "migrate").startswith("unknown: ")


def test_another_environment_and_an_old_page_are_told(product: Product, tmp_path: Path, clock: FakeClock) -> None:
    """It says nothing of the one; what is old may be otherwise by now."""
    place = published(product, tmp_path)
    clock.seconds += timedelta(days=3).total_seconds()
    assert "3 d ago, which is old" in lines(look(product, place), "changes")

    document = json.loads(Path(place).read_text())
    document["panels"][0]["name"] = "elsewhere"
    Path(place).write_text(json.dumps(document))
    assert "it says nothing of staging" in lines(look(product, place), "changes")


def test_a_mistake_in_the_commit_is_told_in_its_place(product: Product, tmp_path: Path) -> None:
    """The comment is made all the same."""
    place = published(product, tmp_path)
    product.commit({"render.yaml": "services: {"})

    assert "unknown: render.yaml is not valid YAML" in lines(look(product, place), "changes")


def test_what_links_lead_to_is_not_read(product: Product, tmp_path: Path) -> None:
    """A file of this machine, by a link of the commit or a folder of its Blueprint, is nobody else's to read."""
    place = published(product, tmp_path)
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = secret_place\n")
    (tmp_path / "package.json").write_text('{"scripts": {"build": "prisma migrate deploy"}}')
    for name in ("alembic.ini", "migrations/versions/0002.py"):
        (product.repository.root / name).symlink_to(tmp_path / "alembic.ini")
    service = (
        f"{{type: web, name: web, runtime: node, rootDir: {tmp_path}, buildCommand: npm run build, startCommand: a}}"
    )
    product.commit({"render.yaml": f"services: [{service}]\n"})

    told = lines(look(product, place), "migrate")

    assert told == "alembic, by alembic.ini: not read from here (3 files of it differ)"


def test_names_of_somebody_unknown_are_one_line_and_few(product: Product, tmp_path: Path) -> None:
    """A comment has an end, and says what it leaves out."""
    place = published(product, tmp_path)
    many = {f"migrations/versions/{number:04}.py": "" for number in range(5000, 5130)}
    product.commit(many | {"web/a\n| `@everyone`": "x", f"web/{'b' * 200}/{'c' * 200}": "x"})

    report = look(product, place)

    assert max(len(row) for row in (*report.stages[0].lines, *report.stages[1].lines)) <= 302
    assert "not examined: 30 new migrations more" in lines(report, "migrate")
    assert "5099" in lines(report, "migrate")
    assert "5100" not in lines(report, "migrate")


def test_a_blueprint_without_an_end_is_told_in_its_place(product: Product, tmp_path: Path) -> None:
    """Nobody waits for it."""
    place = published(product, tmp_path)
    product.commit({"render.yaml": "#" * 40_000_000})

    assert "unknown: render.yaml is not valid YAML: it is larger than 1 MB" in lines(look(product, place), "changes")


def test_an_address_is_asked_and_what_it_answers_is_no_page_is_unknown(product: Product) -> None:
    """A page that is not there answers, too."""
    with answering() as somebody:
        report = look(product, f"{somebody.url}/status.json")

    assert lines(report, "changes").startswith("unknown: http")


def test_it_goes_with_a_commit_alone(product: Product) -> None:
    """A reason or a service would promise something else."""
    with pytest.raises(SettingsError, match="--status goes with --commit alone"):
        release.changes(product.env(), status="x", services=["api"])
