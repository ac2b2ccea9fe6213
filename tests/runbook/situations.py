"""The situations that the runbook is written for, made on the local Render, and what must be so afterwards.

What a situation gives are the values of the page's placeholders (RUN, COMMIT, …) and variables of the shell. What it
asserts after its ``yield`` holds when the commands of the block were typed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from deploylib.backups import restore_mark
from deploylib.backups.restore_mark import Mark
from deploylib.models import Secret
from deploylib.state.lease import Holder, Leases
from deploylib.store.folder import Folder
from tests.support.edges import until
from tests.support.product import Product, migration
from tests.support.trivial import ENDS_AT_ITS_START, SERVER, Trivial

Made = Iterator[dict[str, str]]
CRASH = SERVER.replace("import json, os", "import json, os\nraise KeyError('CACHE_URL')")


class Situation(NamedTuple):
    """One of them.

    Attributes:
        make: brings it about.
        codes: by the first words of a command, the exit code that is right; of the others it is 0.
        long: it takes longer than a test should.
    """

    make: Callable[[Any], AbstractContextManager[dict[str, str]]]
    codes: Mapping[str, int] = {}
    long: bool = True


# On trivial services


@contextmanager
def at_rest(product: Trivial) -> Made:
    """Nothing is wrong, and nothing may change."""
    before = product.served()
    yield {}
    assert product.served() == before
    for silence in (product.folder / ".deploylib").rglob("silences/*"):
        shutil.rmtree(silence) if silence.is_dir() else silence.unlink()


@contextmanager
def new_commit(product: Trivial) -> Made:
    """A commit that is not released; then it is."""
    commit = product.change_all()
    yield {}
    assert product.one_commit == commit


@contextmanager
def bad_release(product: Trivial) -> Made:
    """The newest release is bad; then the one before serves."""
    good = product.one_commit
    product.change_all()
    product.ok("deploy")
    yield {}
    assert product.one_commit == good


@contextmanager
def bad_release_and_one_before(product: Trivial) -> Made:
    """Two releases are bad; then the one before both serves."""
    product.change_all()
    product.ok("deploy")
    good, run = product.one_commit, product.events()[0]["data"]["run"]
    for _ in range(2):
        product.change_all()
        product.ok("deploy")
    yield {"RUN": run}
    assert product.one_commit == good


@contextmanager
def failing_commit(product: Trivial) -> Made:
    """A release has failed; what served before still does."""
    good = product.one_commit
    product.change_all(CRASH)
    failed = product.inv("deploy")
    assert failed.code == 11, failed.said
    yield {}
    assert product.one_commit == good


@contextmanager
def nothing_put_back(product: Trivial) -> Made:
    """A release failed, and so did putting back; then all is as before."""
    good = product.one_commit
    product.change_all(ENDS_AT_ITS_START)
    product.fault("build-slow", service="api", value=3)
    product.fault("answer-500", method="POST", path="/rollback$", next=0)
    failed = product.inv("deploy")
    assert failed.code == 20, failed.said
    product.ok("local.fault", "--clear")
    yield {}
    assert product.one_commit == good
    commit = product.change_all()
    product.ok("deploy")  # a newer commit is let through
    assert product.one_commit == commit


@contextmanager
def held_commit(product: Trivial) -> Made:
    """A commit is held without a fault of its own; then it is released."""
    commit = product.change_all()
    product.ok("hold", "--commit", commit, "--reason", "it was not well")
    refused = product.inv("deploy")
    assert refused.code == 31, refused.said
    yield {"COMMIT": commit}
    product.ok("deploy")
    assert product.one_commit == commit


@contextmanager
def damaged_hold(product: Trivial) -> Made:
    """The record of a hold is damaged; then releases go through."""
    product.ok("hold", "--reason", "moving the database")
    (hold,) = [
        one for one in (product.folder / ".deploylib/holds/local").iterdir() if not (one / "lifted.json").exists()
    ]
    (hold / "hold.json").chmod(0o644)
    (hold / "hold.json").write_text("{")
    refused = product.inv("deploy")
    assert refused.code == 31, refused.said
    yield {}
    product.change_all()
    product.ok("deploy")


def _killed(product: Trivial) -> str:
    """A release that is killed once it has asked for its deploys; its commit."""
    commit = product.change_all()
    product.fault("build-slow", service="api", value=3)
    with product.start("deploy") as process:
        until(lambda: product.deploys("api", commit))
        process.kill()
    return commit


@contextmanager
def killed_run(product: Trivial) -> Made:
    """A release was killed half way; then what it changed is put back."""
    before = product.one_commit
    _killed(product)
    yield {}
    assert product.one_commit == before
    assert product.outcome() == "abandoned"


@contextmanager
def dead_holder(product: Trivial) -> Made:
    """A machine that holds the environment is gone; then another release goes through."""
    leases = Leases(Folder(product.folder / ".deploylib"), "local")
    number = leases.try_acquire(Holder(run="20260301T120000-aaaa", author="Ann", host="another", pid=1), leases.read())
    assert number
    commit = product.change_all()
    refused = product.inv("deploy")
    assert refused.code == 30, refused.said
    yield {}
    product.ok("deploy")
    assert product.one_commit == commit


@contextmanager
def autodeploy(product: Trivial) -> Made:
    """Somebody has switched autodeploy on; then it is off."""
    service = f"/v1/services/{product.service_id('api')}"
    assert product.ask(service, method="PATCH", body={"autoDeploy": "yes"}).status == 200
    yield {}
    assert product.ask(service).json["autoDeploy"] == "no"


@contextmanager
def foreign_deploy(product: Trivial) -> Made:
    """Somebody deploys beside us; then our commit serves."""
    product.fault("build-slow", service="api", value=2)
    product.fault("foreign-deploy", service="api")
    commit = product.change_all()
    yield {}
    assert product.one_commit == commit


@contextmanager
def silent_platform(product: Trivial) -> Made:
    """The platform answers 503 to everything."""
    product.fault("answer-503", next=0)
    yield {}


@contextmanager
def platform_again(product: Trivial) -> Made:
    """The platform went down in a release; then that is ended."""
    before = product.one_commit
    _killed(product)
    product.fault("answer-503", next=0)
    assert product.inv("finish").code in {40, 41}
    product.ok("local.fault", "--clear")
    yield {}
    assert product.one_commit == before
    assert product.outcome() == "abandoned"


@contextmanager
def silent_store(product: Trivial) -> Made:
    """The store is no folder any more."""
    store, aside = product.folder / ".deploylib", product.folder / ".localrender" / "aside"
    store.rename(aside)
    store.write_text("no folder\n")
    try:
        yield {}
    finally:
        store.unlink()
        aside.rename(store)


def _by_hand(product: Trivial, **more: str) -> dict[str, str]:
    known = product.endpoint
    return {
        "RENDER_API_KEY": known["api_key"],
        "RENDER_HOST": known["api_url"],
        "SERVICE": product.service_id("api"),
        **more,
    }


@contextmanager
def by_hand_look(product: Trivial) -> Made:
    """There is curl, the key, and an id."""
    yield _by_hand(product)


@contextmanager
def by_hand_back(product: Trivial) -> Made:
    """A bad release is live; then one service serves the one before."""
    good = product.one_commit
    (deploy,) = [str(one["id"]) for one in product.deploys("api", good) if one["status"] == "live"]
    product.change_all()
    product.ok("deploy")
    yield _by_hand(product, DEPLOY=deploy)
    until(lambda: product.served()["api"] == good)
    assert product.deploys("api")[0]["trigger"] == "rollback"
    until(lambda: product.deploys("api")[0]["status"] == "live")


@contextmanager
def by_hand_afterwards(product: Trivial) -> Made:
    """Somebody went back by hand; then nobody releases it by accident."""
    yield {"COMMIT": product.head}
    refused = product.inv("deploy")
    assert refused.code == 31, refused.said


# On the guest book, which has a database


def _guests(product: Product, url: str = "") -> list[str]:
    return [str(name) for (name,) in product.query("select name from entries order by id", url)]


def _lose(product: Product) -> None:
    product.query("delete from entries")
    for name in ("Ann", "Bob"):
        product.sign(name)
    product.ok("backup")
    product.query("delete from entries where name = 'Ann'")


@contextmanager
def rows(product: Product) -> Made:
    """There is a database; then its newest backup is proven."""
    yield {}
    assert product.ok("backup.list", "--json").json[0]["proof"] == "restored"


@contextmanager
def unproven(product: Product) -> Made:
    """A check reads another table, so that no backup can be restored."""
    body = "select count(*) > 0 from alembic_version"
    product.query(f"create function fine(k text) returns boolean language sql stable as '{body}'")
    product.query("alter table entries add constraint fine check (fine(name))")
    product.sign("Cid")
    try:
        failed = product.inv("backup")
        assert failed.code == 5, failed.said
        yield {"ID": product.ok("backup.list", "--json").json[0]["id"]}
    finally:
        product.query("alter table entries drop constraint fine")
        product.query("drop function fine")


@contextmanager
def lost(product: Product) -> Made:
    """A row is gone; then releases wait."""
    _lose(product)
    yield {}
    product.ok("hold.lift")


@contextmanager
def lost_beside(product: Product) -> Made:
    """A row is gone; then it is there in a database beside."""
    _lose(product)
    yield {}
    assert _guests(product) == ["Bob"], "what is in use is not touched"
    url = product.database_url().rsplit("/", 1)[0]
    (name,) = [str(one) for (one,) in product.query("select datname from pg_database where datname like 'restored_%'")]
    assert _guests(product, f"{url}/{name}") == ["Ann", "Bob"]
    product.query(f"drop database {name}")


@contextmanager
def lost_into(product: Product) -> Made:
    """A row is gone; then it is there in a database of somebody's own."""
    _lose(product)
    other = product.database_url().rsplit("/", 1)[0] + "/other"
    product.query("create database other")
    yield {"RESTORE_URL": other}
    assert _guests(product, other) == ["Ann", "Bob"]
    product.query("drop database other")


