"""Gates: what must be known of a commit before it may be released. They look at files and hold up nobody."""

from __future__ import annotations

from typing import ClassVar, TypeVar

import msgspec

from deploylib import check, needs, remedies, scan
from deploylib.errors import Blocked, DeployError, Interrupted, NotExamined
from deploylib.examined import Finding, Gap, Scanned, Verdict
from deploylib.models import Value
from deploylib.outcome import Ending, StageResult, StageStatus
from deploylib.process import Command, ProgramFailed, WithholdingRunner, last_lines
from deploylib.stages.context import Context, Stage, result, skipped
from deploylib.units import seconds, words

__all__ = ["GATES", "Scan", "Skipped", "Tests", "examine", "judged", "waived"]

Stepping = TypeVar("Stepping", Finding, Gap)


class Skipped(Value, frozen=True):
    """Left out by a person, who said why."""

    skipped_by: str
    reason: str


class Tests(Stage):
    """The product's own tests, by the command in the settings."""

    name: ClassVar[str] = "tests"
    holds: ClassVar[bool] = False

    def plan(self, ctx: Context) -> StageResult:
        """Say what would be started."""
        if why := self._not(ctx):
            return why
        return result(self.name, f"would run: {ctx.config.settings.tests}", status=StageStatus.PLANNED)

    def apply(self, ctx: Context) -> StageResult:
        """Run them on what is checked out, without the secrets of a release."""
        if why := self._not(ctx):
            return why
        if ctx.git.commit("HEAD").id != ctx.commit.id or ctx.git.changed():
            raise NotExamined(
                f"tests can only be run on what is checked out, and that is not {ctx.commit.short}",
                remedy=f"git switch --detach {ctx.commit.short}, and the same again",
            )
        command = Command(
            words(ctx.config.settings.tests, "tests"),
            cwd=ctx.config.root,
            env={"PATH": needs.path(ctx.config)},
            drops=ctx.config.secrets,
            timeout=seconds(ctx.config.settings.deadline),
            check=False,
            shown=True,
            tree=True,
        )
        try:
            done = ctx.runner.run(command)
        except ProgramFailed as error:  # it did not end in time
            raise NotExamined(f"tests: {error.message}", details=error.details, remedy="make them quicker") from error
        if done.returncode:
            said = (*last_lines(done.stdout), *last_lines(done.stderr, 10))
            raise Blocked(
                f"tests failed: {ctx.config.settings.tests!r} ended with code {done.returncode}",
                details=tuple(line.rstrip() for line in said if line.strip()),
                remedy="correct it, commit; in an emergency --skip tests --reason …",
            )
        last = next((line.strip(" =") for line in reversed(done.text.splitlines()) if line.strip()), "passed")
        return result(self.name, last[:100])

    def _not(self, ctx: Context) -> StageResult | None:
        if (given := waived(ctx, self.name)) is not None:
            return given
        if not ctx.config.settings.tests:
            return skipped(self.name, 'the settings name no command (tests = "…")')
        return (
            skipped(self.name, "off for local (inv tests)") if ctx.config.is_local and ctx.asked != self.name else None
        )


class Scan(Stage):
    """Dependencies, code, secrets, variables and Blueprint of the commit."""

    name: ClassVar[str] = "scan"
    holds: ClassVar[bool] = False

    def plan(self, ctx: Context) -> StageResult:
        """Say that it would look."""
        return self._not(ctx) or result(self.name, f"would examine {ctx.commit.short}", status=StageStatus.PLANNED)

    def apply(self, ctx: Context) -> StageResult:
        """Examine, and stop at what blocks and at what could not be seen."""
        if why := self._not(ctx):
            return why
        found = examine(ctx)
        if found.verdict is not Verdict.CLEAN:
            raise _refusal(found)
        return result(self.name, found.line)

    def _not(self, ctx: Context) -> StageResult | None:
        if (given := waived(ctx, self.name)) is not None:
            return given
        return skipped(self.name, "off for local (inv scan)") if ctx.config.is_local else None


GATES = (Tests.name, Scan.name)


def waived(ctx: Context, gate: str) -> StageResult | None:
    """A gate that a person leaves out; it is recorded, and told with the end of the run."""
    if gate not in ctx.skip:
        return None
    by = Skipped(skipped_by=ctx.author, reason=ctx.reason)
    told = skipped(gate, f"by {by.skipped_by}: {by.reason}")
    return msgspec.structs.replace(told, data=msgspec.to_builtins(by))


def judged(found: Scanned) -> StageResult:
    """A scan as the result of its stage."""
    if found.verdict is Verdict.CLEAN:
        return result(Scan.name, found.line)
    error = _refusal(found)
    failed = result(Scan.name, error.message, *error.details, status=StageStatus.FAILED)
    return msgspec.structs.replace(failed, failure=Ending.of(error))


def examine(ctx: Context) -> Scanned:
    """Scan the files of a commit; reads only, and needs no platform unless variables are declared.

    Raises:
        SettingsError: no repository, or no such commit.
    """
    ctx.git.top()
    ctx.commit = ctx.git.commit(ctx.ref or "HEAD")
    settings = ctx.config.settings
    with ctx.git.exported(ctx.commit.id) as files:
        found = scan.scan(
            files,
            settings.scan,
            declared=settings.environment_variables,
            values=_variables(ctx) if settings.environment_variables else {},
            blueprint_path=settings.blueprint,
            local=ctx.config.is_local,
            runner=WithholdingRunner(ctx.runner, ctx.config.secrets),
            clock=ctx.clock,
        )
    return _named(found, ctx.config.name)


def _named(found: Scanned, environment: str) -> Scanned:
    """The same, in which each next step is about the environment that was examined for."""

    def step(one: Stepping) -> Stepping:
        return msgspec.structs.replace(one, remedy=remedies.about(environment, one.remedy))

    parts = (
        msgspec.structs.replace(part, findings=tuple(map(step, part.findings)), gaps=tuple(map(step, part.gaps)))
        for part in found.examined
    )
    return msgspec.structs.replace(found, examined=tuple(parts))


def _refusal(found: Scanned) -> DeployError:
    """What a scan that is not clean means for a release."""
    kind = Blocked if found.verdict is Verdict.FINDINGS else NotExamined
    seen = [f"{one.where}: {one.text}" for one in found.blocking]
    seen += [f"not examined: {gap.what}: {gap.reason}" for gap in found.gaps]
    return kind(
        f"scan: {found.line}",
        details=tuple(seen[:20]),
        remedy="inv scan tells each with its remedy; in an emergency --skip scan --reason …",
    )


def _variables(ctx: Context) -> dict[str, dict[str, str]]:
    """The variables of each service that could be asked; one that could not is left out, and so not examined."""
    try:
        described = check.read_blueprint(ctx.config, ctx.git, ctx.commit)
        names = check.services(ctx.config, described, ())
        found, _ = check.targets(ctx.config, described, names, list(ctx.render.services()), ctx.git)
        return {target.name: ctx.render.variables(target.service_id) for target in found}
    except Interrupted:
        raise
    except DeployError:
        return {}
