"""What ``import deploylib`` gives: a handle, verbs, values, errors; nothing to assemble, nothing printed."""

from __future__ import annotations

import inspect
import pydoc
import socket
import subprocess
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import deploylib
from deploylib import errors
from tests.support.fakes import FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import WITHOUT_SCAN, Product
from tests.support.repository import Repository

NAMES = [name for name in dir(deploylib) if name != "__version__"]
VERBS = [name for name in NAMES if inspect.isfunction(getattr(deploylib, name))]
OTHERS = {"signal", "stage"}  # functions that are no command
COMMANDS = [name for name in VERBS if name not in OTHERS]


def kinds(annotation: Any) -> Iterator[Any]:
    """The classes that an annotation is made of."""
    if typing.get_origin(annotation) in {None, dict}:
        yield annotation
    else:
        for each in typing.get_args(annotation):
            yield from kinds(each)


def test_the_verbs_are_the_commands() -> None:
    """One for each thing that a person may type."""
    told = """
        check scan tests changes backup list_backups test_restore restore migrate deploy verify rollback promote finish
        status history logs lease release_lease hold lift notify write_dashboard load_test load_test_history
        monitor silence_alerts end_silences
    """
    assert set(told.split()) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_verb_takes_the_environment_and_keywords(name: str) -> None:
    """Nothing else has a place that one must remember, and only a reason has no default."""
    first, *others = inspect.signature(getattr(deploylib, name)).parameters.values()

    assert first.name == "env"
    assert {each.kind for each in others} <= {inspect.Parameter.KEYWORD_ONLY}
    assert {each.name for each in others if each.default is each.empty} <= {"reason"}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_verb_returns_frozen_values_that_are_names_of_the_surface(name: str) -> None:
    """A value, a tuple of values, or None; who annotates a script finds its name here."""
    returned = typing.get_type_hints(getattr(deploylib, name))["return"]

    for kind in set(kinds(returned)) - {types.NoneType, ...}:
        assert issubclass(kind, msgspec.Struct)
        assert kind.__struct_config__.frozen
        assert kind in {getattr(deploylib, each) for each in NAMES}


def test_the_whole_tree_of_errors_stands_beside() -> None:
    """So that a script names what it catches."""
    assert set(errors.__all__) <= set(NAMES)
    assert [name for name in errors.__all__ if getattr(deploylib, name) is not getattr(errors, name)] == []


def test_what_type_checkers_see_is_what_is_there() -> None:
    """They read a list of their own, since at run time `help` reads the shorter one."""
    text = Path(deploylib.__file__).read_text()
    listed = text.partition("if TYPE_CHECKING:\n    __all__ = [")[2].partition("]")[0]

    assert sorted(each.strip().strip('"') for each in listed.split(",") if each.strip()) == sorted(NAMES)


def test_help_reads_like_a_page() -> None:
    """The first screen is a script and a table of every verb; then the handle and the verbs, and no exception's insides."""
    page = pydoc.plain(pydoc.render_doc(deploylib))
    first = page.partition("PACKAGE CONTENTS")[0]

    assert 'env = deploylib.Environment.open("staging")' in first
    assert len(first.splitlines()) <= 60
    assert [name for name in VERBS if name not in first] == []
    assert [name for name in VERBS if f"\n    {name}(" not in page] == []
    assert "class Environment" in page
    assert "BaseException" not in page
    assert len(page.splitlines()) <= 545


def test_opening_an_environment_reads_settings_and_nothing_else(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No program is started, nobody is asked, nothing is written."""

    def refuse(*args: Any, **_: Any) -> None:
        raise AssertionError(args)

    repository.commit({"deploylib.toml": '[environments.staging]\nstore = "s3://deploys/shop"\n'})
    before = sorted(repository.root.rglob("*"))
    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(socket, "socket", refuse)

    env = deploylib.Environment.open("staging", folder=repository.root)

    assert (env.name, env.config.store) == ("staging", "s3://deploys/shop")
    assert before == sorted(repository.root.rglob("*"))


def test_nothing_is_printed(
    repository: Repository, platform: Platform, clock: FakeClock, capfd: pytest.CaptureFixture[str]
) -> None:
    """A release, a look, a hold: who calls them prints."""
    product = Product(repository, platform, clock)

    report = deploylib.deploy(product.env(), **WITHOUT_SCAN)
    deploylib.status(product.env())
    (run,) = deploylib.history(product.env())
    hold = deploylib.hold(product.env(), reason="so")
    assert deploylib.lift(product.env()) == (hold,)

    assert (report.outcome, run.id) == ("succeeded", report.run)
    assert capfd.readouterr() == ("", "")
