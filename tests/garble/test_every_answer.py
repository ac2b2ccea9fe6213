"""Each answer to a release, a rollback and a recovery, garbled in eight ways: ``nox -s garble``.

Once, after which the same question is answered truly; and, in one of the ways, from there on until the command ends.
Loopback only; one line for each on standard error.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.garble.proxy import Rule
from tests.support.garble.stage import Garbled, staged
from tests.support.garble.stories import STORIES, Story, garbled, release, watched
from tests.support.garble.ways import WAYS

pytestmark = [pytest.mark.load, pytest.mark.timeout(3600)]

STAYS = "stays"


@pytest.mark.parametrize("way", [*WAYS, STAYS])
@pytest.mark.parametrize("story", STORIES, ids=str)
def test_each_answer_garbled(tmp_path: Path, story: Story, way: str) -> None:
    """It ends with the right code, the right thing live, asked for once; what stays garbled is settled afterwards."""
    wrong: list[str] = []
    with staged(tmp_path) as product:
        asked = watched(product, story)
        assert asked
        release(product)
        for number, request in enumerate(asked, 1):
            rule = Rule(request, way) if way != STAYS else Rule(request, list(WAYS)[number % len(WAYS)], stays=True)
            wrong += _played(product, story, rule, f"{story} {number}/{len(asked)}")
    assert not wrong, "\n".join(wrong)


def _played(product: Garbled, story: Story, rule: Rule, place: str) -> list[str]:
    """Play it, and see that the next release goes through; what is wrong."""
    began = time.monotonic()
    earlier, told = "", "it stopped here"
    try:
        if story.words == "rollback":
            earlier = product.one_commit
            release(product)
        told, found = garbled(product, story, rule, earlier)
        if story.code or found or rule.stays:
            release(product)
    except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
        found = [f"{type(error).__name__}: {error}"]
    stays = " from there on" if rule.stays else ""
    line = f"{place} {rule.request}: {rule.way}{stays}: {told}  {time.monotonic() - began:.1f}s"
    print(line, *(f"    WRONG {one}" for one in found), sep="\n", file=sys.stderr, flush=True)
    return [f"{rule.request} {rule.way}{stays}: {one}" for one in found]


def test_the_questions_are_of_every_kind(tmp_path: Path) -> None:
    """What is enumerated holds the reads and the writes of a release."""
    with staged(tmp_path) as product:
        kinds = {request.what.partition("?")[0] for request in watched(product, STORIES[0])}
    deploys = "/services/alpha/deploys"
    assert {"GET /services", f"GET {deploys}", f"POST {deploys}", f"GET {deploys}/dep"} <= kinds