@contextmanager
def lost_in_place(product: Product) -> Made:
    """A row is gone; then it is back."""
    _lose(product)
    yield {}
    assert _guests(product) == ["Ann", "Bob"]


@contextmanager
def rows_back(product: Product) -> Made:
    """Everything is held while rows are brought back; then nothing is."""
    product.ok("hold", "--reason", "restoring")
    yield {}
    assert "held         nothing" in product.ok("status").out


def _half_way(product: Product) -> tuple[str, str]:
    """A restore in place that was killed; the ids of what was put in, and of what was there before."""
    _lose(product)
    product.ok("backup")
    saved, wanted = (str(one["id"]) for one in product.ok("backup.list", "--json").json[:2])
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
    left = Mark(id=name, environment="local", backup=wanted, saved=saved, author="Ann")
    restore_mark.record_begin(Folder(product.folder / ".deploylib"), left)
    restore_mark.place_mark(Secret(product.database_url()), left)
    product.query("drop table entries cascade")
    return wanted, saved


@contextmanager
def restoring(product: Product) -> Made:
    """A restore in place was killed; then it is complete."""
    _half_way(product)
    yield {}
    assert _guests(product) == ["Ann", "Bob"]


@contextmanager
def restoring_back(product: Product) -> Made:
    """A restore in place was killed; then what was there before is back."""
    _half_way(product)
    yield {}
    assert _guests(product) == ["Bob"]


