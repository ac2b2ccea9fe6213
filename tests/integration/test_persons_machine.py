"""What a person's machine has set leads a release nowhere else: a proxy, git in a hook, settings of git, a folder's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.product import Product
from tests.support.repository import Repository
from tests.support.trivial import Trivial

FOLDER = "the shop's {{new}} $HOME `site` → ü"  # whatever reads a path as something else would stumble
MODULES = ("html", "http", "jsonschema", "msgspec", "platform", "queue", "secrets", "statistics", "types")
NOBODY = "http://127.0.0.1:9"  # the port of "discard", at which no proxy listens
PROXIES = {name: NOBODY for kind in ("http", "https", "all") for name in (f"{kind}_proxy", f"{kind}_proxy".upper())}
# What it is asked by tells whether its own requests to another service would go by way of the proxy.
ASKS = """
import os, urllib.request
urllib.request.urlopen(os.environ["API_URL"] + "/health", timeout=5).read()
"""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trivial]:
    """A product that nobody has released yet, with modules that are called like those of Python and of what we use."""
    with Trivial(tmp_path_factory.mktemp("person") / FOLDER) as product:
        product.commit("Modules", {f"{name}.py": "raise ImportError('of the product')\n" for name in MODULES})
        yield product


def test_a_proxy_is_not_asked_for_what_runs_here(product: Trivial) -> None:
    """Although nobody has set NO_PROXY: neither by a release nor by a look or a build."""
    unset = {"no_proxy": "", "NO_PROXY": ""}

    for words in (("deploy",), ("status",), ("verify",), ("monitor",)):
        done = product.inv(*words, timeout=300, **PROXIES, **unset)
        assert done.code == 0, done.said
    assert product.one_commit == product.head

    url = product.url("api").rstrip("/")
    build = f"set -e\nexport API_URL={url}\npython3 asks.py\n" + product.read("alpha/build.sh")
    product.commit("A build that asks", {"alpha/asks.py": ASKS, "alpha/build.sh": build})
    product.ok("local.down")
    done = product.inv("local.up", timeout=300, **PROXIES, **unset)
    assert done.code == 0, done.said
    done = product.inv("deploy", timeout=300, **PROXIES, **unset)
    assert done.code == 0, done.said
    assert product.served()["alpha"] == product.head


def test_a_release_in_a_hook_is_of_the_folder_that_it_is_typed_in(product: Trivial, tmp_path: Path) -> None:
    """Git names a repository to its hooks, which may be another one; and a person may have every signature shown."""
    other = Repository.make(tmp_path / "other")
    other.commit({"of-another": "1"})
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").write_text(
        "[log]\nshowSignature = true\n[diff]\nrelative = true\n[color]\nui = always\n"
    )
    commit = product.change_all()

    git_dir = str(other.root / ".git")
    done = product.inv("deploy", GIT_DIR=git_dir, GIT_INDEX_FILE=f"{git_dir}/index", HOME=str(tmp_path / "home"))

    assert done.code == 0, done.said
    assert product.one_commit == commit


@pytest.mark.load  # tests/localrender/test_environments.py has what is moved
def test_a_product_whose_folder_is_moved_goes_on(tmp_path: Path) -> None:
    """What was live comes up again, the next build works with what was kept, and there may be a space in the name."""
    with Product(tmp_path / "shop") as product:
        product.ok("deploy")
        first = product.served()
        product.ok("local.down")
        product.folder = product.folder.rename(tmp_path / "my shop")

        product.ok("local.up")
        assert product.served() == first
        [program] = product.folder.glob(".localrender/artifacts/*/*/venv/bin/pip")
        assert str(product.folder) in program.read_text()
        product.change_backend("Elsewhere")
        product.ok("deploy")
        assert product.served()["backend"] == product.head
        product.ok("rollback")
        assert product.served() == first
