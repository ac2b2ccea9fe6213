"""Every message that is told, and how each channel shows it: ``python -m tests.support.told_messages`` writes the golden texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from deploylib.models import Commit, Live, Shipped
from deploylib.models.alerts import Alert, AlertState, Link, Severity
from deploylib.models.release import AuthoredCommit
from deploylib.models.results import NOTHING, SUPERSEDED, PutBack, Report, StageResult, StageStatus
from deploylib.notifications import Message, MessageKind, message
from deploylib.notifications.json_webhook import render_for
from deploylib.notifications.slack_blocks import render
from tests.support.fakes import NEW, OLD, START
from tests.support.population import operation_titles, outcomes

__all__ = ["BY_A_BOT", "GOLDEN", "NEVER_TOLD", "format_golden", "make_messages"]

GOLDEN = Path(__file__).parents[1] / "unit" / "notifications" / "golden.txt"
NEVER_TOLD = {NOTHING, SUPERSEDED}
WAYS: dict[str, dict[str, Any]] = {"rollback": {"back": True}, "promotion": {"promotes": "staging"}}
OF_EACH_WAY = (
    "succeeded",
    "verification failed",
    "a person is needed",
)  # the others differ from a release's in the same words
BY_A_BOT = {MessageKind.DETAILS, MessageKind.PROGRESS}
PREVIOUS = {"backend": OLD, "frontend": OLD}


def make_messages() -> Iterator[tuple[str, Message]]:
    """Each message that there is, with its name: outcomes in each direction, operations, alerts, texts."""
    for outcome, code in sorted(outcomes().items()):
        if outcome not in NEVER_TOLD:
            yield f"release: {outcome}", message.outcome_message(_notice(), _report(outcome, code))
            for way, more in WAYS.items() if outcome in OF_EACH_WAY else ():
                yield f"{way}: {outcome}", message.outcome_message(_notice(**more), _report(outcome, code))
    skipped = StageResult(
        stage="scan",
        status=StageStatus.SKIPPED,
        lines=("skipped: by ada: its tools are away",),
        data={"skipped_by": "ada", "reason": "its tools are <away> & @here"},
    )
    overridden = msgspec.structs.replace(_report("succeeded", 0), stages=(skipped,))
    yield "override: scan", message.outcome_message(_notice(), overridden)
    week = "inv rollback goes back to aaaaaaa (run 6), verified 3 h ago; inv rollback --dry-run says what it would do"
    early = msgspec.structs.replace(_report("succeeded", 0), first_week=(f"{week} (told until 2026-03-08)",))
    yield "first week: succeeded", message.outcome_message(_notice(), early)
    details = message.details_message(_notice(), _report("build failed", 10))
    assert details is not None
    yield "details: build failed", details
    yield "progress: deploying", message.progress_message(_notice(under_way="deploy", coming=("verify",)))
    yield "progress: going back", message.progress_message(_notice(back=True, under_way="rollback"))
    yield "progress: putting back", message.progress_message(_notice(putting_back=True, under_way="verify"))
    for title in sorted(operation_titles()):
        told = ("every release: moving the <database>", "why: @channel said so")
        yield (
            f"operation: {title}",
            message.operation_message(
                "production", START, name="run-7777", title=title, author="ada", lines=told, url="https://ci.example/7"
            ),
        )
    for state in AlertState:
        for severity in Severity:
            yield f"alert: {state}, {severity}", message.alert_message(_alert(state, severity), START)
    yield (
        "text",
        message.text_message("production", START, name="t", text="it moves at noon\nfor an hour", author="ada"),
    )
    late = message.text_message("production", START, name="t", text="it moves at noon", author="ada")
    yield "text: late", msgspec.structs.replace(late, late=START)


def format_golden() -> str:
    """All of them as each channel shows them."""
    return "\n".join(f"## {name}\n\n{_shown(told)}\n" for name, told in make_messages())


def _shown(told: Message) -> str:
    """What a person reads in Slack, of a webhook and of a bot alike, and the document that a receiver of one's own gets."""
    blocks = "\n".join(block["text"]["text"] for block in render(told)["blocks"])
    if told.kind in BY_A_BOT:
        return f"Slack, by a bot alone\n{blocks}"
    document = render_for("own.example", told)
    text = document.pop("text")
    rest = json.dumps(document, ensure_ascii=False, sort_keys=True)
    return f"Slack\n{blocks}\n\nJSON\n{rest}\nits text\n{text}"


def _notice(**more: Any) -> message.Notice:
    commit = AuthoredCommit(id=NEW, subject="Add a <basket> & @channel", author="Ada", email="ada@example.com")
    shipped = Shipped(
        service="backend",
        deploy_id="dep-1",
        commit=NEW,
        previous=Live(service="backend", commit=OLD),
        seconds=70,
        build_seconds=60,
        start_seconds=10,
    )
    return message.Notice(
        run="20260301T120000-5555",
        environment="production",
        at=START,
        commit=Commit(id=NEW, subject="Add a <basket> & @channel"),
        author="ada",
        url="https://ci.example/7",
        web="https://github.com/Example/product",
        stages=(StageResult(stage="check", status=StageStatus.DONE, lines=("well",), seconds=2),),
        deploying=("backend", "frontend"),
        previous=PREVIOUS,
        shipped={"backend": shipped},
        commits=(commit,),
        people={"ada@example.com": "U0ADA"},
        **more,
    )


def _report(outcome: str, code: int) -> Report:
    """What a run came to: all went well, or the second service did not, and the first was put back."""
    bad = bool(code)
    stages = (
        StageResult(stage="check", status=StageStatus.DONE, lines=("well",), seconds=2),
        StageResult(stage="deploy", status=StageStatus.FAILED if bad else StageStatus.DONE, lines=("frontend: no",)),
    )
    return Report(
        run="20260301T120000-5555",
        environment="production",
        outcome=outcome,
        exit_code=code,
        commit=Commit(id=NEW, subject="Add a <basket> & @channel"),
        stages=stages,
        deploying=("backend", "frontend"),
        live=(
            Live(service="backend", commit=OLD if bad else NEW),
            Live(service="frontend", commit=OLD if bad else NEW),
        ),
        error=f"frontend: {outcome}" if bad else "",
        put_back=(PutBack(service="backend", commit=OLD, ok=code != 20, text="verified"),) if bad else (),
        next=("inv status --environment production",),
        seconds=90,
    )


def _alert(state: AlertState, severity: Severity) -> Alert:
    return Alert(
        id="production-uptime-backend",
        environment="production",
        state=state,
        title="backend answers 503",
        severity=severity,
        details=("https://api.example/health: 503, 5 times in a row",),
        remedy="inv logs",
        links=(Link(text="the dashboard", url="https://status.example/"),),
        since=START - timedelta(minutes=12),
        run="20260301T120000-5555",
    )


if __name__ == "__main__":
    GOLDEN.write_text(format_golden())
