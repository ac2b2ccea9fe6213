"""What a scan of dependencies says of files, with an answer that is written down here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec

from deploylib.models.findings import Examined
from deploylib.scanners import Product
from deploylib.scanners.dependencies import scan_dependencies
from deploylib.settings import ScanSettings
from deploylib.system import process
from tests.support.fakes import FakeClock, RecordingRunner, write


def asked(command: process.Command) -> list[str]:
    """The requirements that pip-audit was handed."""
    assert isinstance(command.stdin, bytes)
    return command.stdin.decode().splitlines()


def printing(answer: Callable[[list[str]], object]) -> Callable[[process.Command], process.Completed]:
    """A pip-audit that prints what *answer* says of the requirements."""
    return lambda command: process.Completed(tuple(command.args), 0, json.dumps(answer(asked(command))).encode())


def knowing(lines: list[str]) -> object:
    """Every package is known and none is vulnerable."""
    return {
        "dependencies": [
            dict(zip(("name", "version"), line.split("=="), strict=True)) | {"vulns": []} for line in lines
        ]
    }


def examined(root: Path, files: dict[str, str], runner: RecordingRunner | None = None, **settings: object) -> Examined:
    """What is said of a tree with these files."""
    write(root, files)
    clock = FakeClock()
    real = runner or RecordingRunner(answers={"pip_audit": printing(knowing)})
    chosen = msgspec.convert(settings, ScanSettings)
    return scan_dependencies(Product(root, chosen, runner=real, deadline=clock.deadline(600)))


def npm(stdout: bytes | Exception) -> RecordingRunner:
    """An npm that says this."""

    def run(_command: process.Command) -> process.Completed:
        if isinstance(stdout, Exception):
            raise stdout
        return process.Completed((), 1, stdout)

    return RecordingRunner(answers={"npm audit": run})
