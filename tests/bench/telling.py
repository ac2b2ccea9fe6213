"""What a Slack costs a release, well or dead: ``nox -s bench``, which tells ratios and seconds, and no verdict.

The same three services are released again and again, in turns: told to nobody, by a webhook and by a bot to a Slack that is well, and to
one that refuses the connection, answers 500, or never answers. The table ends with an error when an outcome differs.
"""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.support.slack import CHANNEL, TOKEN, LoopbackSlack, Ordered, run_slack
from tests.support.trivial import ENDS_AT_ITS_START, SERVER, SETTINGS, Trivial

ROUNDS = 5
TOLD = f'\n[tool.deploylib.environments.local]\nslack_webhook_env = "SLACK_WEBHOOK_URL"\nslack_channel = "{CHANNEL}"\n'
FAILED = 11  # the exit code of a service that ends at its start


def _refuse() -> str:
    """An address of this machine at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def _by_webhook(slack: LoopbackSlack) -> dict[str, str]:
    return {"SLACK_WEBHOOK_URL": slack.webhook}


def _by_bot(slack: LoopbackSlack) -> dict[str, str]:
    return {"SLACK_BOT_TOKEN": TOKEN, "SLACK_API_URL": slack.api}


def _nobody(_slack: LoopbackSlack) -> dict[str, str]:
    return {}


def _refused(_slack: LoopbackSlack) -> dict[str, str]:
    return {"SLACK_BOT_TOKEN": TOKEN, "SLACK_API_URL": f"{_refuse()}/api/"}


WAYS: dict[str, tuple[Callable[[LoopbackSlack], dict[str, str]], Ordered | None]] = {
    "nobody is told": (_nobody, None),
    "webhook, well": (_by_webhook, None),
    "bot, well": (_by_bot, None),
    "bot, connection refused": (_refused, None),
    "bot, 500": (_by_bot, Ordered(500, "internal_error")),
    "webhook, no answer": (_by_webhook, Ordered(way="hang")),
    "bot, no answer": (_by_bot, Ordered(way="hang")),
}


def release(product: Trivial, slack: LoopbackSlack, way: str, *, fails: bool = False) -> float:
    """Measure one release, in seconds.

    Raises:
        SystemExit: its outcome is another one than without a Slack.
    """
    environ, slack.always = WAYS[way][0](slack), WAYS[way][1]
    shutil.rmtree(product.folder / ".deploylib" / "outbox", ignore_errors=True)  # what the one before has left
    product.change_all(ENDS_AT_ITS_START if fails else SERVER)
    began = time.monotonic()
    done = product.inv("deploy", timeout=600, **environ)
    took = time.monotonic() - began
    if done.code != (FAILED if fails else 0):
        raise SystemExit(f"{way}: exit code {done.code}\n{done.said}")
    return took


def main() -> None:
    """Measure, and tell."""
    seconds, failures = defaultdict[str, list[float]](list), dict[str, float]()
    with run_slack() as slack, tempfile.TemporaryDirectory() as folder:
        product = Trivial(Path(folder) / "product")
        try:
            product.commit("Settings", {"pyproject.toml": SETTINGS + TOLD})
            product.ok("local.up")
            product.ok("deploy")
            for _ in range(ROUNDS):
                for way in WAYS:
                    seconds[way].append(release(product, slack, way))
            for way in ("nobody is told", "bot, no answer"):
                failures[way] = release(product, slack, way, fails=True)
        finally:
            slack.released.set()
            product.clean()
    plain = min(seconds["nobody is told"])
    sys.stdout.write(f"== a release of three services, the fastest of {ROUNDS}; the outcome is the same\n")
    for way, each in seconds.items():
        took = min(each)  # what else the machine does comes on top
        sys.stdout.write(
            f"  {way:<24} {took:6.2f} s  ratio {took / plain:.3f}  {took - plain:+.2f} s  (to {max(each):.2f})\n"
        )
    for way, took in failures.items():
        sys.stdout.write(f"  that fails: {way:<24} {took:6.2f} s, exit code {FAILED}\n")


if __name__ == "__main__":
    main()
