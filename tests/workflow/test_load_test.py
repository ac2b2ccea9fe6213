"""The load test in the deploy workflow, where the variable that switches it on is set: what the last job then does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.workflow.world import World, world

pytestmark = pytest.mark.timeout(3600)

SETTINGS = """
[environments.production.loadtest]
rate = 20
seconds = "3s"
"""


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One product whose first release is measured."""
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
