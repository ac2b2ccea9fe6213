"""A bad commit: its own exit code, the program's last words, the next step, and the old version serving throughout."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.edges import Completed
from tests.support.product import GUEST_BOOK, Product, migration
from tests.support.visitors import Seen, visiting

FIRST_OF_MAIN = '    """Serve until SIGTERM; the result is the exit code."""\n'
STATUS = 'status = "fail" if "fail" in seen'  # of the health file that the sample has taken along
BROKEN_MIGRATION = migration(
    "A mistake.",
    """op.execute("alter table entries add column place text")
# The copy that it is rehearsed on listens on no address.
op.execute("do $$ begin if current_setting('listen_addresses') <> '' then raise 'only in earnest'; end if; end $$")""",
)


@pytest.fixture
def good(deployed: Product) -> Iterator[tuple[Product, dict[str, str]]]:
    """The product and what it serves; afterwards a good commit must deploy as ever, and the status tells it."""
    before = deployed.served()
    commit = deployed.head
    yield deployed, before
    after = deployed.restored(commit)
    deployed.ok("deploy")
    assert deployed.served()["frontend"] == after
    status = deployed.ok("status", "--json").json
    assert {one["service"]: one["commit"] for one in status["live"]} == deployed.served()
    assert "succeeded" in status["last"]


def visited(product: Product, *args: str) -> tuple[Completed, Seen]:
    """Run a command while both services are visited all the time."""
    with visiting(product.url("backend", "/api/health"), product.url("frontend")) as seen:
        done = product.inv(*args)
    assert seen.requests > 50
    return done, seen


def check_the_rest(product: Product, done: Completed, before: dict[str, str], outcome: str) -> None:
    """What holds for each failure: the report is whole, the history is closed, what was live is live."""
    assert "FAILED" in done.out, done.said
    assert f"{outcome} (exit code {done.code})" in done.out, done.said
    assert "Next" in done.out, done.said
    assert "inv deploy" in done.out.partition("Next")[2], done.said
    assert "Traceback (most recent call last)" not in done.out, done.said
    assert product.served() == before
    live = done.out.partition("Live")[2].splitlines()[0]
    status = product.ok("status", "--json").json
    for service, commit in before.items():
        assert f"{service} {commit[:7]}" in live, done.said
        assert next(one["commit"] for one in status["live"] if one["service"] == service) == commit
    assert outcome in status["last"]
    assert product.outcome() == outcome


@pytest.mark.load
def test_a_backend_that_ends_at_its_start(good: tuple[Product, dict[str, str]]) -> None:
    """Exit code 11; the frontend, which had gone live, is put back and verified."""
    product, before = good
    crash = '    import time\n\n    time.sleep(1.5)\n    raise KeyError("CACHE_URL")\n'
    product.replace(f"{GUEST_BOOK}/__main__.py", FIRST_OF_MAIN, FIRST_OF_MAIN + crash)
    commit = product.change_frontend("A crash")
    done, seen = visited(product, "deploy")
    assert done.code == 11, done.said
    assert not seen.failures, seen.failures[:5]
    assert "backend: the program exited with code 1" in done.out
    assert "KeyError: 'CACHE_URL'" in done.err
    events = product.events()
    assert [event["data"]["service"] for event in events if event["kind"] == "shipped"] == ["frontend"]
    assert [(e["data"]["service"], e["data"]["commit"]) for e in events if e["kind"] == "put-back"] == [
        ("frontend", before["frontend"])
    ]
    assert f"Put back    frontend → {before['frontend'][:7]}, verified: names {before['frontend'][:7]}" in done.out
    assert commit in seen.commits, "the frontend was never new"
    check_the_rest(product, done, before, "start failed")


@pytest.mark.load  # test_release.py shows it on programs that are built at once
def test_a_backend_whose_health_check_fails(good: tuple[Product, dict[str, str]]) -> None:
    """Exit code 12; the path and its answer are named."""
    product, before = good
    product.replace(f"{GUEST_BOOK}/health.py", STATUS, f"{STATUS} or path != self._full")
    commit = product.commit("Never well")
    done, seen = visited(product, "deploy")
    assert done.code == 12, done.said
    assert not seen.failures, seen.failures[:5]
    assert "/api/health/live did not answer well: GET /api/health/live answered 503" in done.out, done.said
    assert "Application startup complete" in done.err, done.err
    assert commit not in seen.commits
    check_the_rest(product, done, before, "health check failed")


@pytest.mark.load  # test_release.py shows it on programs that are built at once
def test_a_build_that_fails(good: tuple[Product, dict[str, str]]) -> None:
    """Exit code 10; the build's last words are shown, and the sibling on its way is stopped."""
    product, before = good
    wait = f"{FIRST_OF_MAIN}    import time\n\n    time.sleep(5)\n"
    product.replace(f"{GUEST_BOOK}/__main__.py", FIRST_OF_MAIN, wait)
    product.replace("sample/frontend/src/index.html", "{{ version }}", "{{ no_such_value }}")
    commit = product.commit("Half a page")
    done, seen = visited(product, "deploy")
    assert done.code == 10, done.said
    assert not seen.failures, seen.failures[:5]
    assert "frontend: the build exited with code 1" in done.out
    assert "index.html asks for {{ no_such_value }}, which the build does not know" in done.err
    assert [one["status"] for one in product.deploys("backend", commit)] == ["canceled"]
    assert commit not in seen.commits
    check_the_rest(product, done, before, "build failed")


@pytest.mark.load  # test_database.py shows it on the copy, and tests/migrations in earnest
def test_a_migration_that_fails(good: tuple[Product, dict[str, str]]) -> None:
    """Exit code 6; the schema is as it was, and no deploy was asked for."""
    product, before = good
    product.sign("Ann")
    writes = product.writes()
    product.write("migrations/versions/0003_mistake.py", BROKEN_MIGRATION)
    product.change_backend("Needs a place")
    done, seen = visited(product, "deploy")
    assert done.code == 6, done.said
    assert not seen.failures, seen.failures[:5]
    assert "migration 0003 failed; the schema is at 0002" in done.out
    assert "only in earnest" in done.err
    assert product.revision() == "0002"
    assert not product.query("select 1 from information_schema.columns where column_name = 'place'")
    assert product.writes() == writes
    assert not [event for event in product.events() if event["kind"] == "intent"]
    check_the_rest(product, done, before, "migration failed")


@pytest.mark.load
def test_a_backend_that_lives_and_does_not_prove_itself(good: tuple[Product, dict[str, str]]) -> None:
    """Exit code 14: the platform calls it live, its public health answer says otherwise, so both are put back."""
    product, before = good
    product.replace(f"{GUEST_BOOK}/health.py", STATUS, f"{STATUS} or path == self._full")
    commit = product.change_frontend("Sick")
    with visiting(product.url("backend", "/api/health/live"), product.url("frontend")) as seen:
        done = product.inv("deploy")
    assert done.code == 14, done.said
    assert not seen.failures, seen.failures[:5]
    assert commit in seen.commits
    assert "backend is unhealthy at /api/health" in done.out
    assert "status 503" in done.out
    for service in ("backend", "frontend"):
        assert f"{service} → {before[service][:7]}, verified: " in done.out
        assert product.deploys(service)[0]["trigger"] == "rollback"
    check_the_rest(product, done, before, "verification failed")
