"""Make lines of values: pure functions, which print nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import PurePath
from typing import Any

from deploylib.commands import dashboard, health, init, status
from deploylib.drills import DrillResult, DrillResults, DrillSummary
from deploylib.health import CopyState
from deploylib.models import Backup, Commit, LogLine, remedies
from deploylib.models.database import RestoreResult
from deploylib.models.findings import Scanned, Verdict
from deploylib.models.fitness import Fitness, FitVerdict
from deploylib.models.results import Report, StageResult, StageStatus, short
from deploylib.models.sections import Line, Section, Topic, sections
from deploylib.models.units import age, count, volume, words
from deploylib.monitoring import AlertSilence, MonitorRound
from deploylib.scaffold import FileChange
from deploylib.state import Hold, LeaseState, RunState

__all__ = [
    "NOT_WRITTEN",
    "ascii_only",
    "copies",
    "format_backups",
    "format_beginning",
    "format_dashboard",
    "format_drills",
    "format_events",
    "format_fitness",
    "format_header",
    "format_history",
    "format_holds",
    "format_init",
    "format_lease",
    "format_lifted",
    "format_local",
    "format_log_line",
    "format_logs",
    "format_report",
    "format_restore",
    "format_round",
    "format_scan",
    "format_silence",
    "format_stage",
    "format_status",
]

MARKS = {StageStatus.DONE: "✓", StageStatus.SKIPPED: "–", StageStatus.PLANNED: "→", StageStatus.FAILED: "✗"}
PLAIN = str.maketrans({"✓": "+", "–": "-", "→": ">", "✗": "x", "←": "<", "·": "-", "│": "|", "…": "...", "↩": "<"})
NAME, WIDTH = 9, 58
UNENDED = "never came to its end"
NOT_WRITTEN = "nothing was written: deploylib init --yes writes it"


def ascii_only(line: str) -> str:
    """Write a line for a stream that knows only ASCII."""
    return line.translate(PLAIN).encode("ascii", "replace").decode()


def format_header(run: str, environment: str, commit: Commit | None) -> str:
    """Begin a run; without a commit it restores an earlier release."""
    what = f'{commit.short} "{commit.subject}"' if commit is not None else "the release before"
    return f"run {short(run)}   {environment} ← {what}"


def format_beginning(by: str, at: datetime, url: str) -> str:
    """Say who began a run, when, and in which CI run."""
    parts = (f"by {by}" if by else "", f"{at:%Y-%m-%d %H:%M:%SZ}", url)
    return " · ".join(each for each in parts if each)


def format_log_line(line: LogLine) -> str:
    """Write a line of a service's log, with whose it is."""
    return f"{line.at[11:19]}  {line.service} {line.kind}  {line.text}"


def format_stage(result: StageResult, ago: float | None = None) -> list[str]:
    """Write a stage that has ended, as the lines of the log."""
    first, *rest = result.lines or ("",)
    mark = "↩" if result.stage == "put back" else MARKS[result.status]
    took = f"{result.seconds:.1f}s" if result.seconds >= 0.05 else ""
    if ago is not None:
        took = f"done {ago:.0f} s ago by this run"
    line = f"{mark} {result.stage:<{NAME}} {first}"
    bar = "│ " if result.status is StageStatus.FAILED else ""
    lines = [line, *(f"{'':{NAME + 3}}{bar}{one}" for one in rest)]
    lines[0] = f"{lines[0]:<{WIDTH}}  {took}".rstrip()
    return lines


def format_report(report: Report) -> str:
    """Tell a report: outcome, what is live, what to do next."""
    if report.verdict:
        return "\n".join(_verdict(report))
    commit = report.commit.short if report.commit else ""
    words = {
        "succeeded": f"{commit} is live on {report.environment}",
        "nothing to do": f"{report.environment} is up to date with {commit}" if commit else "no run is open",
        "superseded by a newer release": f"{commit} is part of it",
        "planned": "nothing was changed",
        "restored": f"the database of {report.environment} is whole again",
        "paused": f"run {short(report.run)} of {commit} stays open",
        "done": f"recorded as {short(report.run)}; nothing was released"
        if report.run
        else "nothing was recorded or released",
    }
    word = report.outcome.partition(" by ")[0].upper() if report.exit_code == 0 else "FAILED"
    outcome = words.get(report.outcome, f"{report.outcome} (exit code {report.exit_code})")
    lines = ["", f"{f'{word:<{NAME + 2}} {outcome}':<{WIDTH}}  {report.seconds:.1f}s"]
    apart = {Topic.NEXT} if report.exit_code else {Topic.NEXT, Topic.WHY, Topic.PUT_BACK}
    for section in sections(report):
        if section.topic not in apart:
            lines += _rendered(section, failed=bool(report.exit_code))
    lines += ["", *_block("Next", list(report.next) or _next(report))]
    return "\n".join(lines)


