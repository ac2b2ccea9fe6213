"""A product, the proxy before its platform, and commands in little memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO

import msgspec

from tests.hostile.proxy import Proxy
from tests.support.edges import environment
from tests.support.trivial import Trivial

MEMORY = 400 << 20  # bytes: of address space, and so of memory


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
