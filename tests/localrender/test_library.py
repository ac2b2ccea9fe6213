"""One service of a platform is deployed by a script, without settings, store, lease or run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.documents import examples

if TYPE_CHECKING:
    from tests.localrender.product import Local

LIBRARY = Path(__file__).parents[2] / "docs" / "library.md"


def test_a_service_is_deployed_in_a_script(shared: Local) -> None:
    """The example of the documents as it stands: live it is printed, and what fails says why."""
    [script] = examples(LIBRARY, "Render")
    there = {"RENDER_HOST": shared.endpoint["api_url"], "RENDER_API_KEY": shared.endpoint["api_key"]}

    def run(commit: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", script]
        return subprocess.run(
            words, env=os.environ | there | {"COMMIT": commit}, capture_output=True, text=True, check=False
        )

    good = shared.product.change("VERSION = 'of a script'")
    live, broken = run(good), run(shared.product.change('raise SystemExit("KeyError: boom")'))

    assert (live.returncode, live.stderr) == (0, "")
    assert live.stdout.split()[1:] == ["live", good[:7]]
    assert shared.page("backend").json()["commit"] == good
    assert "StartFailed: backend: the program exited with code 1" in broken.stderr
    assert len(script.strip().splitlines()) <= 10
