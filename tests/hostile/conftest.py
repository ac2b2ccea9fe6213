"""A product on a local Render, an environment that reaches it through a hostile proxy, and commands in little memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.evil import Evil
from tests.hostile.proxy import before
from tests.support.trivial import Trivial

SETTINGS = """
[tool.deploylib.environments.evil]
api_url = {url}
store = "{store}"
only_this_machine = true
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evil]:
    """Deployed once, with two releases to choose from."""
    folder: Path = tmp_path_factory.mktemp("evil")
    with Trivial(folder / "product") as product:
        product.ok("local.up")
        with before(product.endpoint["api_url"]) as proxy:
            settings = SETTINGS.format(url=json.dumps(proxy.address), store=folder / "store")
            product.write("pyproject.toml", product.read("pyproject.toml") + settings)
            product.commit("An environment")
            product.git("init", "--bare", "--quiet", str(folder / "origin.git"))
            product.git("remote", "add", "origin", str(folder / "origin.git"))
            there = Evil(product, proxy)
            for _ in range(2):
                there.changed()
                (done,) = there.run(("deploy", "--skip=scan", "--reason=tested elsewhere")).values()
                assert done.code == 0, done.said
            yield there


@pytest.fixture
def evil(deployed: Evil) -> Iterator[Evil]:
    """Whatever a story does to the proxy is over with it."""
    yield deployed
    deployed.proxy.path, deployed.proxy.way, deployed.proxy.replaced = "", "", {}
