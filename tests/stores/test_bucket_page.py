"""The page about a free bucket: typed against a real S3 server, and each of its claims has a source and a day."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploylib.store import interface
from tests.support.edges import environment
from tests.support.pages import typed_blocks
from tests.support.product import Product
from tests.support.recipes import block

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/bucket.md"
SETTINGS = '[environments.production]\napi_url = "{api}"\n'


def test_each_claim_about_a_provider_has_a_source_and_a_date() -> None:
    """Whoever reads it years later knows how old it is; those that a refusal recommends are said to do."""
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \| (\[.*) \|$", PAGE.read_text(), re.MULTILINE)
    known = {name: says for name, says, _ in rows}

    assert len(rows) >= 6
    assert [name for name, _, source in rows if not re.search(r"\(https://[^)]+\).*20\d\d", source)] == []
    recommended = re.findall(r"(Amazon S3|Cloudflare R2|MinIO)", interface.CONDITIONAL)
    assert [
        name for name in recommended if not any(name in one and known[one].startswith("yes") for one in known)
    ] == []
    assert "docs/bucket.md" in interface.CONDITIONAL


def test_every_block_is_typed_or_says_that_it_is_not() -> None:
    """The one that is typed is the one with a mark."""
    assert [one.excused for one in typed_blocks(PAGE)] == [True, True, False, True]


@pytest.mark.load  # a product and a bucket; the session `load` has both
def test_its_block_makes_a_bucket_known(s3: Any, server: dict[str, str], tmp_path: Path) -> None:
    """By the lines of the page; what it says is in the page's table, and after that a check needs no trial."""
    product = Product(tmp_path / "product")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "inv").write_text(f'#!/bin/sh\nexec {sys.executable} -m invoke "$@"\n')
    (tools / "inv").chmod(0o755)
    try:
        product.ok("local.up")
        (product.folder / "deploylib.toml").write_text(SETTINGS.format(api=product.endpoint["api_url"]))
        product.commit("Settings")
        product.git("init", "--bare", "--quiet", str(tmp_path / "origin.git"))
        product.git("remote", "add", "origin", str(tmp_path / "origin.git"))
        product.git("push", "--quiet", "origin", "main")
        keys = {name: server[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        given = {"ENDPOINT": server["AWS_ENDPOINT_URL_S3"], "REGION": server["AWS_DEFAULT_REGION"], "BUCKET": "deploys"}
        path = f"{tools}{os.pathsep}{os.environ['PATH']}"
        seen = environment(PATH=path, RENDER_API_KEY=product.endpoint["api_key"], **keys, **given)
        lines = block("docs/bucket.md", "bucket") + "inv check --environment production\n"
        done = subprocess.run(
            ["sh", "-ec", lines], cwd=product.folder, env=seen, capture_output=True, text=True, check=False
        )

        assert done.returncode == 0, done.stdout + done.stderr
        assert "the store takes conditional writes" in done.stderr
        assert "is not known yet" not in done.stdout
        assert [one["Key"] for one in s3.list_objects_v2(Bucket="deploys", Prefix="shop/")["Contents"]] == [
            "shop/format/1-0.1.0"
        ]
    finally:
        product.clean()
