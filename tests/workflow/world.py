"""What a production deploy meets: a platform, a bucket, an advisory service, Slack, and a GitHub that runs workflows."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3

from tests.support.answerer import answering
from tests.support.edges import environment, postgres_program, until
from tests.support.product import TIME_SCALE, Product
from tests.support.recipes import block, clone, typed
from tests.support.seaweed import s3_server
from tests.workflow.actions import Actions, Ended, Run

PARTS = ("render.yaml", "sample", "migrations", ".gitignore")  # of a repository that is not ours: the rest is brought
INDEXES = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_FIND_LINKS")  # and not which environment the tests are run in
SETTINGS = """
tests = "python3 -m compileall -q sample"
local_time_scale = 300
bake = "0s"

[services.backend]
health = "/api/health"

[scan]
service = "osv"
osv_url = "{osv}"
ignored = ["tasks.py"]

[environments.production]
api_url = "{api}"
"""


class World:
    """One product in production.

    Attributes:
        messages: what Slack was told.
        variables: with which a command on a laptop reaches production.
    """

    def __init__(self, product: Product, actions: Actions, variables: dict[str, Any], messages: list[Any]) -> None:
        self.product, self.actions, self.variables, self.messages = product, actions, variables, messages
        self._number = 1000

    def start(self, **inputs: str) -> Run:
        """What is on main is pushed; with inputs, started by hand."""
        self._number += 1
        if inputs:
            return self.actions.dispatch(inputs, workflow="deploy-parallel.yml", run_id=self._number)
        return self.actions.push(workflow="deploy-parallel.yml", run_id=self._number)

    def go(self, **inputs: str) -> Ended:
        """Start it, to its end."""
        return self.start(**inputs).wait(900)

    def runs(self) -> list[dict[str, Any]]:
        """The history, as a laptop sees it, newest first."""
        done = self.product.inv("history", "--environment", "production", "--json", **self.variables)
        assert done.code == 0, done.said
        found: list[dict[str, Any]] = done.json
        return found

    def outcomes(self) -> list[str]:
        """How the runs ended, newest first."""
        return [(one.get("report") or {}).get("outcome", "open") for one in self.runs()]


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Everything, on loopback; all of it ends with the block."""
    for name in ("runs", "s3"):
        (folder / name).mkdir()
    product = Product(folder / "product", PARTS)
    typed(clone(folder / "deploylib"), block("docs/ci.md", "bring"), PRODUCT=str(product.folder))
    product.commit("deploylib", {"deploylib.toml": f"local_time_scale = {TIME_SCALE}\n"})
    try:
        with s3_server(folder / "s3") as server, answering() as advisories, slack() as (webhook, messages):
            product.ok("local.up")
            api = product.endpoint
            product.write("deploylib.toml", SETTINGS.format(osv=advisories.url, api=api["api_url"]))
            product.commit("Production")
            product.git("config", "receive.denyCurrentBranch", "ignore")
            credentials = {name: server[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
            secrets = {**credentials, "RENDER_API_KEY": api["api_key"], "SLACK_WEBHOOK_URL": webhook}
            variables = {
                "AWS_ENDPOINT_URL_S3": server["AWS_ENDPOINT_URL_S3"],
                "DEPLOYLIB_STORE": "s3://deploys/product",
            }
            client = boto3.client(
                "s3",
                endpoint_url=server["AWS_ENDPOINT_URL_S3"],
                region_name="us-east-1",
                aws_access_key_id=server["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=server["AWS_SECRET_ACCESS_KEY"],
            )
            until(lambda: client.create_bucket(Bucket="deploys"))
            runner = {
                name: value
                for name, value in environment().items()
                if not name.startswith(("PATH", "HOME", "GIT_", "USER"))
            }
            runner["PATH"] = str(Path(postgres_program("pg_dump")).parent)  # as on a runner of GitHub
            runner |= {name: value for name, value in os.environ.items() if name.startswith(INDEXES)}
            with Actions(product.folder, folder / "runs", secrets, variables, runner) as actions:
                mine = {**secrets, **variables, "AWS_DEFAULT_REGION": "us-east-1"}
                yield World(product, actions, mine, messages)
    finally:
        product.clean()


@contextmanager
def slack() -> Iterator[tuple[str, list[Any]]]:
    """A webhook that takes every message."""
    messages: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/services/T0/B0/of-no-worth", messages
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
