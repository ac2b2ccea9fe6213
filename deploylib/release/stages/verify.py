"""The proof that what was deployed serves."""

from __future__ import annotations

from typing import ClassVar

from deploylib.errors import DeployStopped, PersonNeeded, VerificationFailed
from deploylib.models import Intent, Proof, Proven, StageName, Verified
from deploylib.models.results import StageResult
from deploylib.probes import Expected
from deploylib.release.prove import evidence_table, prove_services
from deploylib.release.run import Run, Stage, plan_stage, result, skip_stage, table

__all__ = ["Verify"]


class Verify(Stage):
    """What this run deployed must prove itself.

    Outside a run, what the history says is live.
    """

    name: ClassVar[StageName] = StageName.VERIFY

    def plan(self, run: Run) -> StageResult:
        """Say what would be asked."""
        if run.back:
            return plan_stage(self.name, "would ask each service that is restored")
        names = ", ".join((*run.planned.changes.deploying, *run.planned.unproven))
        if not names:
            return skip_stage(self.name, "nothing was deployed")
        return plan_stage(self.name, f"would ask {names} for {run.commit.short}")

    def apply(self, run: Run) -> StageResult:
        """Ask all services at once."""
        migration = run.planned.migration
        shipped = run.state.shipped
        if not shipped and not run.planned.unproven:
            return skip_stage(self.name, "nothing was deployed")
        if left := [name for name in run.planned.changes.deploying if name not in shipped]:
            raise DeployStopped(
                f"{', '.join(left)}: its job has not deployed it", remedy="inv finish puts back what the run changed"
            )
        # What another tool has applied before, only the history tells: nothing to hold an answer against.
        known = not migration.ahead and (migration.pending or not migration.unchecked)
        revision = migration.target if known else ""
        expected = {
            name: Expected(
                shipment.commit,
                shipment.previous.commit,
                revision,
                misnamed=_misnamed(run.state.intents.get(name)),
                before=_answered(run, name),
                loaded=_loaded(run, name),
                back=run.back,
            )
            for name, shipment in shipped.items()
        }
        unproven = {name: run.planned.changes.of(name).live for name in run.planned.unproven if name not in shipped}
        expected |= {name: Expected(live.commit) for name, live in unproven.items()}
        run.log.start((target for target in run.checked.targets if target.name in expected), running=True)
        try:
            proven = prove_services(run.env, run.checked.targets, expected, run.pace)
        except VerificationFailed as error:
            if error.service not in unproven:
                raise
            why, remedy = (
                "and was never proven",
                f"inv rollback{run.env.flag}, or release a commit in which it is corrected",
            )
            if migration.pending:
                why = f"and does not prove itself with the schema at {migration.target}"
                remedy = "release a commit that goes with the schema: going back leaves that as it is"
            raise PersonNeeded(
                f"{unproven[error.service].commit[:7]} was live before this run {why}: {error.message}",
                remedy=remedy,
                details=error.details,
                service=error.service,
            ) from error
        rows = [(one.service, f"{one.text}{_level(one)}") for one in proven]
        advice = _advice(proven)
        notes = [f"{one.service}: {note}" for one in proven for note in one.notes]
        return result(self.name, *table(rows), *evidence_table(proven), *notes, *advice, data=Proven(verified=proven))


def _answered(run: Run, name: str) -> int:
    """Find the status that the address gave before.

    What a bad release gave says nothing of the one that is gone back to.
    """
    intent = run.state.intents.get(name)
    return 0 if intent is None or run.back else intent.answered


def _loaded(run: Run, name: str) -> tuple[str, ...]:
    """List the files of the build before.

    Open tabs may ask for them; nothing is said of them on the way back.
    """
    intent = run.state.intents.get(name)
    return () if intent is None or run.back else intent.loaded


def _misnamed(intent: Intent | None) -> bool:
    return intent is not None and intent.misnamed


def _level(verified: Verified) -> str:
    return "" if verified.proof is Proof.COMMIT else f"  (proof: {verified.proof})"


def _advice(proven: tuple[Verified, ...]) -> tuple[str, ...]:
    """Give each advice once, for all services that share it."""
    seen: dict[tuple[str, ...], list[str]] = {}
    for verified in proven:
        if verified.advice:
            seen.setdefault(verified.advice, []).append(verified.service)
    return tuple(line for advice, names in seen.items() for line in (f"{', '.join(names)}: {advice[0]}", *advice[1:]))
