"""Products to deploy: one that the stories of a module share, and fresh ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.product import Product


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The sample product, deployed once for all stories of a module."""
    with Product(tmp_path_factory.mktemp("shared") / "product") as product:
        product.ok("deploy")
        yield product


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[[Path, tuple[str, ...]], Product]]:
    """Makes products of other parts, or at other places; each is ended at the end."""
    with ExitStack() as ends:

        def make(folder: Path = tmp_path / "product", parts: tuple[str, ...] = ()) -> Product:
            product = Product(folder, parts)
            ends.callback(product.clean)
            return product

        yield make
