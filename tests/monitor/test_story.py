"""A monitor of a local Render: what really breaks is told, and what is well again is told to be."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import psycopg
import pytest

from deploylib import settings
from deploylib.commands.monitor import monitor
from deploylib.environment import Environment
from deploylib.models.alerts import AlertState
from deploylib.system import Clock
from tests.support.edges import fetch
from tests.support.standing import Quiet, serving
from tests.support.trivial import Trivial

pytestmark = pytest.mark.load

SERVER = """
import itertools, json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NUMBER = itertools.count()


def told():
    with open(os.environ["TOLD"]) as file:
        return json.load(file)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        now = told()
        time.sleep(now.get("sleep", 0))
        if self.path == "/die":
            os._exit(1)
        checked = "Render" in self.headers.get("User-Agent", "")
        bad = now.get("status") and not checked and (now.get("always") or next(NUMBER) % 3 == 0)
        body = json.dumps({"status": "pass", "releaseId": os.environ["RENDER_GIT_COMMIT"]}).encode()
        self.send_response(now["status"] if bad else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if told().get("dead"):
    sys.exit(1)
ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler).serve_forever()
"""
MONITOR = """
[tool.deploylib.environments.local]
webhook_env = "HOOK"

[tool.deploylib.monitor]
window = "20s"

[tool.deploylib.monitor.rules]
uptime = { for = "1s" }
latency = { for = "1s", limit = 0.2 }
error_rate = { for = "1s" }
connections = { for = "1s" }
memory = { for = "1s" }
backup = { on = false }
"""
DATABASE = """
databases:
  - name: shop
