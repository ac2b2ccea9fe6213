"""The platform dies while it deploys: slow to tell, because the tool tries again for a while first."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.integration.product import Product

pytestmark = pytest.mark.load


def test_kill_9_of_the_local_render_while_it_deploys(tmp_path: Path) -> None:
    """The run ends by asking for a person, and holds everything, as nobody knows what is live; a person lifts that."""
    product = Product(tmp_path / "product")
    try:
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
            server.wait(5)
            out, err = running.communicate(timeout=90)
        assert running.returncode == 20, (out, err)
        assert "a person is needed" in out
        assert "inv local.up" in out
        assert "Traceback" not in out + err
        assert product.inv("deploy").code == 31
        product.ok("hold.lift")
        product.ok("deploy")
        assert product.served() == {"backend": product.head, "frontend": product.head}
    finally:
        product.clean()
