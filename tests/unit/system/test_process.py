"""Programs: started without a shell, ended in time, and what they say without its secrets."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from deploylib.errors import SettingsError
from deploylib.models import Secret
from deploylib.system import process
from tests.support.edges import has_ended
from tests.support.fakes import RecordingRunner

PASSWORD = "p4ss-w0rd"


def python(code: str, **options: object) -> process.Command:
    """A tiny program."""
    return process.Command([sys.executable, "-S", "-c", code], **options)  # type: ignore[arg-type]


def test_a_program_is_run_to_its_end() -> None:
    """Its output is all of it, its text is without the last line's end."""
    done = process.SYSTEM.run(python("print('one'); print('two')"))

    assert (0, b"one\ntwo\n", "one\ntwo") == (done.returncode, done.stdout, done.text)


def test_a_program_that_fails_raises_with_its_last_words() -> None:
    """The error has the program's name, its code and the last twenty lines of its standard error."""
    with pytest.raises(process.ProgramFailed, match=r"ended with code 3") as raised:
        process.SYSTEM.run(
            python("import sys; print('out'); [print(n, file=sys.stderr) for n in range(30)]; sys.exit(3)")
        )

    assert tuple(str(n) for n in range(10, 30)) == raised.value.details
    assert Path(sys.executable).name in raised.value.message


def test_a_program_that_fails_silently_is_told_by_its_output() -> None:
    """Without standard error the output is what it said."""
    with pytest.raises(process.ProgramFailed) as raised:
        process.SYSTEM.run(python("print('only here'); raise SystemExit(1)"))

    assert raised.value.details == ("only here",)


def test_a_failure_may_be_looked_at_instead() -> None:
    """Without the check the code is a value."""
    assert process.SYSTEM.run(python("raise SystemExit(7)", check=False)).returncode == 7


def test_a_program_that_does_not_end_is_killed() -> None:
    """It fails when its time is over, and it is gone."""
    began = time.monotonic()

    with pytest.raises(process.ProgramFailed, match=r"did not end within") as raised:
        process.SYSTEM.run(
            python("import os, sys, time; print(os.getpid(), file=sys.stderr, flush=True); time.sleep(60)", timeout=0.5)
        )

    assert time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int(raised.value.details[-1]), 0)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_secrets_are_struck_out_of_what_a_program_said(stream: str) -> None:
    """Neither a failure's details nor its text shows them, on whichever stream it was said."""
    code = f"import sys; print('the password is {PASSWORD}', file=sys.{stream}); sys.exit(1)"

    with pytest.raises(process.ProgramFailed) as raised:
        process.SYSTEM.run(python(code, secrets=(Secret(PASSWORD), Secret(""))))

    assert raised.value.details == ("the password is •••",)


def test_a_command_shows_neither_its_variables_nor_its_input() -> None:
    """Secrets travel there, so its representation has neither."""
    command = python("pass", env={"PGPASSWORD": PASSWORD}, stdin=PASSWORD.encode(), secrets=(Secret(PASSWORD),))

    assert PASSWORD not in repr(command)
    assert PASSWORD not in repr(process.Completed((), 1, b"", PASSWORD.encode()))


def test_variables_come_on_top_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child has our environment and what is added, in the folder that was named."""
    monkeypatch.setenv("FROM_US", "1")

    done = process.SYSTEM.run(
        python("import os; print(os.environ['FROM_US'], os.environ['X'], os.getcwd())", env={"X": "2"}, cwd=tmp_path)
    )

    assert f"1 2 {tmp_path}" == done.text


def test_a_program_inherits_no_more_than_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would lead it elsewhere is dropped by name; another account's program gets nothing of ours."""
    monkeypatch.setenv("ELSEWHERE", "1")
    monkeypatch.setenv("OURS", "1")
    show = [sys.executable, "-c", "import os; print(sorted({'ELSEWHERE', 'OURS', 'ITS'} & {*os.environ}))"]

    assert process.SYSTEM.run(process.Command(show, drops=["ELSEWHERE"], env={"ITS": "1"})).text == "['ITS', 'OURS']"
    assert process.SYSTEM.run(process.Command(show, bare=True, env={"ITS": "1"})).text == "['ITS']"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another account")
def test_a_program_runs_as_another_account() -> None:
    """In none of our groups."""
    done = process.SYSTEM.run(process.Command(["id"], cwd=Path("/"), account=(65534, 65534)))

    assert "uid=65534" in done.text
    assert "(root)" not in done.text


def test_a_program_that_is_not_there_is_a_matter_of_settings() -> None:
    """The operator reads what to install."""
    with pytest.raises(SettingsError, match="no-such-program cannot be started") as raised:
        process.SYSTEM.run(process.Command(["no-such-program"]))

    assert raised.value.remedy == "install no-such-program"


