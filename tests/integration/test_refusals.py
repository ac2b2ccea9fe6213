"""What cannot be released is refused with a message and a next step, and nothing is touched."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.support.edges import Completed
from tests.support.product import Product

USAGE = 2


@pytest.fixture
def refused(deployed: Product) -> Iterator[Callable[..., Completed]]:
    """Runs a command that must be refused, and looks at everything it must leave alone."""
    head = deployed.head

    def run(*args: str, code: int = USAGE) -> Completed:
        before = deployed.snapshot()
        done = deployed.inv(*args)
        assert deployed.snapshot() == before
        check(done, code)
        return done

    yield run
    deployed.git("reset", "--quiet", "--hard", head)
    deployed.git("clean", "--quiet", "--force", "-d")


def check(done: Completed, code: int = USAGE) -> None:
    """A refusal is a message and a next step, with the code of its kind, and never a traceback."""
    assert done.code == code, done.said
    assert "Traceback" not in done.said, done.said
    said = done.out + done.err
    assert "next:" in said or "\nNext " in said, done.said


def test_changes_that_are_not_committed(deployed: Product, refused: Callable[..., Completed]) -> None:
    """A release is a commit; the changed file is named."""
    deployed.replace("sample/frontend/build.py", "SHORT = 7", "SHORT = 8")
    done = refused("deploy")
    assert "1 changed file is not committed" in done.said
    assert "sample/frontend/build.py" in done.said
    assert "git commit" in done.said


def test_a_file_of_a_service_that_is_in_no_commit(deployed: Product, refused: Callable[..., Completed]) -> None:
    """A forgotten file would be missing from the release."""
    deployed.write("sample/frontend/src/new.js", "export {}\n")
    assert "not in git, so not in the release: sample/frontend/src/new.js" in refused("deploy").said


def test_no_blueprint(deployed: Product, refused: Callable[..., Completed]) -> None:
    """Without a Blueprint nothing says which services there are."""
    deployed.git("rm", "--quiet", "render.yaml")
    deployed.commit("No Blueprint")
    done = refused("deploy")
    assert "has no render.yaml" in done.said
    assert "https://render.com/docs/blueprint-spec" in done.said


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("    plan: starter", "    plan: owl", "'owl' is none of"),
        ("  - type: web\n    name: backend", "  - type: web\n   name: backend", "render.yaml"),
        ("runtime: python", "runtime: perl", "'perl' is none of"),
        ("name: frontend", "name: backend", "backend"),
    ],
    ids=["a value that nobody knows", "bad YAML", "an unknown runtime", "two services of one name"],
)
def test_a_blueprint_with_an_error(
    deployed: Product, refused: Callable[..., Completed], old: str, new: str, named: str
) -> None:
    """What is wrong with the Blueprint is named before anything is asked for."""
    deployed.replace("render.yaml", old, new)
    deployed.commit("A mistake in the Blueprint")
    done = refused("deploy")
    assert named in done.said, done.said


def test_no_pg_dump(deployed: Product, refused: Callable[..., Completed]) -> None:
    """Without a fitting pg_dump there would be no backup."""
    (deployed.folder / "empty").mkdir(exist_ok=True)
    deployed.configure(postgres_bin="empty")
    done = refused("deploy")
    assert "no pg_dump in empty fits a Postgres 16 server" in done.said
    assert "install postgresql-client-16" in done.said


def test_no_disk_space(deployed: Product, refused: Callable[..., Completed]) -> None:
    """A run that could not be recorded or backed up does not begin."""
    deployed.configure(minimum_free="9000TB")
    done = refused("deploy")
    assert "MB free, less than the 9000TB" in done.said
    assert "make room" in done.said


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("deploy", "--service", "nope"), "there is no service 'nope'; there are: backend, frontend"),
        (("deploy", "--commit", "nope"), "there is no commit 'nope' here"),
        (("deploy", "--commit", "-nope"), "'-nope' is not a commit"),
        (("deploy", "--environment", "nope"), "there is no environment 'nope'; known: local"),
        (("deploy", "--until", "nope"), "there is no stage 'nope'"),
        (("rollback", "--to", "nope"), "nothing to go back to"),
        (("history", "--run", "nope"), "there is no run 'nope'"),
        (("--dry", "deploy"), "inv --dry does not make a dry run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_name_that_does_not_exist(refused: Callable[..., Completed], args: tuple[str, ...], named: str) -> None:
    """What was named wrongly is said, with the names that there are."""
    assert named in refused(*args).said


def test_a_setting_that_does_not_exist(deployed: Product, refused: Callable[..., Completed]) -> None:
    """A misspelt setting is an error, not a default."""
    deployed.configure(dead_line="5m")
    assert "dead_line" in refused("deploy").said


def test_an_error_is_json_where_json_was_asked_for(deployed: Product, refused: Callable[..., Completed]) -> None:
    """A script reads the refusal as it reads a success."""
    deployed.replace("sample/frontend/build.py", "SHORT = 7", "SHORT = 8")
    told = refused("deploy", "--json").json
    assert (told["exit_code"], told["outcome"]) == (USAGE, "usage or settings")
    assert told["next"]


def test_a_port_that_another_program_has_taken(deployed: Product, refused: Callable[..., Completed]) -> None:
    """The addresses stay the same over a restart; where one is taken, nothing is started at half of them."""
    address = deployed.url("frontend")
    deployed.ok("local.down")
    with closing(socket.create_server(("127.0.0.1", int(address.rpartition(":")[2].strip("/"))))):
        done = refused("deploy")
        assert "is in use by another program" in done.said
        assert "local.up --new-ports" in done.said, done.said
        deployed.ok("local.up", "--new-ports")
        assert deployed.url("frontend") != address
        assert deployed.get("backend", "/api/health").json["releaseId"] == deployed.head
        assert deployed.served()["frontend"] == deployed.head


def test_no_repository(fresh: Callable[..., Product]) -> None:
    """Outside a git repository there is no commit to release, and nothing is started or written."""
    product = fresh(parts=("render.yaml", "tasks.py"))
    shutil.rmtree(product.folder / ".git")
    done = product.inv("deploy")
    check(done)
    assert "is not in a git repository" in done.said
    assert "git init" in done.said
    assert sorted(path.name for path in product.folder.iterdir()) == ["render.yaml", "tasks.py"]
    assert not product.processes()


def test_a_repository_without_a_commit(fresh: Callable[..., Product]) -> None:
    """Before the first commit there is nothing to release."""
    product = fresh(parts=("render.yaml", "tasks.py"))
    done = product.inv("deploy")
    check(done)
    assert "git commit first" in done.said
    assert not (product.folder / ".localrender").exists()


def test_nothing_runs_yet(fresh: Callable[..., Product]) -> None:
    """Questions about a product that was never deployed are answered, and start nothing."""
    product = fresh(parts=("render.yaml", "tasks.py"))
    product.commit("First")
    assert "nothing was ever deployed from here" in product.ok("status").out
    assert product.ok("history").out.strip() == ""
    for args in (("logs",), ("verify",)):
        check(product.inv(*args))
    assert "nothing runs" in product.ok("local.down").out
    assert sorted(path.name for path in product.folder.iterdir()) == [".git", "render.yaml", "tasks.py"]
