"""The words of a run, of an operation, and of an alert.

Plain words, for every channel: what others wrote is made harmless by whoever renders it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from deploylib.errors import Held, Interrupted, LeaseHeld, NotKnownYet, PersonNeeded
from deploylib.models import Commit, Shipped, remedies
from deploylib.models.alerts import Alert, AlertState, Severity
from deploylib.models.release import AuthoredCommit
from deploylib.models.results import Report, StageResult, StageStatus, short
from deploylib.models.sections import Line, Topic, by_topic
from deploylib.models.units import age
from deploylib.notifications.interface import Message, MessageKind, TextLine

__all__ = [
    "MANY",
    "Notice",
    "alert_message",
    "details_message",
    "operation_message",
    "outcome_message",
    "progress_message",
    "text_message",
]

SIGNS = {"planned": "→", "paused": "→"}
BACK = {True: "↩ put back", False: "✗ NOT put back"}
MARKS = {StageStatus.DONE: "✓", StageStatus.SKIPPED: "–", StageStatus.PLANNED: "→", StageStatus.FAILED: "✗"}
SEVERITIES = {Severity.CRITICAL: "🔴", Severity.WARNING: "🟠", Severity.NOTE: "🔵"}
NO_FAULT = {0, Interrupted.exit_code, NotKnownYet.exit_code, Held.exit_code, LeaseHeld.exit_code}
MANY, COMMITS = 200, 10  # commits that are counted, and that are told one by one
TITLE, PIECE = 150, 600  # characters of a text of a person: of its first line, and of each part of the others
SUBJECT = 120  # characters of one
CALLED = 5  # people, at most


@dataclass(frozen=True)
class Notice:
    """A run, as far as it has come.

    Attributes:
        commit: that it brings, or goes back to.
        back: it restores an earlier release.
        promotes: the environment whose verified release it brings; empty: none.
        url: its page in CI, where it has one.
        web: the repository, in a browser.
        under_way: the stage that is being done.
        coming: those that come after it.
        deploying: the services that it is about.
        previous: the commits that services served before, by name.
        shipped: what went live, by service.
        commits: what is new since the last release, or what is taken back; None: nobody knows.
        people: an author's address → the id in Slack.
        putting_back: what it changed is being put back.
    """

    run: str
    environment: str
    at: datetime
    commit: Commit | None = None
    author: str = ""
    back: bool = False
    promotes: str = ""
    url: str = ""
    web: str = ""
    stages: tuple[StageResult, ...] = ()
    under_way: str = ""
    coming: tuple[str, ...] = ()
    deploying: tuple[str, ...] = ()
    previous: Mapping[str, str] = field(default_factory=dict)
    shipped: Mapping[str, Shipped] = field(default_factory=dict)
    commits: tuple[AuthoredCommit, ...] | None = ()
    people: Mapping[str, str] = field(default_factory=dict)
    putting_back: bool = False


def progress_message(notice: Notice) -> Message:
    """Tell a run that goes on: its stages and services."""
    doing = "putting back" if notice.putting_back else "going back" if notice.back else "deploying"
    services = [TextLine(label=name, text=text) for name, text in _on_their_way(notice)]
    done = [each for each in notice.stages if each.stage != notice.under_way]
    stages = _stages(done, [*([f"◌ {notice.under_way}"] if notice.under_way else []), *notice.coming])
    return _run_message(notice, MessageKind.PROGRESS, f"◌ {doing}", [services, _commits(notice), stages])


def outcome_message(notice: Notice, report: Report) -> Message:
    """Tell a run's end: its outcome, what is live, what is next."""
    topics = by_topic(report)
    mentions = () if report.exit_code in NO_FAULT else _people(notice)
    sections = [
        _services(topics[Topic.LIVE], notice),
        [TextLine(text=f"{BACK[line.ok]}: {line.name} {line.text}") for line in topics[Topic.PUT_BACK]],
        [TextLine(text=text) for text in dict.fromkeys(_skipped(topics[Topic.WAIVED]))],
        [TextLine(text=f"Why: {line.text}") for line in topics[Topic.WHY]],
        [TextLine(text=f"Next: {line.text}") for line in topics[Topic.NEXT]],
        [TextLine(text=f"First week: {line.text}") for line in topics[Topic.FIRST_WEEK]],
        _commits(notice),
        _stages(report.stages),
    ]
    return _run_message(notice, MessageKind.OUTCOME, _outcome(notice, report), sections, report, mentions)