def _verdict(report: Report) -> list[str]:
    """Trouble first, each with its remedy; the verdict is the last line."""
    if report.exit_code:
        first = " → ".join((report.error, *report.next[:1]))
        troubles = [line for each in (first, *report.details) for line in _trouble(each)]
        return ["", *troubles, "", report.verdict]
    notes = [f"· {line}" for result in report.stages for line in result.lines[1:]]
    return ["", *notes, *([""] if notes else []), report.verdict]


def _trouble(text: str) -> Iterator[str]:
    trouble, _, remedy = text.partition(" → ")
    yield f"✗ {trouble}"
    if remedy:
        yield f"  → {remedy}"


def _next(report: Report) -> list[str]:
    if report.environment == "local":
        return ["change something, commit, inv deploy", "your account:    inv check --environment production"]
    return [remedies.about(report.environment, "inv status shows what is live, and what inv rollback goes back to")]


def _block(title: str, lines: Iterable[str]) -> list[str]:
    return [f"{title if number == 0 else '':<{NAME + 2}} {line}" for number, line in enumerate(lines)]


def _rendered(section: Section, *, failed: bool) -> list[str]:
    if section.topic is not Topic.LIVE:
        return _block(section.topic, [f"{line.name} {line.text}".lstrip() for line in section.lines])
    if failed:
        live = [f"{line.name} {line.text[:7] or 'nothing'}" if line.name else line.text for line in section.lines]
        return _block(section.topic, [" · ".join(live)])
    width = max(len(line.name) for line in section.lines)
    return [f"  {line.name:<{width}}  {_address(line)}" for line in section.lines]


def _address(line: Line) -> str:
    where = f"{line.url}/" if line.url else "(no public address)"
    return f"{where}  {line.text[:7] or 'not deployed yet'}"


def format_history(states: Iterable[RunState]) -> list[str]:
    """Write one line for each run or operation, newest first."""
    lines = []
    for state in states:
        operation = state.opened.operation
        outcome = state.report.outcome if state.report else UNENDED if operation else "open"
        deployed = ", ".join(state.shipped) or "-"
        kind = operation or ("rollback" if state.opened.back else "deploy")
        first = next((one.lines[0] for one in reversed(state.stages.values()) if one.lines), "") if operation else ""
        lines.append(
            f"{short(state.id):<4}  {state.at:%Y-%m-%d %H:%M}  {kind:<8}  {state.commit.short:<7}  "
            f"{outcome:<20}  {deployed:<20}  {first or state.commit.subject}".rstrip()
        )
    return lines


def format_events(state: RunState) -> list[str]:
    """Tell one run from the history, as it was told then."""
    lines = [
        format_header(state.id, state.opened.environment, state.commit),
        format_beginning(state.opened.author, state.at, state.opened.url),
        "",
    ]
    if state.opened.operation:
        by = f", by {state.opened.author}" if state.opened.author else ""
        lines = [f"{state.opened.operation} {short(state.id)}   {state.opened.environment}{by}", ""]
    for result in state.stages.values():
        when = f"{result.at:%H:%M:%SZ}" if result.at else ""
        first, *rest = format_stage(result)
        lines += [f"{when:<{len('00:00:00Z')}} {first}", *(f"{'':{len('00:00:00Z')}} {line}" for line in rest)]
    if state.report is None and state.opened.operation:
        return [*lines, "", UNENDED]
    if state.report is None:
        left = f"open: {state.opened.command} goes on, or begins anew after a while"
        return [*lines, "", remedies.about(state.opened.environment, left)]
    return lines + format_report(state.report).splitlines()


