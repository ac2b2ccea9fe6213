"""What a command tells cannot be written: it does what it was asked for, and its exit code says what came of it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.edges import environment
from tests.support.trivial import BUILD, Trivial

# Whoever runs these tests under nohup would hand that on, and the command would rightly not be ended.
HEEDING = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trivial]:
    """It is live."""
    with Trivial(tmp_path_factory.mktemp("unwritable") / "product") as product:
        product.ok("deploy")
        yield product


@contextmanager
def stream(how: str) -> Iterator[int]:
    """A stream of a program that takes nothing: no room is left, or its reader has gone."""
    if how == "full":
        into = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, into = os.pipe()
        os.close(reader)
    yield into
    os.close(into)


def run(product: Trivial, *words: str, out: int = subprocess.PIPE, err: int = subprocess.PIPE) -> tuple[int, str, str]:
    """A command with other streams: exit code, and what came by the usual ones."""
    command = [sys.executable, "-m", "invoke", *words]
    done = subprocess.run(
        command, cwd=product.folder, env=environment(), stdout=out, stderr=err, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout or "", done.stderr or ""


@pytest.mark.parametrize("how", ["full", pytest.param("gone", marks=pytest.mark.load)])
def test_a_release_goes_on_although_its_progress_cannot_be_written(product: Trivial, how: str) -> None:
    """It is shown to nobody, and recorded as ever."""
    commit = product.change_all()

    with stream(how) as err:
        code, out, _ = run(product, "deploy", err=err)

    assert code == 0, out
    assert f"SUCCEEDED   {commit[:7]} is live on local" in out
    assert product.one_commit == commit
    assert product.outcome() == "succeeded"


@pytest.mark.load  # the answers below are written by the same lines
@pytest.mark.parametrize("how", ["gone", "full"])
def test_a_release_is_what_it_is_although_its_result_cannot_be_written(product: Trivial, how: str) -> None:
    """Exit code 0; that there is no room is told, that nobody reads is not."""
    commit = product.change_all()

    with stream(how) as out:
        code, _, err = run(product, "deploy", out=out)

    assert code == 0, err
    assert ("No space left on device" in err) is (how == "full")
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    assert product.one_commit == commit


@pytest.mark.parametrize(
    "words",
    [
        ("history", "--json"),
        ("logs", "--follow"),
        *(pytest.param(words, marks=pytest.mark.load) for words in (("status",), ("logs",), ("deploy", "--dry-run"))),
    ],
    ids=" ".join,
)
def test_an_answer_that_cannot_be_written_is_no_answer(product: Trivial, words: tuple[str, ...]) -> None:
    """Exit code 2 where there is no room; who does not read it is not told."""
    with stream("full") as out:
        code, _, err = run(product, *words, out=out)
    assert code == 2, err
    assert "error: the result could not be written to standard output: No space left on device" in err
    assert "next: what was asked for is done: give it another place" in err

    with stream("gone") as out:
        code, _, err = run(product, *words, out=out)
    assert code == 0, err
    assert "Traceback" not in err
    assert "error" not in err


def test_what_is_refused_has_its_exit_code_although_nobody_can_be_told(product: Trivial) -> None:
    """Whichever stream is lost, also as JSON."""
    for words in (("logs", "--service", "gamma"), ("logs", "--service", "gamma", "--json")):
        with stream("full") as lost:
            assert run(product, *words, out=lost, err=lost)[0] == 2
            code, out, _ = run(product, *words, err=lost)
        assert code == 2
        assert not out if "--json" not in words else json.loads(out)["exit_code"] == 2


def test_streams_that_were_closed_before_are_as_good_as_unread(product: Trivial) -> None:
    """A shell does that with `>&-`."""
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        command = ["sh", "-c", f'exec "$0" -m invoke status {closed}', sys.executable]
        done = subprocess.run(
            command, cwd=product.folder, env=environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr


def test_a_value_is_not_read_from_an_input_that_was_closed(product: Trivial) -> None:
    """It is as if nothing had been given."""
    command = ["sh", "-c", 'exec "$0" -m invoke local.env --name KEY <&-', sys.executable]
    done = subprocess.run(
        command, cwd=product.folder, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_that_is_closed_ends_the_command_in_order(product: Trivial, tmp_path: Path) -> None:
    """As Ctrl-C does: exit code 130, the run stays open, the environment is free, and the next command goes on."""
    product.commit("Slowly", {"alpha/build.sh": f"sleep 3\n{BUILD}"})
    controlling, terminal = pty.openpty()
    command = [sys.executable, "-c", HEEDING, "-m", "invoke", "deploy"]
    env = environment(TERM="xterm")
    with (tmp_path / "result").open("wb") as result:
        running = subprocess.Popen(
            command, cwd=product.folder, env=env, stdin=terminal, stdout=result, stderr=terminal, start_new_session=True
        )
    os.close(terminal)
    said = b""
    while b"building" not in said:
        said += os.read(controlling, 1 << 16)

    os.close(controlling)  # and who has started it as the terminal's leader would be told so by the kernel
    running.send_signal(signal.SIGHUP)

    assert running.wait(10) == 130, (tmp_path / "result").read_text()
    assert "stopped by SIGHUP" in (tmp_path / "result").read_text()
    assert product.outcome() == "open"
    assert "nobody" in product.ok("lease").out
    assert "by this run" in product.ok("deploy").err
    assert product.served()["alpha"] == product.head


@pytest.mark.load
def test_nohup_goes_on_without_a_terminal(product: Trivial) -> None:
    """Who asked for a release to outlive the terminal has it."""
    commit = product.change_all()
    command = ["sh", "-c", 'trap "" HUP; exec "$0" -m invoke deploy', sys.executable]
    with subprocess.Popen(
        command, cwd=product.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        while "deploy:" not in running.stderr.readline():
            assert running.poll() is None
        running.send_signal(signal.SIGHUP)
        out, err = running.communicate(timeout=120)
    assert running.returncode == 0, (out, err)
    assert product.one_commit == commit
