"""The schema and the code: what goes with what, who holds the lock, and what a failure leaves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from deploylib.postgres.connection import LOCK
from tests.support.edges import until
from tests.support.product import Product
from tests.support.revisions import REVISION


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The sample product, released once."""
    with Product(tmp_path_factory.mktemp("database") / "product") as product:
        product.ok("deploy")
        yield product


def migration(product: Product, revision: str, before: str, sql: str, more: str = "") -> str:
    """A commit with a migration and a change of the backend."""
    text = REVISION.format(title=f"Revision {revision}", revision=revision, before=before, sql=sql, more=more)
    product.write(f"migrations/versions/{revision}.py", text)
    return product.change_backend(f"For {revision}")


@pytest.mark.load
def test_across_a_compatible_schema_and_not_across_an_incompatible_one(product: Product) -> None:
    """Mode 12: refused with exit code 3, no write sent, and the nearest release that goes with it is named."""
    first = product.head
    second = migration(product, "0003", "0002", "alter table entries add column place text")
    product.ok("deploy")
    product.ok("rollback")
    assert product.served()["backend"] == first
    assert product.revision() == "0003", "the schema stays as it is"
    product.ok("hold.lift")
    product.ok("deploy")

    contract = 'tolerates = "0003"\n'
    third = migration(product, "0004", "0003", "alter table entries drop column place", contract)
    served = product.served()
    refused = product.inv("deploy")
    assert refused.code == 0, refused.said
    assert served["backend"] == second
    writes, rows = product.writes(), product.query("select * from alembic_version")

    back = product.inv("rollback", "--to", first[:10])

    assert back.code == 3, back.said
    assert (
        f"backend {first[:7]} is written for schema 0002, and 0004 goes only with code for 0003 or newer" in back.said
    )
    assert f"inv rollback --to {product.events()[0]['data']['run'][-4:]}" in back.said or second[:7] in back.said
    assert product.writes() == writes
    assert product.query("select * from alembic_version") == rows
    assert product.served()["backend"] == third
    product.ok("rollback")
    assert product.served()["backend"] == second
    product.ok("hold.lift")
    product.ok("deploy")


def test_a_migration_that_the_serving_code_does_not_survive(product: Product) -> None:
    """Exit code 6 before a backup is made or anything is asked for: code first, then what it no longer needs."""
    head, writes, revision = product.head, product.writes(), product.revision()
    contract = 'tolerates = "0009"\n'
    migration(product, "0009", revision, "alter table entries add column gone text", contract)

    done = product.inv("deploy")

    assert done.code == 6, done.said
    assert "what serves would not survive the migrations" in done.out
    assert "0009 goes only with code for 0009 or newer" in done.said
    assert (product.writes(), product.revision()) == (writes, revision)
    assert "migration failed" in product.ok("history").out.splitlines()[0], (
        "the history knows of it, though nothing was done"
    )
    assert "migration failed" in product.ok("status", "--json").json["last"]
    product.git("reset", "--quiet", "--hard", head)


@pytest.mark.load
def test_what_is_put_back_and_does_not_go_with_the_schema_is_told_as_that(product: Product) -> None:
    """With the result, and in the history: what was live before answers its requests no more, as the schema stays."""
    first, before = product.served()["backend"], product.revision()
    text = REVISION.format(
        title="Words", revision=f"{before}p", before=before, more="# deploylib: allow renaming-column: a slip",
        sql="alter table entries rename column message to words",
    )  # fmt: skip
    product.write(f"migrations/versions/{before}p.py", text)
    product.change_backend("Without having thought of it")

    done = product.inv("deploy")

    assert done.code == 14, done.said
    assert product.served()["backend"] == first
    line = f"→ {first[:7]}, verified: "
    for said in (done.out, product.ok("history", "--run", product.events()[0]["data"]["run"]).out):
        [told] = [each for each in said.splitlines() if line in each and "backend" in each]
        assert "; but smoke: GET /api/entries: status 5" in told
        assert f"; the schema stays at {before}p" in told
    text = REVISION.format(
        title="Back", revision=f"{before}q", before=f"{before}p", more="# deploylib: allow renaming-column: a slip",
        sql="alter table entries rename column words to message",
    )  # fmt: skip
    product.commit("Back", {f"migrations/versions/{before}q.py": text})
    product.ok("deploy")


