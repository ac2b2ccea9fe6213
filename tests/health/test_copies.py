"""The health files that a service takes along: whose a file is, and that nobody's work is lost."""

from __future__ import annotations

import ast
import hashlib
import subprocess
from pathlib import Path

import pytest

import deploylib
from deploylib import health
from deploylib.commands.health import take_health
from deploylib.errors import SettingsError
from deploylib.health import CopyState, Language

ROOT = Path(deploylib.__file__).parent.parent
BOTH = pytest.mark.parametrize("language", Language)


@pytest.fixture
def env(tmp_path: Path) -> deploylib.Environment:
    """An environment of a product with nothing in it."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "deploylib.toml").write_text("")
    return deploylib.Environment.open("local", folder=tmp_path)


def older(language: Language) -> str:
    """A copy of a version that was before ours, as it was written then."""
    body = "# as it was\n"
    mark = "#" if language is Language.PYTHON else "//"
    return f"{mark} deploylib {language.file.name} 0 sha256:{hashlib.sha256(body.encode()).hexdigest()}\n{body}"


def write(env: deploylib.Environment, folder: Path, language: Language, *, force: bool = False) -> CopyState:
    """What stood where a copy was written."""
    [copy] = take_health(env, write=str(folder), language=language, force=force).copies
    assert (folder / language.file.name).read_bytes() == language.file.read_bytes()
    return copy.state


@BOTH
def test_a_version_line_holds_the_checksum_of_what_is_below_it(language: Language) -> None:
    """Or every copy would be told as edited; whoever changes the file writes this one into its first line."""
    head, _, body = language.file.read_bytes().partition(b"\n")

    assert head.decode().endswith(f"{language.file.name} 1 sha256:{hashlib.sha256(body).hexdigest()}")


def test_the_sample_holds_the_file_itself() -> None:
    """As a service of somebody else does."""
    copy = ROOT / "sample" / "backend" / "guestbook" / "health.py"

    assert copy.read_bytes() == Language.PYTHON.file.read_bytes()


def test_the_page_of_the_sample_holds_the_component_itself() -> None:
    """As a page of somebody else does."""
    copy = ROOT / "sample" / "frontend" / "src" / "deploy-status.js"

    assert copy.read_bytes() == Language.BROWSER.file.read_bytes()


def test_the_python_file_needs_python_3_9_and_nothing_else() -> None:
    """Its syntax, and what it imports."""
    tree = ast.parse(Language.PYTHON.file.read_text(), feature_version=(3, 9))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert {"asyncio", "signal"} < {name.partition(".")[0] for name in imported} <= {
        "__future__", "asyncio", "collections", "concurrent", "datetime", "http", "inspect", "json", "os", "queue", "re",
        "signal", "sys", "threading", "time", "typing",
    }  # fmt: skip


def test_the_node_file_imports_nothing() -> None:
    """Not even of Node."""
    assert "import" not in Language.NODE.file.read_text().replace("important", "")


@BOTH
def test_a_copy_is_written_where_there_is_none_and_left_where_it_is_the_same(
    env: deploylib.Environment, tmp_path: Path, language: Language
) -> None:
    """The second time nothing is touched, whatever the ends of its lines."""
    assert write(env, tmp_path, language) is CopyState.ABSENT
    file = tmp_path / language.file.name
    before = file.stat()

    done = take_health(env, write=str(tmp_path), language=language)

    assert (done.written, done.copies[0].state) == (False, CopyState.SAME)
    assert file.stat() == before
    assert file.stat().st_mode & 0o777 == 0o644
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert take_health(env, write=str(tmp_path), language=language).copies[0].state is CopyState.SAME


@BOTH
def test_an_older_copy_that_nobody_has_edited_is_replaced(
    env: deploylib.Environment, tmp_path: Path, language: Language
) -> None:
    """With the difference told."""
    (tmp_path / language.file.name).write_text(older(language))

    done = take_health(env, write=str(tmp_path), language=language)

    assert (done.written, done.copies[0].state, done.copies[0].version) == (True, CopyState.OLDER, 0)
    assert "-# as it was" in done.copies[0].diff


@BOTH
def test_what_somebody_has_written_is_replaced_by_force_alone(
    env: deploylib.Environment, tmp_path: Path, language: Language
) -> None:
    """An edited copy, a newer one, a file of their own: refused with the difference and the command."""
    file = tmp_path / language.file.name
    ours = language.file.read_bytes()
    newer = older(language).replace(" 0 sha256", " 99 sha256").encode()
    cases = {CopyState.EDITED: ours + b"\nmine", CopyState.NEWER: newer, CopyState.FOREIGN: b"mine = 1\n"}
    for state, text in cases.items():
        file.write_bytes(text)

        with pytest.raises(SettingsError, match="left as it is") as refused:
            take_health(env, write=str(tmp_path), language=language)

        assert file.read_bytes() == text
        assert any(line.startswith(("-mine", "-# as it was")) for line in refused.value.details)
        assert f"inv local.health --write {tmp_path} --language {language} --force" in refused.value.remedy
        assert write(env, tmp_path, language, force=True) is state


@pytest.mark.parametrize("text", [b"\xff\xfe\0\1", b"x" * 2_000_000, b""], ids=["no-text", "enormous", "empty"])
def test_a_file_that_is_no_program_is_somebodys_own(env: deploylib.Environment, tmp_path: Path, text: bytes) -> None:
    """Its content is not printed."""
    (tmp_path / "health.py").write_bytes(text)

    with pytest.raises(SettingsError, match="somebody's own file") as refused:
        take_health(env, write=str(tmp_path), language="python")

    assert not any("x" * 99 in line or "\0" in line for line in refused.value.details)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda place: place, "is not there"),
        (lambda place: place.write_text(""), "is a file"),
        (lambda place: (place / "health.py").mkdir(parents=True), "cannot be read"),
    ],
    ids=["absent", "a-file", "a-folder-of-that-name"],
)
def test_where_nothing_can_be_written_is_told(
    env: deploylib.Environment, tmp_path: Path, make: object, text: str
) -> None:
    """With the place, before anything is touched."""
    assert callable(make)
    make(tmp_path / "place")

    with pytest.raises(SettingsError, match=text) as refused:
        take_health(env, write=str(tmp_path / "place"), language="python")

    assert str(tmp_path / "place") in refused.value.message
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("files", "language"),
    [
        (["service/package.json"], Language.NODE),
        (["service/main.py"], Language.PYTHON),
        (["package.json", "service/requirements.txt"], Language.PYTHON),
        (["requirements.txt"], Language.PYTHON),
        (["service/package.json", "service/main.py"], None),
        ([], None),
    ],
)
def test_the_nearest_folder_that_tells_a_language_decides(
    env: deploylib.Environment, tmp_path: Path, files: list[str], language: Language | None
) -> None:
    """Both at once, or none: it is asked for."""
    (tmp_path / "service").mkdir()
    for name in files:
        (tmp_path / name).write_text("")

    if language is None:
        with pytest.raises(SettingsError, match="does not tell whether it is Python or Node") as refused:
            take_health(env, write=str(tmp_path / "service"))
        assert "--language python" in refused.value.remedy
    else:
        assert take_health(env, write=str(tmp_path / "service")).copies[0].language is language


def test_a_language_that_there_is_none_of_is_refused(env: deploylib.Environment, tmp_path: Path) -> None:
    """With those that there are."""
    with pytest.raises(SettingsError, match="no health file for 'ruby'") as refused:
        take_health(env, write=str(tmp_path), language="ruby")

    assert refused.value.remedy == "--language python, node, browser"


def test_without_a_folder_the_copies_are_told(env: deploylib.Environment, tmp_path: Path) -> None:
    """Those that have a version line; a file that only bears the name is somebody's own."""
    for name, text in {
        "api/health.py": Language.PYTHON.file.read_text(),
        "web/health.mjs": older(Language.NODE),
        "edited/health.py": Language.PYTHON.file.read_text() + "\n",
        "own/health.py": "mine = 1\n",
        "gone/health.py": "",
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "-C", tmp_path, "add", "--all"], check=True)
    (tmp_path / "gone/health.py").unlink()

    told = take_health(env).copies

    assert {copy.path: copy.state for copy in told} == {
        "api/health.py": CopyState.SAME,
        "edited/health.py": CopyState.EDITED,
        "web/health.mjs": CopyState.OLDER,
    }


def test_the_task_tells_what_was_done(tmp_path: Path) -> None:
    """As lines, as JSON, and with the exit code of a refusal."""
    (tmp_path / "main.py").write_text("")

    def inv(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["inv", "local.health", "--write", str(tmp_path), *words]
        return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)

    written, again = inv(), inv("--json")
    (tmp_path / "health.py").write_text("mine = 1\n")
    refused = inv()

    assert f"{tmp_path}/health.py written: version 1" in written.stdout
    assert '"state": "same"' in again.stdout
    assert (written.returncode, again.returncode, refused.returncode) == (0, 0, 2)
    assert "-mine = 1" in refused.stderr
    assert health.compare_copy(tmp_path / "health.py", Language.PYTHON).state is CopyState.FOREIGN
