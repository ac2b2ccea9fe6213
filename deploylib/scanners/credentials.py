"""Find secrets in files, by an engine and by rules.

The ready-made engine (kingfisher) finds what carries its maker's mark, and the rules of ours what it misses.

Nothing is asked over the network, and no value leaves this module: a finding names rule, file and line.
"""

from __future__ import annotations

import codecs
import posixpath
import re
from collections.abc import Iterator
from typing import Any

from deploylib.models import decoding
from deploylib.models.extras import install_command
from deploylib.models.findings import Examined, Finding, Gap
from deploylib.scanners import credential_rules
from deploylib.scanners.credential_rules import Sighting, stands_in
from deploylib.scanners.package_files import LOCKS, NPM_LOCKS
from deploylib.scanners.product import Product
from deploylib.scanners.tree import list_files

__all__ = ["scan_credentials"]

LARGEST = 10 * 10**6
GENERIC = ("generic", "-uri", "connection-string", "curl")
HASHES = frozenset({*NPM_LOCKS, *LOCKS, "flake.lock"})
REMEDY = (
    "revoke it where it was issued, take it out of the tree and give it to the service as a variable; "
    "if it is no secret: [[scan.accepted]] with rule, path and reason"
)


def scan_credentials(product: Product) -> Examined:
    """Look for secrets in every file of the product."""
    gaps: list[Gap] = []
    findings: list[Finding] = []
    looked = 0
    engine = _engine()
    if engine is None:
        gaps.append(Gap("secrets", "the package kingfisher-secret-scanner is not installed", install_command("scan")))
    names = list_files(product.files, product.settings.ignored)
    for name in names:
        if product.deadline.has_passed():
            gaps.append(Gap("secrets", f"time ran out after {looked} of {len(names)} files", "raise scan.within"))
            break
        try:
            file = product.files / name
            if file.stat().st_size > LARGEST:
                gaps.append(Gap(name, f"it is larger than {LARGEST // 10**6} MB", "leave it out by scan.ignored"))
                continue
            findings += _in_file(engine, name, file.read_bytes())
            looked += 1
        except (OSError, RuntimeError, ValueError):  # what they say may quote the file
            gaps.append(Gap(name, "it cannot be read", "correct it, or leave it out by scan.ignored"))
    return Examined("secrets", counted={"file": looked}, findings=tuple(findings), gaps=tuple(gaps))


def _engine() -> Any:
    """Make the ready-made engine; None where it is not installed.

    It never validates: that would ask the network.
    """
    try:
        from kingfisher_sdk import Scanner
    except ImportError:
        return None
    return Scanner()


def _in_file(engine: Any, name: str, data: bytes) -> Iterator[Finding]:
    """Look into one file: one finding for each line.

    Ours goes before the engine's, because it says what it is.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = decoding.decode_text(data).encode()  # text, though it is full of NUL
    text = "" if b"\0" in data[:8192] else data.decode(errors="replace")
    seen = {one.line: ("kingfisher", one) for one in _by_engine(engine, name, data)}
    seen |= {one.line: ("deploylib", one) for one in _by_rules(name, text)}
    for line, (tool, finding) in sorted(seen.items()):
        yield Finding(tool=tool, rule=finding.rule, where=f"{name}:{line}", text=finding.says, remedy=REMEDY, path=name)


def _by_engine(engine: Any, name: str, data: bytes) -> Iterator[Sighting]:
    if engine is None:
        return
    from kingfisher_sdk import ScanInput

    plain = name.encode(errors="surrogateescape").decode(errors="replace")  # it takes no half of a character
    for match in engine.scan_input(ScanInput(path=plain, data=data)):
        generic = any(word in match.rule_id for word in GENERIC)
        if match.visible and not generic and not stands_in(match.secret):
            yield Sighting(match.rule_id, match.location["line"], f"looks like a secret: {_short(match.rule_name)}")


def _by_rules(name: str, text: str) -> Iterator[Sighting]:
    yield from credential_rules.find_marked(name, text)
    if posixpath.basename(name) not in HASHES:
        yield from credential_rules.find_assigned(name, text)


def _short(name: str) -> str:
    """Shorten ``Detected a GitLab token, risking …`` to ``GitLab token``."""
    opening = r"^(?:Detected|Discovered|Found|Identified|Uncovered)\s+an?\s+(?:(?:potential|possible)\s+)?"
    return re.sub(opening, "", name).partition(",")[0].rstrip(".")
