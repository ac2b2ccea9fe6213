"""A product on the local Render, whose environment is reached through the garbling proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.crash_trivial import Trivial
from tests.support.edges import Completed
from tests.support.garble.proxy import Proxy, before
from tests.support.garble.stories import release

ENVIRONMENT = "garbled"
GATE = ("--skip=scan", "--reason=tested elsewhere")
SETTINGS = """
[tool.deploylib.environments.garbled]
api_url = {url}
store = {store}
only_this_machine = true
"""


class Garbled(Trivial):
    """The product; its commands go to the environment behind the proxy."""

    proxy: Proxy

    def inv(self, *args: str, timeout: float = 300, **env: str) -> Completed:
        """Run the command to its end; the local Render's own commands as they are."""
        if args[0].startswith("local"):
            return super().inv(*args, timeout=timeout, **env)
        more = GATE if args[0] == "deploy" else ()
        known = {"RENDER_API_KEY": str(self.endpoint["api_key"])}
        return super().inv(*args, *more, "--environment", ENVIRONMENT, timeout=timeout, **env, **known)

    def change_all(self, server: str = "", *, fails: bool = False) -> str:
        """A commit that touches every service, pushed."""
        made = super().change_all(server, fails=fails)
        self.git("push", "--quiet", "--force", "origin", "main")
        return made


@contextmanager
def staged(folder: Path) -> Iterator[Garbled]:
    """The product with two releases, so that there is something to go back to."""
    with ExitStack() as ends:
        product = Garbled(folder / "product")
        ends.callback(product.clean)
        product.ok("local.up")
        proxy = product.proxy = ends.enter_context(before(product.endpoint["api_url"]))
        proxy.names = {product.service_id(name): name for name in ("alpha", "beta", "api")}
        store = json.dumps(str(product.folder / ".deploylib"))
        settings = SETTINGS.format(url=json.dumps(proxy.address), store=store)
        product.replace("pyproject.toml", "[tool.deploylib]\n", '[tool.deploylib]\nbake = "0s"\n')
        product.write("pyproject.toml", product.read("pyproject.toml") + settings)
        product.commit("An environment")
        product.git("init", "--bare", "--quiet", str(folder / "origin.git"))
        product.git("remote", "add", "origin", str(folder / "origin.git"))
        for _ in range(2):
            release(product)
        yield product
