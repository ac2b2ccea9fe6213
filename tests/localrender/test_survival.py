"""What is live survives a kill, a restart and a swap; nothing is left behind."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.localrender.product import Local, until

if TYPE_CHECKING:
    from collections.abc import Callable


def commands(local: Local) -> str:
    """The command lines of everything that runs; what ends meanwhile has none."""
    found = []
    for one in local.processes():
        with suppress(psutil.NoSuchProcess):
            found += one.cmdline()
    return " ".join(found)


def test_a_killed_server_comes_back_with_what_was_live(shared: Local) -> None:
    """After kill -9 `up` brings back the live versions on the same ports, and ends what was unfinished."""
    local = shared
    local.live("backend", commitId=local.product.first)
    local.live("frontend", commitId=local.product.first)
    addresses, key = local.endpoint["urls"], local.endpoint["api_key"]
    local.call(
        "PATCH", "/services/{nightly}", {"serviceDetails": {"envSpecificDetails": {"buildCommand": "sleep 876"}}}
    )
    unfinished = local.deploy("nightly")
    until(lambda: "876" in commands(local))
    local.kill_server()
    assert local.page("backend").status_code == 200
    local.up()
    assert (local.endpoint["urls"], local.endpoint["api_key"]) == (addresses, key)
    assert local.page("backend").json()["commit"] == local.product.first
    assert local.page("frontend").text == "<h1>front</h1>"
    assert local.status("nightly", unfinished) == "canceled"
    assert "876" not in commands(local)
    assert sum(one.name() == "traefik" for one in local.processes()) == 1
    local.kill_server()
    assert local.run("down").code == 0
    assert local.processes() == []
    local.up()


def test_an_edge_that_dies_comes_back(shared: Local) -> None:
    """When Traefik is killed it is started again with the same routes, and a deploy after that still switches."""
    shared.live("frontend", commitId=shared.product.first)
    (edge,) = (one for one in shared.processes() if one.name() == "traefik")
    edge.kill()
    until(lambda: answers(shared))
    shared.live("frontend", commitId=shared.product.first)
    assert shared.page("frontend").text == "<h1>front</h1>"


def answers(local: Local) -> bool:
    """Whether the site is reached."""
    try:
        return local.page("frontend").status_code == 200
    except httpx.HTTPError:
        return False


def test_down_leaves_no_process(fresh: Callable[..., Local]) -> None:
    """Down ends everything, also when nothing runs; the repository stays clean."""
    local = fresh()
    local.up()
    local.live("worker")
    assert local.product.git("status", "--porcelain") == ""
    assert (local.state / "endpoint.json").stat().st_mode & 0o777 == 0o600
    assert local.run("down").code == 0
    assert local.processes() == []
    assert not (local.state / "endpoint.json").exists()
    assert local.run("down").code == 0


@pytest.mark.parametrize("what", ["endpoint.json", ""])
def test_a_server_without_its_state_ends(fresh: Callable[..., Local], what: str) -> None:
    """When the state folder or its endpoint file disappears, everything stops by itself."""
    local = fresh()
    local.up()
    if what:
        (local.state / what).unlink()
    else:
        shutil.rmtree(local.state)
    until(lambda: not local.processes())


def test_two_starts_at_once_make_one_server(fresh: Callable[..., Local]) -> None:
    """Of two `up` at the same time one starts the server, and the other finds it."""
    local = fresh("services: [{type: cron, name: tick, runtime: python, schedule: '* * * * *'}]")
    command = [sys.executable, "-m", "localrender", "up"]
    starts = [
        subprocess.Popen(command, cwd=local.product.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    outputs = [start.communicate(timeout=300) for start in starts]
    assert [start.returncode for start in starts] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert sum("run-server" in one.cmdline() for one in local.processes()) == 1


def test_no_request_fails_while_versions_change(shared: Local) -> None:
    """Sixteen busy keep-alive connections see no failed request and no closed connection over five swaps."""
    local = shared
    local.live("backend", commitId=local.product.first)
    port = int(local.endpoint["urls"]["backend"].rpartition(":")[2].strip("/"))
    answers: dict[int, int] = {}
    swapping = True

    async def visit() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while swapping:
            writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            await reader.readexactly(int(length.partition(b":")[2]))
            status = int(head.split()[1])
            answers[status] = answers.get(status, 0) + 1
        writer.close()
        await writer.wait_closed()

    async def load() -> None:
        nonlocal swapping
        visitors = [asyncio.create_task(visit()) for _ in range(16)]
        for _ in range(5):
            await asyncio.to_thread(local.live, "backend", commitId=local.product.first)
        await asyncio.sleep(1.5)
        swapping = False
        await asyncio.gather(*visitors)

    asyncio.run(load())
    assert set(answers) == {200}
    assert answers[200] > 500