def format_status(status_now: status.Status, now: datetime) -> list[str]:
    """Tell what is live, on one screen."""
    lines = [f"environment  {status_now.environment}", ""]
    width = max((len(one.service) for one in status_now.live), default=0)
    for service in status_now.live:
        since = f"for {age((now - service.since).total_seconds())}" if service.since else ""
        lines.append(
            f"  {service.service:<{width}}  {service.commit[:7] or 'nothing'}  {since}  {service.url}".rstrip()
        )
    if status_now.trouble:
        lines.append(f"  {'' if status_now.known else 'unknown: '}{status_now.trouble}")
    lines += ["", f"rollback     {status_now.back_to or ('nothing to go back to' if status_now.known else 'unknown')}"]
    if status_now.back_trouble:
        lines.append(f"             {status_now.back_trouble}")
    lines += [f"held         {line}" for line in format_holds(status_now.held, now)] or ["held         nothing"]
    if status_now.lease is not None:
        by = status_now.lease.holder
        lines.append(f"lease        {by.what} {short(by.run)}{by.of}, seen {status_now.lease.seen}  {by.url}".rstrip())
    else:
        lines.append("lease        free")
    lines.append(
        f"last run     {status_now.last or 'none'}"
        + (f", {_ago(status_now.last_at, now)}" if status_now.last_at else "")
    )
    lines.append(
        f"backup       {status_now.backup or 'none'}"
        + (f", {_ago(status_now.backup_at, now)}" if status_now.backup_at else "")
    )
    if status_now.unproven:
        lines.append(f"             a newer one cannot be proven, {status_now.unproven}")
    if status_now.restoring:
        lines.append(f"restoring    {status_now.restoring}")
    return [*lines, *_watch(status_now, now)]


def _watch(shown: status.Status, now: datetime) -> list[str]:
    """Tell alerts and silences; nothing where nobody watches."""
    if shown.watch is None:
        return [f"alerts       unknown: {shown.blind}"] if shown.blind else []
    watch, lines = shown.watch, list[str]()
    if watch.looked is not None:
        unknown = "unknown: " if watch.old else ""
        looked = f"{unknown}the monitor has looked {_ago(watch.looked, now)}"
        alerts = [f"{one.severity}: {one.title}, for {age((now - one.since).total_seconds())}" for one in watch.alerts]
        first, *more = alerts or ["none"]
        lines = [f"alerts       {first}", *(f"             {line}" for line in (*more, looked))]
    silent = [line for one in watch.silences for line in format_silence(one)]
    return [*lines, *(f"silence      {line}" for line in silent)]


def format_dashboard(page: dashboard.Dashboard) -> list[str]:
    """Tell the page that was made, and how each environment is."""
    width = max(map(len, page.states), default=0)
    return [*(f"{name:<{width}}  {state}" for name, state in page.states.items()), "", *page.places]


def format_holds(holds: Iterable[Hold], now: datetime) -> list[str]:
    """Tell what an environment refuses, a line each."""
    lines, all_of_them = [], list(holds)
    several = sum(one.everything for one in all_of_them) > 1
    for hold in all_of_them:
        by = ", ".join(word for word in (hold.by, _ago(hold.at, now)) if word)
        lines.append(f"{hold.line} ({by})" + (f"  {hold.flag}" if several and hold.everything else ""))
    return lines


def format_lifted(ended: Iterable[Hold], left: Iterable[Hold], now: datetime) -> list[str]:
    """Tell the holds that were lifted, and those that still stand."""
    return ["lifted", *format_holds(ended, now), *(f"still held: {line}" for line in format_holds(left, now))]


def format_backups(backups: Iterable[Backup], now: datetime, environment: str = "local") -> list[str]:
    """Write one line for each backup, newest first."""
    lines = []
    for backup in backups:
        proven = f", {_ago(backup.proven_at, now)}" if backup.proven_at else ""
        head = f"{backup.id}  {volume(backup.size):>8}  schema {backup.schema}  {backup.proof}{proven}{' export' if backup.exported else ''}"
        lines += [f"{head}  ({_ago(backup.created_at, now)})", *(f"  {note}" for note in backup.notes)]
        lines += ["  of what a restore has replaced: restored only by its id"] if backup.replaced else []
        lines += [f"  cannot be proven, and is not counted: {backup.cause}"] if backup.cause else []
        lines += [f"  accepted by {backup.accepted}"] if backup.accepted else []
    return lines or [remedies.about(environment, "there is no backup: inv backup")]


def format_restore(done: RestoreResult, environment: str = "local") -> list[str]:
    """Tell a restore of what an environment has backed up."""
    compared = " and compared" if done.compared else ""
    lines = [f"{done.backup.id}: {count(done.tables, 'table')} restored{compared}, {done.seconds:.1f} s", *done.notes]
    if done.database:
        lines += [
            f"in the new database {done.database}; what is in use was not touched",
            f"to use it: {done.address}  (the same password), as the database URL of every service that has the old one",
            remedies.about(environment, "then inv verify; and once all is well, drop the old one"),
        ]
    return lines


