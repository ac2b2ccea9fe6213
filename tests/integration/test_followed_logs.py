"""What builds and programs write while a release runs: followed, kept with it, and nothing that a release hangs on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.edges import Completed
from tests.support.trivial import Trivial

PLANTED = "planted-9f8e7d6c5b4a"
COUNT = 1500
CHATTY = f"""
import os, sys
for n in range({COUNT}):
    print(f"step {{n}}", flush=n % 100 == 0)
print("::error::of a build", "\\x1b[2Jcleared", "key is {PLANTED}")
open("index.html", "w").write('<!doctype html><title>A</title><meta name="release" content="%s">' % os.environ["RENDER_GIT_COMMIT"])
"""
BROKEN = "print('preparing'); import missing_module_of_ours\n"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trivial]:
    """It is live; the site alpha is built by a program that is chatty."""
    with Trivial(tmp_path_factory.mktemp("followed") / "product") as product:
        product.ok("local.up", "--faults")
        product.ok("deploy")
        yield product


@pytest.fixture(autouse=True)
def _well(product: Trivial) -> Iterator[None]:
    yield
    assert product.ask("/local/faults", method="DELETE").status == 200


def build(product: Trivial, program: str) -> None:
    """A commit whose alpha is built by a program."""
    product.commit("Build", {"alpha/build.py": program, "alpha/build.sh": "exec python3 build.py\n"})


def kept(product: Trivial) -> list[dict[str, str]]:
    """The lines that are kept with the newest run."""
    newest = max((product.folder / ".deploylib/logs").iterdir())
    return [line for file in sorted(newest.iterdir()) for line in json.loads(file.read_text())]


def steps(texts: list[str]) -> list[int]:
    """Which steps of the chatty build are among lines."""
    return [int(found[1]) for text in texts if (found := re.search(r"\bstep (\d+)$", text))]


def in_ci(product: Trivial, *words: str, summary: Path) -> Completed:
    """Run a command as GitHub does."""
    summary.unlink(missing_ok=True)
    given = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "SLACK_WEBHOOK_URL": ""}
    return product.inv(*words, timeout=300, **given, DEPLOYLIB_TOKEN=PLANTED)


def test_what_a_build_writes_is_kept_whole_and_without_a_secret(product: Trivial, tmp_path: Path) -> None:
    """Although the websocket is cut three times; in CI it stands in groups, and nothing in it commands the runner."""
    product.fault("logs-cut", value=300, next=3)
    build(product, CHATTY)

    done = in_ci(product, "deploy", summary=tmp_path / "summary.md")

    assert done.code == 0, done.said
    lines = [line["text"] for line in kept(product) if line["service"] == "alpha" and line["kind"] == "build"]
    assert steps(lines) == list(range(COUNT))
    assert steps(done.err.splitlines()) == list(range(COUNT))
    assert done.err.count("::group::alpha build") >= COUNT // 200
    assert done.err.count("::group::") == done.err.count("::endgroup::")
    assert not re.search(r"^\s*::error::of a build", done.err, re.MULTILINE)
    assert r"\x1b[2Jcleared" in done.err
    assert re.search(r"^\d\d:\d\d:\d\dZ ✓ deploy", done.err, re.MULTILINE)
    everything = [path for path in (product.folder / ".deploylib").rglob("*") if path.is_file()]
    for text in (done.said, (tmp_path / "summary.md").read_text(), *(path.read_text() for path in everything)):
        assert PLANTED not in text


def test_logs_are_read_of_a_service_and_since_a_moment(product: Trivial) -> None:
    """From the platform, and from what was kept where it has nothing any more."""
    of_one = product.ok("logs", "--service", "alpha", "--lines", "5", "--since", "10m", "--json").json
    assert set(of_one) == {"alpha build", "alpha app"}
    assert of_one["alpha build"][-1]["text"].endswith("your service is live")
    assert product.inv("logs", "--service", "gamma").code == 2
    assert product.inv("logs", "--since", "yesterday").code == 2


def test_the_first_error_of_a_build_is_told(product: Trivial) -> None:
    """What went wrong stands in the message, and who reads the history finds the times."""
    build(product, BROKEN)

    done = product.inv("deploy")

    assert done.code == 10, done.said
    assert "ModuleNotFoundError: No module named 'missing_module_of_ours'" in done.said
    newest = max((product.folder / ".deploylib/runs").iterdir()).name
    told = product.ok("history", "--run", newest).out.splitlines()
    assert re.match(r"by \S.* · \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", told[1])
    assert any(re.match(r"\d\d:\d\d:\d\dZ ✗ deploy", line) for line in told)


def test_a_rollback_shows_all_lines_when_asked(product: Trivial) -> None:
    """As a deploy does; and a second job, which proves what the first one has deployed, shows what programs write meanwhile."""
    product.change_all()
    assert product.inv("deploy", "--until", "deploy", DEPLOYLIB_RUN="parted").code == 0
    proven = product.inv("verify", "--verbose", DEPLOYLIB_RUN="parted")
    assert (proven.code, product.inv("finish", DEPLOYLIB_RUN="parted").code) == (0, 0), proven.said

    back = product.inv("rollback", "--verbose")

    assert back.code == 0, back.said
    assert re.search(r"^  \d\d:\d\d:\d\d  api app  .*GET /health", proven.err, re.MULTILINE)
    assert re.search(r"^  \d\d:\d\d:\d\d  api build  ==> your service is live", back.err, re.MULTILINE)


def test_a_log_that_cannot_be_followed_is_one_line(product: Trivial) -> None:
    """The release is what it is, and waits for nothing."""
    product.fault("answer-503", path="^/v1/logs", next=0)
    build(product, CHATTY.replace(str(COUNT), "3"))

    done = product.inv("deploy")

    assert done.code == 0, done.said
    assert done.err.count("the log of the services was not read to its end") == 1


def test_used_up_build_minutes_are_a_quota(product: Trivial) -> None:
    """Nothing is put back or held, and all serve what they served."""
    before = product.served()
    product.change_all()
    product.fault("minutes-used-up", next=0)

    refused = product.inv("deploy")

    assert refused.code == 15, refused.said
    assert "no build minutes left" in refused.said
    assert "Billing" in refused.said
    assert product.served() == before
    assert product.ok("status", "--json").json["held"] == []
