"""A command that a prepared program forks is the same as one in a Python that has to start."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support import warm
from tests.support.edges import environment, until
from tests.support.product import Product

SAYS_WHERE_IT_IS = """
import os, socket, subprocess, sys, threading, time
from invoke.tasks import task

@task
def where(c):
    print(os.getcwd(), sorted(os.environ.items()), sys.path[:2], sys.argv, sys.stdin.read(), sys.dont_write_bytecode)
    print([one.__module__ for one in (socket.socket, subprocess.Popen, threading.Event, time.sleep)])
    print("to the other", file=sys.stderr)
    sys.exit(7)

@task
def forever(c):
    while True:
        pass
"""


@pytest.fixture
def product(tmp_path: Path) -> Product:
    """Nothing runs for it."""
    return Product(tmp_path / "product", ("tasks.py",))


@pytest.mark.parametrize("asked", ["--list", "status", "deploy", "deploy --json", "nothing-of-that-name"])
def test_it_says_the_same(product: Product, asked: str) -> None:
    """On both outputs, and with the same exit code."""
    assert product.inv(*asked.split()) == product.new(*asked.split())


def test_it_finds_the_same(product: Product) -> None:
    """The folder, the environment, what it was asked, nothing to read; a file of tasks of its own; Python's own parts."""
    product.write("tasks.py", SAYS_WHERE_IT_IS)
    done, new = product.inv("where", OF_ITS_OWN="1"), product.new("where", OF_ITS_OWN="1")
    assert (done.code, done.err) == (7, "to the other\n")
    assert done == new


def test_a_python_that_would_start_in_another_way_is_started(product: Product) -> None:
    """What it reads only when it starts cannot be given later."""
    prepared = warm.commands()
    assert prepared.serves(environment(DATABASE_URL="postgresql://"))
    assert not prepared.serves(environment(LC_ALL="POSIX"))
    assert product.inv("--list", PYTHONHASHSEED="1") == product.new("--list")


def test_it_ends_with_its_time(product: Product) -> None:
    """As a new one does."""
    product.write("tasks.py", SAYS_WHERE_IT_IS)
    with pytest.raises(subprocess.TimeoutExpired):
        product.inv("forever", timeout=0.5)
    until(lambda: not product.processes())