def details_message(notice: Notice, report: Report) -> Message | None:
    """Tell what each stage said, and a failure's evidence; None: nothing."""
    stages = [_told(each) for each in report.stages if each.lines]
    visitors = by_topic(report)[Topic.VISITORS]
    shown = any(each.status is StageStatus.FAILED for each in report.stages)  # with its evidence
    evidence = [] if shown else [TextLine(text=line) for line in report.details]
    sections = [evidence, *stages, [TextLine(text=line.text) for line in visitors]]
    if not any(sections):
        return None
    return _run_message(notice, MessageKind.DETAILS, "details", sections, report)


def operation_message(
    environment: str, at: datetime, *, name: str, title: str, author: str, lines: Iterable[str], url: str = ""
) -> Message:
    """Tell what a person did beside the releases.

    Args:
        name: of the operation, by which a repetition is known.
    """
    text_lines = [TextLine(text=line) for line in lines if line]
    return Message(
        id=name,
        kind=MessageKind.OPERATION,
        environment=environment,
        at=at,
        title=title,
        text=f"{environment}, by {author}" if author else environment,
        sections=_filled([text_lines, _link(url)]),
    )


def alert_message(alert: Alert, at: datetime) -> Message:
    """Tell that something is wrong, or no longer is."""
    firing = alert.state is AlertState.FIRING
    sign, word = (SEVERITIES[alert.severity], alert.severity.upper()) if firing else ("✓", "RESOLVED")
    since = f", since {alert.since:%H:%M} UTC" if alert.since is not None and firing else ""
    lasted = f", after {age((at - alert.since).total_seconds())}" if alert.since is not None and not firing else ""
    run = [f"a release was under way: run {short(alert.run)}"] if alert.run else []
    remedy = (
        [TextLine(text=f"Next: {remedies.about(alert.environment, alert.remedy)}")] if alert.remedy and firing else []
    )
    links = [TextLine(label=link.text, url=link.url) for link in alert.links]
    return Message(
        id=f"{alert.id} {alert.state}",
        kind=MessageKind.ALERT,
        environment=alert.environment,
        at=at,
        title=f"{sign} {word}: {alert.title}",
        text=f"{alert.environment}{since}{lasted}",
        sections=_filled([[TextLine(text=line) for line in (*alert.details, *run)], remedy, links]),
        alert=alert,
        channels=alert.channels,
    )


def text_message(environment: str, at: datetime, *, name: str, text: str, author: str) -> Message:
    """Tell a person's words, all of them, in parts."""
    first, *others = text.strip().splitlines() or [""]
    title, *rest = textwrap.wrap(first, TITLE, break_on_hyphens=False) or [""]
    more = [piece for line in (" ".join(rest), *others) for piece in textwrap.wrap(line, PIECE, break_on_hyphens=False)]
    groups = list[list[TextLine]]()
    for piece in more:
        if not groups or sum(len(line.text) for line in groups[-1]) + len(piece) > PIECE:
            groups.append([])
        groups[-1].append(TextLine(text=piece))
    return Message(
        id=name,
        kind=MessageKind.TEXT,
        environment=environment,
        at=at,
        title=f"{title} …" if rest else title,
        text=f"{environment}, from {author}",
        sections=_filled(groups),
    )


def _run_message(
    notice: Notice,
    kind: MessageKind,
    title: str,
    sections: list[list[TextLine]],
    report: Report | None = None,
    mentions: tuple[str, ...] = (),
) -> Message:
    """Tell a run; its details do not repeat where and what."""
    where, head = notice.environment, kind is not MessageKind.DETAILS
    if notice.commit is not None:
        where = f"{where} ← {notice.commit.short}" + (
            f' "{_cut(notice.commit.subject)}"' if notice.commit.subject else ""
        )
    by = f", promoted from {notice.promotes}" if notice.promotes else ""
    by += f", by {notice.author}" if notice.author else ""
    took = f", took {age(report.seconds)}" if report is not None and report.seconds >= 1 else ""
    return Message(
        id=f"{notice.run} {report.outcome if report is not None else ''}".strip(),
        kind=kind,
        environment=notice.environment,
        at=notice.at,
        title=title,
        text=f"{where}{by}{took}" if head else "",
        sections=_filled([*sections, _link(notice.url) if head else []]),
        mentions=mentions,
        run=notice.run,
    )


