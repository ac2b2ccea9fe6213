"""The main job: a product is deployed, deployed again, changed, and migrated."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from tests.support.edges import Completed, environment, postgres_program
from tests.support.product import Product, migration

ZSTD = bytes.fromhex("28b52ffd")  # how such a file begins
STAGES = ("check", "tests", "scan", "changes", "backup", "migrate", "deploy", "verify")
MIGRATION = migration(
    "A place, for those who want to give one.",
    'op.add_column("entries", sa.Column("place", sa.Text, nullable=True))',
    more="import sqlalchemy as sa\n",
)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, Completed]]:
    """A fresh clone and its first `inv deploy`."""
    with Product(tmp_path_factory.mktemp("first") / "product", warm=False) as product:
        yield product, product.new("deploy")


def test_the_first_deploy_says_how_it_ended_how_long_each_stage_took_and_where_it_is(
    first: tuple[Product, Completed],
) -> None:
    """One command in a fresh clone ends with the outcome, the time of each stage and the addresses."""
    product, done = first
    assert done.code == 0, done.said
    assert re.search(rf"^SUCCEEDED +{product.head[:7]} is live on local +\d+\.\ds$", done.out, re.MULTILINE), done.out
    for stage in ("check", "changes", "migrate", "deploy", "verify"):
        assert re.search(rf"^✓ {stage} .*  \d+\.\ds$", done.err, re.MULTILINE), (stage, done.err)
    assert "– backup    skipped: the database is empty" in done.err
    for service in ("backend", "frontend"):
        assert product.url(service) in done.out


def test_the_addresses_show_the_product(first: tuple[Product, Completed]) -> None:
    """Opening the frontend shows the guest book of this commit, which finds its backend, which answers."""
    product, _ = first
    page = product.get("frontend")
    assert (page.status, page.type) == (200, "text/html")
    assert "<h1>Guest book</h1>" in page.body
    assert f'<meta name="api-url" content="{product.url("backend", "")}">' in page.body
    for name in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.body):
        assert product.get("frontend", name).status == 200
    product.sign("Ann")
    assert [entry["name"] for entry in product.get("backend", "/api/entries").json["entries"]] == ["Ann"]


def test_the_health_endpoint_answers_the_deployed_commit_and_schema(first: tuple[Product, Completed]) -> None:
    """What was deployed can be read from outside."""
    product, _ = first
    health = product.get("backend", "/api/health").json
    assert health["releaseId"] == product.head
    assert health["checks"]["database:revision"][0]["observedValue"] == "0002" == product.revision()
    assert product.served() == {"backend": product.head, "frontend": product.head}


def test_the_ledger_holds_the_run(first: tuple[Product, Completed]) -> None:
    """Each stage, each intent before its trigger, what was shipped and how it ended are recorded."""
    product, _ = first
    events = product.events()
    kinds = [event["kind"] for event in events]
    assert (kinds[0], kinds[-1]) == ("opened", "closed")
    assert [event["data"]["stage"] for event in events if event["kind"] == "stage"] == list(STAGES)
    assert kinds.count("shipped") == kinds.count("triggered") == kinds.count("intent") == 2
    assert kinds.index("intent") < kinds.index("triggered") < kinds.index("shipped")
    assert events[-1]["data"]["outcome"] == "succeeded"
    assert {one["commit"] for one in events[-1]["data"]["live"]} == {product.head}


def test_a_second_deploy_has_nothing_to_do(first: tuple[Product, Completed]) -> None:
    """The reason is given for each service, and the platform is asked to change nothing."""
    product, _ = first
    before = product.writes()
    done = product.inv("deploy")
    assert done.code == 0, done.said
    assert "NOTHING TO DO" in done.out
    for service in ("backend", "frontend"):
        assert re.search(rf"{service} +serves {product.head[:7]} already", done.err), done.err
    assert product.writes() == before


def test_a_commit_that_touches_only_the_frontend_deploys_only_the_frontend(first: tuple[Product, Completed]) -> None:
    """The backend is left alone, and the reason names what did not change."""
    product, _ = first
    base, commit = product.head, product.change_frontend()
    done = product.ok("deploy")
    assert len(product.deploys("frontend", commit)) == 1
    assert not product.deploys("backend", commit)
    assert product.served() == {"backend": base, "frontend": commit}
    assert f"backend   nothing of it changed since {base[:7]}" in done.err


def test_a_migration_is_backed_up_before_and_applied_before_its_code_goes_live(
    first: tuple[Product, Completed],
) -> None:
    """Backup of the old schema, then the migration, then the first trigger: and the backup can be restored."""
    product, _ = first
    rows = product.query("select id, name, message, mood, created_at from entries order by id")
    assert rows
    commit = product.commit("A place", {"migrations/versions/0003_place.py": MIGRATION})
    done = product.ok("deploy")
    assert product.revision() == "0003"
    assert f"answers {commit[:7]} 5/5 · schema 0003" in done.err

    told = [
        (event["kind"], event["data"].get("stage") or event["data"].get("service"), event["at"])
        for event in product.events()
    ]
    order = [(kind, name) for kind, name, _ in told if (kind, name) != ("stage", "check")]
    wanted = [("stage", "backup"), ("stage", "migrate"), ("intent", "backend"), ("shipped", "backend")]
    assert [one for one in order if one in wanted] == wanted
    assert [at for _, _, at in told] == sorted(at for _, _, at in told)

    path = max((product.folder / ".deploylib" / "backups" / "local").glob("*/manifest.json"))
    manifest = json.loads(path.read_text())
    assert (manifest["revision"], manifest["proof"], manifest["commit"]) == ("0002", "restored", commit)
    assert restored(product, path.with_name("dump")) == rows


def restored(product: Product, dump: Path) -> list[tuple[object, ...]]:
    """The rows of a dump, restored into a database of its own beside the product's."""
    product.query("create database scratch")
    url = f"{product.database_url().rpartition('/')[0]}/scratch"
    command = [postgres_program("pg_restore"), "--exit-on-error", "--no-owner", f"--dbname={url}"]
    packed = dump.read_bytes()
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(packed) if packed[:4] == ZSTD else packed
    subprocess.run(command, check=True, env=environment(), capture_output=True, input=plain)
    assert product.query("select version_num from alembic_version", url) == [("0002",)]
    columns = product.query("select column_name from information_schema.columns where table_name = 'entries'", url)
    assert ("place",) not in columns
    found = product.query("select id, name, message, mood, created_at from entries order by id", url)
    product.query("drop database scratch with (force)")
    return found