@contextmanager
def restoring_another(product: Product) -> Made:
    """A restore in place was killed; then another backup is there."""
    _, saved = _half_way(product)
    yield {"ID": saved}
    assert _guests(product) == ["Bob"]


@contextmanager
def refused_migration(product: Product) -> Made:
    """A migration was refused."""
    head = product.head
    product.ok("backup")
    text = migration("An index.", 'op.execute("create unique index once on entries (message, nobody)")')
    product.commit("An index", {"migrations/versions/0003_index.py": text})
    refused = product.inv("migrate")
    assert refused.code == 6, refused.said
    yield {}
    product.git("reset", "--quiet", "--hard", head)


@contextmanager
def refused_rollback(product: Product) -> Made:
    """The schema is too new for the code before, or so it says; then that code serves all the same."""
    head, served = product.head, product.served()["backend"]
    text = migration("A place.", 'op.execute("alter table entries add column place text")')
    expand = product.commit("A place", {"migrations/versions/0003_place.py": text})
    product.ok("deploy")
    text = migration("No more.", 'op.execute("alter table entries drop column place")')
    text = text.replace("0003", "0004").replace('"0002"', '"0003"') + 'tolerates = "0003"\n'
    product.commit("No place", {"migrations/versions/0004_no_place.py": text})
    product.ok("deploy")
    product.ok("hold", "--commit", expand, "--reason", "it was bad as well")
    refused = product.inv("rollback")
    assert refused.code == 3, refused.said
    assert "does not go with the schema" in refused.said
    yield {}
    assert product.served()["backend"] == served
    product.query("update alembic_version set version_num = '0002'")
    product.git("reset", "--quiet", "--hard", head)


OF_TRIVIAL: dict[str, Situation] = {
    "at rest": Situation(at_rest),
    "a new commit": Situation(new_commit),
    "a bad release is live": Situation(bad_release),
    "a bad release is live, and one before it": Situation(bad_release_and_one_before),
    "a commit that does not start": Situation(failing_commit),
    "nothing could be put back": Situation(nothing_put_back),
    "a commit is held": Situation(held_commit),
    "a damaged hold": Situation(damaged_hold),
    "a holder that is dead": Situation(dead_holder),
    "a run that was killed": Situation(killed_run, {"inv finish": 130}),
    "autodeploy is on": Situation(autodeploy),
    "somebody deploys in the Dashboard": Situation(foreign_deploy),
    "the platform does not answer": Situation(silent_platform, {"inv status": 40}),
    "the platform answers again": Situation(platform_again, {"inv finish": 130}),
    "the store does not answer": Situation(silent_store, {"inv status": 40}),
    "by hand, look": Situation(by_hand_look, long=False),
    "by hand, go back": Situation(by_hand_back, long=False),
    "by hand, afterwards": Situation(by_hand_afterwards, long=False),
}
OF_THE_GUEST_BOOK: dict[str, Situation] = {
    "a rollback that the schema refuses": Situation(refused_rollback),
    "a database with rows": Situation(rows),
    "an unproven backup": Situation(unproven),
    "rows were lost": Situation(lost),
    "rows were lost, beside": Situation(lost_beside),
    "rows were lost, into another database": Situation(lost_into),
    "rows were lost, in place": Situation(lost_in_place),
    "rows are back": Situation(rows_back),
    "a restore was killed": Situation(restoring),
    "a restore was killed, back": Situation(restoring_back),
    "a restore was killed, another": Situation(restoring_another),
    "a migration that is refused": Situation(refused_migration, {"inv migrate": 6}),
}
SITUATIONS = OF_TRIVIAL | OF_THE_GUEST_BOOK
