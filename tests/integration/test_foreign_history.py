"""A foreign shop on Node, with SQL migrations of its own: its whole history, released and gone back from one by one."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.edges import environment
from tests.support.product import ROOT, TIME_SCALE, Product

PRODUCTS = ROOT.parent / "shared" / "cases" / "products"
WITHOUT_SCAN = ("--skip", "scan", "--reason", "its tools are not part of these tests")
# What does not come to a release, by the commit's title: the exit code, and what is said of it.
REFUSED = {
    "Settings, release ids": (6, "npm ci --silent"),  # the command needs packages that a checkout has not
    "Rename it back": (6, "renaming-column"),
    "Allow it": (6, "renaming-column"),  # by a remark that is no comment of SQL
    "Web breaks late": (10, "Put back    shop-api"),
    "Needs its key": (11, "STRIPE_KEY"),
}
GONE_BACK_FROM = {"Settings 2", "Allow it, in SQL", "A colour", "Pricing only"}
DOUBTED = {"Settings 2": "is not recorded", "Allow it, in SQL": "005_back.sql took something away"}
ACCOUNTS = """
bake = "0s"

[environments.staging]
api_url = "{staging}"
api_key_env = "STAGING_KEY"
store = "{store}"
only_this_machine = true

[environments.production]
api_url = "{production}"
api_key_env = "PRODUCTION_KEY"
store = "{store}"
only_this_machine = true
"""
pytestmark = [
    pytest.mark.load,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(not PRODUCTS.is_dir(), reason="the products are not beside this repository"),
    pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="node and npm are not on PATH"),
]


class Replayed(Product):
    """A repository that gets the commits of a bundle one by one, each with the tasks of today.

    Attributes:
        to_come: the commits that it has not got yet, oldest first.
    """

    def __init__(self, folder: Path, bundle: Path) -> None:
        super().__init__(folder, ("tasks.py",))
        self.git("fetch", "--quiet", str(bundle), "HEAD")
        self.to_come = self.git("log", "--reverse", "--format=%H", "FETCH_HEAD").splitlines()

    def in_shell(self, module: str, *args: str) -> None:
        """Run another program of this project here."""
        self._run([sys.executable, "-m", module, *args], environment(), 120, check=True)

    def step(self) -> str:
        """Take the next commit over; gives its title."""
        commit = self.to_come.pop(0)
        self.git("rm", "--quiet", "-r", "--force", "--ignore-unmatch", ".")
        self.git("checkout", commit, "--", ".")
        shutil.copy(ROOT / "tasks.py", self.folder / "tasks.py")
        own = self.folder / "deploylib.toml"
        text = own.read_text().partition("[environments")[0] if own.is_file() else ""
        title = self.git("log", "-1", "--format=%s", commit)
        self.commit(title, {"deploylib.toml": f"local_time_scale = {TIME_SCALE}\n{text}"})
        return title


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Replayed]:
    """The shop, before its first commit."""
    with Replayed(tmp_path / "shop", PRODUCTS / "shop.bundle") as product:
        yield product


def sold(shop: Product) -> list[tuple[str, int]]:
    """What the shop answers from its database."""
    return [(one["name"], one["cents"]) for one in shop.get("shop-api", "/products").json]


def live(shop: Product) -> dict[str, str]:
    """What serves, as status tells it."""
    return {one["service"]: one["commit"] for one in json.loads(shop.ok("status", "--json").out)["live"]}


def release(shop: Replayed, title: str) -> None:
    """Release a commit, and prove it; what is refused or put back leaves what served."""
    before = live(shop) if title != "The shop" else {}
    done = shop.inv("deploy", timeout=300)
    code, said = REFUSED.get(title, (0, ""))
    assert (title, done.code) == (title, code), done.said
    assert said in done.said
    if code:
        assert live(shop) == before
    else:
        shop.ok("verify")
    assert sold(shop) == [("Tea", 450), ("Coffee", 700)]


def go_back(shop: Replayed, title: str) -> None:
    """Restore the release before, which holds the commit; then lift that and release it again."""
    bad, before = shop.head, live(shop)
    back = shop.ok("rollback")
    assert DOUBTED.get(title, "") in back.said
    assert ("not known whether" in back.said) is (title in DOUBTED), back.said
    assert bad not in live(shop).values()
    assert bad[:7] in shop.ok("status").said.partition("held")[2].partition("\n")[0]
    assert shop.inv("deploy").code == 31
    shop.ok("hold.lift", "--commit", bad[:7], "--reason", "it was not at fault")
    shop.ok("deploy")
    assert live(shop) == before
    assert sold(shop) == [("Tea", 450), ("Coffee", 700)]


def one_by_one(shop: Product) -> None:
    """The commands typed one by one are one release, with a migration; then its backup is restored."""
    weight = {"api/migrations/008_weight.sql": "alter table products add column weight integer;\n"}
    commit = shop.commit("A weight", {**weight, "api/server.js": shop.read("api/server.js") + "// weight\n"})
    assert shop.inv("scan").code in {0, 4}  # what it needs may not be installed
    for words in ("backup", "migrate", "deploy --until deploy", "verify", "finish"):
        shop.ok(*words.split())
    assert live(shop)["shop-api"] == commit
    assert shop.query("select weight from products") == [(None,), (None,)]
    shop.ok("backup.restore", "--into", "database", "--force", "--confirm", "local")
    assert "schema          007_size.sql → 008_weight.sql" in shop.ok("deploy").said
    assert sold(shop) == [("Tea", 450), ("Coffee", 700)]


def promoted(shop: Replayed, folder: Path) -> None:
    """What staging has verified goes to production, an account of its own; its cron job is built from the branch's tip."""
    other = f"--state={folder / 'production'}"
    shop.in_shell("localrender", "up", other, f"--time-scale={TIME_SCALE}")
    try:
        production = json.loads((folder / "production" / "endpoint.json").read_text())
        keys = {"STAGING_KEY": shop.endpoint["api_key"], "PRODUCTION_KEY": production["api_key"]}
        told = ACCOUNTS.format(
            staging=shop.endpoint["api_url"], production=production["api_url"], store=folder / "store"
        )
        bake, tables = told.split("\n\n", 1)
        shop.commit("Accounts", {"deploylib.toml": f"{bake}\n{shop.read('deploylib.toml')}\n{tables}"})
        shop.git("init", "--bare", "--quiet", str(folder / "origin.git"))
        shop.git("remote", "add", "origin", str(folder / "origin.git"))
        shop.git("push", "--quiet", "--set-upstream", "origin", "HEAD")
        for words in ("deploy --environment staging", *["promote --from staging --to production"] * 2):
            done = shop.inv(*words.split(), *WITHOUT_SCAN, timeout=300, **keys)
            assert done.code == 0, done.said
        assert "the tip of its branch" in done.said
        assert "NOTHING TO DO" in done.said
    finally:
        shop.in_shell("localrender", "down", other)


def test_a_foreign_shop_is_released_through_its_history(shop: Replayed, tmp_path: Path) -> None:
    """Each commit comes to what it should, real rollbacks too; then command by command, restored, and promoted."""
    while len(shop.to_come) > 1:
        title = shop.step()
        release(shop, title)
        if title in GONE_BACK_FROM:
            go_back(shop, title)
    release(shop, shop.step())
    shop.write(".git/info/exclude", ".env.local\n")
    shop.write(".env.local", "STRIPE_KEY=sk_test\n")
    shop.ok("deploy")
    shop.ok("rollback")
    one_by_one(shop)
    promoted(shop, tmp_path)
