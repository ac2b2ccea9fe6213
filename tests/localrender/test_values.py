"""Values that the Blueprint leaves out: named, given by a person, handed to programs, and never shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localrender import environment, sync, values
from localrender.blueprint import load
from localrender.errors import LocalRenderError
from localrender.state import State
from tests.localrender.product import localrender

if TYPE_CHECKING:
    from collections.abc import Iterator

BLUEPRINT = """
services:
- type: worker
  name: job
  runtime: python
  startCommand: x
  envVars:
  - {key: KEY, sync: false}
  - {key: CACHE, fromService: {name: cache, type: keyvalue, property: connectionString}}
  - {key: MADE, generateValue: true}
  - {key: PLAIN, value: p}
"""


@pytest.fixture
def blueprint(tmp_path: Path) -> Path:
    """The Blueprint, in a repository."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "render.yaml").write_text(BLUEPRINT, encoding="utf-8")
    return tmp_path / "render.yaml"


@pytest.fixture
def state(blueprint: Path, tmp_path: Path) -> Iterator[State]:
    """A state that has taken the Blueprint."""
    (tmp_path / ".localrender").mkdir()
    made = State(tmp_path / ".localrender")
    sync.apply(made, load(blueprint).services)
    yield made
    made.close()


def given(state: State) -> dict[str, str]:
    """What a program of the service sees of its variables, less the generated one."""
    [service] = state.services()
    return {key: value for key, value in environment.resolve(service.env, state).items() if key != "MADE"}


def test_what_has_no_value_is_named(state: State) -> None:
    """`sync: false`, and a reference to what is not here; neither what is generated nor what is written down."""
    assert sync.unset(state) == ["job: KEY", "job: CACHE"]
    assert "KEY, CACHE" in values.told(["KEY", "CACHE"])
    assert "inv local.env KEY" in values.told(["KEY", "CACHE"])


def test_what_a_person_gives_is_seen_by_the_program(state: State) -> None:
    """It wins over the file, and never over what the Blueprint says; an empty value takes it away."""
    values.take_file(state, {"KEY": "of the file", "CACHE": "redis://127.0.0.1", "PLAIN": "other", "ELSE": "x"})
    assert given(state) == {"KEY": "of the file", "CACHE": "redis://127.0.0.1", "PLAIN": "p"}
    values.give(state, "KEY", "of a person")
    assert given(state)["KEY"] == "of a person"
    assert sync.unset(state) == []
    values.give(state, "KEY", "")
    values.take_file(state, {})
    assert given(state) == {"PLAIN": "p"}


def test_a_group_of_the_account_may_hold_whatever_is_given(blueprint: Path) -> None:
    """Nobody here knows its names; what the Blueprint says itself wins, and a service without such a group sees none."""
    group = BLUEPRINT.replace("  - {key: KEY, sync: false}", "  - {fromGroup: elsewhere}")
    blueprint.write_text(
        f"{group}- {{type: worker, name: other, runtime: python, startCommand: x}}\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "localrender", "env"]
    for name, code in (("TOKEN", 0), ("PLAIN", 0), ("*", 2)):
        done = subprocess.run(
            [*command, name], cwd=blueprint.parent, check=False, input=b"t0k3n\n", capture_output=True
        )
        assert done.returncode == code, done.stderr
    made = State(blueprint.parent / ".localrender")
    sync.apply(made, load(blueprint).services)

    job, other = made.services()
    assert "inv local.env CACHE" in values.lacking(job.env, made)
    held = [one for one in job.env if one.key != "CACHE"]
    assert values.lacking(held, made) == values.lacking(other.env, made) == ""
    values.give(made, "TOKEN", "")
    values.give(made, "PLAIN", "")
    assert "of a group of variables" in values.lacking(held, made)
    values.give(made, "TOKEN", "t0k3n")
    seen = environment.resolve(job.env, made)
    assert (seen["TOKEN"], seen["PLAIN"], sorted(seen)) == ("t0k3n", "p", ["MADE", "PLAIN", "TOKEN"])
    assert environment.resolve(other.env, made) == {}
    assert sync.unset(made) == ["job: CACHE"]
    made.close()


def test_what_the_blueprint_settles_is_not_from_outside(state: State) -> None:
    """So that a change of the file starts nothing anew, which a release has to do."""
    [service] = state.services()
    values.take_file(state, {"KEY": "k", "PLAIN": "other"})

    assert values.outside(service.env, state) == {"KEY": "k"}


def test_the_file_is_read_as_such_files_are_written(blueprint: Path) -> None:
    """Names and values, with or without `export` and quotes; a line that is none is named by its number alone."""
    file = blueprint.with_name(".env.local")
    file.write_text("# mine\n\nexport KEY = 'a b'\nCACHE=\"x=y\"\nBARE=1 2\nNONE=\n", encoding="utf-8")
    assert values.of_file(blueprint) == {"KEY": "a b", "CACHE": "x=y", "BARE": "1 2", "NONE": ""}
    file.write_text("KEY=1\ns3cr3t\n", encoding="utf-8")
    with pytest.raises(LocalRenderError, match=r"\.env\.local:2: not NAME=value") as raised:
        values.of_file(blueprint)
    assert "s3cr3t" not in f"{raised.value.message}{raised.value.remedy}"
    file.write_bytes(b"\xff")
    with pytest.raises(LocalRenderError, match="cannot be read"):
        values.of_file(blueprint)


def test_a_file_that_git_tracks_is_refused(blueprint: Path) -> None:
    """Its values are in every clone; one that git does not know is fine, and so is none."""
    assert values.of_file(blueprint) == {}
    blueprint.with_name(".env.local").write_text("KEY=s3cr3t\n", encoding="utf-8")
    assert values.of_file(blueprint) == {"KEY": "s3cr3t"}
    assert ".gitignore" in values.remarks(blueprint)[0]
    blueprint.with_name(".gitignore").write_text(".env.local\n", encoding="utf-8")
    assert values.remarks(blueprint) == []
    subprocess.run(["git", "-C", str(blueprint.parent), "add", "--force", ".env.local"], check=True)

    done = localrender("check", cwd=blueprint.parent)

    assert (done.code, "git tracks .env.local" in done.err, "s3cr3t" in done.err) == (2, True, False)
    assert "git rm --cached .env.local" in done.err


def test_a_value_comes_from_standard_input_and_is_not_shown(blueprint: Path, state: State) -> None:
    """Nor is it an argument; what the Blueprint does not leave out is refused."""
    command = [sys.executable, "-m", "localrender", "env"]
    for name, code in (("KEY", 0), ("PLAIN", 2)):
        done = subprocess.run(
            [*command, name, "--json"], cwd=blueprint.parent, check=False, input=b"s3cr3t\n", capture_output=True
        )
        assert done.returncode == code, done.stderr
        assert b"s3cr3t" not in done.stdout + done.stderr
    assert json.loads(done.stdout)["error"]["message"].endswith("it leaves out CACHE, KEY")
    assert given(state)["KEY"] == "s3cr3t"
