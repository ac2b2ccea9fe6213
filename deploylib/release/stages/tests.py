"""The product's own tests, a gate of a release."""

from __future__ import annotations

from typing import ClassVar

from deploylib.errors import Blocked, NotExamined
from deploylib.models import StageName
from deploylib.models.results import StageResult
from deploylib.models.units import seconds, words
from deploylib.release import prerequisites
from deploylib.release.guards import skip_gate
from deploylib.release.run import Run, Stage, plan_stage, result, skip_stage
from deploylib.system import process

__all__ = ["Tests"]


class Tests(Stage):
    """The product's own tests, by the command in the settings."""

    name: ClassVar[StageName] = StageName.TESTS
    needs_lease: ClassVar[bool] = False

    def plan(self, run: Run) -> StageResult:
        """Say what would be started."""
        if why := self._not(run):
            return why
        return plan_stage(self.name, f"would run: {run.env.config.settings.tests}")

    def apply(self, run: Run) -> StageResult:
        """Run the tests on what is checked out, without our secrets."""
        if why := self._not(run):
            return why
        if run.env.git.commit("HEAD").id != run.commit.id or run.env.git.list_changed():
            raise NotExamined(
                f"tests can only be run on what is checked out, and that is not {run.commit.short}",
                remedy=f"git switch --detach {run.commit.short}, and the same again",
            )
        command = process.Command(
            words(run.env.config.settings.tests, "tests"),
            cwd=run.env.config.root,
            env={"PATH": prerequisites.path(run.env.config)},
            drops=run.env.config.secrets,
            timeout=seconds(run.env.config.settings.deadline),
            check=False,
            shown=True,
            tree=True,
        )
        try:
            done = run.env.runner.run(command)
        except process.ProgramFailed as error:  # it did not end in time
            raise NotExamined(f"tests: {error.message}", details=error.details, remedy="make them quicker") from error
        if done.returncode:
            output = (*process.last_lines(done.stdout), *process.last_lines(done.stderr, 10))
            raise Blocked(
                f"tests failed: {run.env.config.settings.tests!r} ended with code {done.returncode}",
                details=tuple(line.rstrip() for line in output if line.strip()),
                remedy="correct it, commit; in an emergency --skip tests --reason …",
            )
        last = next((line.strip(" =") for line in reversed(done.text.splitlines()) if line.strip()), "passed")
        return result(self.name, last[:100])

    def _not(self, run: Run) -> StageResult | None:
        if (given := skip_gate(run, self.name)) is not None:
            return given
        if not run.env.config.settings.tests:
            return skip_stage(self.name, 'the settings name no command (tests = "…")')
        return (
            skip_stage(self.name, "off for local (inv tests)")
            if run.env.config.is_local and run.options.asked != self.name
            else None
        )
