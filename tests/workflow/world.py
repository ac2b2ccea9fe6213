"""What a production deploy meets: a platform, a bucket, an advisory service, Slack, and a GitHub that runs workflows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import boto3
import yaml

from deploylib.scaffold.blueprint_file import make_staging
from tests.support.answerer import answering
from tests.support.edges import environment, postgres_program, until
from tests.support.product import TIME_SCALE, Product
from tests.support.recipes import block, clone, typed
from tests.support.seaweed import s3_server
from tests.support.webhooks import listen
from tests.workflow.actions import Actions, Ended, Run

PARTS = ("render.yaml", "sample", "migrations", ".gitignore")  # of a repository that is not ours: the rest is brought
INDEXES = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_FIND_LINKS")  # and not which environment the tests are run in
SETTINGS = """
tests = "python3 -m compileall -q sample"
local_time_scale = 300
bake = "0s"
target = "{target}"

[services.backend]
health = "/api/health"

[scan]
service = "osv"
osv_url = "{osv}"
ignored = ["tasks.py"]

[environments.production]
api_url = "{api}"
"""
STAGING = """
[environments.staging]
api_url = "{api}"
services = {{ backend = "backend-staging", frontend = "frontend-staging" }}
database = "guestbook-staging"
"""
BOTH = "render.both.yaml"  # one account, in which the services of both are
PUSH = re.compile(r"^  # (push: \{.*\}) # .*$", re.MULTILINE)


class World:
    """One product in production.

    Attributes:
        workflow: the file that releases it.
        messages: what Slack was told.
        variables: with which a command on a laptop reaches production.
    """

    def __init__(
        self, product: Product, actions: Actions, workflow: str, variables: dict[str, Any], messages: list[str]
    ) -> None:
        self.product, self.actions, self.workflow = product, actions, workflow
        self.variables, self.messages = variables, messages
        self._number = 1000

    def start(self, **inputs: str) -> Run:
        """What is on main is pushed; with inputs, started by hand."""
        self._number += 1
        if inputs:
            return self.actions.dispatch(inputs, workflow=self.workflow, run_id=self._number)
        return self.actions.push(workflow=self.workflow, run_id=self._number)

    def go(self, **inputs: str) -> Ended:
        """Start it, to its end."""
        return self.start(**inputs).wait(900)

    def served(self, environment: str = "production") -> dict[str, str]:
        """The commit that each of its services serves, by the platform's word."""
        suffix = "-staging" if environment == "staging" else ""
        found = {}
        for name in ("backend", "frontend"):
            deploys = self.product.deploys(name + suffix)
            found[name] = next((one["commit"]["id"] for one in deploys if one["status"] == "live"), "")
        return found

    def runs(self, environment: str = "production") -> list[dict[str, Any]]:
        """The history, as a laptop sees it, newest first."""
        done = self.product.inv("history", "--environment", environment, "--json", **self.variables)
        assert done.code == 0, done.said
        found: list[dict[str, Any]] = done.json
        return found

    def outcomes(self, environment: str = "production") -> list[str]:
        """How the runs ended, newest first."""
        return [(one.get("report") or {}).get("outcome", "open") for one in self.runs(environment)]


@contextmanager
def world(
    folder: Path,
    workflow: str = "deploy-parallel.yml",
    *,
    staging: bool = False,
    settings: str = "",
    target: str = "5m",
    parts: tuple[str, ...] = (),
    known: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[World]:
    """Everything, on loopback; all of it ends with the block.

    A workflow that begins by dispatch alone is told to begin with a push, too, as a team tells it.

    Args:
        settings: of its own, after those that all have.
        target: the setting.
        parts: of this repository, likewise.
        known: more variables of the repository at GitHub.
    """
    for name in ("runs", "s3"):
        (folder / name).mkdir()
    product = Product(folder / "product", (*PARTS, *parts))
    typed(clone(folder / "deploylib"), block("docs/ci.md", "bring"), PRODUCT=str(product.folder), WORKFLOW=workflow)
    path = f".github/workflows/{workflow}"
    product.write(path, PUSH.sub(r"  \1", product.read(path)))
    product.commit("deploylib", {"deploylib.toml": f"local_time_scale = {TIME_SCALE}\n"})
    try:
        with s3_server(folder / "s3") as server, answering() as advisories, listen() as (webhook, messages):
            if staging:
                _both_up(product)
            else:
                product.ok("local.up")
            api = product.endpoint
            own = (STAGING.format(api=api["api_url"]) if staging else "") + settings
            product.write(
                "deploylib.toml", SETTINGS.format(osv=advisories.url, api=api["api_url"], target=target) + own
            )
            product.commit("Production")
            product.git("config", "receive.denyCurrentBranch", "ignore")
            credentials = {name: server[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
            secrets = {**credentials, "RENDER_API_KEY": api["api_key"], "SLACK_WEBHOOK_URL": webhook}
            variables = {
                "AWS_ENDPOINT_URL_S3": server["AWS_ENDPOINT_URL_S3"],
                "DEPLOYLIB_STORE": "s3://deploys/product",
                **known,
            }
            client = boto3.client(
                "s3",
                endpoint_url=server["AWS_ENDPOINT_URL_S3"],
                region_name="us-east-1",
                aws_access_key_id=server["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=server["AWS_SECRET_ACCESS_KEY"],
            )
            until(lambda: client.create_bucket(Bucket="deploys"))
            with Actions(product.folder, folder / "runs", secrets, variables, runner()) as actions:
                mine = {**secrets, **variables, "AWS_DEFAULT_REGION": "us-east-1"}
                yield World(product, actions, workflow, mine, messages)
    finally:
        product.clean()


def runner() -> dict[str, str]:
    """What a runner of GitHub has set, with its PostgreSQL on the path."""
    every = {
        name: value for name, value in environment().items() if not name.startswith(("PATH", "HOME", "GIT_", "USER"))
    }
    every |= {name: value for name, value in os.environ.items() if name.startswith(INDEXES)}
    return {**every, "PATH": str(Path(postgres_program("pg_dump")).parent)}


def _both_up(product: Product) -> None:
    """Start one platform with the services of both environments, as one account has them."""
    ours = yaml.safe_load(product.read("render.yaml"))
    theirs = make_staging(ours)
    both = {kind: [*ours[kind], *theirs[kind]] for kind in ("services", "databases")}
    product.commit("One account", {BOTH: yaml.safe_dump(both)})
    command = [sys.executable, "-m", "localrender", "up", BOTH, "--state=.localrender", f"--time-scale={TIME_SCALE}"]
    subprocess.run(command, cwd=product.folder, env=environment(), check=True, timeout=120)
