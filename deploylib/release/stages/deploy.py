"""The switch: all changed services at once."""

from __future__ import annotations

from typing import ClassVar

from deploylib.models import Kind, Live, Order, StageName, Target
from deploylib.models.results import StageResult
from deploylib.release import changes
from deploylib.release.run import Run, Stage, plan_stage, skip_stage, table
from deploylib.release.switch import bring_services, list_variables
from deploylib.release.under_load import measure_before

__all__ = ["Deploy"]


class Deploy(Stage):
    """All changed services at once.

    Where several jobs share a run, each deploys only the services that it is asked for.
    """

    name: ClassVar[StageName] = StageName.DEPLOY

    def is_done(self, run: Run) -> bool:
        """Tell whether all that this job was to deploy is live."""
        return super().is_done(run) and not self._left(run)

    def plan(self, run: Run) -> StageResult:
        """Say what would be deployed, and what would be put back."""
        chosen = run.planned.changes
        if not chosen.deploying:
            return skip_stage(self.name, "no service changed")
        rows = [(name, self._way_back(chosen.of(name).live)) for name in chosen.deploying]
        return plan_stage(self.name, *table(rows))

    def apply(self, run: Run) -> StageResult:
        """Deploy the services, while visitors are counted."""
        chosen = run.planned.changes
        if not chosen.deploying:
            return skip_stage(self.name, "no service changed")
        left = self._left(run)
        run.before = measure_before(run)
        orders = [self._order(run, target) for target in run.checked.targets if target.name in left]
        return bring_services(self.name, run, orders)

    def _order(self, run: Run, target: Target) -> Order:
        commit = run.planned.wanted.get(target.name, run.commit.id)
        cron, shared = target.kind is Kind.CRON, run.env.config.settings.shared
        return Order(
            target=target,
            commit=commit,
            previous=run.planned.changes.of(target.name).live,
            variables=list_variables(run, target),
            as_good=changes.as_good(target, commit, git=run.env.git, shared=shared) if cron else (),
        )

    def _left(self, run: Run) -> tuple[str, ...]:
        names = [name for name in run.planned.changes.deploying if not run.services or name in run.services]
        return tuple(name for name in names if name not in run.state.shipped)

    def _way_back(self, live: Live) -> str:
        if not live.commit:
            return "first deploy: nothing to put back"
        return f"would be deployed; on failure it would be put back to {live.commit[:7]}"
