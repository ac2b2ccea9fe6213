"""A load test of an environment: who is asked, and with what."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

from deploylib.environment import Environment
from deploylib.errors import DeployError, Interrupted, LeaseHeld, NotExamined, SettingsError, VerificationFailed
from deploylib.loadtest import Assessment, Measurement, Records, Subject, Workload, assess, measure
from deploylib.models import Kind, StageName, Target, remedies
from deploylib.models.alerts import Alert, AlertState
from deploylib.models.units import count, seconds
from deploylib.probes import address
from deploylib.release.run import Run
from deploylib.release.serving import live_of
from deploylib.release.telling import note_undelivered
from deploylib.settings import LoadTestSettings
from deploylib.store import Damaged
from deploylib.system import ci, process

__all__ = [
    "assess_service",
    "choose_target",
    "explain_degradation",
    "explain_invalidity",
    "give_way",
    "load_records",
    "measure_before",
    "missing_rate",
    "propose",
    "tell_degradation",
]

STARTING = 5.0  # seconds until locust is imported and its first users are connected
PRODUCTION = ("prod", "live")  # parts of the names of environments that no load test writes to


def missing_rate(env: Environment) -> SettingsError:
    """Make the error of an environment without a rate."""
    return SettingsError(
        f"there is no load test for {env.name!r}: it has no rate",
        remedy=f"inv loadtest{env.flag} --rate 20 tries one; rate = 20 in [environments.{env.name}.loadtest] is for each release",
    )


def propose(env: Environment) -> tuple[str, ...]:
    """Propose a load test to an environment that has none.

    Never to production.
    """
    chosen, config = env.config.environment.loadtest, env.config
    if chosen.rate or config.is_local or _is_production(env) or not (config.root / chosen.file).is_file():
        return ()
    return (f"no load test yet: rate = 20 in [environments.{env.name}.loadtest] runs {chosen.file} after each release",)


def _is_production(env: Environment) -> bool:
    return any(word in env.name.lower() for word in PRODUCTION)


def choose_target(env: Environment, targets: Sequence[Target]) -> Target:
    """Choose the service that is tested.

    Raises:
        SettingsError: there is no such service, or nobody may ask it.
    """
    wanted = env.config.environment.loadtest.service
    public = [target for target in targets if address.is_public(target)]
    named = [target for target in public if target.name == wanted] if wanted else public
    if not named:
        raise SettingsError(
            f"{wanted} has no public address" if wanted else "no service has a public address that could be asked",
            remedy=f"name one with service = in [environments.{env.name}.loadtest]: {', '.join(t.name for t in public) or 'none'}",
        )
    return next((target for target in named if target.kind is Kind.WEB), named[0])


def assess_service(
    env: Environment,
    targets: Sequence[Target],
    *,
    run: str,
    settings: LoadTestSettings,
    before: Measurement | None = None,
    has_time: Callable[[], bool] = lambda: True,
    write: bool = False,
) -> Assessment:
    """Test the service that the settings name.

    Args:
        has_time: see `assess`, as *before*.

    Raises:
        SettingsError: nobody could be asked, or *write* and nobody may write there.
        DeployError: see `assess`.
    """
    target = choose_target(env, targets)
    if write and _is_production(env):
        raise SettingsError(
            f"nothing is written to {env.name!r} by a load test", remedy="leave --write out, or test staging"
        )
    subject = Subject(
        environment=env.name,
        service=target.name,
        plan=target.plan,
        instances=target.instances,
        machine=ci.name_machine(env.config.environ),
        run=run,
        commit=live_of(env, target).commit,
        at=env.clock.now(),
        p95=1000 * seconds(settings.p95) if settings.p95 else 0.0,
        error_rate=settings.error_rate,
        puts_back=settings.policy == "rollback",
    )
    workload = _workload(env, targets, run, settings, write=write)
    runner = process.WithholdingRunner(env.runner, env.config.secrets)
    return assess(workload, subject, load_records(env), before=before, has_time=has_time, runner=runner)


def measure_before(run: Run) -> Measurement | None:
    """Measure the release that this one will take the place of.

    None: this command does not measure the release itself, so that there is no pair; or that could not be measured, or would
    take too long. Nothing hangs on it.
    """
    env, settings = run.env, run.env.config.environment.loadtest
    if StageName.LOADTEST not in run.coming or run.options.dry_run or give_way(run, settings, times=3):
        return None
    try:
        target = choose_target(env, run.checked.targets)
        if not run.planned.changes.of(target.name).live.commit or target.name not in run.planned.changes.deploying:
            return None
        env.progress.note(f"load test: {target.name} as it is, for {settings.seconds}")
        runner = process.WithholdingRunner(env.runner, env.config.secrets)
        return measure(_workload(env, run.checked.targets, run.id, settings), runner)
    except (Interrupted, LeaseHeld):
        raise
    except DeployError as error:
        env.progress.note(f"the release before was not measured: {error.message}")
        return None


def explain_degradation(assessment: Assessment) -> VerificationFailed:
    """Make the error that a degraded release is."""
    service = assessment.subject.service
    return VerificationFailed(
        f"{service} is degraded under {count(assessment.workload.rate, 'request')} a second",
        details=assessment.lines[1:],
        remedy="inv loadtest.history draws the runs before; make it faster, or change its objectives",
        service=service,
    )


def explain_invalidity(assessment: Assessment) -> NotExamined:
    """Make the error of a person's load test that is invalid."""
    service = assessment.subject.service
    return NotExamined(
        f"the load test of {service} is invalid, and says nothing",
        details=assessment.ruling.why,
        remedy="do what stands behind each of these lines, and inv loadtest again",
        service=service,
    )


def tell_degradation(env: Environment, assessment: Assessment, *, run: str) -> None:
    """Tell every channel that a release is degraded, and why.

    Who reads it must know which commit it is, and that nothing was done about it.
    """
    alert = Alert(
        id=f"loadtest {run}",
        environment=env.name,
        state=AlertState.FIRING,
        title=explain_degradation(assessment).message,
        details=(f"{assessment.subject.commit[:7]} stays live", *assessment.ruling.why),
        remedy="inv rollback restores the release before; inv loadtest.history draws the runs before",
    )
    note_undelivered(env, env.messenger.tell_alert(alert), run)


def give_way(run: Run, settings: LoadTestSettings, *, times: int = 2) -> bool:
    """Tell whether measuring so many *times* would miss the target."""
    took = (run.env.clock.now() - run.state.at).total_seconds()
    needed = times * (STARTING + Workload(file="", hosts=(), rate=1).warm_up + seconds(settings.seconds))
    return took + needed > seconds(run.env.config.settings.target)


def load_records(env: Environment) -> Records:
    """Open the records of load tests; one that is damaged is told."""

    def tell(damaged: Damaged) -> None:
        env.progress.note(f"passed over: {damaged.message}", f"  {remedies.about(env.name, damaged.remedy)}")

    return Records(env.store, tell)


def _workload(
    env: Environment, targets: Sequence[Target], run: str, settings: LoadTestSettings, *, write: bool = False
) -> Workload:
    """Say what is sent, alike for a run and its pair."""
    first = choose_target(env, targets)
    hosts = dict.fromkeys((first.url, *(target.url for target in targets if address.is_public(target))))
    return Workload(
        file=str(env.config.root / settings.file),
        hosts=tuple(hosts),
        rate=settings.rate,
        seconds=seconds(settings.seconds),
        seed=zlib.crc32(run.encode()),
        in_flight=settings.in_flight,
        write=write,
    )
