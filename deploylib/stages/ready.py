"""Looking before anything is touched: is all that a release needs in order, and at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec

from deploylib import changes, check, local, mark, needs, postgres, programs
from deploylib.blueprint import Blueprint
from deploylib.errors import SettingsError, Unreachable
from deploylib.models import Kind, Service, Target
from deploylib.needs import Finding
from deploylib.outcome import StageResult
from deploylib.postgres import Facts
from deploylib.render import Refused
from deploylib.stages import survey
from deploylib.stages.context import Checked, Context, Stage, result
from deploylib.stages.survey import alone
from deploylib.units import count

T = TypeVar("T")
NOWHERE = "nothing of the Blueprint runs here: release it to an account, inv check --environment production"

__all__ = ["Check"]


class Check(Stage):
    """Working copy, Blueprint, platform, database: everything that can be known before anything is touched."""

    name: ClassVar[str] = "check"
    holds: ClassVar[bool] = False

    def plan(self, ctx: Context) -> StageResult:
        """The check itself reads only."""
        return self.apply(ctx)

    def apply(self, ctx: Context) -> StageResult:
        """Look at all of it, and refuse with every finding at once."""
        config, findings = ctx.config, list(ctx.noticed)
        described, names = self._described(ctx, findings)
        if "://" not in config.store:
            findings += check.disk(Path(config.store), config.settings.minimum_free)
        if described is not None and ctx.ref is None:
            findings += check.untracked_in_services(ctx.git, described)
        findings += self._missing(ctx, described)
        if config.is_local:
            check.require(findings, config.name)
        here = self._local(ctx) if config.is_local else local.Here(left_out=check.elsewhere(described, ctx.git))
        names = self._ours(ctx, names, here)
        targets = self._targets(ctx, described, names, findings)
        near, apart = _near(described, here)
        found, text = self._database(ctx, near, findings)
        check.require(findings, config.name)
        alone(ctx, targets, holding=False)
        source = "tree clean" if ctx.ref is None else f"commit {ctx.commit.short}"
        where = config.settings.blueprint if described else "settings"
        line = f"{where} valid · {source} · {count(len(targets), 'service')} · {text}"
        notes = described.notes if described is not None else ()
        return result(self.name, line, *notes, *here.told, *apart, data=msgspec.structs.replace(found, targets=targets))

    def _described(self, ctx: Context, findings: list[Finding]) -> tuple[Blueprint | None, tuple[str, ...]]:
        """The Blueprint, and the names of the services."""
        try:
            described = check.read_blueprint(ctx.config, ctx.git, ctx.commit, lying=ctx.lying)
        except SettingsError as error:
            findings.append(Finding.of(error))
            return None, ()
        return described, check.services(ctx.config, described, ctx.only)

    def _missing(self, ctx: Context, described: Blueprint | None) -> list[Finding]:
        """What the stages to come will not find on this machine or in its settings."""
        files = ctx.git.lying() if ctx.lying else ctx.git.files(ctx.commit.id)
        chosen = ctx.config.environment
        named = bool(chosen.database or chosen.database_url_env or (described is not None and described.databases))
        coming = [name for name in ctx.coming if name not in ctx.skip and not ctx.state.done(name)]
        database = named and not ctx.config.exported and not ctx.state.opened.back
        told = ctx.asked == self.name
        return needs.missing(ctx.config, stages=coming, files=files, database=database, told=told)

    def _targets(
        self, ctx: Context, described: Blueprint | None, names: tuple[str, ...], findings: list[Finding]
    ) -> tuple[Target, ...]:
        """The services of the platform, as far as it can be asked."""
        there = _told(lambda: list(ctx.render.services()), findings)
        if there is None:
            return ()
        known = self._known(ctx)
        check.require_known(ctx.config, names, there, known)
        targets, found = check.targets(ctx.config, described, names, there, ctx.git, known=known)
        findings += found + (self._not_pushed(ctx, there) or self._built_from_tips(ctx, targets, there))
        return targets

    def _database(self, ctx: Context, described: Blueprint | None, findings: list[Finding]) -> tuple[Checked, str]:
        """The database as it is found; a rollback needs none, so that it only says what it could not see."""
        name = _told(lambda: check.database(ctx.config, described), findings)
        if name is None:
            return Checked(), ""
        try:
            facts, text = self._server(ctx, name)
        except (Refused, SettingsError, Unreachable) as error:
            if ctx.state.opened.back:
                return Checked(database=name), f"the database was not looked at: {error.message}"
            self._client(ctx, described, findings)
            _tell(error, findings)
            return Checked(database=name), ""
        return Checked(database=name, facts=facts), text

    def _server(self, ctx: Context, name: str) -> tuple[Facts | None, str]:
        """What there is to know of it, and that there are programs for it here."""
        config = ctx.config
        if config.exported:
            version = ctx.render.database(name).version
            if version.isdigit():
                programs.client_for(int(version), config.settings.postgres_bin, runner=ctx.runner)
            return None, f"Postgres {version}, which is not opened from here"
        url = check.address(config, ctx.render, name)
        if url is None:
            return None, "no database"
        facts = postgres.facts(url)
        mark.require_none(mark.of(facts), config.flag)
        programs.client_for(facts.major, config.settings.postgres_bin, runner=ctx.runner)
        return facts, f"Postgres {facts.major}"

    def _client(self, ctx: Context, described: Blueprint | None, findings: list[Finding]) -> None:
        """Programs for the server that the Blueprint names, where it could not be asked itself."""
        majors = {one.postgres_major_version for one in described.databases} if described is not None else set()
        for major in sorted(int(each) for each in majors if each.isdigit()):
            try:
                programs.client_for(major, ctx.config.settings.postgres_bin, runner=ctx.runner)
            except SettingsError as error:
                _tell(error, findings)

    def _known(self, ctx: Context) -> dict[str, str]:
        """The services that an earlier run has found, by name: their ids."""
        earlier = ctx.ledger.newest(ctx.config.name, lambda state: state.done(self.name), 20)
        found = earlier.data(self.name, Checked).targets if earlier is not None else ()
        return {target.name: target.service_id for target in found}

    def _ours(self, ctx: Context, names: tuple[str, ...], here: local.Here) -> tuple[str, ...]:
        """The services that can be released.

        Raises:
            SettingsError: one that was asked for cannot, or none can.
        """
        ours = tuple(name for name in names if name not in here.left_out)
        for name, reason in here.left_out.items():
            if name in ctx.only or (name in names and not ours):
                where = f"leave {name} out: inv deploy --service {ours[0]}" if ours else NOWHERE
                raise SettingsError(f"{name} cannot be released here: {reason}", details=here.told, remedy=where)
        return ours

    def _local(self, ctx: Context) -> local.Here:
        """Start the local Render; what it cannot run is left out."""
        first = not local.running(ctx.config)
        if first:
            ctx.view.note("Starting a local Render (no account needed) …")
        said = local.up(ctx.config, runner=ctx.writer, only=ctx.only)
        if first:
            versions = ", ".join(sorted({f"Postgres {d['version']}" for d in said.get("databases", {}).values()}))
            ctx.view.note(f"{versions or 'no database'} · edge on 127.0.0.1 · stop it: inv local.down")
        return local.here(ctx.config, said)

    def _not_pushed(self, ctx: Context, there: list[Service]) -> list[Finding]:
        """The platform builds from the remote: a commit that is only here cannot be deployed, and going back builds none."""
        if ctx.config.is_local or ctx.state.opened.back:
            return []
        branches = {service.branch for service in there if service.branch}
        if any(ctx.git.is_pushed(ctx.commit.id, branch) for branch in branches):
            return []
        text = f"{ctx.commit.short} is on none of the remote branches {', '.join(sorted(branches))}"
        return [Finding(text, check.push(ctx.git, there))]

    def _built_from_tips(self, ctx: Context, targets: tuple[Target, ...], there: list[Service]) -> list[Finding]:
        """Cron jobs that Render would build from another commit: it takes none for them but the tip of their branch."""
        branches = {service.id: service.branch for service in there}
        found = []
        for target in targets if not ctx.state.opened.back else ():
            branch = branches.get(target.service_id, "")
            commit = ctx.wanted.get(target.name, "" if ctx.wanted else ctx.commit.id)
            if target.kind is not Kind.CRON or not branch or not commit:
                continue
            tips = ctx.git.tips_of(branch, here=ctx.config.is_local)
            good = changes.as_good(target, commit, git=ctx.git, shared=ctx.config.settings.shared)
            if tips and not {commit, *good} & set(tips) and self._deploys(ctx, target, commit):
                text = (
                    f"{target.name}: a cron job is built from the tip of its branch, and {branch} is at {tips[0][:7]}, which "
                    f"has other files of it than {commit[:7]}"
                )
                remedy = f"git fetch, then release that commit: inv deploy --commit {tips[0][:7]}"
                found.append(Finding(text, f"{remedy}; or let {branch} be at {commit[:7]} (git push)"))
        return found

    def _deploys(self, ctx: Context, target: Target, commit: str) -> bool:
        """Whether this run would deploy a service; one that cannot be compared is told of by the stage that decides."""
        wanted = {target.name: commit} if ctx.wanted else {}
        try:
            live = {target.name: ctx.live_of(target, strict=False)}
            return survey.decide(ctx, (target,), live, wanted).of(target.name).deploy
        except (Refused, SettingsError, Unreachable):
            return False


def _near(described: Blueprint | None, here: local.Here) -> tuple[Blueprint | None, tuple[str, ...]]:
    """The Blueprint with the databases that are made here, and what is said of the others: nothing asked for needs them."""
    if described is None or here.databases is None:
        return described, ()
    near = tuple(one for one in described.databases if one.name in here.databases)
    apart = [one.name for one in described.databases if one not in near]
    told = tuple(f"left out here: the database {name}, which nothing that was asked for needs" for name in apart)
    return msgspec.structs.replace(described, databases=near), told


def _told(look: Callable[[], T], findings: list[Finding]) -> T | None:
    """What a look finds, or None and one more finding."""
    try:
        return look()
    except (SettingsError, Unreachable) as error:
        _tell(error, findings)
        return None


def _tell(error: Refused | SettingsError | Unreachable, findings: list[Finding]) -> None:
    """Add what stopped a look to what was found; alone it is told as what it is.

    Raises:
        Unreachable: nothing else was found, and the platform, the store or the database does not answer.
    """
    if not findings and not isinstance(error, SettingsError):
        raise error
    if (found := Finding.of(error)) not in findings:
        findings.append(found)