def format_scan(scanned: Scanned) -> list[str]:
    """Tell a scan: its line, then findings and gaps with remedies."""
    mark = {Verdict.CLEAN: "✓", Verdict.FINDINGS: "✗", Verdict.NOT_EXAMINED: "–"}[scanned.verdict]
    lines = [f"{f'{mark} scan      {scanned.line}':<{WIDTH}}  {scanned.seconds:.1f}s"]
    for item in (*scanned.blocking, *scanned.notes):
        lines += [
            "",
            f"{'✗' if item.blocks else '·'} {item.where}: {item.text} ({item.tool} {item.rule})",
            f"  next: {item.remedy}",
        ]
    for gap in scanned.gaps:
        lines += ["", f"– not examined: {gap.what}: {gap.reason}", f"  next: {gap.remedy}"]
    accepted = [line for examined in scanned.examined for line in examined.accepted]
    return [*lines, *([""] if accepted else []), *(f"· {line}" for line in accepted)]


def format_fitness(fitness: Fitness) -> list[str]:
    """Tell how fit each service is, a line for each question."""
    marks = {FitVerdict.FIT: "✓", FitVerdict.UNFIT: "✗", FitVerdict.UNMEASURED: "–"}
    lines = [f"fitness of {fitness.commit[:7]} for a release without downtime"]
    for service in fitness.services:
        lines += ["", f"{service.service}  {service.start_command}"]
        for row in service.rows:
            text = f"{row.fit}: {row.text}" if row.fit is FitVerdict.UNMEASURED else row.text
            lines.append(f"  {marks[row.fit]} {row.question:<11}  {text}")
            lines += [f"    {'':<11}  next: {row.remedy}"] if row.remedy else []
        counted = [f"{len(service.of(fit))} {fit}" for fit in FitVerdict if service.of(fit)]
        lines.append(f"  {', '.join(counted)}")
    return [*lines, *([""] if fitness.left_out else []), *fitness.left_out]


LOOKS = {"good": "✓", "bad": "✗", "unknown": "–"}


def format_round(done: MonitorRound) -> list[str]:
    """Make lines of a round: its looks, and what was told."""
    head = f"monitor of {done.environment}, {done.at:%H:%M:%S} UTC"
    if done.blind:
        return [head, "  – nobody answers, neither services nor witnesses: nothing is known, and nothing was told"]
    lines, rows = [head], dict[tuple[str, ...], list[str]]()
    for reading in sorted(done.readings, key=lambda reading: reading.subject):
        condition = done.conditions.get(reading.key, "")
        state = f"  ({condition})" if condition in {"pending", "firing", "recovering"} else ""
        unknown = "not examined: " if reading.look == "unknown" else ""
        remedy = remedies.about(done.environment, reading.remedy) if reading.remedy else ""
        row = (reading.subject or done.environment, LOOKS[reading.look], f"{unknown}{reading.text}{state}", remedy)
        rows.setdefault(row if unknown else (*row, reading.signal), []).append(reading.signal)  # one reason, one line
    width = max((len(name) for name, *_ in rows), default=0)
    column = max((len(", ".join(signals)) for signals in rows.values()), default=0)
    for (name, mark, text, remedy, *_), signals in rows.items():
        lines.append(f"  {mark} {name:<{width}} {', '.join(signals):<{column}} {text}")
        lines += [f"    {'':<{width}} next: {remedy}"] if remedy else []
    lines += [f"told  {alert.state}: {alert.title}" for alert in done.told]
    return [*lines, *([done.rhythm] if done.rhythm else []), *done.notes]


def format_silence(silence: AlertSilence | tuple[AlertSilence, ...]) -> list[str]:
    """Tell what is silenced, until when; of several, that they ended."""
    if isinstance(silence, tuple):
        return [f"ended: {line}" for one in silence for line in format_silence(one)]
    about = ", ".join((*silence.signals, *silence.subjects)) or "everything"
    by = f", by {silence.author}" if silence.author else ""
    return [f"{silence.id}  until {silence.until:%Y-%m-%d %H:%M} UTC: {about} ({silence.reason}{by})"]


def format_logs(read: Iterable[status.Log]) -> list[str]:
    """Write logs, with a heading for each service and kind."""
    lines: list[str] = []
    for log in read:
        last = log.lines or [LogLine(at="", text="(empty)")]
        kept = "  (as it was kept with the run)" if log.kept else ""
        lines += [f"── {log.name}{kept}", *(f"{line.at[11:19]}  {line.text}" for line in last)]
    return lines or ["(this run deployed nothing)"]


def format_local(described: dict[str, Any]) -> list[str]:
    """Tell the local Render as it describes itself."""
    rows = [("api", described.get("api_url", "not running")), *described.get("urls", {}).items()]
    rows += [(name, f"Postgres {one['version']}") for name, one in described.get("databases", {}).items()]
    rows += [(name, "Key Value") for name in described.get("stores", ())]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    lines += [f"left out: {one['name']}: {one['reason']} ({one['remedy']})" for one in described.get("left_out", ())]
    lines += [f"no value: {one}; set it: inv local.env NAME" for one in described.get("unset", ())]
    return [*lines, *described.get("notes", ())]


