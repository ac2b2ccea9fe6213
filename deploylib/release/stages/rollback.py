"""Go back to a verified release that can serve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from deploylib.errors import Blocked, SettingsError
from deploylib.models import UNKNOWN, Live, Order, Restored, StageName
from deploylib.models.results import StageResult, StageStatus, short
from deploylib.release import rollback
from deploylib.release.guards import skip_gate
from deploylib.release.run import Run, Stage, plan_stage, result, table
from deploylib.release.schema_fit import compare_schema, schema_now
from deploylib.release.serving import live
from deploylib.release.switch import bring_services, list_variables
from deploylib.state import RunState

__all__ = ["Rollback"]


class Rollback(Stage):
    """An earlier verified release, from its kept artifacts.

    The schema stays as it is.
    """

    name: ClassVar[StageName] = StageName.ROLLBACK

    def plan(self, run: Run) -> StageResult:
        """Say what would be restored, and what comes back with it."""
        release, orders, notes = self._chosen(run)
        rows = [(order.target.name, f"{order.previous.commit[:7]} → {order.commit[:7]}") for order in orders]
        head = f"release of run {short(release.id)}, {release.commit.short}; the schema stays as it is"
        return plan_stage(self.name, head, *table(rows), *notes)

    def apply(self, run: Run) -> StageResult:
        """Restore, after recording what was chosen.

        So a rollback that was killed goes on to the same release.
        """
        release, orders, notes = self._chosen(run)
        run.env.progress.note(
            f"back to run {short(release.id)}, {release.commit.short} {release.commit.subject!r}",
            "the schema stays as it is; each service gets that deploy's environment variables again",
            *notes,
        )
        if run.state.restoring is None:
            run.record("restoring", Restored(run=release.id, commit=release.commit))
        return bring_services(self.name, run, orders)

    def _chosen(self, run: Run) -> tuple[RunState, list[Order], list[str]]:
        """Choose the release, what each service does, and the remarks.

        Raises:
            SettingsError: there is nothing to go back to.
            Blocked: its code does not go with the schema.
        """
        serving, history = live(run.env, run.checked.targets, strict=False), _history(run)
        doubt = ""
        if run.state.restoring is not None:
            release = run.env.history.read(run.state.restoring.run)
        else:
            bad = {commit for hold in run.env.holds.read() for commit in hold.commits}
            release = rollback.choose_release(history, serving, run.options.to, bad=bad)
            doubt = self._fits(run, release, history, serving)
        orders = rollback.orders(run.checked.targets, release.release, serving, run.state.intents)
        if not orders:
            raise SettingsError("every service of it serves that already", remedy="inv status")
        remarks = [doubt] if doubt else []
        ready = []
        for order in orders:
            recorded = rollback.find_variables(history, order.target.name, order.from_deploy)
            ready.append(msgspec.structs.replace(order, variables=recorded))
            then = set(recorded)
            names = list_variables(run, order.target) if then else ()
            if back := sorted(then - set(names)):
                remarks.append(f"{order.target.name}: comes back, as it was then: {', '.join(back)}")
            if gone := sorted(set(names) - then) if then else []:
                remarks.append(f"{order.target.name}: was not there then, and goes: {', '.join(gone)}")
        return release, ready, remarks

    def _fits(self, run: Run, release: RunState, history: list[RunState], serving: Mapping[str, Live]) -> str:
        """Say what is unknown of how its code suits the schema.

        That is told, and keeps nobody from going back.

        Raises:
            Blocked: it is known not to.
        """
        if (given := skip_gate(run, StageName.SCHEMA)) is not None:
            run.record("stage", given)
            return ""
        targets, database = run.checked.targets, schema_now(run.env, run.checked, history)
        fit = compare_schema(targets, release, history, database, serving)
        if fit.misfits:
            bad = {commit for hold in run.env.holds.read() for commit in hold.commits}
            others = rollback.find_candidates(history, serving, bad=bad)
            safe = next((one for one in others if compare_schema(targets, one, history, database, serving).known), None)
            go = f"inv rollback --to {short(safe.id)} ({safe.commit.short}) goes with it; or " if safe else ""
            raise Blocked(
                f"{release.commit.short} does not go with the schema as it is",
                details=fit.misfits,
                remedy=f"{go}correct it in a new commit and inv deploy; a backup is never restored by itself",
            )
        if fit.doubt:
            doubt = result(StageName.SCHEMA, fit.doubt, status=StageStatus.SKIPPED, data={"fits": UNKNOWN})
            run.record("stage", doubt)
        return fit.doubt


def _history(run: Run) -> list[RunState]:
    return list(run.env.history.read_runs(run.env.name, 50))
