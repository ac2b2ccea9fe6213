"""The stages one by one, the way back, and the questions an operator asks."""

from __future__ import annotations

import re

import pytest

from tests.support.product import Product


@pytest.fixture
def second(deployed: Product) -> Product:
    """The product, with a commit for both services that is not deployed."""
    deployed.change_backend()
    deployed.change_frontend()
    return deployed


def stage(err: str, name: str) -> str:
    """The line of a stage."""
    return next(line for line in err.splitlines() if line[2:].startswith(name))


def test_the_commands_one_by_one_are_one_release(second: Product) -> None:
    """A later command goes on with what an earlier one has done, makes no second backup, and the proof is the end."""
    second.ok("check")
    for alone in ("changes", "backup"):
        assert "DONE" in second.ok(alone).out
    migrated = second.ok("migrate")
    assert re.search(r"was made .* ago \(inv backup\)", stage(migrated.err, "backup")), migrated.err
    writes = second.writes()
    deployed = second.ok("deploy", "--until", "deploy")
    for name in ("check", "changes", "backup", "migrate"):
        assert "by this run" in stage(deployed.err, name), deployed.err
    assert len(second.writes()) == len(writes) + 2
    assert "inv verify" in deployed.out
    verified = second.ok("verify")
    assert f"backend   answers {second.head[:7]} 5/5" in verified.err, verified.said
    assert "SUCCEEDED" in verified.out
    assert "succeeded" in second.outcome()
    listed = second.ok("history").out.splitlines()
    assert [line.split()[3] for line in listed[:3]] == ["deploy", "backup", "changes"], listed


def test_a_stage_called_cold_does_what_it_requires(second: Product) -> None:
    """`inv migrate` outside a run checks, decides and backs up first, and deploys nothing."""
    served, writes = second.served(), second.writes()
    done = second.ok("migrate")
    for name in ("check", "changes", "backup", "migrate"):
        assert stage(done.err, name)
    assert "deploy" not in done.err
    assert second.writes() == writes
    assert second.served() == served


@pytest.mark.load
def test_a_backup_that_is_asked_for_is_made(second: Product) -> None:
    """`inv backup` makes a proven one also where no migration is pending."""
    done = second.ok("backup")
    assert "restored and compared" in stage(done.err, "backup"), done.err
    assert "(asked for)" in done.err
    assert "(restored)" in second.ok("status").out


def test_only_the_service_that_was_asked_for(second: Product) -> None:
    """`--service` leaves the others alone, and says so."""
    served = second.served()
    done = second.ok("deploy", "--service", "backend")
    assert "frontend  not asked for" in done.err, done.err
    assert second.served() == {"backend": second.head, "frontend": served["frontend"]}


@pytest.mark.load
def test_a_commit_can_be_named(second: Product) -> None:
    """`--commit` releases it, whatever is checked out or changed."""
    second.replace("sample/frontend/build.py", "SHORT = 7", "SHORT = 8")
    second.ok("deploy", "--commit", "HEAD")
    assert second.served()["frontend"] == second.head
    second.git("checkout", "--quiet", "--", ".")


def test_an_older_commit_is_no_release(deployed: Product) -> None:
    """Going back has a name of its own."""
    before = deployed.snapshot()
    done = deployed.inv("deploy", "--commit", deployed.first)
    assert done.code == 2, done.said
    assert "inv rollback --to" in done.out
    assert deployed.snapshot() == before


@pytest.mark.load
def test_rollback_restores_the_release_before_and_verifies_it(second: Product) -> None:
    """All services at once, from the artifacts that were kept: the release before, or the one that is named."""
    before = second.served()
    runs = second.ok("history", "--json").json
    run = next(one for one in runs if one.get("report", {}).get("outcome") == "succeeded")
    second.ok("deploy")
    after = second.served()
    assert after != before
    planned = second.ok("rollback", "--dry-run")
    assert f"{before['backend'][:7]}" in planned.err
    assert second.served() == after

    done = second.ok("rollback")
    assert second.served() == before
    assert "SUCCEEDED" in done.out
    assert f"{before['backend'][:7]} 5/5" in done.err, done.err
    assert {second.deploys(service)[0]["trigger"] for service in before} == {"rollback"}

    refused = second.inv("deploy")
    assert refused.code == 31, refused.said
    second.ok("hold.lift", "--reason", "it was not at fault")
    second.ok("deploy")
    assert second.served() == after
    second.ok("rollback", "--to", run["opened"]["run"][-4:])
    assert second.served() == before
    wrong = second.inv("rollback", "--to", "nope")
    assert wrong.code == 2, wrong.said
    assert "no verified release 'nope'" in wrong.out
    second.ok("hold.lift")


def test_the_history_tells_every_run(second: Product) -> None:
    """The newest first; one run in full by the end of its id; its logs."""
    second.ok("deploy")
    run = second.events()[0]["data"]["run"]
    listed = second.ok("history").out.splitlines()
    assert listed[0].startswith(f"{run[-4:]}  "), listed
    assert "succeeded" in listed[0]
    assert second.head[:7] in listed[0]
    told = second.ok("history", "--run", run[-4:]).out
    assert "✓ verify" in told
    assert "SUCCEEDED" in told
    logs = second.ok("logs", "--run", run[-4:]).out
    assert "── backend app" in logs
    assert "Application startup complete" in logs
    assert "── frontend build" in logs
    assert "app.js -> /assets/app." in logs


@pytest.mark.load
def test_every_command_can_answer_in_json(second: Product) -> None:
    """One document on standard output and nothing else."""
    second.ok("deploy", "--json")
    run = second.events()[0]["data"]["run"]
    commands = (
        "check", "changes", "backup --dry-run", "verify", "status", "history", f"history --run {run[-4:]}",
        f"logs --run {run[-4:]}", "rollback --dry-run", "local.up", "local.status",
    )  # fmt: skip
    for command in commands:
        done = second.ok(*command.split(), "--json")
        assert isinstance(done.json, dict | list), command


def test_the_list_of_commands_is_a_table_of_contents(deployed: Product) -> None:
    """`inv --list` names each command with what it does."""
    listed = deployed.ok("--list").out
    for name in ("deploy", "check", "changes", "backup", "migrate", "verify", "rollback", "status", "history", "logs"):
        names = (name, f"{name}.create")
        assert any(line.split()[0] in names and len(line.split()) > 2 for line in listed.splitlines() if line.strip())


def test_status_says_what_is_live(deployed: Product) -> None:
    """Commit, age and address of each service, the way back, the last run and the newest backup."""
    told = deployed.ok("status").out
    for service, commit in deployed.served().items():
        assert f"{service:<8}  {commit[:7]}  for " in told
        assert deployed.url(service, "") in told
    for title in ("rollback     ", "last run     ", "backup       "):
        assert title in told
    assert "127.0.0.1" in deployed.ok("local.status").out
    assert "Application startup complete" in deployed.ok("local.logs", "--service", "backend").out
