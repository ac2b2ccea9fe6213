"""Hand GitHub what it shows of a run: outputs, summary, errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from deploylib.models.redaction import harmless
from deploylib.models.results import Report, StageStatus
from deploylib.models.sections import Topic, by_topic
from deploylib.system import ci

__all__ = ["annotation", "cut_summary", "publish", "summary"]

MOST = 900 << 10  # bytes of a summary
ADDRESS = re.compile(r"https?://[\w.~:/?#@!&+,;=%-]{1,1000}", re.ASCII)  # nothing of it is markup


SIGNS = {StageStatus.DONE: "✓", StageStatus.SKIPPED: "–", StageStatus.PLANNED: "→", StageStatus.FAILED: "✗"}


def publish(report: Report, environ: Mapping[str, str], url: str = "") -> None:
    """Hand a report to GitHub: outputs, and at the end the summary.

    Args:
        url: of the CI run, where all of it can be read.
    """
    if path := environ.get("GITHUB_OUTPUT"):
        ci.append(path, "".join(f"{name}={value}\n" for name, value in _outputs(report).items()))
    ended = report.outcome != "paused"
    if ended and (path := environ.get("GITHUB_STEP_SUMMARY")):
        ci.append(path, cut_summary(summary(report), ci.count_bytes(path), url))


def cut_summary(text: str, there: int = 0, url: str = "") -> str:
    """Cut a summary to what GitHub shows.

    It drops one just below 1 MiB without a word, and fails on a longer one (actions/runner#4337).

    Args:
        there: bytes that are in the file already.
    """
    whole = text.encode(errors="replace")
    if len(whole) <= (room := max(0, MOST - there)):
        return text
    kept = whole[:room].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n\n…cut here: all of it is in {url or 'the log of this job'}\n\n"


def annotation(title: str, message: str) -> str:
    """Write GitHub's command that shows an error on the run's page."""
    return f"::error title={_escaped(title, also=True)}::{_escaped(message)}"


def summary(report: Report) -> str:
    """Tell a run as a table in Markdown.

    What comes from elsewhere is shown as it is and cannot format anything.
    """
    title = f"### {_plain(report.outcome)}: {_plain(report.environment)}"
    if report.commit is not None:
        title += f" ← `{report.commit.short}` {_plain(report.commit.subject)}"
    lines = [title, "", "| stage | | | s |", "|---|---|---|---|"]
    for stage in report.stages:
        text = "<br>".join(_plain(line) for line in stage.lines)
        lines.append(f"| {SIGNS[stage.status]} {stage.status} | {stage.stage} | {text} | {stage.seconds:.1f} |")
    topics = by_topic(report)
    lines += [f"\n**{_plain(line.text)}**" for line in topics[Topic.WHY]]
    lines += [f"- put back: {_plain(f'{line.name} {line.text}')}" for line in topics[Topic.PUT_BACK]]
    live = ((line, line.url if ADDRESS.fullmatch(line.url) else "") for line in topics[Topic.LIVE] if line.name)
    lines += ["", *(f"- live: {_plain(line.name)} `{line.text[:7] or 'nothing'}` {url}" for line, url in live)]
    lines += [f"- first week: {_plain(line.text)}" for line in topics[Topic.FIRST_WEEK]]
    lines += [f"- next: {_plain(line.text)}" for line in topics[Topic.NEXT]]
    return "\n".join(lines) + "\n\n"


def _outputs(report: Report) -> dict[str, str]:
    url = next((one.url for one in report.live if one.url), "")
    outputs = {"run": report.run, "outcome": report.outcome, "services": json.dumps(report.deploying), "url": url}
    # A second line would be another output; JSON has one, and must not be cut.
    return {name: value if name == "services" else harmless(value) for name, value in outputs.items()}


def _escaped(text: str, *, also: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if also else text


def _plain(text: str) -> str:
    """Write text in which nothing is markup."""
    text = harmless(text.replace("\n", " ")).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_{}\[\]#|~@$])", r"\\\1", text)
    return re.sub(r"(?<=:)(?=//)|(?<=www)(?=\.)", r"\\", text, flags=re.IGNORECASE)  # an address alone becomes a link
