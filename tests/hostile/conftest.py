"""A product on a local Render, an environment that reaches it through a hostile proxy, and commands in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import msgspec
import pytest

from tests.hostile.proxy import Proxy, before
from tests.support.edges import environment
from tests.support.trivial import Trivial

MEMORY = 400 << 20  # bytes: of address space, and so of memory
SETTINGS = """
[tool.deploylib.environments.evil]
api_url = {url}
store = "{store}"
only_this_machine = true
"""


class Ended(msgspec.Struct, frozen=True):
    """How a command ended: its code, the seconds that it took, the memory that it had at most, and what it said."""

    code: int
    seconds: float
    memory: int
    said: str


@dataclass
class Evil:
    """The product, and the proxy before its platform."""

    product: Trivial
    proxy: Proxy

    def run(self, *commands: tuple[str, ...], **env: str) -> dict[tuple[str, ...], Ended]:
        """Run commands at the same time, each with no more than `MEMORY`."""
        known = {"RENDER_API_KEY": self.product.endpoint["api_key"], **env}
        running = {command: self._started(command, known) for command in commands}
        return {command: self._ended(*each) for command, each in running.items()}

    def changed(self, **how: str) -> str:
        """A commit that touches every service, pushed."""
        made = self.product.change_all(**how)
        self.product.git("push", "--quiet", "origin", "main")
        return made

    def _started(self, command: Sequence[str], env: dict[str, str]) -> tuple[subprocess.Popen[bytes], IO[bytes], float]:
        words = [sys.executable, "-m", "invoke", *command, "--environment", "evil"]
        limited = ["sh", "-c", f'ulimit -v {MEMORY >> 10}; exec "$@"', "sh", *words]
        said = TemporaryFile()  # noqa: SIM115 - it lives as long as the command
        child = subprocess.Popen(limited, cwd=self.product.folder, env=environment(**env), stdout=said, stderr=said)
        return child, said, time.monotonic()

    def _ended(self, child: subprocess.Popen[bytes], said: IO[bytes], began: float) -> Ended:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        with said:
            said.seek(0)
            text = said.read().decode(errors="replace")
        return Ended(child.returncode, time.monotonic() - began, used.ru_maxrss << 10, text)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evil]:
    """Deployed once, with two releases to choose from."""
    folder: Path = tmp_path_factory.mktemp("evil")
    product = Trivial(folder / "product")
    try:
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
    finally:
        product.clean()


@pytest.fixture
def evil(deployed: Evil) -> Iterator[Evil]:
    """Whatever a story does to the proxy is over with it."""
    yield deployed
    deployed.proxy.path, deployed.proxy.way, deployed.proxy.replaced = "", "", {}