@pytest.mark.load
def test_what_is_live_must_answer_its_requests_after_a_migration_that_deploys_nothing(product: Product) -> None:
    """Exit code 20 and no release, where the code that serves does not go with the schema; a commit mends it."""
    text = product.read("render.yaml").replace("        - migrations/**\n", "")
    product.commit("A backend that its migrations are no part of", {"render.yaml": text})
    product.ok("deploy")
    first, before = product.served()["backend"], product.revision()
    text = REVISION.format(
        title="Words", revision=f"{before}w", before=before, more="# deploylib: allow renaming-column: a slip",
        sql="alter table entries rename column message to words",
    )  # fmt: skip
    product.commit("Words", {f"migrations/versions/{before}w.py": text})

    done = product.inv("deploy")

    assert done.code == 20, done.said
    assert f"{first[:7]} was live before this run and does not prove itself with the schema at {before}w" in done.said
    assert product.served()["backend"] == first
    assert "a person is needed" in product.ok("history").out.splitlines()[0]
    text = REVISION.format(
        title="Back", revision=f"{before}v", before=f"{before}w", more="# deploylib: allow renaming-column: a slip",
        sql="alter table entries rename column words to message",
    )  # fmt: skip
    product.commit("Back", {f"migrations/versions/{before}v.py": text})
    mended = product.ok("deploy")
    assert "it is verified once more after the migration" in mended.said


@pytest.mark.load
def test_a_service_that_has_not_changed_for_long_is_in_nobodys_way(product: Product) -> None:
    """It serves with each migration since: the next one is applied, and it is gone back to, however old it is."""
    text = product.read("render.yaml").replace("        - migrations/**\n", "")
    product.commit("A backend that its migrations are no part of", {"render.yaml": text})
    product.ok("deploy")
    first = product.served()["backend"]
    for number in range(4):
        before = product.revision()
        text = REVISION.format(
            title="More", revision=f"{before}x", before=before, more="",
            sql=f"alter table entries add column more{number} text",
        )  # fmt: skip
        product.commit("More", {f"migrations/versions/{before}x.py": text})
        product.ok("deploy")
        assert product.served()["backend"] == first
    last = product.revision()
    product.change_backend("At last")
    product.ok("deploy")

    product.ok("rollback")

    assert (product.served()["backend"], product.revision()) == (first, last)
    product.ok("hold.lift")


@pytest.mark.load  # tests/migrations/test_busy.py has a crowd behind it
def test_a_migration_that_waits_for_a_lock(product: Product) -> None:
    """Mode 10: it gives up with exit code 6 while the old version serves, and nobody was held up behind it."""
    head, revision, served = product.head, product.revision(), product.served()
    product.configure(deadline="8s")
    migration(product, "0010", revision, "alter table entries add column late text")
    with psycopg.connect(product.database_url()) as holder:
        holder.execute("select * from entries limit 1")

        done = product.inv("deploy")

    assert done.code == 6, done.said
    assert "migration 0010 did not get its lock" in done.out
    assert (product.revision(), product.served()) == (revision, served)
    product.git("reset", "--quiet", "--hard", head)


