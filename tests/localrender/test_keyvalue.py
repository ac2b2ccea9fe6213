"""Key Value instances: real servers, kept over a restart, and revived where they die."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from localrender import environment, keyvalue
from localrender.blueprint import load
from localrender.keyvalue import KeyValues
from localrender.model import EnvVar
from localrender.state import State
from tests.support.blueprint_file import file as blueprint_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLUEPRINT = "services:\n- {type: keyvalue, name: cache, ipAllowList: [], maxmemoryPolicy: noeviction}\n"
file = blueprint_file  # a fixture
NEEDED = pytest.mark.skipif(keyvalue.program() is None, reason="there is neither valkey-server nor redis-server")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A state of its own."""
    (tmp_path / "state").mkdir()
    made = State(tmp_path / "state")
    yield made
    made.close()


async def ask(url: str, *words: str) -> str:
    """One command and the line that answers it; once the server listens."""
    host, _, port = url.removeprefix("redis://").partition(":")
    async with asyncio.timeout(20):
        while True:
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.write(" ".join(words).encode() + b"\r\n")
            line = await reader.readline()
            writer.close()
            return line.decode().strip()


@NEEDED
def test_an_instance_runs_where_its_services_find_it(file: Path, state: State) -> None:
    """With the policy of the Blueprint; by its address, and by host and port."""
    file.write_text(BLUEPRINT, encoding="utf-8")
    names = ("connectionString", "host", "port", "hostport")
    variables = [EnvVar(key=name, keyvalue=("cache", name)) for name in names]

    async def story() -> None:
        stores = KeyValues(state)
        await stores.provide(load(file).stores)
        found = environment.resolve(variables, state)
        try:
            assert await ask(found["connectionString"], "PING") == "+PONG"
            assert found["hostport"] == f"{found['host']}:{found['port']}"
            assert f"redis://{found['hostport']}" == found["connectionString"]
        finally:
            await stores.stop()

    asyncio.run(story())


@NEEDED
def test_what_it_holds_is_kept_over_a_restart_and_a_death(file: Path, state: State) -> None:
    """At the same port; one that has died is started again."""
    file.write_text(BLUEPRINT, encoding="utf-8")

    async def story() -> None:
        stores = KeyValues(state)
        await stores.provide(load(file).stores)
        url = str(keyvalue.value(state, "cache", "connectionString"))
        assert await ask(url, "SET", "k", "v") == "+OK"
        await stores.stop()
        again = KeyValues(state)
        await again.provide(load(file).stores)
        assert keyvalue.value(state, "cache", "connectionString") == url
        assert await ask(url, "STRLEN", "k") == ":1"
        assert (await ask(url, "SAVE")) == "+OK"
        again.running["cache"].signal(signal.SIGKILL)
        await again.running["cache"].wait()
        await again.revive()
        try:
            assert await ask(url, "STRLEN", "k") == ":1"
        finally:
            await again.stop()

    asyncio.run(story())


def test_without_a_server_it_is_left_out_with_what_to_install(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what takes its address from it has no value here."""
    monkeypatch.setattr(keyvalue, "program", lambda: None)
    site = "- {type: web, name: s, runtime: static, staticPublishPath: .}\n"
    file.write_text(f"{BLUEPRINT}{site}", encoding="utf-8")

    [one] = load(file).left_out

    assert one.name == "cache"
    assert "valkey-server" in one.reason
    assert "pip install" in one.remedy