def _outcome(notice: Notice, report: Report) -> str:
    what = "rollback " if notice.back else ""
    if report.exit_code == 0:
        return f"{SIGNS.get(report.outcome, '✓')} {what}{report.outcome}"
    sign = "⚠" if report.exit_code == PersonNeeded.exit_code else "✗"
    return f"{sign} {what.upper()}FAILED: {report.outcome} (exit code {report.exit_code})"


def _services(lines: tuple[Line, ...], notice: Notice) -> list[TextLine]:
    """Write a line a service; what nobody could ask is unknown."""
    live = {line.name: line.text for line in lines if line.name}
    texts = list[TextLine]()
    for name in dict.fromkeys([*live, *notice.previous]):
        new = live[name][:7] or "nothing" if name in live else "unknown"
        old = f"{notice.previous[name][:7] or 'nothing'} → " if name in notice.previous else ""
        same = name in live and live[name] == notice.previous.get(name)
        took = _took(notice.shipped.get(name)) if not same else ""
        texts.append(TextLine(label=name, text=(f"unchanged ({new})" if same else f"{old}{new}") + took))
    return texts


def _took(shipped: Shipped | None) -> str:
    if shipped is None:
        return ""
    parts = {"build": shipped.build_seconds, "start": shipped.start_seconds}
    return "".join(f" · {name} {age(took)}" for name, took in parts.items() if took >= 1)


def _on_their_way(notice: Notice) -> Iterator[tuple[str, str]]:
    new = notice.commit.short if notice.commit is not None else "what was live before"
    for name in notice.deploying:
        old = f"{notice.previous[name][:7] or 'nothing'} → " if name in notice.previous else ""
        shipped = notice.shipped.get(name)
        live = f" · live{_took(shipped)}" if shipped is not None else ""
        yield name, f"{old}{new}{live}"


def _skipped(lines: tuple[Line, ...]) -> Iterator[str]:
    """Tell the gates that somebody chose to go without."""
    for line in lines:
        if line.by:
            yield f"– {line.name} skipped by {line.by}: {line.reason or 'no reason'}"


def _commits(notice: Notice) -> list[TextLine]:
    """Tell the commits and their authors, or that nobody knows them."""
    if notice.commits is None:
        return [TextLine(text="commits: unknown, this clone does not have the release before")]
    many = len(notice.commits)
    if not many:
        return []
    number = f"more than {MANY}" if many > MANY else str(many)
    word = f"{number} commit{'s' if many > 1 else ''}" + (" taken back:" if notice.back else ":")
    lines = [
        TextLine(label=commit.id[:7], url=f"{notice.web}/commit/{commit.id}" if notice.web else "", text=_by(commit))
        for commit in notice.commits[:COMMITS]
    ]
    more = [TextLine(text=f"… and {many - COMMITS} more" if many <= MANY else "…")] if many > COMMITS else []
    return [TextLine(text=word), *lines, *more]


def _by(commit: AuthoredCommit) -> str:
    subject = _cut(commit.subject)
    return f"{subject} ({_cut(commit.author)})" if commit.author else subject


def _cut(text: str) -> str:
    return text if len(text) <= SUBJECT else text[: SUBJECT - 1] + "…"


def _stages(done: Iterable[StageResult], left: Iterable[str] = ()) -> list[TextLine]:
    """Tell the stages in a line: done, being done, to come."""
    parts = [
        f"{MARKS[each.status]} {each.stage}" + (f" {age(each.seconds)}" if each.seconds >= 1 else "") for each in done
    ]
    return [TextLine(text=" · ".join([*parts, *left]))] if (*parts, *left) else []


def _told(stage: StageResult) -> list[TextLine]:
    first, *rest = stage.lines
    return [TextLine(text=f"{MARKS[stage.status]} {stage.stage}: {first}"), *(TextLine(text=line) for line in rest)]


def _people(notice: Notice) -> tuple[str, ...]:
    """Find the authors that the settings know."""
    known = {address.lower(): person for address, person in notice.people.items()}
    names = (known.get(commit.email.lower(), "") for commit in notice.commits or ())
    return tuple(dict.fromkeys(one for one in names if one))[:CALLED]


def _link(url: str) -> list[TextLine]:
    return [TextLine(label="the run in CI", url=url)] if url else []


def _filled(sections: list[list[TextLine]]) -> tuple[tuple[TextLine, ...], ...]:
    return tuple(tuple(lines) for lines in sections if lines)
