"""What is only told never decides: a message that does not arrive is recorded, and the outcome stays what it is."""

from __future__ import annotations

import pytest

from tests.support.edges import Completed
from tests.support.trivial import ENDS_AT_ITS_START, Trivial

NOBODY = "http://127.0.0.1:9/services/T/B/s3cr3t"  # discard: nobody listens there
TOLD = '\n[tool.deploylib.environments.local]\nslack_webhook_env = "SLACK_WEBHOOK_URL"\n'


def undelivered(product: Trivial, done: Completed) -> bool:
    """Whether it was told here and recorded, without the address, which is a password."""
    kinds = [one["kind"] for one in product.events()]
    assert "s3cr3t" not in done.said + str(product.events())
    return "Slack was not told" in done.err and kinds[-1] == "undelivered" and kinds[-2] == "closed"


@pytest.mark.load
def test_slack_does_not_answer(product: Trivial) -> None:
    """Mode 19: a release is a success, and a failure keeps its own exit code and its own reason."""
    product.write("pyproject.toml", product.read("pyproject.toml") + TOLD)
    product.change_all()
    good = product.inv("deploy", SLACK_WEBHOOK_URL=NOBODY)
    assert good.code == 0, good.said
    assert undelivered(product, good)

    product.change_all(ENDS_AT_ITS_START)
    bad = product.inv("deploy", SLACK_WEBHOOK_URL=NOBODY)
    assert bad.code == 11, bad.said
    assert "api: the program exited with code 3" in bad.out
    assert undelivered(product, bad)
