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
