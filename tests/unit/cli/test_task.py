"""Between the command line and the library: one printed result, one exit code, no traceback."""

from __future__ import annotations

import inspect
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from invoke.config import Config
from invoke.context import Context
from invoke.parser import Parser

from deploylib import errors
from deploylib.cli import collection, session
from deploylib.cli.task import command
from deploylib.cli.tasks import everything
from deploylib.environment import Environment
from deploylib.errors import BuildFailed, DeployError, Interrupted, SettingsError
from deploylib.models import Secret
from deploylib.models.results import Report

ENV = Environment.open(folder=Path(__file__).parent)
ERROR = BuildFailed("api: the build failed", remedy="correct the build", details=("npm ERR!",))
LEAVES = [kind for name in errors.__all__ if "exit_code" in vars(kind := getattr(errors, name))]


def context(*, dry: bool = False) -> Context:
    """What invoke passes to a task."""
    return Context(Config(overrides={"run": {"dry": dry}}))


def failing(error: BaseException) -> Any:
    """A task that raises."""

    @command()
    def task(_env: Environment) -> None:
        raise error

    return task


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_an_error_ends_the_program_with_its_exit_code(kind: type[DeployError]) -> None:
    """One code per outcome, and no traceback."""
    with pytest.raises(SystemExit) as raised:
        failing(kind("it went wrong", remedy="mend it"))(context())

    assert kind.exit_code == raised.value.code


def test_an_error_is_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """What, evidence, next step; standard output stays for results."""
    with pytest.raises(SystemExit):
        failing(ERROR)(context())

    assert capsys.readouterr() == ("", f"{ERROR.diagnostics()}\n")


def test_as_json_the_error_is_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    """With outcome, code, message, evidence and next step, so that a program can go on from it."""
    with pytest.raises(SystemExit) as raised:
        failing(ERROR)(context(), json=True)

    assert raised.value.code == 10
    assert json.loads(capsys.readouterr().out) == {
        "outcome": "build failed",
        "exit_code": 10,
        "error": "api: the build failed",
        "details": ["npm ERR!"],
        "next": ["correct the build"],
    }


def test_debug_lets_the_traceback_through() -> None:
    """Only when it is asked for."""
    with pytest.raises(BuildFailed):
        failing(ERROR)(context(), debug=True)


def test_a_bug_is_no_outcome() -> None:
    """It is not hidden behind an exit code of ours."""
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())(context())


def test_invokes_own_dry_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """It would silence only programs, and everything else would happen."""
    done: list[bool] = []

    @command()
    def task(_env: Environment) -> None:
        done.append(True)

    with pytest.raises(SystemExit) as raised:
        task(context(dry=True))

    assert (2, []) == (raised.value.code, done)
    assert "inv deploy --dry-run" in capsys.readouterr().err


def test_a_task_keeps_its_name_and_its_first_line() -> None:
    """``inv --list`` shows them."""

    @command()
    def task(_env: Environment) -> None:
        """Do it."""

    assert (task.__name__, task.__doc__) == ("task", "Do it.")


def report(exit_code: int, outcome: str = "succeeded") -> Report:
    """A report."""
    return Report(
        run="x-7f3a", environment="local", outcome=outcome, exit_code=exit_code, error="é → e" * bool(exit_code)
    )


def test_a_report_is_printed_and_ends_the_program_only_when_it_failed(capsys: pytest.CaptureFixture[str]) -> None:
    """0 needs no exit."""
    session.print_result(report(0), ENV, "", {}, json=False)
    with pytest.raises(SystemExit) as raised:
        session.print_result(report(14, "verification failed"), ENV, "", {}, json=False)

    assert raised.value.code == 14
    out, err = capsys.readouterr()
    assert "SUCCEEDED" in out
    assert "verification failed (exit code 14)" in out
    assert err == ""


def test_a_report_as_json_is_the_value(capsys: pytest.CaptureFixture[str]) -> None:
    """The same fields as in the history."""
    session.print_result(report(0), ENV, "", {}, json=True)

    said = json.loads(capsys.readouterr().out)
    assert said == {"run": "x-7f3a", "environment": "local", "outcome": "succeeded", "exit_code": 0}


def test_a_secret_cannot_be_printed_as_json() -> None:
    """It fails before anything is written."""
    with pytest.raises(TypeError):
        session.tell({"key": Secret("p4ss")}, (), json=True)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_plain_terminal_gets_ascii(monkeypatch: pytest.MonkeyPatch, *, as_json: bool) -> None:
    """Printing never fails for a sign, and what is JSON stays JSON."""
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))

    session.tell({"a": "→ ü"}, ["→ ü"], json=as_json)

    text = raw.getvalue().decode("ascii")
    assert json.loads(text) == {"a": "> ?"} if as_json else text == "> ?\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_a_command_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """It becomes an error with exit code 130; a second one would end the program at once; afterwards all is as before."""
    monkeypatch.chdir(tmp_path)
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]

    with session.session("local"):
        with pytest.raises(Interrupted, match=f"stopped by {number.name}") as raised:
            os.kill(os.getpid(), number)
        assert [signal.SIG_DFL] * 2 == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]

    assert raised.value.exit_code == 130
    assert before == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]


def test_a_session_is_of_the_product_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the settings of the environment, and what the command adds."""
    monkeypatch.chdir(tmp_path)

    with session.session("local") as env:
        assert (tmp_path, "local") == (env.config.root, env.name)
    with pytest.raises(SettingsError, match="no environment 'prod'"), session.session("prod"):
        pytest.fail("there is none")