@pytest.mark.parametrize("tree", [False, True])
def test_a_program_for_which_there_are_no_files_left_is_not_called_absent(tree: bool) -> None:  # noqa: FBT001
    """It is installed; the limit is in the way."""
    code = (
        "import os, resource\nfrom deploylib.errors import SettingsError\nfrom deploylib.system import process\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))\n"
        "taken = []\n"
        "try:\n    while True: taken.append(os.open('/dev/null', os.O_RDONLY))\nexcept OSError: pass\n"
        f"try: process.SYSTEM.run(process.Command(['true'], tree={tree}))\n"
        "except SettingsError as error: print(error.diagnostics())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30)

    assert "true cannot be started: Too many open files" in done.stdout
    assert "ulimit -n 1024" in done.stdout
    assert "install" not in done.stdout


def test_an_error_of_a_full_machine_is_no_missing_program() -> None:
    """A scanner that cannot be started now is there."""

    def refuse(_: process.Command) -> process.Completed:
        raise process.Exhausted("x cannot be started: Too many open files", remedy="ulimit -n 1024")

    with pytest.raises(process.Unanswered, match="Too many open files") as raised:
        process.ask_program(python("1"), dict, "x", runner=RecordingRunner(answers={sys.executable: refuse}))
    assert not raised.value.missing


def test_input_is_fed_as_it_comes() -> None:
    """Bytes or pieces: the program reads the same."""
    count = "import sys; print(len(sys.stdin.buffer.read()))"

    assert process.SYSTEM.run(python(count, stdin=b"x" * 10)).text == "10"
    assert process.SYSTEM.run(python(count, stdin=iter([b"x" * 100_000] * 7))).text == "700000"


def test_a_program_may_answer_before_it_has_read_everything() -> None:
    """Output and input larger than a pipe do not wait for each other."""
    code = "import sys; sys.stdout.write('x' * 300_000); sys.stdout.flush(); print(len(sys.stdin.buffer.read()))"

    done = process.SYSTEM.run(python(code, stdin=iter([b"y" * 100_000] * 5), timeout=20))

    assert done.text.endswith("x500000")


def test_a_program_that_stops_reading_says_so_by_its_code() -> None:
    """A broken pipe is not our failure: the program's own end tells."""
    pieces = iter([b"y" * 100_000] * 20)
    assert process.SYSTEM.run(python("import sys; sys.stdin.buffer.read(1)", stdin=pieces)).returncode == 0

    with pytest.raises(process.ProgramFailed, match="ended with code 4"):
        process.SYSTEM.run(python("raise SystemExit(4)", stdin=iter([b"y" * 100_000] * 20)))


def test_a_failure_of_the_input_goes_on() -> None:
    """When the pieces cannot be read, that is the error, and the program is gone."""

    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        process.SYSTEM.run(python("import sys; sys.stdin.buffer.read()", stdin=pieces()))


def test_a_program_that_hangs_while_it_is_fed_is_killed() -> None:
    """The deadline also ends the feeding."""
    with pytest.raises(process.ProgramFailed, match="did not end within"):
        process.SYSTEM.run(python("import time; time.sleep(60)", stdin=iter([b"y" * 100_000] * 20), timeout=0.25))


def test_a_stream_raises_instead_of_ending_when_the_program_fails() -> None:
    """Whoever takes the pieces must not believe that they are all."""
    pieces = process.SYSTEM.stream(
        python("import sys; print('half', flush=True); print('disk full', file=sys.stderr); sys.exit(1)")
    )

    assert next(pieces) == b"half\n"
    with pytest.raises(process.ProgramFailed, match="ended with code 1") as raised:
        next(pieces)
    assert raised.value.details == ("disk full",)


@pytest.mark.parametrize(
    "says", ["", "print('x', flush=True); ", "import os; os.close(1); "], ids=["nothing", "little", "its end"]
)
def test_a_stream_of_which_nothing_comes_is_at_its_end(says: str) -> None:
    """A server that has gone silent keeps a dump, and whoever waits for it, for ever."""
    silent = replace(python(f"import time; {says}time.sleep(600)"), quiet=0.5)

    with pytest.raises(process.ProgramFailed, match="has said nothing for"):
        list(process.SYSTEM.stream(silent))


def test_a_stream_that_succeeds_ends() -> None:
    """All of the output, in pieces."""
    assert b"x" * 3_000_000 == b"".join(process.SYSTEM.stream(python("print('x' * 3_000_000, end='')")))


def test_a_dry_run_starts_only_programs_that_read() -> None:
    """One that writes, and every stream, is refused before it starts."""
    real = RecordingRunner(answers={"git": b"said"})
    runner = process.ReadOnlyRunner(real)

    assert runner.run(process.Command(["git", "status"])).text == "said"
    with pytest.raises(RuntimeError, match="must not start pg_restore"):
        runner.run(process.Command(["pg_restore"], writes=True))
    with pytest.raises(RuntimeError, match="must not start pg_dump"):
        runner.stream(process.Command(["pg_dump"]))
    assert [("git", "status")] == [tuple(command.args) for command in real.commands]


def test_a_program_that_says_too_much_is_a_failure_in_little_memory() -> None:
    """An output that is an answer has a limit, and whoever goes beyond it is ended, and not waited for."""
    endless = "import os; b = b'x' * 65536\nwhile True: os.write(1, b)"

    with pytest.raises(process.ProgramFailed, match="printed more than 64 MB"):
        process.SYSTEM.run(python(endless, timeout=60))


@pytest.mark.parametrize("stream", [1, 2], ids=["stdout", "stderr"])
def test_of_what_is_only_shown_beginning_and_end_are_kept(stream: int) -> None:
    """A hundred megabytes in one line take a few hundred kilobytes, and one line of the message."""
    code = f"import os\nos.write({stream}, b'first\\n')\nfor _ in range(1600): os.write({stream}, b'x' * 65536)\nos.write({stream}, b'\\nlast')"

    done = process.SYSTEM.run(python(code, shown=True, timeout=60))

    said = done.stdout if stream == 1 else done.stderr
    assert said.startswith(b"first\n")
    assert len(said) < 1 << 20
    assert (501, "last") == (len(done.lines[-2]) + 1, done.lines[-1])


def test_what_a_cut_leaves_of_a_secret_is_left_out() -> None:
    """Neither its beginning nor its end stands at the edge of what was kept, wherever the cut falls."""
    code = f"import os\nfor _ in range(40000): os.write(2, b'{PASSWORD}' * 7 + b'.')"

    done = process.SYSTEM.run(python(code, secrets=(Secret(PASSWORD),), timeout=60))

    text = done.stderr.decode(errors="ignore")
    assert "[…]" in text
    assert not {PASSWORD[:4], PASSWORD[-4:]} & {text[at : at + 4] for at in range(len(text))}


def test_a_pipe_that_is_left_to_another_program_is_not_waited_for() -> None:
    """A server that was started and keeps our pipe of errors does not keep us."""
    code = "import subprocess, sys\nsubprocess.Popen(['sleep', '30'], stdout=subprocess.DEVNULL)\nprint('up')"
    began = time.monotonic()

    assert process.SYSTEM.run(python(code, timeout=20)).text == "up"

    assert time.monotonic() - began < 10


def test_a_program_is_asked_to_end_before_it_is_killed(tmp_path: Path) -> None:
    """With SIGTERM, and two seconds to put things away; then it is gone all the same, with what it has started."""
    polite = tmp_path / "polite"
    code = f"""
import pathlib, signal, subprocess, sys, time
child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
signal.signal(signal.SIGTERM, lambda *_: pathlib.Path({str(polite)!r}).write_text("asked"))
print(child.pid, file=sys.stderr, flush=True)
while True: time.sleep(1)
"""
    with pytest.raises(process.ProgramFailed, match="did not end within") as raised:
        process.SYSTEM.run(python(code, timeout=1.5, tree=True))

    assert polite.read_text() == "asked"
    left = int(raised.value.details[-1])
    deadline = time.monotonic() + 10
    while not has_ended(left):
        assert time.monotonic() < deadline, "what it started goes on"
        time.sleep(0.02)


def test_what_must_not_go_on_ends_with_a_killed_command(tmp_path: Path) -> None:
    """After ``kill -9`` of ours it is gone with what it has started, and so is who saw to that."""
    inner = """
import subprocess, time, pathlib, os, sys
child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
pathlib.Path(sys.argv[1], "new").write_text(f"{os.getpid()} {child.pid}")
os.rename(pathlib.Path(sys.argv[1], "new"), pathlib.Path(sys.argv[1], "pids"))
time.sleep(60)
"""
    outer = f"""
import subprocess
import sys
from deploylib.system.process import SYSTEM
from deploylib.system.process import Command
SYSTEM.run(Command([sys.executable, "-c", {inner!r}, {str(tmp_path)!r}], tree=True))
"""
    command = subprocess.Popen([sys.executable, "-c", outer])
    until((tmp_path / "pids").exists)
    started = [psutil.Process(int(pid)) for pid in (tmp_path / "pids").read_text().split()]
    started += [one for one in psutil.Process(command.pid).children() if one not in started]
    assert [3, "sh"] == [len(started), started[-1].name()]

    command.kill()
    command.wait()

    until(lambda: all(has_ended(one) for one in started))


def test_a_guard_is_gone_once_it_is_not_needed() -> None:
    """Neither an end nor a failure to start leaves one behind."""
    before = psutil.Process().children()
    process.SYSTEM.run(python("print(1)", tree=True))
    with pytest.raises(SettingsError, match="cannot be started"):
        process.SYSTEM.run(process.Command(["/nowhere/program"], tree=True))
    assert psutil.Process().children() == before


def until(good: Callable[[], bool]) -> None:
    """Wait for something to be so."""
    deadline = time.monotonic() + 60
    while not good():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_program_that_has_ended_does_not_run_though_nobody_has_asked_how() -> None:
    """It keeps its id until somebody does: in a container whose first process never asks, for good."""
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    try:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert not process.is_alive(ended.pid)
    finally:
        ended.wait()
    assert not process.is_alive(ended.pid)
    assert process.is_alive(os.getpid())
