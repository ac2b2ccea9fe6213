"""Each answer to a release, a rollback and a recovery, garbled in eight ways, on the platform in memory.

A sample of all cases here, and all of them in ``nox -s garble``, which also plays them on the local Render.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.support.fakes import FakeClock
from tests.support.garble.memory import InMemory
from tests.support.garble.proxy import Rule
from tests.support.garble.stories import STORIES, Story, garbled, watched
from tests.support.garble.ways import WAYS
from tests.support.in_memory import Platform
from tests.support.in_memory_product import Product
from tests.support.repository import Repository

SAMPLE = 40


@pytest.fixture
def stage(repository: Repository, platform: Platform, clock: FakeClock) -> InMemory:
    """Two releases, and what comes next."""
    return InMemory(Product(repository, platform, clock))


def cases(stage: InMemory) -> Iterator[tuple[Story, Rule]]:
    """Every story, every answer in it, every way; once, and from there on."""
    for story in STORIES:
        stage.anew()
        for request in watched(stage, story):
            for way in WAYS:
                yield story, Rule(request, way)
                yield story, Rule(request, way, stays=True)


def played(stage: InMemory, story: Story, rule: Rule) -> list[str]:
    """What is wrong once a case was played, and once the next release was."""
    stage.anew()
    _, found = garbled(stage, story, rule, stage.first)
    wanted = stage.change_all()
    after = stage.inv("deploy")
    if after.code != 0 or set(stage.served().values()) != {wanted}:
        found.append(f"the next release: {after.said}")
    return [f"{story}, {rule.request}: {rule.way}{' from there on' if rule.stays else ''}: {one}" for one in found]


def test_a_sample_of_garbled_answers(stage: InMemory) -> None:
    """The right code, the right thing live, asked for once; and the next release goes through."""
    seed = random.randrange(10**6)  # noqa: S311 - which cases is no secret
    chosen = random.Random(seed).sample(list(cases(stage)), SAMPLE)  # noqa: S311

    wrong = [one for story, rule in chosen for one in played(stage, story, rule)]

    assert not wrong, f"seed {seed}:\n" + "\n".join(wrong)


@pytest.mark.load
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("story", STORIES, ids=str)
def test_every_garbled_answer(stage: InMemory, story: Story) -> None:
    """All of them."""
    wrong = [one for each, rule in list(cases(stage)) if each is story for one in played(stage, story, rule)]

    assert not wrong, "\n".join(wrong)
