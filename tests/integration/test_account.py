"""An environment of an account, reached as any account is: by address, key and names, none of it special to `local`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.product import PARTS, Product

WITHOUT_SCAN = ("--skip", "scan", "--reason", "its tools are not part of these tests")
SETTINGS = """
bake = "0s"

[environments.staging]
api_url = "{api}"
api_key_env = "STAGING_KEY"
store = "{store}"
only_this_machine = true
services = {services}
{more}
"""


def _staging(product: Product, store: Path, *, services: str = "{}", more: str = "") -> dict[str, Any]:
    """Settings for the running local Render as if it were anybody's account, and the variable with its key."""
    endpoint = product.endpoint
    text = SETTINGS.format(api=endpoint["api_url"], store=store, services=services, more=more)
    (product.folder / "deploylib.toml").write_text(text)
    product.commit("Settings")
    return {"STAGING_KEY": endpoint["api_key"]}


def with_examiners(folder: Path) -> dict[str, Any]:
    """The variable by which a check finds that what the scan needs is installed, as it is where a release is scanned."""
    for package in ("bandit", "kingfisher_secret_scanner", "pip_audit"):
        about = folder / "installed" / f"{package}-99.dist-info"
        about.mkdir(parents=True, exist_ok=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 99\n")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder / "installed"), os.environ.get("PYTHONPATH"))))}


def test_a_release_to_an_account_takes_the_same_way(fresh: Callable[..., Product], tmp_path: Path) -> None:
    """Not pushed: refused. Autodeploy on: refused until it is off. Then it is released and the history is its own."""
    product = fresh(parts=PARTS)
    product.ok("local.up")
    store = tmp_path / "store"
    key = _staging(product, store)
    product.git("init", "--bare", "--quiet", str(tmp_path / "origin.git"))
    product.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    branch = product.git("branch", "--show-current").strip()
    service = f"/services/{product.service_id('backend')}"
    assert product.ask(f"/v1{service}", method="PATCH", body={"autoDeploy": "yes"}).status == 200

    refused = product.inv("check", "--environment", "staging", **key)
    assert refused.code == 2, refused.said
    assert "autodeploy is on" in refused.said
    assert "is not pushed: the remote does not have it in main" in refused.said
    assert "inv check --environment staging --fix" in refused.said

    product.git("push", "--quiet", "origin", branch)
    fixed = product.inv("check", "--environment", "staging", "--fix", **key, **with_examiners(tmp_path))
    assert fixed.code == 0, fixed.said
    assert product.api(service)["autoDeploy"] == "no"
    assert "Not ready for staging: " in refused.out.splitlines()[-1]

    before = (product.folder / ".localrender/requests.jsonl").read_text().count("\n")
    ready = product.inv("check", "--environment", "staging", **key, **with_examiners(tmp_path))
    assert ready.out.splitlines()[-1].startswith("Ready for staging")
    assert ready.out.splitlines()[-1].endswith("; next: inv deploy --environment staging")
    sent = (product.folder / ".localrender/requests.jsonl").read_text().splitlines()[before:]
    asked = {(one["method"], one["path"]) for one in map(json.loads, sent)}
    assert {one for one in asked if one[0] != "GET"} == {("POST", "/v1/blueprints/validate")}  # which makes nothing
    assert not store.exists()

    released = product.inv("deploy", "--environment", "staging", *WITHOUT_SCAN, "--json", **key)
    assert released.code == 0, released.said
    assert json.loads(released.out)["outcome"] == "succeeded"
    assert product.served() == {"backend": product.head, "frontend": product.head}
    assert key["STAGING_KEY"] not in released.said + "".join(path.read_text() for path in store.rglob("*.json"))


def test_the_key_of_an_account(fresh: Callable[..., Product], tmp_path: Path) -> None:
    """No key names its variable (2); a wrong key is told from an address that does not answer (both 40)."""
    product = fresh(parts=PARTS)
    product.ok("local.up")
    _staging(product, tmp_path / "store")

    missing = product.inv("check", "--environment", "staging")
    assert missing.code == 2
    assert "STAGING_KEY is not set" in missing.said
    wrong = product.inv("check", "--environment", "staging", STAGING_KEY="rnd_wrong", **with_examiners(tmp_path))
    assert wrong.code == 40
    assert "refused the API key (401)" in wrong.said
    assert "rnd_wrong" not in wrong.said


@pytest.mark.load
def test_services_by_name_without_a_blueprint(fresh: Callable[..., Product], tmp_path: Path) -> None:
    """Where there is no Blueprint, the settings name the services by the platform's name or id."""
    product = fresh(parts=PARTS)
    product.ok("local.up")
    site = product.service_id("frontend")
    product.git("rm", "--quiet", "--cached", "render.yaml")
    (product.folder / "render.yaml").unlink()
    key = _staging(product, tmp_path / "store", services=f'{{ site = "{site}" }}')
    product.git("init", "--bare", "--quiet", str(tmp_path / "origin.git"))
    product.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    product.git("push", "--quiet", "origin", product.git("branch", "--show-current").strip())

    released = product.inv("deploy", "--environment", "staging", *WITHOUT_SCAN, **key)

    assert released.code == 0, released.said
    assert "settings valid" in released.said
    assert product.head in product.get("frontend").body
