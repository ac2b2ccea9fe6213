"""Every block of the runbook is typed in the situation that it stands under, on a real local Render."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.runbook.situations import OF_THE_GUEST_BOOK, OF_TRIVIAL, SITUATIONS, Situation
from tests.support.edges import Completed, environment
from tests.support.pages import Typed, typed_blocks
from tests.support.product import Product
from tests.support.trivial import Trivial

RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "runbook.md"
BLOCKS = [one for one in typed_blocks(RUNBOOK) if one.situation]


def _of(known: Mapping[str, Situation]) -> list[object]:
    """The blocks that stand under these situations; the long ones are left to a session."""
    chosen = [one for one in BLOCKS if one.situation in known]
    return [
        pytest.param(
            one,
            id=f"{one.section}: {one.situation}",
            marks=[pytest.mark.load] if SITUATIONS[one.situation].long else [],
        )
        for one in chosen
    ]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trivial]:
    """Trivial services, two releases old, on a local Render that can be told to misbehave."""
    with Trivial(tmp_path_factory.mktemp("runbook") / "product") as product:
        product.release_twice()
        yield product


@pytest.fixture
def trivial(shared: Trivial) -> Iterator[Trivial]:
    """They are well before and after each situation."""
    yield shared
    shared.mend()


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The sample product, with a guest and a backup."""
    with Product(tmp_path_factory.mktemp("runbook") / "book") as product:
        product.ok("deploy")
        product.sign("Ann")
        product.ok("backup")
        yield product


@pytest.fixture
def guest_book(book: Product) -> Iterator[Product]:
    """Nothing of it is held before and after each situation."""
    yield book
    book.lift_all()


def type_line(product: Product, line: str, names: dict[str, str]) -> Completed:
    """Type a line of the page, about the local Render where it says production."""
    text = re.sub(r"\bproduction\b", "local", line)
    for name in ("RUN", "COMMIT", "ID", "HOLD"):
        text = re.sub(rf"(?<![$\w]){name}\b", names.get(name, name), text)
    words = shlex.split(text)
    if words[0] == "inv":
        return product.inv(*words[1:], timeout=300, **names)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=product.folder,
        env=environment(**names),
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Completed(done.returncode, done.stdout, done.stderr)


def _typed(product: Product, block: Typed) -> None:
    if any("curl " in line for line in block.lines) and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    situation = SITUATIONS[block.situation]
    with situation.make(product) as names:
        for line in block.lines:
            done = type_line(product, line, names)
            right = next((code for words, code in situation.codes.items() if line.startswith(words)), 0)
            assert done.code == right, f"{line}\n{done.said}"
            assert names.get("RENDER_API_KEY", "no key") not in done.said


@pytest.mark.parametrize("block", _of(OF_TRIVIAL))
def test_the_block_does_what_it_is_for(trivial: Trivial, block: Typed) -> None:
    """Each command ends as it should, and what was wrong is put right."""
    _typed(trivial, block)


@pytest.mark.parametrize("block", _of(OF_THE_GUEST_BOOK))
def test_the_block_about_data_does_what_it_is_for(guest_book: Product, block: Typed) -> None:
    """The same where there is a database."""
    _typed(guest_book, block)
