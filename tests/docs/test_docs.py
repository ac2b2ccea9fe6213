"""What the documents tell people to type exists, and what they promise is what the code says."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
from pathlib import Path

import msgspec
import pytest
from invoke.collection import Collection
from invoke.parser import Parser

from deploylib import errors, settings
from deploylib.models.smoke import SmokeRequest
from tests.support.pages import fenced_commands

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def _tasks() -> Collection:
    spec = importlib.util.spec_from_file_location("operator_tasks", ROOT / "tasks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    collection = module.ns
    assert isinstance(collection, Collection)
    return collection


def _commands() -> list[str]:
    """Every ``inv …`` of the documents: in indented blocks, fenced blocks and between backquotes."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text()
        found += re.findall(r"`(?:\.venv/bin/)?(inv [^`]+)`", text)
        found += re.findall(r"^(?: {4}|\.venv/bin/|.*&& \.venv/bin/)(inv [^#\n]+)", text, re.MULTILINE)
        found += fenced_commands(document)
    return sorted({command.strip() for command in found})


@pytest.mark.parametrize("command", _commands())
def test_every_documented_command_is_a_task_with_these_flags(command: str) -> None:
    """A command in a document is parsed by the real task list; placeholders stand for values."""
    words = shlex.split(command)[1:]
    if words[0] == "--list":
        return
    words = [word for word in words if word != "--help"]  # a flag of invoke itself

    parsed = Parser(contexts=_tasks().to_contexts()).parse_argv(words)

    assert words[0] in {parsed[0].name, *parsed[0].aliases}


def test_every_task_is_in_the_readme() -> None:
    """Whoever reads the README knows of every command."""
    readme = (ROOT / "README.md").read_text()

    def told(name: str) -> bool:
        return f"`inv {name}`" in readme or f"`inv {name} " in readme

    names = _tasks().task_names.items()
    assert [name for name, aliases in names if not any(told(one) for one in (name, *aliases))] == []


def test_the_exit_codes_of_the_readme_are_those_of_the_errors() -> None:
    """The table has a row for each outcome's code, and no other than 0 and 1."""
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    documented = {int(code): text for code, text in rows}
    known = {
        kind.exit_code: kind.outcome
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.DeployError) and hasattr(kind, "exit_code")
    }

    assert {0, 1, *known} == set(documented)
    assert [(code, outcome) for code, outcome in known.items() if outcome not in documented[code]] == []


def test_every_setting_is_in_the_reference() -> None:
    """A setting that can be set is told of, by its name in the table where it belongs."""
    reference = (ROOT / "docs" / "settings.md").read_text()
    tables = (
        settings.Settings,
        settings.ServiceSettings,
        settings.MigrationSettings,
        settings.EnvironmentSettings,
        settings.LoadTestSettings,
        settings.ScanSettings,
        settings.MonitorSettings,
        settings.RuleSettings,
        SmokeRequest,
    )
    names = {field.encode_name for table in tables for field in msgspec.structs.fields(table)}
    tables_of_their_own = {
        "services",
        "environments",
        "migrations",
        "scan",
        "smoke",
        "monitor",
        "rules",
        "own",
        "loadtest",
    }

    assert set() == {
        name for name in names - tables_of_their_own if not re.search(rf"^{name} = ", reference, re.MULTILINE)
    }


def test_the_example_settings_can_be_loaded(tmp_path: Path) -> None:
    """The reference is itself a settings file that works."""
    main, scan = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "settings.md").read_text(), re.DOTALL)
    (tmp_path / "deploylib.toml").write_text(
        scan.partition("[scan]")[0] + main + "[scan]" + scan.partition("[scan]")[2]
    )

    loaded = settings.load(tmp_path, "production", {})

    assert loaded.store == "s3://deploys/shop"


def test_the_script_of_the_readme_runs(tmp_path: Path) -> None:
    """The lines shown for scripts are real: outside a repository they end with the error that says so."""
    script = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert script is not None
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        with pytest.raises(errors.SettingsError, match="not in a git repository"):
            exec(compile(script[1], "README.md", "exec"), {})  # noqa: S102 - our own document
    finally:
        os.chdir(here)


def test_the_walk_of_contributing_is_at_most_ten_files() -> None:
    """Numbered, and each of them is there."""
    walk = (
        (ROOT / "CONTRIBUTING.md").read_text().partition("## A walk through the rooms")[2].partition("\n\nCalls go")[0]
    )
    files = re.findall(r"\]\(([\w/.]+)\)", walk)

    assert 5 <= len(files) == len(set(files)) <= 10
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_the_glossary_tells_each_word_once() -> None:
    """In order, so that one finds it."""
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("## Words")[2].partition("\n## ")[0]
    words = re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE)[1:]

    assert 25 <= len(words) <= 40
    assert words == sorted(words, key=str.lower)
    assert len(words) == len(set(words))


def test_every_folder_of_tests_is_in_their_readme() -> None:
    """With what it proves, how long it takes, and the session that runs it."""
    rows = re.findall(r"^\| `(\w+)/` \|(.+)\|$", (ROOT / "tests" / "README.md").read_text(), re.MULTILINE)
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.rglob("*.py"))}

    assert {name for name, _ in rows} == folders - {"support"}
    assert all(len([cell for cell in cells.split("|") if cell.strip()]) == 3 for _, cells in rows)
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE))
    named = {word for _, cells in rows for word in re.findall(r"`(?:nox -s )?(\w+)[^`]*`", cells.split("|")[2])}
    assert named <= sessions


def test_ci_runs_the_commands_of_the_readme() -> None:
    """The two commands are marked in the README, and CI takes them from there."""
    readme = (ROOT / "README.md").read_text()

    assert re.findall(r"<!-- (.*?) -->\n```sh\npython3 ", readme) == ["first-run", "tests"]
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_links_between_documents_lead_somewhere() -> None:
    """A relative link names a file that is there."""
    broken = [
        f"{document.name}: {link}"
        for document in DOCUMENTS
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text())
        if "://" not in link and not (document.parent / link).exists()
    ]

    assert broken == []
