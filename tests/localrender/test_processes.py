"""Commands of a service: what is started is ended, however early it is canceled."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from localrender import processes
from localrender.state import State
from tests.localrender.product import until
from tests.support.edges import processes_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("steps", range(8))
def test_cancel_at_any_step_of_a_start_leaves_no_process(tmp_path: Path, steps: int) -> None:
    """A command canceled while it is being started leaves neither its shell nor the children of that shell."""

    async def canceled() -> None:
        with closing(State(tmp_path)) as state:
            command = "sleep 985 & sleep 985"
            starting = asyncio.create_task(processes.start(command, tmp_path, {}, print, state, "app"))
            for _ in range(steps):
                await asyncio.sleep(0)
            time.sleep(0.05)  # noqa: ASYNC251 - the shell gets on meanwhile, and the loop does not
            starting.cancel()
            with suppress(asyncio.CancelledError):
                await (await starting).stop(0)

    asyncio.run(canceled())
    until(lambda: not processes_of(tmp_path))


def test_a_build_sees_where_things_are_and_not_where_a_person_puts_them() -> None:
    """Index, cache and proxy are the machine's; another folder to install into would be an empty one here."""
    machine = {"PIP_INDEX_URL": "a", "UV_INDEX_URL": "b", "npm_config_registry": "c", "PATH": "d", "https_proxy": "e"}
    own = {"PIP_USER": "1", "PIP_TARGET": "/t", "UV_PROJECT_ENVIRONMENT": "/e", "npm_config_omit": "dev", "KEY": "k"}

    seen = processes.inherited(machine | own)

    assert machine == {name: value for name, value in seen.items() if name.lower() != "no_proxy"}


@pytest.mark.parametrize(
    ("given", "past"),
    [
        ({}, None),
        ({"HTTP_PROXY": "p"}, "127.0.0.1,127.0.0.2,::1,localhost"),
        ({"HTTP_PROXY": "p", "no_proxy": ".example"}, ".example,127.0.0.1,127.0.0.2,::1,localhost"),
        ({"HTTP_PROXY": "p", "NO_PROXY": "*"}, "*"),
    ],
)
def test_services_reach_each_other_without_the_proxy(given: dict[str, str], past: str | None) -> None:
    """What a person has left out of it stays left out."""
    assert processes.inherited(given).get("NO_PROXY") == past
