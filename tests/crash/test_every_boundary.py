"""A crash at every boundary of a release, of its recovery, of a rollback and of `inv finish`: ``nox -s crash``.

One product and one local Render for each story; each boundary gets a commit of its own, that changes every service.
Loopback only; one line for each boundary on standard error.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from tests.crash.boundaries import Boundary, died, watched
from tests.support import afterwards
from tests.support.crash_trivial import Trivial

pytestmark = [pytest.mark.load, pytest.mark.timeout(2700)]

START = 1.5  # seconds: longer than the next command needs to look


@dataclass(frozen=True)
class Story:
    """A command that dies, and what is typed then.

    Attributes:
        words: the command.
        then: ``finish``; ``again``, the same command; or ``next``, a deploy of a newer commit.
        fails: its release cannot be built, so that what serves afterwards is always what served before.
        left: it works on what a dead deploy has left, which had failed and had put back nothing yet.
    """

    words: str
    then: str
    fails: bool = False
    left: bool = False

    @property
    def puts_back(self) -> bool:
        """Whether something is put back, and so may be on its way when the command dies."""
        return self.fails or self.words == "rollback"

    def __str__(self) -> str:
        failing = "-that-fails" if self.fails and not self.left else ""
        return f"{self.words}{failing}-then-{self.then}"


STORIES = [
    Story("deploy", "finish"),
    Story("deploy", "again"),
    Story("deploy", "next"),
    Story("deploy", "finish", fails=True),
    Story("deploy", "next", fails=True),
    Story("rollback", "finish"),
    Story("rollback", "again"),
    Story("rollback", "next"),
    Story("finish", "finish", fails=True, left=True),
]


class Stage:
    """The product that a story is played with, and another one when a crash has done it harm.

    Attributes:
        earlier: the commit that was served before the last release.
    """

    def __init__(self, folder: Path, start: float) -> None:
        self._folders = (folder / str(number) for number in count(1))
        self._ends, self._start = ExitStack(), start
        self.earlier = ""
        self.product = self._another()

    def _another(self) -> Trivial:
        product = Trivial(next(self._folders) / "product", self._start)
        self._ends.callback(product.clean)
        for _ in range(2):  # so that there is something to roll back to
            self.earlier = product.head
            product.change_all()
            product.ok("deploy")
        return product

    def release_another(self) -> tuple[str, list[str]]:
        """A commit that changes every service is released, and is live everywhere then."""
        earlier = set(self.product.served().values())
        commit = self.product.change_all()
        done = self.product.inv("deploy")
        self.earlier = ", ".join(earlier)
        return "released", [done.said] if done.code else afterwards.serves(self.product, commit)

    def replace(self) -> None:
        """End this product and begin with a new one."""
        self._ends.close()
        self.product = self._another()

    def close(self) -> None:
        """End it."""
        self._ends.close()


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_a_crash_at_every_boundary(tmp_path: Path, story: Story) -> None:
    """Afterwards one release is live everywhere, asked for once, recorded, and nobody holds the environment."""
    with closing(Stage(tmp_path, START if story.puts_back else 0.0)) as stage:
        _play(stage, story)


def _play(stage: Stage, story: Story) -> None:
    began, wrong = time.monotonic(), list[str]()
    left = _when_it_has_failed(stage) if story.left else None
    _prepare(stage, story, left)
    done, boundaries = watched(stage.product, story.words)
    assert done.code == (10 if story.fails else 0), done.said
    assert boundaries
    stage.release_another()
    for number, boundary in enumerate(boundaries, 1):
        at = time.monotonic()
        told, found = _attempt(partial(_crash, stage, story, boundary, left))
        # What follows `next` has shown that already; a second one, so that a rollback finds no unsound release.
        for _ in range((story.then != "next") + bool(found)):
            _, then = _attempt(stage.release_another)
            if then:
                found += [f"no release after it: {one}" for one in then]
                stage.replace()
                break
        took = time.monotonic() - at
        _tell(f"{story} {number}/{len(boundaries)} {boundary}: {told}  {took:.1f}s", found)
        wrong += [f"{boundary}: {one}" for one in found]
    told = f"{story}: {len(boundaries)} boundaries, {time.monotonic() - began:.0f}s"
    _tell(told, [f"{len(wrong)} complaints"] if wrong else [])
    assert not wrong, "\n".join(wrong)


def _when_it_has_failed(stage: Stage) -> Boundary:
    """The boundary of a deploy that fails at which it knows so, and has put back nothing yet."""
    stage.product.change_all(fails=True)
    _, found = watched(stage.product, "deploy")
    stage.release_another()
    return next(one for one in found if (one.when, one.what) == ("after", "stage deploy"))


def _prepare(stage: Stage, story: Story, left: Boundary | None) -> str:
    """Bring about what there is when the command begins; the commit that is to be live after it."""
    if story.words == "rollback":
        return stage.earlier
    commit = stage.product.change_all(fails=story.fails)
    if left is not None:
        died(stage.product, left, "deploy")
    return commit


def _crash(stage: Stage, story: Story, boundary: Boundary, left: Boundary | None) -> tuple[str, list[str]]:
    """One crash and what is typed then: what became of it, and what is wrong about it."""
    product, before = stage.product, afterwards.look(stage.product)
    commit = _prepare(stage, story, left)
    last = died(product, boundary, story.words)
    told = f"had done {last}"
    written = bool(set(afterwards.runs(product)) - before.runs)
    if story.then == "next":
        commit = product.change_all()
        done = product.inv("deploy", "--json")
        return told, [*afterwards.complaints(product, before, done), *afterwards.serves(product, commit)]
    found: list[str] = []
    done = product.inv(story.words if story.then == "again" else "finish", "--json")
    again = story.then == "again"
    if not written and not again:
        told += ", not written down"
        found = afterwards.untouched(product, before, done)
        done, again = product.inv(story.words, "--json"), True
    outcome, disagreeing = afterwards.decided(product, before, commit, fails=story.fails)
    found += disagreeing
    if again and not story.fails and outcome != afterwards.SUCCEEDED:
        found.append(f"it was told to go on, and ended as {outcome!r}")
    found += afterwards.complaints(product, before, done)
    return f"{told}; {outcome}", found


def _attempt(act: Callable[[], tuple[str, list[str]]]) -> tuple[str, list[str]]:
    """Do it; that it could not be done is a complaint too, so that the boundaries after it are seen."""
    try:
        return act()
    except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
        return "it stopped here", [f"{type(error).__name__}: {error}"]


def _tell(line: str, found: list[str]) -> None:
    """One line, and those that say what is wrong; on standard error, which a worker of pytest-xdist passes on."""
    print(
        line + ("" if found else "  ok"), *(f"    WRONG {one}" for one in found), sep="\n", file=sys.stderr, flush=True
    )
