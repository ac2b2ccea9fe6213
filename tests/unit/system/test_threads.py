"""Work beside the main thread, on a machine that has no room for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FULL = """
import threading
from deploylib.errors import SettingsError
from deploylib.system import threads

over, room, begin = threading.Event(), [{room}], threading.Thread.start

def full(thread):
    if not room[0]:
        raise RuntimeError("can't start new thread")
    room[0] -= 1
    begin(thread)

threading.Thread.start = full  # as it is under a limit that the interpreter itself lives below
try:
    print({work})
except SettingsError as error:
    print(error.diagnostics())
"""


def under(room: int, work: str) -> str:
    """What a program says that does *work* where so many threads can be started."""
    code = FULL.format(room=room, work=work)
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30).stdout


LIMITED = """
import re, resource
from pathlib import Path
from deploylib.errors import SettingsError
from deploylib.system import threads

threads.reserve_little()
used = int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (used + threads.STACK * 3 // 4,) * 2)
for work in (lambda: threads.start(int).result(5), lambda: threads.each(str, [1, 2], 2)):
    try:
        work()
    except SettingsError as error:
        print(error.diagnostics())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux limits what a program may reserve")
def test_a_thread_that_cannot_be_started_is_told_with_a_remedy() -> None:
    """No trace in the middle of a deploy, under ``ulimit -v``."""
    done = subprocess.run([sys.executable, "-c", LIMITED], check=True, capture_output=True, text=True, timeout=30)

    assert done.stdout.count("error: no thread can be started: this machine allows no more") == 2
    assert done.stdout.count("ulimit -u, ulimit -v") == 2


def test_the_threads_that_can_be_started_do_all_the_work() -> None:
    """One is enough."""
    assert under(1, "threads.each(str, [1, 2, 3], 3)") == "['1', '2', '3']\n"
