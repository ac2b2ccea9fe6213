"""A pull request's comment, as GitHub would make it: without a key, and with none of its code run."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploylib.dashboard import Panel, Serving, Site, page
from tests.support.product import Product
from tests.support.recipes import block, clone, typed
from tests.workflow.actions import Actions
from tests.workflow.world import PARTS, runner

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed; GitHub's own program has it"),
]
RAN = "raise SystemExit('it was run')\n"
REVISION = """\
\"\"\"The mood goes.\"\"\"
from alembic import op

revision = "0099"
down_revision = "0002"


def upgrade() -> None:
    {body}


def downgrade() -> None:
    op.execute("select 1")
"""


@contextmanager
def published(folder: Path) -> Iterator[str]:
    """A web server that shows a folder, as GitHub Pages does."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_pull_request_gets_one_comment_and_none_of_its_code_runs(tmp_path: Path) -> None:
    """Made from its files and the published page; the next push to it changes that comment, and a fork's gets none."""
    product = Product(tmp_path / "product", PARTS, warm=False)
    typed(
        clone(tmp_path / "deploylib"), block("docs/ci.md", "bring"), PRODUCT=str(product.folder), WORKFLOW="preview.yml"
    )
    base = product.commit("Production", {"deploylib.toml": "[environments.production]\n"})
    serving = tuple(Serving(service=name, commit=base) for name in ("backend", "frontend"))
    panels = (Panel(name="production", serving=serving),)
    site = Site(product="product", built_at=datetime.now(UTC), every=3600, public=True, panels=panels)
    for folder in ("page", "runs"):
        (tmp_path / folder).mkdir()
    for name, content in page.make_files(site).items():
        (tmp_path / "page" / name).write_bytes(content)

    product.git("switch", "--quiet", "--create", "feature")
    product.change_frontend("Proposed")
    # Whatever of it were run would be seen: its tasks, its action, what alembic imports, its migration.
    its_own = {"tasks.py": RAN, ".github/actions/setup/action.yml": "{}\n", "migrations/env.py": RAN}
    path = "migrations/versions/0099_gone.py"
    made = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
    product.commit(
        "A column goes", its_own | {path: REVISION.format(body=f'{made}; op.drop_column("entries", "mood")')}
    )

    with published(tmp_path / "page") as address:
        variables = {"DEPLOYLIB_STATUS": f"{address}/status.json"}
        with Actions(product.folder, tmp_path / "runs", {"GITHUB_TOKEN": "of-the-run"}, variables, runner()) as actions:
            off = Actions(product.folder, tmp_path / "runs", {}, {}, {})
            assert off.pull_request(7, "feature", workflow="preview.yml", run_id=1).wait(60).results == {
                "comment": "skipped"
            }
            fork = actions.pull_request(7, "feature", workflow="preview.yml", run_id=2, fork=True)
            assert fork.wait(60).results == {"comment": "skipped"}

            ended = actions.pull_request(7, "feature", workflow="preview.yml", run_id=3).wait(300)
            assert ended.results == {"comment": "success"}, ended.outputs["comment"]
            (first,) = actions.comments
            text = first["body"].replace("\\", "")
            assert text.startswith("<!-- deploylib preview -->")
            assert "as published" in text
            assert base[:7] in text
            assert re.search(r"frontend +deployed: sample/frontend/public/note.txt changed", text)
            assert re.search(r"backend +deployed: 2 files changed", text)
            assert f"0099 The mood goes. ({path})" in text
            assert "not examined: 0099" in text

            product.commit("Plainly", {path: REVISION.format(body='op.drop_column("entries", "mood")')})
            assert actions.pull_request(7, "feature", workflow="preview.yml", run_id=4).wait(300).exit_code == 0
            (second,) = actions.comments
            assert second["id"] == first["id"]
            assert "would be refused: 0099: ALTER TABLE entries DROP COLUMN mood" in second["body"].replace("\\", "")
    assert not (tmp_path / "ran").exists()
