"""What somebody has written is never overwritten, and all is written or nothing."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from deploylib.commands import init
from deploylib.environment import Environment
from deploylib.errors import SettingsError
from deploylib.scaffold import InitOptions
from tests.support import adopters
from tests.support.edges import Completed, environment

EVERYTHING = InitOptions(staging=True, health=True, status=True, npm=True)
SCRIPT = (sys.executable, "-c", "from deploylib.cli.script import main; main()")


def deploylib(folder: Path, *words: str) -> Completed:
    """The console script, in a child process."""
    done = subprocess.run([*SCRIPT, *words], cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    return Completed(done.returncode, done.stdout, done.stderr)


def write(folder: Path, asked: InitOptions = EVERYTHING) -> init.Initialisation:
    """Initialise a folder without asking."""
    env = Environment.open("local", folder=folder)
    return init.write_init(env, init.prepare_init(env, asked))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file beside git's own."""
    found = (each for each in folder.rglob("*") if each.is_file() and ".git" not in each.relative_to(folder).parts[:1])
    return {str(each.relative_to(folder)): each.read_bytes() for each in found}


@pytest.mark.parametrize("name", adopters.ALL)
def test_a_second_init_changes_nothing(name: str, tmp_path: Path) -> None:
    """Every file is as it is proposed, and no difference is shown."""
    folder = adopters.make_repository(tmp_path / "shop", adopters.ALL[name])
    write(folder)
    before = contents(folder)
    second = write(folder)

    assert contents(folder) == before
    assert {(one.path, one.state.value) for one in second.changes} == {
        (one.path, "as it is proposed") for one in second.changes
    }
    assert not second.wanted


@examples(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.dictionaries(st.integers(0, 9), st.tuples(st.integers(0, 400), st.text("ab#[]{}='\n", max_size=20))))
def test_edits_in_every_written_file_survive(edits: dict[int, tuple[int, str]], tmp_path: Path) -> None:
    """Wherever they are, and whatever becomes of the file by them: what init cannot read, it refuses."""
    pristine = tmp_path / "pristine"
    if not pristine.exists():
        write(adopters.make_repository(pristine, adopters.EXPRESS | {"pyproject.toml": "[tool.ruff]\n"}))
    folder = tmp_path / "edited"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(pristine, folder)
    files = sorted(path for path in contents(folder) if path not in adopters.EXPRESS)
    for number, (place, text) in edits.items():
        path = folder / files[number % len(files)]
        old = path.read_text()
        path.write_text(old[:place] + text + old[place:])
    before = contents(folder)
    try:
        write(folder)
    except SettingsError:
        assert contents(folder) == before
    after = contents(folder)

    # A table of settings that is ours no more by an edit is missing, and added once more: after all that stands there.
    settings = before.pop("pyproject.toml")
    assert after["pyproject.toml"].startswith(settings)
    assert {name: text for name, text in after.items() if name in before} == before


def test_what_was_edited_is_shown_and_kept(tmp_path: Path) -> None:
    """The difference, and that it is the user's; the exit code is 0."""
    folder = adopters.make_repository(tmp_path / "shop", adopters.STATIC)
    write(folder, InitOptions())
    (folder / "tasks.py").write_text("mine = True\n")
    done = deploylib(folder, "init", "--yes")

    assert done.code == 0, done.err
    assert "-mine = True" in done.out
    assert "what differs is yours, and stays as it is" in done.out
    assert (folder / "tasks.py").read_text() == "mine = True\n"


def test_without_yes_nothing_is_written(tmp_path: Path) -> None:
    """Where nobody can be asked the difference is shown, and the flag that writes it."""
    folder = adopters.make_repository(tmp_path / "shop", adopters.EXPRESS)
    before = contents(folder)
    done = deploylib(folder, "init")

    assert done.code == 0, done.err
    assert "+++ render.yaml (proposed)" in done.out
    assert "nothing was written: deploylib init --yes" in done.out
    assert contents(folder) == before
    told = deploylib(folder, "init", "--json", "--yes").json
    assert told["written"]
    assert {"text": "shop: packages by npm", "file": "package-lock.json"} in told["concluded"]