"""


class Later(Clock):
    """A clock that is ahead, so that the release before is over and silences nothing any more."""

    def now(self) -> datetime:
        """The time of day."""
        return super().now() + timedelta(minutes=3)


class Watched(Trivial):
    """A product with a program that does as it is told, and a database."""

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder)
        self.told = folder.parent / "told.json"
        self.tell()
        self.address = address
        variables = f"    envVars:\n      - key: TOLD\n        value: {self.told}\n"
        blueprint = self.read("render.yaml") + variables + DATABASE
        self.commit(
            "A monitor",
            {
                "api/server.py": SERVER,
                "render.yaml": blueprint,
                "pyproject.toml": self.read("pyproject.toml") + MONITOR,
            },
        )

    def tell(self, **how: object) -> None:
        """What the program does from now on."""
        fresh = self.told.with_suffix(".new")
        fresh.write_text(json.dumps(how))
        fresh.rename(self.told)

    @cached_property
    def env(self) -> Environment:
        """What the rounds work with."""
        return Environment(settings.load(self.folder, "local", {"HOOK": self.address, "USER": "ada"}), clock=Later())


@pytest.fixture(scope="module")
def alerts() -> list[dict[str, str]]:
    """What the channel was told."""
    return []


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, alerts: list[dict[str, str]]) -> Iterator[Watched]:
    """A deployed product, and a channel that hears."""

    class Hook(Quiet):
        def do_POST(self) -> None:  # noqa: N802 - as the server calls it
            alerts.append(json.loads(self.body()))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with (
        serving(Hook) as port,
        Watched(tmp_path_factory.mktemp("watched") / "product", f"http://127.0.0.1:{port}/hook") as product,
    ):
        product.ok("local.up", "--faults")
        product.ok("deploy", "--skip", "scan", "--reason", "its tools are tested elsewhere")
        yield product
        product.env.render.session.close()


def look(product: Watched, wanted: Callable[[], bool], within: float = 240) -> float:
    """Make rounds until something is so; the seconds that it took."""
    began = time.monotonic()
    while not wanted():
        assert time.monotonic() - began < within, product.inv("monitor", HOOK=product.address).said
        monitor(product.env)
        time.sleep(0.3)
    return time.monotonic() - began


@contextmanager
def used_up(product: Watched) -> Iterator[None]:
    """Four of five connections that the plan allows are open."""
    url = product.database_url()
    with ExitStack() as stack:
        for _ in range(76):
            stack.enter_context(psycopg.connect(url))
        yield


@contextmanager
def told_to(product: Watched, **how: object) -> Iterator[None]:
    """The program does so for a while."""
    product.tell(**how)
    try:
        yield
    finally:
        product.tell()


@contextmanager
def killed(product: Watched) -> Iterator[None]:
    """The program is gone, and does not come up again."""
    with told_to(product, dead=True):
        fetch(product.url("api", "/die"))
        yield


@contextmanager
def fault(product: Watched, name: str) -> Iterator[None]:
    """The metrics tell so: a real disk of a gigabyte is not filled for a test."""
    product.fault(name, value=97)
    yield
    product.ok("local.fault", "--clear")


CASES: dict[str, tuple[Callable[[Watched], object], str]] = {
    "killed": (killed, "api answers 50"),
    "always 500": (lambda product: told_to(product, status=500, always=True), "api answers 500"),
    "500 now and then": (lambda product: told_to(product, status=500), "api fails: more than 5 % of requests"),
    "slowed": (lambda product: told_to(product, sleep=0.3), "api is slow: p95 over 0.2 s"),
    "disk filled": (lambda product: fault(product, "disk-share"), "the disk of shop is more than 85 % used"),
    "memory filled": (lambda product: fault(product, "memory-share"), "the memory of api is more than 90 % used"),
    "connections used up": (used_up, "shop has more than 80 % of its connections in use"),
}


def test_nothing_is_told_of_what_is_well(product: Watched, alerts: list[dict[str, str]]) -> None:
    """Every signal of this product was looked at, and none is bad."""
    for _ in range(8):
        done = monitor(product.env)

    assert alerts == []
    looks = {reading.key: reading.look.value for reading in done.readings}
    good = {key for key, seen in looks.items() if seen == "good"}
    assert {"uptime/api", "latency/api", "error_rate/api", "memory/api", "disk/shop", "connections/shop"} <= good
    assert {"autodeploy/api", "foreign_deploy/api", "foreign_deploy/alpha"} <= good
    assert "bad" not in looks.values()


def test_the_command_tells_each_look_and_its_json_the_same(product: Watched) -> None:
    """As a schedule types it; a silence is told with its name, its end and its author."""
    lines = product.ok("monitor").out.splitlines()
    told = json.loads(product.ok("monitor", "--json").out)

    assert lines[0].startswith("monitor of local, ")
    assert any(line.startswith("  ✓ api") and "answers 200" in line for line in lines)
    assert {"uptime/api", "disk/shop"} <= set(told["conditions"])
    assert "not examined: " in "\n".join(lines)
    silent = product.ok(
        "monitor.silence", "--reason", "a test", "--until", "1m", "--signal", "drill", "--service", "api"
    )
    told_silence = r"\S+  until \S+ \S+ UTC: drill, api \(a test, by \w+\)"
    assert re.fullmatch(told_silence, silent.out.rstrip()), silent.out


@pytest.mark.parametrize("name", CASES)
def test_what_breaks_is_told_and_its_end_is(product: Watched, alerts: list[dict[str, str]], name: str) -> None:
    """The right alert, the right resolve, and no other; how long both took is printed."""
    begin, title = CASES[name]
    alerts.clear()

    def has(state: AlertState) -> bool:
        return any(each["alert"]["state"] == state and title in str(each["alert"]["title"]) for each in alerts)  # type: ignore[index]

    with begin(product):  # type: ignore[attr-defined]
        detected = look(product, lambda: has(AlertState.FIRING))
    resolved = look(product, lambda: has(AlertState.RESOLVED))

    print(f"\n{name}: told after {detected:.1f} s, and its end after {resolved:.1f} s", end="")
    ids = [(each["alert"]["id"], each["alert"]["state"]) for each in alerts]  # type: ignore[index]
    assert len(ids) == len(set(ids)) == 2, ids
    assert len({name for name, _ in ids}) == 1
