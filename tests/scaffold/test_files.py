"""What is written is our own, and works where it is written."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from deploylib import settings
from deploylib.commands import init
from deploylib.environment import Environment
from deploylib.health import CopyState, Language, compare_copy
from deploylib.scaffold import InitOptions
from tests.support import adopters

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ".github/workflows/deploy.yml"


def initialised(folder: Path, **asked: bool) -> Path:
    """The folder, with all that init writes."""
    env = Environment.open("local", folder=folder)
    assert init.write_init(env, init.prepare_init(env, InitOptions(**asked))).written
    return folder


@pytest.fixture(scope="module")
def monorepo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that has got everything that there is."""
    files = adopters.MONOREPO | adopters.EXPRESS
    made = adopters.make_repository(tmp_path_factory.mktemp("made") / "shop", files)
    return initialised(made, staging=True, health=True, status=True, npm=True)


def test_the_tasks_are_listed(monorepo: Path) -> None:
    """By invoke, in a file of at most ten lines."""
    assert len((monorepo / "tasks.py").read_text().splitlines()) <= 10
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "--list"], cwd=monorepo, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert re.search(r"^  deploy +Release a commit", done.stdout, re.MULTILINE)


def test_the_settings_are_read_for_each_environment(monorepo: Path) -> None:
    """By the library, as they stand there."""
    staging = settings.load(monorepo, "staging", {}, looking=True)

    assert staging.settings.tests == "sh -c 'npm ci && npm test'"
    assert staging.environment.services["backend"] == "backend-staging"
    assert settings.load(monorepo, "production", {}, looking=True).environment.services == {}


def workflows(folder: Path) -> list[str]:
    """The files of its workflows."""
    return sorted(path.name for path in (folder / ".github/workflows").iterdir())


def test_the_workflow_is_ours_in_two_jobs(tmp_path: Path) -> None:
    """Byte for byte but for where it releases: by dispatch alone, until one line is uncommented."""
    folder = initialised(adopters.make_repository(tmp_path / "shop", adopters.EXPRESS))
    text, ours = (folder / WORKFLOW).read_text(), (ROOT / WORKFLOW).read_text()

    assert workflows(folder) == ["deploy.yml", "preview.yml"]
    assert text == ours.replace("options: [production, staging]", "options: [production]")
    parsed = yaml.safe_load(text)
    assert set(parsed[True]) == {"workflow_dispatch"}  # YAML 1.1 reads `on` as true
    assert [name for name, job in parsed["jobs"].items() if "== 'deploy'" in job["if"]] == ["gates", "release"]
    pushed = re.sub(r"# (push: .*?) # .*", r"\1", text)
    assert yaml.safe_load(pushed)[True]["push"] == {"branches": ["main"]}
    action = ".github/actions/setup/action.yml"
    assert (folder / action).read_bytes() == (ROOT / action).read_bytes()


def test_the_workflow_of_who_has_a_staging_begins_with_it(monorepo: Path) -> None:
    """Byte for byte ours, whatever the services are called; it, too, starts by dispatch alone."""
    path = ".github/workflows/deploy-staging-first.yml"

    assert workflows(monorepo) == ["deploy-staging-first.yml", "drill.yml", "preview.yml"]
    for each in (path, ".github/workflows/preview.yml"):
        assert (monorepo / each).read_bytes() == (ROOT / each).read_bytes()
    assert set(yaml.safe_load((monorepo / path).read_text())[True]) == {"workflow_dispatch"}


def test_a_parallel_workflow_that_is_there_is_not_joined_by_another(tmp_path: Path) -> None:
    """One push would be released twice: it keeps the one that it has, with every job that it wrote."""
    path = ".github/workflows/deploy-parallel.yml"
    files = adopters.EXPRESS | {path: (ROOT / path).read_text() + "  # of its own\n"}
    folder = initialised(adopters.make_repository(tmp_path / "shop", files))

    assert workflows(folder) == ["deploy-parallel.yml", "preview.yml"]
    assert (folder / path).read_text() == files[path]


@pytest.mark.parametrize("staging", [False, True])
def test_the_parallel_workflow_is_ours_where_it_is_asked_for(tmp_path: Path, *, staging: bool) -> None:
    """Byte for byte but for where it releases, and by dispatch alone; a second init without the flag changes nothing."""
    folder = initialised(adopters.make_repository(tmp_path / "shop", adopters.EXPRESS), parallel=True, staging=staging)
    path = ".github/workflows/deploy-parallel.yml"
    text, ours = (folder / path).read_text(), (ROOT / path).read_text()

    assert workflows(folder) == ["deploy-parallel.yml", *(["drill.yml"] if staging else []), "preview.yml"]
    assert set(yaml.safe_load(text)[True]) == {"workflow_dispatch"}
    pushed = re.sub(r"# push: (.*?) # .*", r"push:\n    branches: [main]", text)
    pushed = pushed.replace("# What a release is:", "# A push to main is released:")
    where, first = ("[staging, production]", "staging") if staging else ("[production]", "production")
    assert pushed == (
        ours.replace("[production, staging]", where)
        .replace("default: production", f"default: {first}")
        .replace("|| 'production'", f"|| '{first}'")
    )
    second = init.prepare_init(Environment.open("local", folder=folder), InitOptions())
    assert not second.wanted
    assert not any("git rm" in step for step in second.steps)


