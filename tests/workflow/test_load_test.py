"""The load test in the deploy workflow, where the variable that switches it on is set: what the last job then does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.product import GUEST_BOOK
from tests.workflow.world import World, world

pytestmark = pytest.mark.timeout(3600)

SETTINGS = """
[environments.production.loadtest]
rate = 20
seconds = "3s"
policy = "rollback"
p95 = "400ms"
"""
QUICK, SLOW = "    async def answer(self, request", "    async def answer_at_once(self, request"
SLOWER = """
    async def answer(self, request: Request) -> Response:
        await asyncio.sleep(0.8)
        return await self.answer_at_once(request)

"""


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One product whose first release is measured; the stories below go on from each other."""
    with world(
        tmp_path_factory.mktemp("world"), settings=SETTINGS, target="1h", parts=("loadtests",), known={"LOADTEST": "on"}
    ) as made:
        ended = made.go()
        assert ended.exit_code == 0, "\n".join(ended.outputs.values())
        said = ended.outputs["finish"]
        assert "no baseline yet: 20/s for 3 s on backend" in said, said
        assert "newest two" in said
        assert "| loadtest |" in ended.summaries["finish"].replace("✓ ", "").replace("done | ", ""), ended.summaries
        yield made


def test_a_run_of_several_jobs_is_measured_by_the_last_one(production: World) -> None:
    """With what its lock installs for it; it is a stage of the one run, and is told with it once."""
    (run,) = production.runs()

    assert run["report"]["outcome"] == "succeeded"
    assert "loadtest" in str(run["report"])
    assert len(production.messages) == 1


def test_a_slower_release_is_put_back_by_the_last_job(production: World) -> None:
    """The step that measures fails, the one after it puts back what was live, and that is told once, with the reason."""
    product = production.product
    live = product.served()
    text = product.read(f"{GUEST_BOOK}/entries.py")
    slower = text.replace(QUICK, SLOWER + SLOW, 1).replace("import ", "import asyncio\nimport ", 1)
    product.commit("Slower", {f"{GUEST_BOOK}/entries.py": slower})
    told = len(production.messages)

    ended = production.go()

    assert (1, "failure") == (ended.exit_code, ended.results["finish"]), "\n".join(ended.outputs.values())
    assert "the objective is 400 ms" in ended.outputs["finish"]
    assert any("backend is degraded under 20 requests a second" in each.message for each in ended.errors), ended.errors
    assert product.served() == live
    assert "verification failed" in production.outcomes()[0]
    assert len(production.messages) == told + 1
    assert "is degraded" in str(production.messages[-1])
