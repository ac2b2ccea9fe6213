"""Runs ``inv`` in this process and writes down every call from a lower room of the library into a higher one.

    python watched.py OUTPUT ARGUMENT...

Run by `tests/integration/test_one_way.py` in a process of its own, since what is watched is slow.
"""

from __future__ import annotations

import json
import sys
import threading
import tomllib
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
INSIDE = f"{ROOT / 'deploylib'}/"


def floors() -> dict[str, int]:
    """The layer of each room by the contract of the imports, 0 for the highest."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    return {name.strip(" ()"): number for number, layer in enumerate(contract["layers"]) for name in layer.split("|")}


class Watch:
    """Is told of each call; keeps those that go up, and how many there were at all."""

    def __init__(self) -> None:
        self.floors, self.calls = floors(), 0
        self.rooms: dict[str, str] = {}
        self.upward = Counter[tuple[str, str]]()

    def room(self, file: str) -> str:
        """The room that a file stands in; empty outside of the library, and for its own surface."""
        if file not in self.rooms:
            name = file.removeprefix(INSIDE).partition("/")[0].removesuffix(".py") if file.startswith(INSIDE) else ""
            self.rooms[file] = name if name in self.floors else ""
        return self.rooms[file]

    def see(self, frame: FrameType, event: str, _argument: Any) -> None:
        """One event of the profiler."""
        if event != "call" or not (callee := self.room(frame.f_code.co_filename)):
            return
        if frame.f_code.co_name == "<module>":
            return  # a face looks a name up: an import is the contract's, and no call
        self.calls += 1
        back = frame.f_back
        while back is not None and not self.room(back.f_code.co_filename):
            back = back.f_back  # contextlib, functools, msgspec: they call for somebody
        if back is not None and self.floors[callee] < self.floors[self.room(back.f_code.co_filename)]:
            self.upward[self.place(back), self.place(frame)] += 1

    @staticmethod
    def place(frame: FrameType) -> str:
        """A function by its file and its name."""
        return f"{frame.f_code.co_filename.removeprefix(INSIDE)}:{frame.f_code.co_qualname}"


def main(output: str, *arguments: str) -> None:
    """Watch one command to its end, whatever that is."""
    from invoke.main import program

    watch = Watch()
    threading.setprofile(watch.see)
    sys.setprofile(watch.see)
    try:
        program.run(["inv", *arguments])
    finally:
        sys.setprofile(None)
        found = [[*pair, number] for pair, number in watch.upward.items()]
        Path(output).write_text(json.dumps({"calls": watch.calls, "upward": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