def test_a_command_works_from_any_folder_of_the_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings, the store and the local Render are those of the top of the working copy."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "deploylib.toml").write_text('deadline = "7m"\n')
    (tmp_path / "sample" / "backend").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "sample" / "backend")

    config = Environment.open().config

    assert (tmp_path, "7m") == (config.root, config.settings.deadline)


def test_what_a_command_has_read_is_kept_compiled(tmp_path: Path) -> None:
    """The library and what it uses, however they were installed; nothing comes to lie beside the file of tasks."""
    shutil.copy(Path(__file__).parents[3] / "tasks.py", tmp_path)
    compiled = tmp_path / "compiled"
    env = {"PATH": os.environ["PATH"], "PYTHONPYCACHEPREFIX": str(compiled)}
    subprocess.run([sys.executable, "-m", "invoke", "status"], cwd=tmp_path, env=env, check=False, capture_output=True)

    kept = {file.relative_to(compiled).parent.name for file in compiled.rglob("*.pyc")}
    assert {"deploylib", "httpx"} <= kept
    assert not list((compiled / tmp_path.relative_to("/")).rglob("*.pyc"))


def test_a_command_does_not_read_the_command_line_of_its_http_library() -> None:
    """It would bring what draws on a terminal, wherever that is installed."""
    told = "import sys, deploylib.cli.task, httpx; print(httpx.Client, *{'click', 'pygments', 'rich'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)

    assert done.stdout == "<class 'httpx.Client'>\n"


UNREADABLE = os.fsdecode(b"na\xefve")


@pytest.mark.parametrize("name", sorted(everything().task_names))
def test_a_flag_that_is_no_utf_8_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of every command, before anything is done: it could not be recorded, nor be told."""
    task = everything()[name]
    flags = inspect.signature(task.body).parameters.values()
    wanted = {*task.iterable, *task.positional}
    texts = [each for each in flags if isinstance(each.default, str) or each.name in wanted]
    assert texts or name in {"local.down", "local.reset", "local.status"}

    for each in texts:
        value = [UNREADABLE] if each.name in task.iterable else UNREADABLE
        with pytest.raises(SystemExit) as raised:
            task(context(), **{each.name: value})
        told = capsys.readouterr().err
        assert (raised.value.code, told.splitlines()[0]) == (
            2,
            f"error: --{each.name.strip('_').replace('_', '-')}: na\\udcefve is no UTF-8",
        )


@pytest.mark.parametrize("given", ["naïve 日本 😀", "", "moving\r\nthe database\n"])
def test_any_other_text_is_a_flag(given: str) -> None:
    """Whatever the language; a reason is one line, as it was pasted."""
    done: list[str] = []

    @command()
    def task(_env: Environment, reason: str = "") -> str:
        done.append(reason)
        return "done"

    task(context(), reason=given)

    assert done == [" ".join(given.split())]


@pytest.mark.parametrize("name", ["deploy", "migrate", "rollback", "promote", "finish", "verify"])
def test_what_waits_for_services_shows_their_lines_when_asked(name: str) -> None:
    """Of each of them it may be what somebody looks for."""
    assert "verbose" in inspect.signature(everything()[name].body).parameters


@pytest.mark.parametrize("errors_as", ["strict", "surrogateescape"], ids=["UTF-8", "C"])
def test_a_value_that_is_no_utf_8_is_refused(errors_as: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the locale makes of standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"na\xefve\n"), encoding="utf-8", errors=errors_as))

    with pytest.raises(SettingsError, match="the value of TOKEN is no UTF-8"):
        session.secret("TOKEN")


def test_a_name_that_is_no_utf_8_is_told_all_the_same() -> None:
    """Who does it cannot help what the machine calls him; it must be fit to be recorded."""
    config = msgspec.structs.replace(ENV.config, environ={"GIT_AUTHOR_NAME": UNREADABLE})

    assert replace(ENV, config=config).author == "na\\udcefve"


@pytest.mark.parametrize(
    "words",
    [
        ("deploy", "--service="),
        ("deploy", "--service", ""),
        ("deploy", "--service=alpha", "--service="),
        ("deploy", "--until="),
        ("deploy", "--commit", "  "),
        ("deploy", "--environment="),
        ("rollback", "--to="),
        ("dashboard", "--environment=,"),
        ("history", "--limit="),
    ],
)
def test_an_empty_text_is_not_taken_for_a_flag_that_was_not_given(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a variable that is not set all services would be released, or another commit."""
    (parsed,) = Parser(contexts=collection().to_contexts()).parse_argv([*words])
    flag = next(word.partition("=")[0] for word in reversed(words) if word.startswith("--"))

    with pytest.raises(SystemExit) as raised:
        collection()[words[0]](context(), **parsed.as_kwargs)

    assert raised.value.code == 2
    assert f"{flag} is empty: a variable that is not set?" in capsys.readouterr().err
