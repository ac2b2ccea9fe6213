"""Backups outside of a run: what a person may say of a dump that cannot be proven."""

from __future__ import annotations

import msgspec
import pytest

from deploylib import backups, report, status
from deploylib.errors import SettingsError
from tests.unit.conftest import Repository
from tests.unit.fakes import FakeClock
from tests.unit.in_memory import Platform
from tests.unit.product import FakeContext, Product
from tests.unit.test_stages import made


@pytest.fixture
def ctx(repository: Repository, platform: Platform, clock: FakeClock) -> FakeContext:
    """With a proven backup, and a newer dump that could not be proven."""
    context = Product(repository, platform, clock).context()
    for name, proof, hours in (("good", "restored", 3), ("bad", "unproven", 1)):
        backup = msgspec.structs.replace(
            made(hours=hours), id=name, key=f"backups/staging/{name}/dump", proof=proof,
            cause="" if name == "good" else 'relation "kinds" does not exist',
        )  # fmt: skip
        context.store.put_if_absent(f"backups/staging/{name}/manifest.json", msgspec.json.encode(backup))
    return context


@pytest.mark.parametrize(("name", "reason"), [("good", "it is fine"), ("", "it is fine"), ("bad", ""), ("bad", "  ")])
def test_only_a_dump_that_cannot_be_proven_is_accepted_and_with_a_reason(
    ctx: FakeContext, name: str, reason: str
) -> None:
    """Before anything is tried."""
    ctx.reason = reason

    with pytest.raises(SettingsError, match="with a reason"):
        backups.prove(ctx, name, accept=True)


def test_a_dump_that_cannot_be_proven_is_listed_with_its_cause_and_counts_for_nothing(ctx: FakeContext) -> None:
    """In the list and in the status, beside the newest good one."""
    found = status.read(ctx)

    assert found.backup == "good (restored)"
    assert found.unproven == 'bad: relation "kinds" does not exist'
    assert "a newer one cannot be proven" in "\n".join(report.status(found, ctx.clock.now()))
    listed = "\n".join(report.backups(backups.listed(ctx), ctx.clock.now()))
    assert 'cannot be proven, and is not counted: relation "kinds" does not exist' in listed


def test_the_schema_of_another_tool_is_unknown_and_not_none(ctx: FakeContext) -> None:
    """Nobody here has looked for it; a database without a table has none."""
    one = backups.listed(ctx)[0]
    said = [
        report.backups([msgspec.structs.replace(one, revision=revision, tables=tables)], ctx.clock.now())[0].split(
            "schema "
        )[1]
        for revision, tables in (("0002", 3), ("", 3), ("", 0))
    ]
    assert [text.split()[0] for text in said] == ["0002", "unknown", "none"]
