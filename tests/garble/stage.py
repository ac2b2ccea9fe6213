"""A product whose environment is reached through the garbling proxy, and what is right after a garbled answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from tests.crash import afterwards
from tests.crash.trivial import Trivial
from tests.garble.proxy import Proxy, Request, Rule, before
from tests.integration.edges import Completed

ENVIRONMENT = "garbled"
GATE = ("--skip=scan", "--reason=tested elsewhere")
SETTINGS = """
[tool.deploylib.environments.garbled]
api_url = {url}
store = {store}
only_this_machine = true
"""
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


class Garbled(Trivial):
    """The product; its commands go to the environment behind the proxy."""

    proxy: Proxy

    def inv(self, *args: str, timeout: float = 300, **env: str) -> Completed:
        """Run the command to its end; the local Render's own commands as they are."""
        if args[0].startswith("local"):
            return super().inv(*args, timeout=timeout, **env)
        more = GATE if args[0] == "deploy" else ()
        known = {"RENDER_API_KEY": str(self.endpoint["api_key"])}
        return super().inv(*args, *more, "--environment", ENVIRONMENT, timeout=timeout, **env, **known)

    def change_all(self, server: str = "", *, fails: bool = False) -> str:
        """A commit that touches every service, pushed."""
        made = super().change_all(server, fails=fails)
        self.git("push", "--quiet", "--force", "origin", "main")
        return made


@contextmanager
def staged(folder: Path) -> Iterator[Garbled]:
    """The product with two releases, so that there is something to go back to."""
    with ExitStack() as ends:
        product = Garbled(folder / "product")
        ends.callback(product.clean)
        product.ok("local.up")
        proxy = product.proxy = ends.enter_context(before(product.endpoint["api_url"]))
        proxy.names = {product.service_id(name): name for name in ("alpha", "beta", "api")}
        store = json.dumps(str(product.folder / ".deploylib"))
        settings = SETTINGS.format(url=json.dumps(proxy.address), store=store)
        product.replace("pyproject.toml", "[tool.deploylib]\n", '[tool.deploylib]\nbake = "0s"\n')
        product.write("pyproject.toml", product.read("pyproject.toml") + settings)
        product.commit("An environment")
        product.git("init", "--bare", "--quiet", str(folder / "origin.git"))
        product.git("remote", "add", "origin", str(folder / "origin.git"))
        for _ in range(2):
            release(product)
        yield product


def release(product: Garbled) -> str:
    """A commit that changes every service is released, with true answers, and is live everywhere then."""
    product.proxy.begin()
    commit = product.change_all()
    product.ok("deploy")
    assert set(product.served().values()) == {commit}
    return commit


def watched(product: Garbled, story: Story) -> list[Request]:
    """The requests of the story, in the order in which they come."""
    if not story.fails and story.words == "deploy":
        product.change_all()
    elif story.fails:
        product.change_all(fails=True)
    product.proxy.begin()
    done = product.inv(story.words, "--json")
    assert done.code == story.code, done.said
    asked = product.proxy.asked
    if story.fails:
        last = max(number for number, one in enumerate(asked) if one.what.endswith("/deploys"))
        asked = asked[last + 1 :]
    release(product)
    counts, chosen = Counter[str](), list[Request]()
    for one in asked:
        counts[one.what] += 1
        if counts[one.what] <= OFTEN:
            chosen.append(one)
    return chosen


def garbled(product: Garbled, story: Story, rule: Rule, earlier: str) -> tuple[str, list[str]]:
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
    found = [] if count else ["the question was never asked"]
    if "Traceback" in done.said:
        found.append(done.said)
    # A list of something else can be well-formed; that it contradicts the history is then a refusal.
    unknown = rule.stays or (rule.way == "other" and not rule.request.what.startswith("POST"))
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


def _at_rest(product: Garbled, was: afterwards.Before) -> list[str]:
    """What is wrong where nothing may have been touched."""
    now = afterwards.look(product)
    return [] if (now.served, now.deploys) == (was.served, was.deploys) else ["something was touched"]
