"""A step of a team's own as a stage.

Bounded, recorded, put back like a stage where it fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import TimeoutError as TooLate

from deploylib.errors import Blocked, DeployError, Interrupted, SettingsError, VerificationFailed
from deploylib.models import StageName
from deploylib.models.results import StageResult, StageStatus
from deploylib.models.units import seconds, words
from deploylib.release import prerequisites
from deploylib.release.own_steps import OwnStep, Registration, StepService, check_steps
from deploylib.release.run import Run, Stage, plan_stage, result
from deploylib.system import Deadline, process, threads

__all__ = ["Own", "require_registered", "with_own_steps"]


def with_own_steps(flow: Sequence[Stage]) -> tuple[Stage, ...]:
    """Put the registered steps in their places among the stages.

    Raises:
        SettingsError: one of them has none, or a name that is taken.
    """
    steps: list[Stage] = list(flow)
    for own in check_steps([stage.name for stage in flow]):
        names = [stage.name for stage in steps]
        if own.before:
            place = names.index(own.before)
        else:  # behind those that come after the same
            place = names.index(own.after) + 1
            while place < len(steps) and isinstance(each := steps[place], Own) and each.own.after == own.after:
                place += 1
        steps.insert(place, Own(own))
    return tuple(steps)


def require_registered(run: Run, flow: Sequence[Stage]) -> None:
    """See that each step left of the run is registered.

    Raises:
        SettingsError: one is not.
    """
    lacking = [name for name in run.state.opened.steps if name not in run.state.stages]
    if absent := sorted(set(lacking) - {stage.name for stage in flow}):
        raise SettingsError(
            f"run {run.id} has a step of its own that is not registered here: {', '.join(absent)}",
            remedy="type the command where the tasks.py of the product is: it registers the step",
        )


class Own(Stage):
    """A step that a team has registered."""

    def __init__(self, own: Registration) -> None:
        self.own = own

    @property
    def name(self) -> str:
        """The function's, with dashes."""
        return self.own.name

    def is_done(self, run: Run) -> bool:
        """Tell whether it has ended well.

        One that has failed after the proof is not begun again.
        """
        ended = run.state.stages.get(self.name)
        return super().is_done(run) or (ended is not None and ended.failure is None)

    def plan(self, run: Run) -> StageResult:
        """Say that it would be called."""
        names = ", ".join(run.planned.changes.deploying)
        return plan_stage(self.name, f"would run {self.own.body.__name__}{f' ({names})' if names else ''}")

    def apply(self, run: Run) -> StageResult:
        """Call the step; what it does is recorded from the first stage.

        Raises:
            Blocked: it has failed, and nothing was deployed.
            VerificationFailed: it has failed after the deploy, and before the proof.
        """
        if run.services and not run.decides:
            raise Blocked(
                f"{self.name} is not done, and this job deploys {', '.join(run.services)} alone",
                remedy="do it in a job before: inv deploy --until, with the stage that it comes after",
            )
        run.journal.keep()
        try:
            return result(self.name, *self._lines(run))
        except Interrupted:
            raise
        except Exception as error:
            failure = self._failure(run, error)
            if run.state.has_done(StageName.VERIFY):
                lines = (failure.message, *failure.details, "the release is live and proven: nothing is put back")
                return StageResult(stage=self.name, status=StageStatus.FAILED, lines=lines)
            raise failure from error

    def _lines(self, run: Run) -> tuple[str, ...]:
        """Call the function in a thread, for a bounded time."""
        deadline = Deadline.after(seconds(self.own.deadline))

        def start(command: str | Sequence[str], secrets: Sequence[str]) -> str:
            args = words(command, self.name) if isinstance(command, str) else tuple(command)
            drops = tuple(name for name in run.env.config.secrets if name not in secrets)
            path, left = {"PATH": prerequisites.path(run.env.config)}, max(0.1, deadline.left)
            return run.env.runner.run(
                process.Command(
                    args, cwd=run.env.config.root, env=path, drops=drops, timeout=left, shown=True, tree=True
                )
            ).text

        step = OwnStep(run.env.name, run.commit.id, _services(run), start, run.env.progress.note)
        lines = threads.start(lambda: self.own.body(step), self.name).result(deadline.left)
        return (lines,) if isinstance(lines, str) else tuple(lines or ("done",))

    def _failure(self, run: Run, error: Exception) -> DeployError:
        kind = VerificationFailed if run.state.intents else Blocked
        remedy = f"correct {self.own.body.__name__} or what it found, and inv deploy{run.env.flag}"
        if isinstance(error, DeployError):
            return kind(f"{self.name}: {error.message}", details=error.details, remedy=error.remedy)
        if isinstance(error, TooLate):
            return kind(f"{self.name} did not end within {self.own.deadline}", remedy=remedy)
        return kind(f"{self.name}: {type(error).__name__}: {error}", remedy=remedy)


def _services(run: Run) -> tuple[StepService, ...]:
    plan = run.planned
    return tuple(
        StepService(
            each.service,
            each.live.commit,
            plan.wanted.get(each.service, run.commit.id) if each.deploy else each.live.commit,
        )
        for each in plan.changes.services
    )
