"""Secrets in the tree: a ready-made engine for what carries its maker's mark, and rules of ours for what it misses.

Nothing is asked over the network, and no value leaves this module: a finding names rule, file and line.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploylib.models.findings import Examined, Finding, Gap
from deploylib.scanners import credential_rules
from deploylib.scanners.credential_rules import Sighting, stands_in
from deploylib.scanners.package_files import LOCKS, NPM_LOCKS
from deploylib.scanners.tree import listed
from deploylib.settings import ScanSettings
from deploylib.system.clock import Deadline
from deploylib.system.extras import install

__all__ = ["examine"]

LARGEST = 10 * 10**6
GENERIC = ("generic", "-uri", "connection-string", "curl")
HASHES = frozenset({*NPM_LOCKS, *LOCKS, "flake.lock"})
REMEDY = (
    "revoke it where it was issued, take it out of the tree and give it to the service as a variable; "
    "if it is no secret: [[scan.accepted]] with rule, path and reason"
)


def examine(files: Path, settings: ScanSettings, *, deadline: Deadline) -> Examined:
    """Look for secrets in every file of the tree.

    Args:
        files: the tree.
        deadline: when it must have ended; what is not reached is a gap.
    """
    gaps: list[Gap] = []
    found: list[Finding] = []
    looked = 0
    engine = _engine()
    if engine is None:
        gaps.append(Gap("secrets", "the package kingfisher-secret-scanner is not installed", install("scan")))
    names = listed(files, settings.ignored)
    for name in names:
        if deadline.passed():
            gaps.append(Gap("secrets", f"time ran out after {looked} of {len(names)} files", "raise scan.within"))
            break
        try:
            if (files / name).stat().st_size > LARGEST:
                gaps.append(Gap(name, f"it is larger than {LARGEST // 10**6} MB", "leave it out by scan.ignored"))
                continue
            found += _in_file(engine, name, (files / name).read_bytes())
            looked += 1
        except (OSError, RuntimeError, ValueError):  # what they say may quote the file
            gaps.append(Gap(name, "it cannot be read", "correct it, or leave it out by scan.ignored"))
    return Examined("secrets", counted={"file": looked}, findings=tuple(found), gaps=tuple(gaps))


def _engine() -> Any:
    """The ready-made engine; None where it is not installed. It never validates: that would ask the network."""
    try:
        from kingfisher_sdk import Scanner
    except ImportError:
        return None
    return Scanner()


def _in_file(engine: Any, name: str, data: bytes) -> Iterator[Finding]:
    """What is in one file, one finding for each line: ours before the engine's, because it says what it is."""
    text = "" if b"\0" in data[:8192] else data.decode(errors="replace")
    seen = {one.line: ("kingfisher", one) for one in _by_engine(engine, name, data)}
    seen |= {one.line: ("deploylib", one) for one in _by_rules(name, text)}
    for line, (tool, one) in sorted(seen.items()):
        yield Finding(tool=tool, rule=one.rule, where=f"{name}:{line}", text=one.says, remedy=REMEDY, path=name)


def _by_engine(engine: Any, name: str, data: bytes) -> Iterator[Sighting]:
    if engine is None:
        return
    from kingfisher_sdk import ScanInput

    for one in engine.scan_input(ScanInput(path=name, data=data)):
        generic = any(word in one.rule_id for word in GENERIC)
        if one.visible and not generic and not stands_in(one.secret):
            yield Sighting(one.rule_id, one.location["line"], f"looks like a secret: {_short(one.rule_name)}")


def _by_rules(name: str, text: str) -> Iterator[Sighting]:
    yield from credential_rules.marked(name, text)
    if posixpath.basename(name) not in HASHES:
        yield from credential_rules.assigned(name, text)


def _short(name: str) -> str:
    """``Detected a GitLab token, risking …`` → ``GitLab token``."""
    said = r"^(?:Detected|Discovered|Found|Identified|Uncovered)\s+an?\s+(?:(?:potential|possible)\s+)?"
    return re.sub(said, "", name).partition(",")[0].rstrip(".")
