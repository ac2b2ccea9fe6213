"""The release under load: as fast as those before it, or not."""

from __future__ import annotations

from typing import ClassVar

from deploylib.errors import DeployError, Interrupted, LeaseHeld
from deploylib.models import LoadTested, StageName, remedies
from deploylib.models.results import StageResult
from deploylib.release import under_load
from deploylib.release.run import Run, Stage, plan_stage, result, skip_stage

__all__ = ["LoadTest"]


class LoadTest(Stage):
    """Requests at a rate, to what verification has proven.

    What could not be measured changes no outcome; what is degraded does only where the environment's policy says so.
    """

    name: ClassVar[StageName] = StageName.LOADTEST

    def plan(self, run: Run) -> StageResult:
        """Say what would be sent."""
        settings = run.env.config.environment.loadtest
        service = under_load.choose_target(run.env, run.checked.targets).name
        return plan_stage(self.name, f"would send {settings.rate:g}/s to {service} for {settings.seconds}")

    def apply(self, run: Run) -> StageResult:
        """Measure and judge."""
        env, settings = run.env, run.env.config.environment.loadtest
        try:
            service = under_load.choose_target(env, run.checked.targets).name
            if service not in run.state.shipped:
                return skip_stage(self.name, f"{service} was not deployed")
            if under_load.give_way(run, settings):
                target = env.config.settings.target
                return skip_stage(
                    self.name, f"the run would miss its target of {target} (inv loadtest{env.flag} measures it)"
                )
            assessment = under_load.assess_service(
                env,
                run.checked.targets,
                run=run.id,
                settings=settings,
                before=run.before,
                has_time=lambda: not under_load.give_way(run, settings, times=1),
            )
        except (Interrupted, LeaseHeld):
            raise
        except DeployError as error:
            step = remedies.about(env.name, error.remedy)
            return skip_stage(self.name, f"not measured: {error.message} ({step})")
        if assessment.is_degraded and settings.policy == "rollback":
            raise under_load.explain_degradation(assessment)
        if assessment.is_degraded and settings.policy == "alert":
            under_load.tell_degradation(env, assessment, run=run.id)
        return result(self.name, *assessment.lines, data=LoadTested(conclusion=assessment.ruling.conclusion))
