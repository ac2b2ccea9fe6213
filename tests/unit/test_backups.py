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
