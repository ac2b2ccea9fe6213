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


@contextmanager
def asked(folder: Path) -> Iterator[tuple[Product, Actions]]:
    """A product whose page says what is live, on its main; in a branch of it, what somebody proposes."""
    product = Product(folder / "product", PARTS, warm=False)
    here = clone(folder / "deploylib")
    typed(here, block("docs/ci.md", "bring"), PRODUCT=str(product.folder), WORKFLOW="preview.yml")
    base = product.commit("Production", {"deploylib.toml": "[environments.production]\n"})
    serving = tuple(Serving(service=name, commit=base) for name in ("backend", "frontend"))
    panels = (Panel(name="production", serving=serving),)
    site = Site(product="product", built_at=datetime.now(UTC), every=3600, public=True, panels=panels)
    for name in ("page", "runs"):
        (folder / name).mkdir()
    for name, content in page.make_files(site).items():
        (folder / "page" / name).write_bytes(content)
    product.git("switch", "--quiet", "--create", "feature")
    with published(folder / "page") as address:
        variables = {"DEPLOYLIB_STATUS": f"{address}/status.json"}
        with Actions(product.folder, folder / "runs", {"GITHUB_TOKEN": "of-the-run"}, variables, runner()) as actions:
            yield product, actions


def comment(actions: Actions, number: int, ref: str, run_id: int, **asked_for: bool) -> str:
    """The one comment of a pull request, once its run is over."""
    ended = actions.pull_request(number, ref, workflow="preview.yml", run_id=run_id, **asked_for).wait(300)
    assert ended.results["comment"] == "success", ended.outputs
    (found,) = [each["body"] for each in actions.comments if each["number"] == number]
    return re.sub(r"\d+ s ago|\d+\.\d \|", "", str(found))


def test_a_pull_request_gets_one_comment_and_none_of_its_code_runs(tmp_path: Path) -> None:
    """Made from its files and the published page; the next push to it changes that comment; off until there is a page."""
    with asked(tmp_path) as (product, actions):
        base = product.git("rev-parse", "main")
        product.change_frontend("Proposed")
        # Whatever of it were run would be seen: its tasks, its action, its workflow, what alembic imports, its migration.
        its_own = {"tasks.py": RAN, ".github/actions/setup/action.yml": "{}\n", "migrations/env.py": RAN}
        its_own[".github/workflows/preview.yml"] = "on: pull_request_target\n"
        path = "migrations/versions/0099_gone.py"
        made = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
        product.commit(
            "A column goes", its_own | {path: REVISION.format(body=f'{made}; op.drop_column("entries", "mood")')}
        )

        off = Actions(product.folder, tmp_path / "runs", {}, {}, {})
        nothing = off.pull_request(7, "feature", workflow="preview.yml", run_id=1).wait(60).results
        assert nothing == {"text": "skipped", "comment": "skipped"}

        text = comment(actions, 7, "feature", 2).replace("\\", "")
        assert text.startswith("<!-- deploylib preview -->")
        assert f"production ← `{product.head[:7]}` A column goes\n" in text
        assert "as published" in text
        assert base[:7] in text
        assert re.search(r"frontend +deployed: sample/frontend/public/note.txt changed", text)
        assert re.search(r"backend +deployed: 2 files changed", text)
        assert f"0099 The mood goes. ({path})" in text
        assert "not examined: 0099" in text

        product.commit("Plainly", {path: REVISION.format(body='op.drop_column("entries", "mood")')})
        text = comment(actions, 7, "feature", 3)
        assert "would be refused: 0099: ALTER TABLE entries DROP COLUMN mood" in text.replace("\\", "")
    assert not (tmp_path / "ran").exists()


def test_a_pull_request_from_a_fork_gets_the_same_and_nothing_in_it_counts_but_its_files(tmp_path: Path) -> None:
    """Neither settings nor names nor links nor attributes of it; and where nothing can be said, that is what is said."""
    with asked(tmp_path) as (product, actions), published(tmp_path / "elsewhere") as elsewhere:
        fork = "refs/pull/8/head"
        product.git("switch", "--quiet", "--create", "theirs")
        product.change_frontend("Proposed")
        product.git("update-ref", fork, "HEAD")
        of_a_branch = comment(actions, 7, "theirs", 1)
        assert "frontend" in of_a_branch
        product.git("switch", "--quiet", "--detach")
        product.git("branch", "--quiet", "--delete", "--force", "theirs")
        assert comment(actions, 8, fork, 2, fork=True) == of_a_branch

        # A page and a store of its own, a program for every file that is checked out, and links to what is not its own.
        settings = f'store = "{tmp_path}/elsewhere"\nstatus = "{elsewhere}"\n[environments.production]\napi_url = "{elsewhere}"\n'
        hooks = {
            "hooks/post-checkout": f"#!/bin/sh\ntouch {tmp_path}/ran\n",
            ".gitattributes": "* filter=lfs merge=lfs\n",
        }
        hooks[".lfsconfig"] = f"[lfs]\n\turl = {elsewhere}\n"
        for name, place in (("alembic.ini", "/proc/self/environ"), ("migrations/versions/0099.py", "/etc/passwd")):
            (product.folder / name).symlink_to(place)
        name = "sample/frontend/public/a\n::error::`@everyone` <img src=x> owner/other#1 GH-2 [b](www.b.test) | c"
        head = product.commit("@everyone: https://b.test", {"deploylib.toml": settings, **hooks, name: "x"})
        product.git("update-ref", fork, head)
        text = comment(actions, 8, fork, 3, fork=True)
        assert "as published" in text
        for acting in (
            "@everyone",
            "other#1",
            "other\\#1",
            "GH-2",
            "://b.test",
            "www.b",
            "<img",
            "[b]",
            "/a\n",
            " | c among",
        ):
            assert acting not in text
        assert "b.test" in text
        assert "root:" not in text
        assert "PATH=" not in text
        assert not (tmp_path / "elsewhere").exists()

        product.git("update-ref", fork, product.commit("No end", {"render.yaml": "#" * 40_000_000}))
        assert "larger than 1 MB" in comment(actions, 8, fork, 4, fork=True)

        note = "sample/frontend/public/note.txt"
        product.git("switch", "--quiet", "main")
        product.commit("Another one", {note: "ours"})
        assert f"Of {product.git('rev-parse', fork)[:7]} nothing is compared: it conflicts" in comment(
            actions, 8, fork, 5, fork=True
        )

        product.git("switch", "--quiet", "--orphan", "unrelated")
        product.git("update-ref", fork, product.commit("From nowhere"))
        product.git("switch", "--quiet", "main")
        assert "nothing is known: [the run](https://github.com/owner/product/actions/runs/6)" in comment(
            actions, 8, fork, 6, fork=True
        )
    assert not (tmp_path / "ran").exists()