def test_who_gets_a_staging_later_is_told_what_the_settings_lack(tmp_path: Path) -> None:
    """They are not ours to write in, and without that table no command knows staging; which Blueprint is new is named."""
    folder = initialised(adopters.make_repository(tmp_path / "shop", adopters.EXPRESS))
    asked = InitOptions(staging=True)
    steps = init.prepare_init(Environment.open("local", folder=folder), asked).steps

    assert any(step.startswith("add [environments.staging] to deploylib.toml") for step in steps)
    assert any(step.endswith("this repository, render.staging.yaml") for step in steps)

    settings_file = folder / "deploylib.toml"
    settings_file.write_text(settings_file.read_text() + "\n[environments.staging]\n")
    later = init.prepare_init(Environment.open("local", folder=folder), asked).steps
    assert not any(step.startswith("add [environments") for step in later)


@pytest.mark.parametrize("asked", ["staging", "parallel"])
def test_who_gets_another_workflow_later_is_told_which_one_goes(tmp_path: Path, asked: str) -> None:
    """It is not ours to take away, and one push would be released twice."""
    folder = initialised(adopters.make_repository(tmp_path / "shop", adopters.EXPRESS))
    prepared = init.prepare_init(Environment.open("local", folder=folder), InitOptions(**{asked: True}))

    assert any("git rm .github/workflows/deploy.yml" in step for step in prepared.steps)


@pytest.mark.parametrize("asked", [{}, {"staging": True}, {"parallel": True}, {"parallel": True, "staging": True}])
def test_the_workflow_is_one_that_its_linter_passes(tmp_path: Path, asked: dict[str, bool]) -> None:
    """As it is written."""
    folder = initialised(adopters.make_repository(tmp_path / "shop", adopters.EXPRESS), **asked)
    done = subprocess.run(["actionlint"], cwd=folder, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_a_staging_that_is_there_is_found_in_the_settings(tmp_path: Path) -> None:
    """Without the flag: all that was written with it stays as it is proposed, and no Blueprint of staging is wanted."""
    folder = initialised(adopters.make_repository(tmp_path / "shop", adopters.EXPRESS), staging=True)
    (folder / "render.staging.yaml").unlink()
    prepared = init.prepare_init(Environment.open("local", folder=folder), InitOptions())

    assert {one.state.value for one in prepared.changes} == {"as it is proposed"}


def test_the_tasks_and_the_runbook_are_ours(monorepo: Path, tmp_path: Path) -> None:
    """The code of the one, the sections of the other; of a product without a database those of databases are left out."""
    code = "from deploylib.cli import collection\n\nns = collection()\n"
    assert (ROOT / "tasks.py").read_text().endswith(code)
    assert (monorepo / "tasks.py").read_text().endswith(code)

    ours = re.findall(r"^## .*", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    theirs = re.findall(r"^## .*", (monorepo / "docs/runbook.md").read_text(), re.MULTILINE)
    assert theirs == [ours[0], "## What this product is made of", *ours[1:]]
    assert "the installation (deploylib, README.md)" in (monorepo / "docs/runbook.md").read_text()
    text = (initialised(adopters.make_repository(tmp_path / "site", adopters.STATIC)) / "docs/runbook.md").read_text()
    sections = re.findall(r"^## .*", text, re.MULTILINE)
    assert [one for one in sections if "atabase" in one or "backup" in one or "igration" in one] == []
    assert "## The new release is bad" in sections
    assert not re.search(r"\]\((?!https?:|#)", text), "a link into a repository that is not theirs"
    headings = {
        re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in re.findall(r"^#+ (.*)", text, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= headings


def test_the_health_files_are_copies(monorepo: Path) -> None:
    """As `inv local.health` makes and knows them."""
    for path, language in (("backend/health.py", Language.PYTHON), ("health.mjs", Language.NODE)):
        assert compare_copy(monorepo / path, language).state is CopyState.SAME
    assert compare_copy(monorepo / "frontend/deploy-status.js", Language.BROWSER).state is CopyState.SAME


def test_the_locustfile_asks_for_the_health_path(monorepo: Path) -> None:
    """Of the program that visitors ask; it is Python."""
    text = (monorepo / "loadtests/locustfile.py").read_text()

    compile(text, "locustfile.py", "exec")
    assert 'self.client.get("/healthz")' in text


@pytest.mark.load  # what builds is locked with what is installed; the session `installing` has both
@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_what_is_built_holds_what_is_written(target: str, tmp_path: Path) -> None:
    """Each file of both programs, and those that init writes, byte for byte; of the sdist what a wheel is made of."""
    from deploylib.scaffold.templates import TEMPLATES

    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = tmp_path.iterdir()
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "deploylib", "localrender"]
    said = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    needed = {path: path for path in said.split("\0") if (ROOT / path).is_file()}
    if target == "wheel":
        needed |= {path: f"deploylib/scaffold/templates/{name}" for path, name in TEMPLATES.items()}
        with zipfile.ZipFile(built) as wheel:
            held = {path: wheel.read(name) for path, name in needed.items() if name in wheel.namelist()}
    else:
        needed |= {path: path for path in TEMPLATES}
        with tarfile.open(built) as sdist:
            top = built.name.removesuffix(".tar.gz")
            names = set(sdist.getnames())
            files = {path: sdist.extractfile(f"{top}/{path}") for path in needed if f"{top}/{path}" in names}
            held = {path: file.read() for path, file in files.items() if file is not None}

    assert "deploylib/health/deploy-status.js" in needed
    assert needed.keys() - held.keys() == set()
    assert held == {path: (ROOT / path).read_bytes() for path in needed}
