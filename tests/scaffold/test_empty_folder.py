"""From an empty folder to production, by the blocks of docs/adopt.md and nothing else; the session `adopt`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from tests.support.edges import environment, fetch, until
from tests.support.product import TIME_SCALE
from tests.support.recipes import ROOT, TAG, clone, git, served
from tests.support.seaweed import s3_server

MOST = 15
BOTH = "render.both.yaml"  # one account, in which the services of both environments are
PAGE = (ROOT / "docs/adopt.md").read_text()
BLOCKS = ("empty-folder", "first-release")
PERSON = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@localhost"}
PERSON |= {"GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@localhost"}


def commands(mark: str) -> list[str]:
    """The commands of a block: a file that is typed in is one, and each part of a line that has several."""
    found = re.search(rf"<!-- {mark} -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None, f"the page has no block {mark!r}"
    every = re.findall(r"^.*<<'end'\n(?:.*\n)*?end$|^\S.*$", found[1], re.MULTILINE)
    return [part for text in every for part in ([text] if "\n" in text else re.split(r" *(?:&&|;) *", text))]


def test_the_page_states_how_many_commands_it_takes() -> None:
    """And it takes fifteen at most."""
    stated = re.search(r"^## From an empty folder.*?(\d+) commands", PAGE, re.DOTALL | re.MULTILINE)
    count = sum(len(commands(mark)) for mark in BLOCKS)

    assert stated is not None
    assert int(stated[1]) == count <= MOST


class Terminal:
    """A shell that somebody types into: each command once the one before has ended.

    Attributes:
        seconds: what each command took.
    """

    def __init__(self, shell: subprocess.Popen[str]) -> None:
        self.seconds: list[tuple[str, float]] = []
        self._shell = shell

    def type(self, command: str, answer: str = "") -> str:
        """Type a command, which must succeed, and the line that it asks for; what it said."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        began, end, said = time.monotonic(), f"-- ended {len(self.seconds)}: ", ""
        self._shell.stdin.write(f"{command}\n{answer}code=$?; echo; echo '{end}'$code\n")
        self._shell.stdin.flush()
        for line in self._shell.stdout:
            said += line
            if line.startswith(end):
                break
        self.seconds.append((command.splitlines()[0].rpartition("; ")[2], time.monotonic() - began))
        assert said.endswith(f"{end}0\n"), f"{command}\n{said}"
        return said


@contextmanager
def terminal(folder: Path, **variables: str) -> Iterator[Terminal]:
    """A terminal in a folder, on a machine that has this Python."""
    tools = folder.parent / "bin"
    tools.mkdir()
    (tools / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    known = environment(**PERSON, **variables)
    command = ["bash", "--noprofile", "--norc"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**known, "PATH": f"{tools}:{known['PATH']}"},
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        text=True,
    ) as shell:
        yield Terminal(shell)


@contextmanager
def account(shop: Path, state: Path) -> Iterator[dict[str, Any]]:
    """An account at Render to which both Blueprints of a repository were applied, with its repository; its endpoint."""
    both = [yaml.safe_load((shop / name).read_text()) for name in ("render.yaml", "render.staging.yaml")]
    (shop / BOTH).write_text(yaml.safe_dump({"services": [one for file in both for one in file["services"]]}))
    with (shop / ".git/info/exclude").open("a") as excluded:
        excluded.write(f"{BOTH}\n")

    def local_render(*args: str) -> None:
        command = [sys.executable, "-m", "localrender", *args, f"--state={state}"]
        env = environment(PYTHONPATH=str(ROOT))
        subprocess.run(command, cwd=shop, env=env, check=True, timeout=120, capture_output=True)

    local_render("up", BOTH, f"--time-scale={TIME_SCALE}")
    try:
        yield json.loads((state / "endpoint.json").read_text())
    finally:
        local_render("down")


@contextmanager
def bucket(folder: Path) -> Iterator[dict[str, str]]:
    """A new bucket `deploys`; the variables of a client."""
    folder.mkdir()
    with s3_server(folder) as server:
        client = boto3.client(
            "s3",
            endpoint_url=server["AWS_ENDPOINT_URL_S3"],
            region_name=server["AWS_DEFAULT_REGION"],
            aws_access_key_id=server["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=server["AWS_SECRET_ACCESS_KEY"],
        )
        until(lambda: client.create_bucket(Bucket="deploys"))
        yield server


@pytest.mark.load
@pytest.mark.timeout(900)
def test_an_empty_folder_becomes_a_release_to_production(tmp_path: Path) -> None:
    """Each command once, as it is typed; Render's Dashboard is the only thing beside them."""
    shop = tmp_path / "shop"
    shop.mkdir()
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", "host.git"], cwd=tmp_path, check=True)
    before, after = (commands(mark) for mark in BLOCKS)
    with served(clone(tmp_path / "deploylib")) as address, bucket(tmp_path / "s3") as keys:
        variables = {"REPOSITORY": str(tmp_path / "host.git"), "ADDRESS": address, "TAG": TAG, "BUCKET": "deploys"}
        variables |= {"ENDPOINT": keys["AWS_ENDPOINT_URL_S3"], "REGION": keys["AWS_DEFAULT_REGION"]}
        with terminal(shop, **variables) as person:
            for command in before:
                person.type(command)
            with account(shop, tmp_path / "account") as render:
                secrets = f"{render['api_key']} {keys['AWS_ACCESS_KEY_ID']} {keys['AWS_SECRET_ACCESS_KEY']}\n"
                read, export, check, *releases = after
                person.type(read, secrets)
                person.type(f"export RENDER_HOST={render['api_url']}; {export}")
                assert "Ready for staging" in person.type(check)
                for release in releases:
                    assert "SUCCEEDED" in person.type(release)
                commit = git(shop, "rev-parse", "HEAD").strip()
                answers = [json.loads(fetch(f"{url.rstrip('/')}/healthz").body) for url in render["urls"].values()]
    for line, seconds in person.seconds:
        print(f"{seconds:6.1f} s  {line}")
    print(f"{sum(seconds for _, seconds in person.seconds):6.1f} s  {len(person.seconds)} commands")

    assert len(person.seconds) == len(before) + len(after) <= MOST
    assert answers == [{"status": "pass", "releaseId": commit}] * 2
