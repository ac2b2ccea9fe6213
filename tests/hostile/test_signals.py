"""The first SIGTERM or Ctrl-C is heeded within ten seconds, wherever a command waits."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from localrender.cluster import Cluster
from localrender.state import State
from tests.support.edges import environment
from tests.support.ends import WAYS, listening

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
HEEDED_WITHIN = 10.0  # seconds: what a runner of CI gives


@contextmanager
def waiting(place: str, address: str, folder: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A command that is at its place, and all that it has started is gone afterwards."""
    (folder / ".git").mkdir()
    env = environment(PYTHONPATH=str(ROOT), AWS_ENDPOINT_URL_S3=address, **KEYS, **more)
    command = [sys.executable, "-m", "tests.hostile.waiting", place, address]
    running = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "waiting\n", running.communicate(timeout=10)
        yield running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()


def check_that_it_ends(running: subprocess.Popen[str], number: signal.Signals, settle: float = 0.7) -> str:
    """It ends with 130 in time, says so, and leaves nothing that runs; what it said."""
    time.sleep(settle)  # until it really waits; earlier is no less a place to be stopped at
    children = psutil.Process(running.pid).children(recursive=True)
    began = time.monotonic()
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert time.monotonic() - began < HEEDED_WITHIN, said
    assert running.returncode == 130, said
    assert f"stopped by {number.name}" in said
    assert "next: the same command again goes on where this stopped" in said
    assert "Traceback" not in said
    gone, alive = psutil.wait_procs(children, timeout=5)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in alive), (gone, alive)
    return said


QUICK = ["reading_beside", "running", "storing"]
OTHERS = ["sleeping", "reading", "streaming", "feeding", "uploading", "connecting", "swallowing"]


@pytest.mark.parametrize("place", [*QUICK, *(pytest.param(place, marks=pytest.mark.load) for place in OTHERS)])
def test_a_signal_is_heeded_wherever_it_waits(place: str, tmp_path: Path) -> None:
    """With exit code 130, and what it has started is gone."""
    way = "stalled" if place in {"storing", "uploading", "connecting"} else "dripping"
    with listening(lambda to: WAYS[way](to, "application/xml")) as there, waiting(place, there, tmp_path) as running:
        check_that_it_ends(running, signal.SIGTERM)


@pytest.mark.load
def test_a_signal_is_heeded_in_a_statement(tmp_path: Path) -> None:
    """Which goes on for ten minutes, of a database that answers otherwise."""
    folder = tmp_path / "postgres"
    folder.mkdir()
    state = State(folder)
    cluster = Cluster(state, "16")
    cluster.start()
    try:
        with waiting("asking", cluster.superuser_url, tmp_path) as running:
            check_that_it_ends(running, signal.SIGTERM)
    finally:
        cluster.stop()
        moved = state.setting("postgres_folder")  # where root's own folders are closed to the server's account
        state.sql.close()
        shutil.rmtree(moved or state.folder, ignore_errors=True)


@pytest.mark.load
def test_ctrl_c_is_heeded_like_a_signal(tmp_path: Path) -> None:
    """The same, for who sits before it."""
    server = listening(lambda to: WAYS["dripping"](to, "application/xml"))
    with server as there, waiting("reading_beside", there, tmp_path) as running:
        check_that_it_ends(running, signal.SIGINT)


@pytest.mark.load
def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """Also where the first one was taken for something else."""
    with waiting("swallowing", "", tmp_path) as running:
        time.sleep(0.5)
        running.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        began = time.monotonic()
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=10)
    assert time.monotonic() - began < 3
    assert running.returncode in {130, -signal.SIGTERM}
