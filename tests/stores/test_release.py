"""A release whose history and backups are in a bucket: another machine knows of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deploylib.commands import release
from tests.support import in_memory_product
from tests.support.extras import install_all
from tests.support.fakes import FakeClock
from tests.support.in_memory import Platform
from tests.support.product import Product
from tests.support.repository import Repository

SETTINGS = """
bake = "0s"

[environments.staging]
api_url = "{api}"
api_key_env = "STAGING_KEY"
store = "s3://deploys/{name}"
"""


def test_a_bucket_is_told_ready_once_it_was_tried(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one is not known to take conditional writes; the format alone stays of the trial."""
    install_all(monkeypatch)
    repository = Repository.make(tmp_path / "product")
    product = in_memory_product.Product(repository, Platform(), FakeClock())
    product.environment = {"store": f"s3://deploys/{tmp_path.name}"}

    unknown = release.check(product.env())
    assert "whether it takes conditional writes is not known yet" in "\n".join(unknown.stages[0].lines)
    assert "Contents" not in s3.list_objects_v2(Bucket="deploys", Prefix=tmp_path.name)

    known = release.check(product.env(), fix=True)
    assert not any("conditional" in line for line in known.stages[0].lines)
    (kept,) = s3.list_objects_v2(Bucket="deploys", Prefix=tmp_path.name)["Contents"]
    assert kept["Key"].startswith(f"{tmp_path.name}/format/")


@pytest.mark.load  # test_account.py shows the same way with a folder, and the other tests here the bucket
def test_what_one_machine_released_another_one_knows(s3: Any, server: dict[str, str], tmp_path: Path) -> None:
    """Run, backup and way back are in the bucket; nothing of them is on the disk of the machine that deployed."""
    with Product(tmp_path / "product") as product:
        product.ok("local.up")
        (product.folder / "deploylib.toml").write_text(
            SETTINGS.format(api=product.endpoint["api_url"], name=tmp_path.name)
        )
        product.commit("Settings")
        product.git("init", "--bare", "--quiet", str(tmp_path / "origin.git"))
        product.git("remote", "add", "origin", str(tmp_path / "origin.git"))
        product.git("push", "--quiet", "origin", product.git("branch", "--show-current").strip())
        variables: dict[str, Any] = {**server, "STAGING_KEY": product.endpoint["api_key"]}

        for command in (["deploy", "--skip", "scan", "--reason", "its tools are not part of this"], ["backup"]):
            done = product.inv(*command, "--environment", "staging", **variables)
            assert done.code == 0, done.said
        assert not (product.folder / ".deploylib").exists()

        product.git("clone", "--quiet", str(product.folder), str(tmp_path / "other"))
        elsewhere = Product.__new__(Product)
        elsewhere.folder, elsewhere.account = tmp_path / "other", None
        status = json.loads(elsewhere.inv("status", "--environment", "staging", "--json", **variables).out)
        runs = json.loads(elsewhere.inv("history", "--environment", "staging", "--json", **variables).out)
        assert {one["service"]: one["commit"] for one in status["live"]} == product.served()
        assert "restored" in status["backup"]
        assert [(run.get("report") or {}).get("outcome") for run in runs] == ["done", "succeeded"]
        found = [one["Key"] for one in s3.list_objects_v2(Bucket="deploys", Prefix=tmp_path.name)["Contents"]]
        assert [key.rpartition("/")[2] for key in found if "/backups/" in key] == ["dump", "manifest.json"]
