"""The platform dies while it deploys: slow to tell, because the tool tries again for a while first."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.support.product import Product

pytestmark = pytest.mark.load


def test_kill_9_of_the_local_render_while_it_deploys(tmp_path: Path) -> None:
    """Nobody knows what is live then: the run stays open, nothing is held, and the next release goes on with it."""
    with Product(tmp_path / "product") as product:
        product.ok("deploy")
        product.change_backend("Slowly")
        product.replace("sample/frontend/build.py", "def main()", "import time\n\ntime.sleep(2)\n\n\ndef main()")
        product.commit("Slowly, too")
        with product.start("deploy") as running:
            assert running.stderr is not None
            while "deploy: frontend building" not in (line := running.stderr.readline()):
                assert line, "it ended before it deployed"
            server = psutil.Process(product.endpoint["pid"])
            server.kill()
            server.wait(60)
            out, err = running.communicate(timeout=300)
        assert running.returncode == 41, (out, err)
        assert "not known yet" in out
        assert "inv local.up" in out
        assert "Traceback" not in out + err
        product.ok("deploy")
        assert product.served() == {"backend": product.head, "frontend": product.head}
