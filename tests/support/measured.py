"""What a few statements take of memory, in a process of their own: nobody else's work is counted."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping

PROGRAM = """
import sys, tracemalloc
{imports}
tracemalloc.start()
{statements}
print(tracemalloc.get_traced_memory()[1])
"""


def peak_of(statements: str, *words: str, imports: str, env: Mapping[str, str] | None = None) -> int:
    """Bytes of Python objects at the most, while *statements* run; the *words* are their ``sys.argv[1:]``.

    Raises:
        subprocess.CalledProcessError: They ended with an exception.
    """
    program = PROGRAM.format(imports=textwrap.dedent(imports), statements=textwrap.dedent(statements))
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
        timeout=60,
    )
    return int(done.stdout.split()[-1])
