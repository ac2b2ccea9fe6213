"""Weak places in Python code, as bandit sees them."""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Sequence

import msgspec

from deploylib.models.extras import install_command
from deploylib.models.findings import Examined, Finding, Gap, join
from deploylib.models.units import count
from deploylib.scanners.product import Product
from deploylib.scanners.tree import list_files
from deploylib.system import process

__all__ = ["scan_source_code"]

NAME = "code"
# B105-B107 are about secrets, which `deploylib.scanners.credentials` finds better, and quote them; B104 is about listening on all
# addresses, as a web service on Render must.
NOT_ASKED = "B104,B105,B106,B107"
AT_ONCE = 1000


class _Issue(msgspec.Struct, frozen=True):
    filename: str
    line_number: int
    test_id: str
    issue_text: str
    more_info: str = ""


class _Unread(msgspec.Struct, frozen=True):
    filename: str


class _Opinion(msgspec.Struct, frozen=True):
    """bandit's answer; the errors name files that it could not parse."""

    results: tuple[_Issue, ...]
    errors: tuple[_Unread, ...]
    metrics: dict[str, msgspec.Raw]


def scan_source_code(product: Product) -> Examined:
    """Let bandit read the Python files of the product.

    The files are named one by one: for a folder it would obey a ``.bandit`` in it, and a commit could switch it off.
    """
    settings = product.settings
    options = [f"--severity-level={settings.severity}", f"--confidence-level={settings.confidence}"]
    options += ["--quiet", "--format=json", "--exit-zero", f"--skip={NOT_ASKED}"]

    def some(names: Sequence[str]) -> Examined:
        args = [*product.program("bandit"), *options, *(f"./{name}" for name in names)]
        command = process.Command(args, cwd=product.files, timeout=product.deadline.left, check=False)
        try:
            return _told(names, process.ask_program(command, _Opinion, "bandit", runner=product.runner))
        except process.Unanswered as unanswered:
            remedy = install_command("scan") if unanswered.missing else "raise scan.within; python -m bandit says more"
            return Examined(NAME, gaps=(Gap(count(len(names), "Python file"), unanswered.reason, remedy),))

    names = [name for name in list_files(product.files, settings.ignored) if name.endswith((".py", ".pyw"))]
    batches = (names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE))
    return join(Examined(NAME, counted={"file": 0}), *map(some, batches))


def _told(names: Sequence[str], opinion: _Opinion) -> Examined:
    unread = {posixpath.normpath(one.filename) for one in opinion.errors}
    read = {posixpath.normpath(name) for name in opinion.metrics} - unread
    remedy = f"correct it; it is read as Python {sys.version_info.major}.{sys.version_info.minor}"
    return Examined(
        NAME,
        counted={"file": len(read.intersection(names))},
        findings=tuple(_weak(issue) for issue in opinion.results),
        gaps=tuple(Gap(name, "bandit cannot parse it", remedy) for name in names if name not in read),
    )


def _weak(issue: _Issue) -> Finding:
    name = posixpath.normpath(issue.filename)
    return Finding(
        tool="bandit",
        rule=issue.test_id,
        where=f"{name}:{issue.line_number}",
        text=issue.issue_text.strip().split(". ")[0].rstrip("."),
        remedy=f"{issue.more_info}; where it is meant: # nosec {issue.test_id} with a reason, or [[scan.accepted]]",
        path=name,
    )
