"""Make the commands of a remedy name its environment.

Without a flag a command is about ``local``.
"""

from __future__ import annotations

import re

__all__ = ["about"]

COMMAND = re.compile(r"\binv (?!local\b|promote\b)((?>[a-z]+(?:\.[a-z]+)?))\b(?! --environment\b)")


def about(environment: str, text: str) -> str:
    """Name the environment in each of our commands in a text.

    One that names any is left as it is.
    """
    return (
        text if environment == "local" else COMMAND.sub(lambda found: f"{found[0]} --environment {environment}", text)
    )
