"""Products of small programs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from localrender import runtimes
from tests.fitness.programs import Program, blueprint, settings
from tests.support.product import Product, warm_environment


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Product]]:
    """Makes a product of some programs; each is ended at the end."""
    with ExitStack() as ends:

        def make_product(*programs: Program) -> Product:
            product = Product(tmp_path_factory.mktemp("fitness") / "product", ("tasks.py", ".gitignore"))
            ends.callback(product.clean)
            _lay_environment(product.kept(), with_driver="psycopg" in str(programs))
            files = {f"{one.name}/{name}": text for one in programs for name, text in one.files.items()}
            product.commit(
                "Programs", files | {"render.yaml": blueprint(programs), "deploylib.toml": settings(programs)}
            )
            return product

        yield make_product


def _lay_environment(place: Path, *, with_driver: bool) -> None:
    """What builds get a copy of: one without pip is made at once."""
    if with_driver:
        runtimes.copy_environment(warm_environment(), place)
    else:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "venv"], check=True, timeout=60)
