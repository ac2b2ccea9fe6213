"""What is examined of a commit before it may be released."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, TypeVar

import msgspec

from deploylib.environment import Environment
from deploylib.errors import Blocked, DeployError, Interrupted, NotExamined
from deploylib.models import Commit, StageName, remedies
from deploylib.models.findings import Finding, Gap, Scanned, Verdict
from deploylib.models.results import Ending, StageResult, StageStatus
from deploylib.release import preflight, service_mapping
from deploylib.release.guards import read_handed_over, skip_gate
from deploylib.release.run import Run, Stage, plan_stage, result, skip_stage
from deploylib.scanners import Services, scan, scan_variables
from deploylib.system import process

__all__ = ["Scan", "examine", "judge_scan"]


Stepping = TypeVar("Stepping", Finding, Gap)


class Scan(Stage):
    """Dependencies, code, secrets, variables and Blueprint of the commit."""

    name: ClassVar[StageName] = StageName.SCAN
    needs_lease: ClassVar[bool] = False

    def plan(self, run: Run) -> StageResult:
        """Say that it would look."""
        return self._not(run) or plan_stage(self.name, f"would examine {run.commit.short}")

    def apply(self, run: Run) -> StageResult:
        """Examine; stop at what blocks and what was not seen.

        Of a commit that a job without a key has found clean, the variables are left to look at.
        """
        if why := self._not(run):
            return why
        handed = read_handed_over(run, self.name) if run.env.build else None
        scanned = examine(run.env, run.commit) if handed is None else examine_variables(run.env, run.commit)
        if scanned.verdict is not Verdict.CLEAN:
            raise _refusal(scanned)
        return result(self.name, *(handed.lines if handed else ()), scanned.line)

    def _not(self, run: Run) -> StageResult | None:
        if (given := skip_gate(run, self.name)) is not None:
            return given
        return skip_stage(self.name, "off for local (inv scan)") if run.env.config.is_local else None


def judge_scan(scanned: Scanned) -> StageResult:
    """Make the stage's result of a scan."""
    if scanned.verdict is Verdict.CLEAN:
        return result(Scan.name, scanned.line)
    error = _refusal(scanned)
    failed = result(Scan.name, error.message, *error.details, status=StageStatus.FAILED)
    return msgspec.structs.replace(failed, failure=Ending.of(error))


def examine(env: Environment, commit: Commit, *, keyless: bool = False) -> Scanned:
    """Scan the files of a commit.

    Reads only, and needs no platform unless variables are declared.

    Args:
        keyless: there is no key: whatever the platform would be asked for is left out.
    """
    settings = env.config.settings
    with env.git.export(commit.id) as files:
        services = Services(blueprint=settings.blueprint, local=env.config.is_local)
        if not keyless:
            services = _with_variables(services, env, commit)
        runner = process.WithholdingRunner(env.runner, env.config.secrets)
        scanned = scan(files, settings.scan, services, runner=runner, clock=env.clock)
    return _named(scanned, env.name)


def examine_variables(env: Environment, commit: Commit) -> Scanned:
    """Look at the declared variables, and at nothing else."""
    services = _with_variables(Services(), env, commit)
    scanners, settings = (scan_variables,), env.config.settings.scan
    return _named(scan(env.git.top(), settings, services, scanners=scanners, clock=env.clock), env.name)


def _with_variables(services: Services, env: Environment, commit: Commit) -> Services:
    declared = env.config.settings.environment_variables
    values = _variables(env, commit) if declared else {}
    return dataclasses.replace(services, declared=declared, values=values)


def _named(scanned: Scanned, environment: str) -> Scanned:
    """Make each next step name the environment examined."""

    def step(item: Stepping) -> Stepping:
        return msgspec.structs.replace(item, remedy=remedies.about(environment, item.remedy))

    parts = (
        msgspec.structs.replace(part, findings=tuple(map(step, part.findings)), gaps=tuple(map(step, part.gaps)))
        for part in scanned.examined
    )
    return msgspec.structs.replace(scanned, examined=tuple(parts))


def _refusal(scanned: Scanned) -> DeployError:
    """Make the error that a scan which is not clean means."""
    kind = Blocked if scanned.verdict is Verdict.FINDINGS else NotExamined
    seen = [f"{one.where}: {one.text}" for one in scanned.blocking]
    seen += [f"not examined: {gap.what}: {gap.reason}" for gap in scanned.gaps]
    return kind(
        f"scan: {scanned.line}",
        details=tuple(seen[:20]),
        remedy="inv scan tells each with its remedy; in an emergency --skip scan --reason …",
    )


def _variables(env: Environment, commit: Commit) -> dict[str, dict[str, str]]:
    """Read the variables of each service that can be asked.

    One that could not is left out, and so not examined.
    """
    try:
        described = preflight.read_blueprint(env.config, env.git, commit)
        names = preflight.services(env.config, described, ())
        mapped, _ = service_mapping.map_services(env.config, described, names, list(env.render.services()), env.git)
        return {target.name: env.render.variables(target.service_id) for target in mapped}
    except Interrupted:
        raise
    except DeployError:
        return {}
