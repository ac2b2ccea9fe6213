"""Backups outside of a run: what a person may say of a dump that cannot be proven."""

from __future__ import annotations

import msgspec
import pytest

from deploylib.cli import text
from deploylib.commands import backups, status
from deploylib.errors import SettingsError
from tests.support.backups import made
from tests.support.fakes import FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import FakeEnvironment, Product
from tests.support.repository import Repository


@pytest.fixture
def env(repository: Repository, platform: Platform, clock: FakeClock) -> FakeEnvironment:
    """With a proven backup, and a newer dump that could not be proven."""
    env = Product(repository, platform, clock).env()
    for name, proof, hours in (("good", "restored", 3), ("bad", "unproven", 1)):
        backup = msgspec.structs.replace(
            made(hours=hours), id=name, key=f"backups/staging/{name}/dump", proof=proof,
            cause="" if name == "good" else 'relation "kinds" does not exist',
        )  # fmt: skip
        env.store.put_if_absent(f"backups/staging/{name}/manifest.json", msgspec.json.encode(backup))
    return env


@pytest.mark.parametrize(("name", "reason"), [("good", "it is fine"), ("", "it is fine"), ("bad", ""), ("bad", "  ")])
def test_only_a_dump_that_cannot_be_proven_is_accepted_and_with_a_reason(
    env: FakeEnvironment, name: str, reason: str
) -> None:
    """Before anything is tried."""
    with pytest.raises(SettingsError, match="with a reason"):
        backups.test_restore(env, name=name, accept=True, reason=reason)


def test_a_dump_that_cannot_be_proven_is_listed_with_its_cause_and_counts_for_nothing(env: FakeEnvironment) -> None:
    """In the list and in the status, beside the newest good one."""
    found = status.status(env)

    assert found.backup == "good (restored)"
    assert found.unproven == 'bad: relation "kinds" does not exist'
    assert "a newer one cannot be proven" in "\n".join(text.format_status(found, env.clock.now()))
    listed = "\n".join(text.format_backups(backups.list_backups(env), env.clock.now()))
    assert 'cannot be proven, and is not counted: relation "kinds" does not exist' in listed


def test_the_schema_of_another_tool_is_unknown_and_not_none(env: FakeEnvironment) -> None:
    """Nobody here has looked for it; a database without a table has none."""
    one = backups.list_backups(env)[0]
    said = [
        text.format_backups([msgspec.structs.replace(one, revision=revision, tables=tables)], env.clock.now())[0].split(
            "schema "
        )[1]
        for revision, tables in (("0002", 3), ("", 3), ("", 0))
    ]
    assert [text.split()[0] for text in said] == ["0002", "unknown", "none"]
