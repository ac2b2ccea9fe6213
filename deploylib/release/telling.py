"""What is told of a run, which changes no outcome."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from deploylib.environment import Environment
from deploylib.errors import DeployError, Interrupted
from deploylib.models import StageName
from deploylib.models.release import AuthoredCommit
from deploylib.models.results import NOTHING, SUPERSEDED, Report
from deploylib.notifications import Delivery, LiveMessage, message
from deploylib.state import Journal, RunState

__all__ = ["Telling", "note_undelivered"]

AT_ITS_END = 2.0  # seconds for what is being sent when a run ends, or a job of it
OUTCOME_WITHIN = 3.0  # seconds to tell what came of it
FAILURE_WITHIN = 5.0  # the same, where somebody is called
SILENT_WITHIN = 1.0  # the same, where a change of the message has no answer: what is not told now waits
INTERRUPTED = 1.0  # the same, for who has ten seconds for everything


@dataclass
class Telling:
    """Tells one run, once there is something to do.

    Attributes:
        coming: the names of the stages that this command is to do.
        shared: other jobs work at the same run, so that what is told is what all have recorded.
        under_way: the stage that is being done.
        is_done: it has ended, and the next one has not begun.
    """

    env: Environment
    journal: Journal
    coming: tuple[str, ...] = ()
    shared: bool = False
    under_way: str = ""
    is_done: bool = False
    _commits: list[tuple[AuthoredCommit, ...] | None] = field(default_factory=list)

    @cached_property
    def _live(self) -> LiveMessage:
        return LiveMessage(self.env.messenger.tell_progress)

    def begin(self, stage: str) -> None:
        """Tell that a stage is being done now."""
        self.under_way, self.is_done = stage, False
        self.update()

    def update(self) -> None:
        """Tell that something has changed; nobody waits for that."""
        if self._is_worth_it():
            self._live.show(lambda: message.progress_message(self._notice(self._state())))

    def leave(self, *, interrupted: bool = False) -> None:
        """Leave the message to the command that goes on with the run."""
        self.under_way = ""
        if self._is_worth_it():
            self.update()
            self._live.stop(INTERRUPTED if interrupted else AT_ITS_END, flush=True)

    def end(self, report: Report) -> None:
        """Tell what the run came to.

        Nothing is told of a run that had nothing to do; and of what was asked for beside the releases only a failure.
        """
        if not self.journal.written or report.outcome in {NOTHING, SUPERSEDED}:
            return
        if self.journal.state.opened.operation and report.exit_code in {0, Interrupted.exit_code}:
            return
        answers = self._live.stop(AT_ITS_END) if "_live" in self.__dict__ else True
        within = SILENT_WITHIN if not answers else FAILURE_WITHIN if report.exit_code else OUTCOME_WITHIN
        notice = self._notice(self.journal.state, report)
        messages = (message.outcome_message(notice, report), message.details_message(notice, report))
        sent = self.env.messenger.tell(*(each for each in messages if each is not None), within=within)
        note_undelivered(self.env, sent, self.journal.state.id)

    def _is_worth_it(self) -> bool:
        """Tell whether there is something to show, and somebody to show it."""
        state = self.journal.state
        if not self.journal.written or state.opened.operation or not self.env.messenger.can_change:
            return False
        return state.restoring is not None or (state.has_done(StageName.CHANGES) and not state.planned.nothing)

    def _state(self) -> RunState:
        return self.env.history.read(self.journal.state.id) if self.shared else self.journal.state

    def _notice(self, state: RunState, report: Report | None = None) -> message.Notice:
        env, planned = self.env, state.planned
        before = {change.service: change.live.commit for change in planned.changes.services}
        before |= {name: intent.previous.commit for name, intent in state.intents.items()}
        commit = state.restoring.commit if state.restoring is not None else state.opened.commit
        left = self.coming[self.coming.index(self.under_way) + 1 :] if self.under_way in self.coming else ()
        return message.Notice(
            run=state.id,
            environment=env.name,
            at=env.clock.now(),
            commit=report.commit if report is not None else commit,
            author=state.opened.author,
            back=state.opened.back,
            promotes=state.opened.promotes.partition("/")[0],
            url=state.opened.url,
            web=env.git.web(),
            stages=tuple(state.stages.values()),
            under_way="" if self.is_done else self.under_way,
            coming=left,
            deploying=planned.changes.deploying or tuple(state.intents),
            previous=before,
            shipped=state.shipped,
            commits=self._new_commits(state, commit.id, before),
            people=env.config.settings.slack_people,
            putting_back=state.recovering is not None,
        )

    def _new_commits(self, state: RunState, commit: str, before: dict[str, str]) -> tuple[AuthoredCommit, ...] | None:
        """Find the commits that are new, or taken back; None: unknown."""
        if self._commits:
            return self._commits[0]
        changed = planned if (planned := state.planned.changes.deploying) else tuple(state.intents)
        bases = dict.fromkeys(before[name] for name in changed if before.get(name, ""))
        try:
            new = dict.fromkeys(one for base in bases for one in self._between(base, commit, back=state.opened.back))
        except Interrupted:
            raise
        except DeployError:
            return None
        known = tuple(new)
        if bases and (state.intents or not state.opened.back):
            self._commits.append(known)
        return known

    def _between(self, base: str, commit: str, *, back: bool) -> Iterable[AuthoredCommit]:
        old, new = (commit, base) if back else (base, commit)
        return self.env.git.commits_since(new, [old], message.MANY + 1)


def note_undelivered(env: Environment, sent: Iterable[Delivery], run: str = "") -> None:
    """Say, and record with a run, what was not told."""
    for each in sent:
        if each.delivered:
            continue
        env.progress.note(
            f"{each.channel or 'nobody'} was not told: {each.reason}", *(["  " + each.remedy] if each.remedy else [])
        )
        try:
            if run:
                env.history.append(run, "undelivered", each)
        except Interrupted:
            raise
        except DeployError as error:
            env.progress.note(f"and that could not be recorded: {error.message}")
