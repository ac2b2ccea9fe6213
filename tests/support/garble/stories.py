"""What is played with an answer garbled, and what is right then: on the local Render, and on the platform in memory."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import msgspec

from tests.support import afterwards
from tests.support.edges import Completed
from tests.support.garble.proxy import Garbling, Request, Rule

UNTOUCHED, NOT_KNOWN = 40, 41
OFTEN = 2  # the same question, asked while something is awaited, is garbled this often at most


class Story(msgspec.Struct, frozen=True):
    """A command, and how it ends when every answer is true.

    Attributes:
        fails: its release cannot be built, so that what is live is put back; only the answers to that are garbled.
    """

    words: str
    code: int = 0
    fails: bool = False

    def __str__(self) -> str:
        return "recovery" if self.fails else {"deploy": "release"}.get(self.words, self.words)


STORIES = (Story("deploy"), Story("rollback"), Story("deploy", code=10, fails=True))


class Stage(afterwards.Served, Protocol):
    """A product with two releases, whose platform is reached through something that garbles."""

    @property
    def proxy(self) -> Garbling:
        """What garbles."""
        ...

    def change_all(self, *, fails: bool = False) -> str:
        """A commit that touches every service; with *fails*, one of them cannot be built."""
        ...

    def inv(self, *args: str) -> Completed:
        """Run a command to its end."""
        ...


def release(product: Stage) -> str:
    """A commit that changes every service is released, with true answers, and is live everywhere then."""
    product.proxy.begin()
    commit = product.change_all()
    product.ok("deploy")
    assert set(product.served().values()) == {commit}
    return commit


def watched(product: Stage, story: Story) -> list[Request]:
    """Play the story with true answers: its requests, in the order in which they come."""
    if story.words == "deploy":
        product.change_all(fails=story.fails)
    product.proxy.begin()
    done = product.inv(story.words, "--json")
    assert done.code == story.code, done.said
    asked = product.proxy.asked
    if story.fails:
        last = max(number for number, one in enumerate(asked) if one.what.endswith("/deploys"))
        asked = asked[last + 1 :]
    counts, chosen = Counter[str](), list[Request]()
    for one in asked:
        counts[one.what] += 1
        if counts[one.what] <= OFTEN:
            chosen.append(one)
    return chosen


def garbled(product: Stage, story: Story, rule: Rule, earlier: str) -> tuple[str, list[str]]:
    """Play the story with an answer garbled: what became of it, and what is wrong about it.

    Args:
        earlier: the commit that a rollback goes back to.
    """
    wanted = earlier if story.words == "rollback" else product.change_all(fails=story.fails)
    was = afterwards.look(product)
    product.proxy.begin(rule)
    done = product.inv(story.words, "--json")
    count, accepted = product.proxy.garbled, any(one.what.startswith("POST") for one in product.proxy.asked)
    product.proxy.begin()
    # A question that is repeated while something is awaited is asked less often where that ends sooner.
    found = [] if count or rule.request.number > 1 else ["the question was never asked"]
    if "Traceback" in done.said:
        found.append(done.said)
    # An empty list of something else is a well-formed list of services; that it contradicts the history is a refusal.
    unknown = rule.stays or (rule.way == "other" and rule.request.what.startswith("GET /services?"))
    codes = {story.code} | ({NOT_KNOWN if accepted else UNTOUCHED} if unknown else set())
    if done.code not in codes:
        found.append(f"exit code {done.code} in place of {sorted(codes)}: {done.said}")
    settled = done
    if done.code != story.code:
        settled = product.inv("finish", "--json")
    if done.code == UNTOUCHED:
        return f"{done.code}, {count} garbled", found + _at_rest(product, was)
    outcome, disagreeing = afterwards.decided(product, was, wanted, fails=story.fails)
    found += disagreeing + afterwards.complaints(product, was, settled)
    return f"{done.code}, {count} garbled; {outcome}", found


def _at_rest(product: Stage, was: afterwards.Before) -> list[str]:
    """What is wrong where nothing may have been touched."""
    now = afterwards.look(product)
    return [] if (now.served, now.deploys) == (was.served, was.deploys) else ["something was touched"]
