"""Make the commands of a remedy name its environment.

Without a flag a command is about ``local``.
"""

from __future__ import annotations

import re

__all__ = ["RESET", "about"]

RESET = "the local Render was reset: nothing is deployed there any more"  # with: inv deploy

GITHUB = re.compile(r"\bgh (?:secret|variable) set [A-Z][A-Z0-9_]*\b(?! --env\b)")
COMMAND = re.compile(r"\binv (?!local\b|promote\b)((?>[a-z]+(?:\.[a-z]+)?))\b(?! --environment\b)")


def about(environment: str, text: str) -> str:
    """Name the environment in each of our commands in a text.

    And each of ``gh`` that gives a secret to an environment of GitHub. One that names any is left as it is.
    """
    if environment == "local":
        return text
    named = COMMAND.sub(lambda found: f"{found[0]} --environment {environment}", text)
    return GITHUB.sub(lambda found: f"{found[0]} --env {environment}", named)