@pytest.mark.load
def test_a_dry_run_rehearses_on_the_newest_backup(product: Product) -> None:
    """With the SQL, and without a write: neither to the database nor to the store; what would be refused is refused."""
    head, revision = product.head, product.revision()
    migration(product, "0010", revision, "alter table entries add column dry text")
    store = product.folder / ".deploylib"
    product.ok("backup", "--commit", head)
    before = (sorted(store.rglob("*")), product.writes(), product.revision())

    plain, rehearsed = product.ok("migrate", "--dry-run"), product.ok("migrate", "--dry-run", "--rehearse")

    assert "add column dry text" in plain.said
    assert "rehearsed" not in plain.said
    assert "add column dry text" in rehearsed.said
    assert "on the restored copy: 1 migration · " in rehearsed.said
    assert "on backup 20" in rehearsed.said
    product.git("reset", "--quiet", "--hard", head)
    migration(product, "0010", revision, "update entries set nowhere = 1")
    assert product.inv("migrate", "--dry-run").code == 0
    refused = product.inv("migrate", "--dry-run", "--rehearse")
    assert refused.code == 6, refused.said
    assert 'column "nowhere" of relation "entries" does not exist' in refused.said
    product.git("reset", "--quiet", "--hard", head)
    assert (sorted(store.rglob("*")), product.writes(), product.revision()) == before
    assert product.inv("migrate", "--rehearse").code == 2


