"""Where the clone lies and who types the command makes no difference."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.product import Product

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def permissions(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode and owner of a folder and those above it."""
    return {path: (path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in (folder, *folder.parents)}


def can_run(account: int) -> bool:
    """Whether a user can start this Python and find the project in it."""
    command = [sys.executable, "-c", "import deploylib, invoke, localrender"]
    try:
        done = subprocess.run(command, user=account, group=account, cwd="/", check=False, capture_output=True)
    except PermissionError:
        return False
    return done.returncode == 0


@pytest.fixture
def ordinary() -> Iterator[Product]:
    """The product in the home of a user without privileges."""
    account = pwd.getpwnam("nobody").pw_uid
    if not can_run(account):
        pytest.skip("the user nobody cannot reach this Python or the installed project")
    home = Path(tempfile.mkdtemp(prefix="home-", dir="/tmp"))
    os.chown(home, account, account)
    product = Product(home / "product", account=account)
    try:
        yield product
    finally:
        product.clean()
        shutil.rmtree(home)


@pytest.mark.load  # whoever runs the tests as an ordinary user has it in every story
def test_an_ordinary_user_deploys(ordinary: Product) -> None:
    """No privilege is needed, and every process and file belongs to that user."""
    ordinary.ok("deploy")
    assert ordinary.served() == {"backend": ordinary.head, "frontend": ordinary.head}
    assert ordinary.account is not None
    assert {process.uids().real for process in ordinary.processes()} == {ordinary.account}
    assert {path.lstat().st_uid for path in ordinary.folder.rglob("*")} == {ordinary.account}


@pytest.mark.load
def test_root_deploys_below_a_folder_that_nobody_else_can_enter(tmp_path: Path, fresh: Callable[..., Product]) -> None:
    """Postgres, which refuses to run as root, works all the same; no folder above is opened for it."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    product = fresh(closed / "product", ("render.yaml", "sample", "migrations", "tasks.py", "pyproject.toml"))
    before = permissions(product.folder)
    product.ok("deploy")
    name = hashlib.sha256(str(product.folder / ".localrender").encode()).hexdigest()[:16]
    moved = Path("/var/lib") / f"localrender-{name}"
    assert moved.is_dir()
    assert product.served() == {"backend": product.head, "frontend": product.head}
    assert permissions(product.folder) == before
    product.clean()
    assert not moved.exists()
