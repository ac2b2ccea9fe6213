"""Three small programs, measured by the command that an operator types; what is told, recorded and left behind."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fitness.programs import FIRST, Program
from tests.support.edges import Completed, processes_of, until
from tests.support.product import Product

ENDED_WITHIN = 30.0  # seconds


@pytest.fixture(scope="module")
def product(make: Callable[..., Product]) -> Product:
    """A product of the three."""
    return make(*FIRST)


@pytest.fixture(scope="module")
def measured(product: Product) -> Completed:
    """What the command says of them."""
    return product.inv("local.fitness", "--json", TMPDIR=str(temporary(product)))


def temporary(product: Product) -> Path:
    """Where the commands about a product have their temporary files, by which its processes are known."""
    folder = product.folder.parent / "tmp"
    folder.mkdir(exist_ok=True)
    return folder


def rows(measured: Completed, service: str) -> dict[str, dict[str, Any]]:
    """The rows of a service, by their question."""
    found = next(one for one in json.loads(measured.out)["services"] if one["service"] == service)
    return {row["question"]: row for row in found["rows"]}


@pytest.mark.parametrize("program", FIRST, ids=lambda program: program.name)
def test_the_one_way_in_which_a_program_is_unfit_is_named(measured: Completed, program: Program) -> None:
    """With what was seen, and the line to change; the one that is fit is."""
    found = rows(measured, program.name)
    unfit = [row for row in found.values() if row["fit"] == "unfit"]

    assert [row["question"] for row in unfit] == ([program.unfit] if program.unfit else []), measured.said
    assert all(row["text"] and row["remedy"] for row in unfit)
    if not program.unfit:
        assert {row["fit"] for row in found.values()} == {"fit"}, measured.said


def test_what_is_unfit_blocks(measured: Completed) -> None:
    """By the exit code of a gate that found something."""
    assert measured.code == 3
    assert json.loads(measured.out)["outcome"] == "blocked by a gate"


def test_a_signal_that_stays_in_a_shell_is_told_as_that(measured: Completed) -> None:
    """What follows from it is not measured, and not held against the program."""
    found = rows(measured, "behind-a-shell")

    assert "bash takes it and ends" in found["signal"]["text"]
    assert {found[name]["fit"] for name in ("in flight", "exit", "idle")} == {"could not measure"}
    assert "exec" in found["signal"]["remedy"]


def test_nothing_of_it_is_left(product: Product, measured: Completed) -> None:
    """Neither a process nor a folder; the local Render that one uses was never started."""
    assert measured.code == 3
    assert processes_of(product.folder.parent) == []
    assert list(temporary(product).iterdir()) == []
    assert not (product.folder / ".localrender" / "state.sqlite3").exists()


def test_a_check_reminds_of_what_is_unfit(product: Product, measured: Completed) -> None:
    """As long as it is started by the same command; of what is fit nothing is said."""
    said = product.inv("check").said
    assert "cuts: unfit for a release without downtime" in said, measured.said
    assert "fit-node: unfit" not in said

    product.replace("render.yaml", "python app.py; echo ended", "exec python app.py")
    product.commit("The program itself")
    said = product.inv("check").said
    assert "cuts: unfit" in said
    assert "behind-a-shell: unfit" not in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_a_measurement_that_is_stopped_leaves_no_process(make: Callable[..., Product], number: signal.Signals) -> None:
    """What was started for it ends with it, however it ends."""
    product = make(FIRST[0])
    with product.start("local.fitness", TMPDIR=str(temporary(product))) as running:
        assert running.stderr is not None
        assert any("keep-alive" in line for line in running.stderr)
        running.send_signal(number)
        running.communicate(timeout=ENDED_WITHIN)

    assert running.returncode == (130 if number is signal.SIGINT else -number)
    until(lambda: processes_of(product.folder.parent) == [], ENDED_WITHIN)


def test_bad_input_is_told_before_anything_is_started(product: Product) -> None:
    """A service that there is not: exit code 2."""
    done = product.inv("local.fitness", "--service", "nobody")

    assert done.code == 2
    assert "there is no service 'nobody'" in done.said