@pytest.mark.parametrize("command", [pytest.param("backup", marks=pytest.mark.load), "migrate"])
def test_backup_and_migration_wait_for_each_other(product: Product, command: str) -> None:
    """Modes 14 and 15: one lock in the database for both, whoever runs them; it goes on when that is free."""
    head, revision = product.head, product.revision()
    if command == "migrate":
        migration(product, "0011", revision, "alter table entries add column soon text")
    with psycopg.connect(product.database_url(), autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", (LOCK,))
        before = sorted((product.folder / ".deploylib" / "backups").rglob("manifest.json"))
        with product.start(command) as running:
            of_ours = "select 1 from pg_stat_activity where application_name like 'deploylib%'"
            until(lambda: product.query(of_ours + " and query like '%pg_try_advisory_lock%'"))
            time.sleep(1)
            assert running.poll() is None
            assert sorted((product.folder / ".deploylib" / "backups").rglob("manifest.json")) == before
            assert product.revision() == revision
            freed = datetime.now(UTC)
            other.execute("select pg_advisory_unlock(%s)", (LOCK,))
            out, err = running.communicate(timeout=300)
    assert running.returncode == 0, (out, err)
    newest = product.ok("backup.list", "--json").json[0]
    assert datetime.fromisoformat(newest["created_at"]) > freed, "it was begun while another one was at work"
    assert product.revision() == ("0011" if command == "migrate" else revision)
    if command == "migrate":
        product.ok("deploy")
    else:
        product.git("reset", "--quiet", "--hard", head)


@pytest.mark.load  # tests/backup/test_refusals.py shows the reasons
def test_a_backup_that_cannot_be_made(product: Product) -> None:
    """Exit code 5, with what the program said; no backup is claimed, and the one before is there."""
    product.ok("backup")
    before = product.ok("status", "--json").json["backup"]
    product.query("alter table entries enable row level security")
    product.query("alter table entries force row level security")
    try:
        done = product.inv("backup")
    finally:
        product.query("alter table entries no force row level security")
        product.query("alter table entries disable row level security")

    assert done.code == 5, done.said
    assert "row-level security" in done.said
    assert product.ok("status", "--json").json["backup"] == before


def test_a_migration_that_fails_on_the_copy_is_never_run(product: Product) -> None:
    """Rehearsed on the restored backup: exit code 6, the statement is named, and the database was not touched."""
    head, revision, writes = product.head, product.revision(), product.writes()
    migration(product, "0020", revision, "insert into guests select * from entries")

    done = product.inv("deploy")

    assert done.code == 6, done.said
    assert 'relation "guests" does not exist' in done.said
    assert "[rehearsal-failed]" in done.out
    assert (product.revision(), product.writes()) == (revision, writes)
    product.git("reset", "--quiet", "--hard", head)


@pytest.mark.load  # tests/backup/test_restorable.py shows which are found
def test_a_migration_that_makes_the_database_unrestorable_is_refused(product: Product) -> None:
    """A check that reads another table works every day: exit code 6, before there is no backup any more."""
    head, revision, writes = product.head, product.revision(), product.writes()
    product.query("insert into entries (name, message) values ('anna', 'before the check')")
    body = "select exists (select 1 from alembic_version where k <> version_num)"
    function = f"create function fine(k text) returns boolean language sql stable as '{body}'"
    migration(product, "0022", revision, f"{function}; alter table entries add constraint fine check (fine(name))")

    done = product.inv("deploy")

    assert done.code == 6, done.said
    assert "could not be restored from a backup" in done.said
    assert 'relation "alembic_version" does not exist' in done.said
    assert (product.revision(), product.writes()) == (revision, writes)
    product.git("reset", "--quiet", "--hard", head)


@pytest.mark.load
def test_a_backup_that_cannot_be_proven_is_kept_and_a_person_may_go_on(product: Product) -> None:
    """Exit code 5 with the cause; it is listed, counts for nothing, and with a reason it is good enough for a day."""
    product.ok("backup")
    proven = product.ok("status", "--json").json["backup"]
    product.query("insert into entries (name, message) values ('anna', 'before the check')")
    product.query(
        "create function fine(k text) returns boolean language sql stable as 'select count(*) > 0 from alembic_version'"
    )
    product.query("alter table entries add constraint fine check (fine(name))")
    try:
        refused = product.inv("backup")
        newest, older = product.ok("backup.list", "--json").json[:2]
        unproven = newest["id"]
        bare = product.inv("backup.prove", "--backup", unproven, "--accept")
        good = product.inv("backup.prove", "--backup", older["id"], "--accept", "--reason", "why not")
        told = product.ok("backup.prove", "--backup", unproven, "--accept", "--reason", "the next release drops it")
        status = product.ok("status", "--json").json
        done = product.inv("backup")
    finally:
        product.query("alter table entries drop constraint fine")
        product.query("drop function fine")

    assert refused.code == 5, refused.said
    assert 'relation "alembic_version" does not exist' in refused.said
    assert f"kept unproven: {unproven}" in refused.said
    assert (newest["proof"], 'relation "alembic_version"' in newest["cause"]) == ("unproven", True)
    assert (bare.code, good.code) == (2, 2), "without a reason, and of one that is proven"
    assert "the next release drops it" in told.said
    assert status["backup"] == proven, "it is never counted as the proven one"
    assert status["unproven"].startswith(unproven)
    assert done.code == 0, done.said
    assert "not proven, and accepted" in done.said
    assert "the next release drops it" in done.said


@pytest.mark.load  # tests/migrations/test_rehearsal.py shows which are
def test_a_migration_that_holds_readers_up_is_refused(product: Product) -> None:
    """Found by the linter before anything is backed up; with a reason in its file it runs."""
    product.query("create table events (id bigint primary key, at timestamptz)")
    product.query("insert into events select n, now() from generate_series(1, 20000) n")
    product.query("analyze events")
    head, revision = product.head, product.revision()
    before = product.ok("backup.list", "--json").json
    migration(product, "0021", revision, "create index events_at on events (at)")

    refused = product.inv("deploy")

    assert refused.code == 6, refused.said
    assert "require-concurrent-index-creation" in refused.out
    assert "CONCURRENTLY" in refused.said.upper()
    assert product.ok("backup.list", "--json").json == before
    product.git("reset", "--quiet", "--hard", head)
    reason = "# deploylib: allow require-concurrent-index-creation: nobody writes to it at this hour\n"
    allowed = reason + "# deploylib: allow work-under-lock: nobody writes to it at this hour\n"
    migration(product, "0021", revision, "create index events_at on events (at)", allowed)
    done = product.inv("deploy")
    assert done.code == 0, done.said
    assert "nobody writes to it at this hour" in done.err
    assert product.revision() == "0021"