def copies(compared: health.Copies) -> list[str]:
    """Tell the copies of the health files, and what was done."""
    lines: list[str] = []
    for copy in compared.copies:
        is_version = f"{copy.path} is version {copy.version}"
        if compared.written:
            lines += copy.diff
            lines.append(f"{copy.path} written: version {copy.ours}; the first lines of it say how it is used")
        elif copy.state is CopyState.OLDER:
            lines.append(
                f"{is_version}; inv local.health --write {PurePath(copy.path).parent} brings version {copy.ours}"
            )
        else:
            lines.append(f"{is_version}, {'as this deploylib has it' if copy.state is CopyState.SAME else copy.state}")
    return lines or ["no copy of health.py or health.mjs is here; inv local.health --write DIR puts one into a service"]


def format_init(done: init.Initialisation, *, asks: bool = False) -> list[str]:
    """Tell what was concluded of a repository, and what its files become.

    *asks*: whether they are written is asked next.
    """
    lines = ["concluded"]
    lines += [f"  {one.text}  (from {one.file})" for one in done.product.conclusions]
    if not done.written:
        lines += [line for change in done.changes if change.diff for line in ("", *change.diff)]
    width = max((len(one.path) for one in done.changes), default=0)
    lines += ["", *(f"{one.path:<{width}}  {_became(one, written=done.written)}" for one in done.changes)]
    lines += ["", *done.unmet] if done.unmet else []
    if not done.wanted:
        return [*lines, "", "nothing to write; what differs is yours, and stays as it is"]
    if not done.written:
        return lines if asks else [*lines, "", NOT_WRITTEN]
    return [*lines, "", *_block("Next", done.steps)]


def _became(change: FileChange, *, written: bool) -> str:
    return "written" if written and change.after is not None else change.state


def format_drills(value: tuple[DrillSummary, ...] | DrillResult | DrillResults) -> list[str]:
    """List the drills, or tell what came of one or of all."""
    if isinstance(value, DrillResult):
        return _drilled(value)
    if isinstance(value, DrillResults):
        passed = sum(result.passed for result in value.results)
        listed = [f"{'✓' if result.passed else '✗'} {result.line}" for result in value.results]
        return [*listed, f"{passed} of {len(value.results)} passed"]
    lines = list[str]()
    for drill in value:
        lines += [f"{drill.name:<17} {drill.minutes:>2} min   {drill.place}", f"  {drill.learns}"]
    return [*lines, "", *_block("Next", ["inv drill bad-release, and a second terminal"])]


def _drilled(result: DrillResult) -> list[str]:
    """Tell of a drill: times, what was typed, what is right."""
    lines = ["", f"{'PASSED' if result.passed else 'NOT PASSED':<{NAME + 2}} {result.drill}"]
    lines += _block("Not well", [result.fault]) if result.fault else []
    for word, at in (("noticed", result.noticed), ("mended", result.first_right), ("well again", result.restored)):
        lines += [f"{word:<{NAME + 2}} {'never' if at is None else _stopwatch(at)}"] if result.steps else []
    lines += [] if result.steps else _block("Took", [_stopwatch(result.seconds)])
    right = {words(line)[1] for line in result.steps}
    typed = [f"{'✓' if right & set(words(line)) else '·'} {line}" for line in result.typed]
    lines += ["", *_block("Typed", typed)] if typed else []
    lines += ["", *_block("Right", result.steps)] if result.steps else []
    return [*lines, "", *_block("Runbook", [result.runbook])]


def _stopwatch(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def format_lease(lease: LeaseState | None, environment: str) -> list[str]:
    """Tell who holds an environment."""
    if lease is None or not lease.taken:
        before = f"{lease.holder.what} {short(lease.holder.run)}" if lease else ""
        last = f"; the last was {before}, {lease.state} {age(lease.age)} ago" if lease else ""
        return [f"nobody holds {environment}{last}", *([lease.reason] if lease and lease.reason else [])]
    by = lease.holder
    lines = [f"{environment} is held by {by.name}{by.of}", *([by.url] if by.url else [])]
    free = f"without one it is free after {age(by.ttl)}"
    free = "if it has ended: inv lease.release" if lease.ahead else free
    lines.append(f"last sign of life {lease.seen}; {free}")
    return lines


def _ago(moment: datetime | None, now: datetime) -> str:
    return f"{age((now - moment).total_seconds())} ago" if moment is not None else ""