@pytest.mark.parametrize(("answer", "written"), [("y", True), ("n", False), ("", False)])
def test_on_a_terminal_one_is_asked(answer: str, written: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """After the difference was shown; only a yes writes."""
    folder = adopters.make_repository(tmp_path / "shop", adopters.STATIC)
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "wb", buffering=0) as typed, os.fdopen(theirs, "rb") as terminal:
        typed.write(f"{answer}\n".encode())
        done = subprocess.run(
            [*SCRIPT, "init"],
            cwd=folder,
            env=environment(),
            stdin=terminal,
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stderr
    assert "+++ render.yaml (proposed)" in done.stdout
    assert "files? [y/N]" in done.stderr
    assert (folder / "render.yaml").exists() is written


@pytest.mark.parametrize(("words", "code"), [(("--version",), 0), (("--help",), 0), (("init", "--wrong"), 2), ((), 2)])
def test_the_console_script_answers(words: tuple[str, ...], code: int, tmp_path: Path) -> None:
    """Version and help, and 2 to what it does not know."""
    done = deploylib(tmp_path, *words)

    assert done.code == code
    assert "deploylib" in done.out + done.err
    assert "Traceback" not in done.err


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    """With the command that makes it one."""
    done = deploylib(tmp_path, "init", "--yes")

    assert done.code == 2
    assert "is not in a git repository" in done.err
    assert "next: git init" in done.err
    assert contents(tmp_path) == {}


def test_settings_are_added_to_a_pyproject_that_has_none(tmp_path: Path) -> None:
    """At its end, with its own ends of lines; what stands there stays byte for byte."""
    folder = adopters.make_repository(tmp_path / "shop", adopters.STATIC)
    own = b"[project]\r\nname = 'shop' # ours\r\nversion = '1'\r\n"
    (folder / "pyproject.toml").write_bytes(own)
    write(folder, InitOptions())
    text = (folder / "pyproject.toml").read_bytes()

    assert text.startswith(own + b"\r\n[tool.deploylib]\r\n\r\n[tool.deploylib.environments.production]\r\nbake = ")
    assert text.count(b"\r\n") == text.count(b"\n")
    assert not (folder / "deploylib.toml").exists()


def test_npm_scripts_are_added_and_those_that_are_there_stay(tmp_path: Path) -> None:
    """All else of the package.json is byte for byte as it was."""
    mine = '{\n  "name": "shop",\n  "scripts": {\n    "start": "node server.js",\n    "deploy:test": "mine"\n  }\n}\n'
    folder = adopters.make_repository(tmp_path / "shop", adopters.EXPRESS | {"package.json": mine})
    write(folder, InitOptions(npm=True))

    added = '    "deploy:migrate": "inv migrate",\n    "deploy:rollback": "inv rollback",\n'
    assert (folder / "package.json").read_text() == mine.replace('"scripts": {\n', '"scripts": {\n' + added)


def test_a_flag_that_adds_nothing_says_why_and_what_would_let_it(tmp_path: Path) -> None:
    """Without a package.json at the top, without a site, without a program in Python or Node; in JSON as well."""
    folder = adopters.make_repository(tmp_path / "shop", adopters.STATIC)
    done = deploylib(folder, "init", "--npm", "--status", "--health")
    told = [line for line in done.out.splitlines() if "adds nothing" in line]

    assert done.code == 0, done.err
    health, npm = told
    assert health.startswith(
        "--health adds nothing: no web service of render.yaml is in Python or Node; deploylib init --h"
    )
    assert npm.startswith(
        "--npm adds nothing: no package.json is at the top of the repository; deploylib init --npm does"
    )
    assert deploylib(folder, "init", "--npm", "--status", "--health", "--json").json["unmet"] == told

    folder = adopters.make_repository(tmp_path / "express", adopters.EXPRESS)
    [told_of_status] = deploylib(folder, "init", "--npm", "--status", "--health", "--json").json["unmet"]
    assert "--status adds nothing: no service of render.yaml is a static site" in told_of_status
    write(folder)  # and once all is there
    assert told_of_status in deploylib(folder, "init", "--status", "--yes").out


def test_a_package_whose_first_scripts_are_another_ones_is_not_added_to(tmp_path: Path) -> None:
    """It would become a file that nobody meant: refused, with what to add by hand."""
    mine = '{"extra": {"scripts": {}}, "scripts": {"start": "node server.js"}}'
    folder = adopters.make_repository(tmp_path / "shop", adopters.EXPRESS | {"package.json": mine})
    with pytest.raises(SettingsError, match="cannot be added to") as error:
        write(folder, InitOptions(npm=True))

    assert "deploy:rollback" in error.value.remedy
    assert contents(folder).keys() == adopters.EXPRESS.keys()


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """A file where a folder belongs: the other files are not written either."""
    folder = adopters.make_repository(tmp_path / "shop", adopters.STATIC | {"docs": "a file\n"})
    before = contents(folder)
    done = deploylib(folder, "init", "--yes")

    assert done.code == 2, done.out
    assert "nothing was written" in done.err
    assert contents(folder) == before
    assert {each.name for each in folder.iterdir()} == {".git", "docs", "public"}


def test_a_file_that_was_changed_between_the_question_and_the_answer_is_kept(tmp_path: Path) -> None:
    """And nothing else is written, also not what came before it."""
    folder = adopters.make_repository(tmp_path / "shop", adopters.STATIC)
    env = Environment.open("local", folder=folder)
    prepared = init.prepare_init(env, InitOptions())
    (folder / "docs").mkdir()
    (folder / "docs/runbook.md").write_text("ours\n")
    with pytest.raises(SettingsError, match=r"docs/runbook\.md was changed meanwhile"):
        init.write_init(env, prepared)

    assert contents(folder).keys() == {"public/index.html", "docs/runbook.md"}
    assert (folder / "docs/runbook.md").read_text() == "ours\n"


@pytest.mark.parametrize("there", ["folder", "pipe", "nowhere"])
def test_what_is_no_file_is_told(there: str, tmp_path: Path) -> None:
    """A folder, a pipe, a link that leads nowhere: none is written over, or waited for."""
    folder = adopters.make_repository(tmp_path / "shop", adopters.STATIC)
    place = folder / "tasks.py"
    if there == "folder":
        place.mkdir()
    elif there == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(tmp_path / "not" / "there")
    with pytest.raises(SettingsError, match=r"tasks\.py is there, and is no file"):
        write(folder, InitOptions())


def test_nothing_is_written_outside_the_repository(tmp_path: Path) -> None:
    """Not by a folder that is a link."""
    folder = adopters.make_repository(tmp_path / "shop", adopters.STATIC)
    (tmp_path / "elsewhere").mkdir()
    (folder / "docs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="would lie outside this repository"):
        write(folder, InitOptions())

    assert list((tmp_path / "elsewhere").iterdir()) == []
