"""Looking before anything is touched.

Is all that a release needs in order, and at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec

from deploylib import fitness
from deploylib.backups import restore_mark
from deploylib.errors import SettingsError, Unreachable
from deploylib.models import Checked, Facts, Kind, Service, StageName, Target
from deploylib.models.results import StageResult
from deploylib.models.units import count
from deploylib.postgres import binaries, connection
from deploylib.release import changes, preflight, prerequisites, readiness, service_mapping, under_load
from deploylib.release.changes import decide
from deploylib.release.guards import GATES, read_handed_over, wait_until_alone
from deploylib.release.prerequisites import CheckFinding
from deploylib.release.readiness import Readiness
from deploylib.release.run import Run, Stage, result
from deploylib.release.serving import live_of
from deploylib.render import Refused, blueprints, local

NOWHERE = "nothing of the Blueprint runs here: release it to an account, inv check --environment production"

__all__ = ["Check"]

T = TypeVar("T")


class Check(Stage):
    """Working copy, Blueprint, platform, database.

    Everything that can be known before anything is touched.
    """

    name: ClassVar[StageName] = StageName.CHECK
    needs_lease: ClassVar[bool] = False

    def plan(self, run: Run) -> StageResult:
        """Look at all of it; the check only reads."""
        return self.apply(run)

    def apply(self, run: Run) -> StageResult:
        """Look at all of it, and refuse with every finding at once."""
        config, findings = run.env.config, list(run.noticed)
        described, names = self._described(run, findings)
        if "://" not in config.store:
            findings += preflight.disk(Path(config.store), config.settings.minimum_free)
        if not run.back:  # who goes back needs it too, and learns it from the lease that is next
            findings += preflight.read_only(run.env.store)
        if described is not None and not run.options.commit:
            findings += preflight.find_untracked(run.env.git, described)
        findings += self._missing(run, described)
        if config.is_local:
            preflight.require_ready(findings, config.name)
        here = (
            self._local(run)
            if config.is_local
            else local.Here(left_out=service_mapping.elsewhere(described, run.env.git))
        )
        names = self._ours(run, names, here)
        targets = self._targets(run, described, names, findings)
        near, apart = _near(described, here)
        facts, text = self._database(run, near, findings)
        asked = run.options.asked == self.name and not run.back  # a release has enough to tell
        looks = list(self._look(run, described, targets, facts)) if asked else []
        findings += [finding for seen in looks for finding in seen.findings if finding not in findings]
        preflight.require_ready(findings, config.name)
        wait_until_alone(run, targets)
        source = "tree clean" if not run.options.commit else f"commit {run.commit.short}"
        where = config.settings.blueprint if described else "settings"
        line = f"{where} valid · {source} · {count(len(targets), 'service')} · {text}"
        notes = (*described.notes, *_unfit(run, described)) if described is not None else ()
        if asked:
            notes += service_mapping.health_reminders(targets, described)
            notes += preflight.note_unknown(config, described)
        notes = (*notes, *(note for seen in looks for note in seen.notes), *self._propose(run))
        return result(self.name, line, *notes, *here.told, *apart, data=msgspec.structs.replace(facts, targets=targets))

    def _described(self, run: Run, findings: list[CheckFinding]) -> tuple[blueprints.Blueprint | None, tuple[str, ...]]:
        """Read the Blueprint, and the names of the services."""
        try:
            described = preflight.read_blueprint(run.env.config, run.env.git, run.commit, lying=run.uncommitted)
        except SettingsError as error:
            findings.append(CheckFinding.of(error))
            return None, ()
        return described, preflight.services(run.env.config, described, run.services)

    def _missing(self, run: Run, described: blueprints.Blueprint | None) -> list[CheckFinding]:
        """Find what the coming stages lack here."""
        files = run.env.git.lying() if run.uncommitted else run.env.git.files(run.commit.id)
        chosen = run.env.config.environment
        named = bool(chosen.database or chosen.database_url_env or (described is not None and described.databases))
        handed = (gate for gate in GATES if run.env.build and read_handed_over(run, gate) is not None)
        left = {*run.options.skip, *handed}
        coming = [name for name in run.coming if name not in left and not run.state.has_done(name)]
        if run.back:  # a smoke request that could not be asked stops nobody who goes back
            coming = [name for name in coming if name != StageName.VERIFY]
        database = named and not run.env.config.exported and not run.back
        asked = run.options.asked == self.name
        lacking = prerequisites.missing(run.env.config, stages=coming, files=files, database=database, asked=asked)
        if described is not None and not run.back:
            lacking += preflight.find_lost_folders(described, files, run.services)
        return lacking

    def _targets(
        self, run: Run, described: blueprints.Blueprint | None, names: tuple[str, ...], findings: list[CheckFinding]
    ) -> tuple[Target, ...]:
        """Ask for the platform's services, as far as that can be."""
        there = _told(lambda: list(run.env.render.services()), findings)
        if there is None:
            return ()
        known = self._known(run)
        service_mapping.require_known(run.env.config, names, there, known)
        targets, faults = service_mapping.map_services(
            run.env.config, described, names, there, run.env.git, known=known
        )
        findings += faults + (self._not_pushed(run, there) or self._built_from_tips(run, targets, there))
        return targets

    def _look(
        self, run: Run, described: blueprints.Blueprint | None, targets: tuple[Target, ...], facts: Checked
    ) -> Iterator[Readiness]:
        """Look at what only somebody who asks is told."""
        yield readiness.look_at_commit(run)
        if not run.env.config.is_local:
            yield readiness.look_at_store(run.env)
            if facts.facts is not None:
                yield readiness.look_at_database(run, facts.database)
            if targets:
                yield readiness.look_at_platform(run, described, targets)

    def _propose(self, run: Run) -> tuple[str, ...]:
        """Propose a load test where one can do no harm."""
        return under_load.propose(run.env) if run.options.asked == self.name and not run.back else ()

    def _database(
        self, run: Run, described: blueprints.Blueprint | None, findings: list[CheckFinding]
    ) -> tuple[Checked, str]:
        """Look at the database.

        A rollback needs none, so that it only says what it could not see.
        """
        name = _told(lambda: preflight.database(run.env.config, described), findings)
        if name is None:
            return Checked(), ""
        try:
            facts, text = self._server(run, name)
        except (Refused, SettingsError, Unreachable) as error:
            if run.back:
                return Checked(database=name), f"the database was not looked at: {error.message}"
            self._client(run, described, findings)
            _tell(error, findings)
            return Checked(database=name), ""
        return Checked(database=name, facts=facts), text

    def _server(self, run: Run, name: str) -> tuple[Facts | None, str]:
        """Look at the server, and at programs for it here."""
        config = run.env.config
        if config.exported:
            version = run.env.render.database(name).version
            if version.isdigit():
                binaries.client_for(int(version), config.postgres_bin, runner=run.env.runner)
            return None, f"Postgres {version}, which is not opened from here"
        url = preflight.address(config, run.env.render, name)
        if url is None:
            return None, "no database"
        facts = connection.facts(url)
        restore_mark.require_no_mark(restore_mark.parse_mark(facts), config.flag)
        binaries.client_for(facts.major, config.postgres_bin, runner=run.env.runner)
        return facts, f"Postgres {facts.major}"

    def _client(self, run: Run, described: blueprints.Blueprint | None, findings: list[CheckFinding]) -> None:
        """Find programs for the server that the Blueprint names."""
        majors = {one.postgres_major_version for one in described.databases} if described is not None else set()
        for major in sorted(int(each) for each in majors if each.isdigit()):
            try:
                binaries.client_for(major, run.env.config.postgres_bin, runner=run.env.runner)
            except SettingsError as error:
                _tell(error, findings)

    def _known(self, run: Run) -> dict[str, str]:
        """Find the ids of services from an earlier run, by name."""
        earlier = run.env.history.find_newest(run.env.name, lambda state: state.has_done(self.name), 20)
        earlier_targets = earlier.checked.targets if earlier is not None else ()
        return {target.name: target.service_id for target in earlier_targets}

    def _ours(self, run: Run, names: tuple[str, ...], here: local.Here) -> tuple[str, ...]:
        """Choose the services that can be released.

        Raises:
            SettingsError: one that was asked for cannot, or none can.
        """
        ours = tuple(name for name in names if name not in here.left_out)
        for name, reason in here.left_out.items():
            if name in run.services or (name in names and not ours):
                where = f"leave {name} out: inv deploy --service {ours[0]}" if ours else NOWHERE
                raise SettingsError(f"{name} cannot be released here: {reason}", details=here.told, remedy=where)
        return ours

    def _local(self, run: Run) -> local.Here:
        """Start the local Render; what it cannot run is left out."""
        first = not local.is_running(run.env.config)
        if first:
            run.env.progress.note("Starting a local Render (no account needed) …")
        status = local.up(run.env.config, runner=run.env.writer, only=run.services)
        if first:
            versions = ", ".join(sorted({f"Postgres {d['version']}" for d in status.get("databases", {}).values()}))
            run.env.progress.note(f"{versions or 'no database'} · edge on 127.0.0.1 · stop it: inv local.down")
        return local.read_here(run.env.config, status)

    def _not_pushed(self, run: Run, there: list[Service]) -> list[CheckFinding]:
        """Find services whose remote does not have the commit.

        A commit that is only here cannot be deployed, and going back builds none.
        """
        if run.env.config.is_local or run.back:
            return []
        branches = {service.branch for service in there if service.branch}
        if any(run.env.git.is_pushed(run.commit.id, branch) for branch in branches):
            return []
        where = ", ".join(sorted(branches)) or "any branch of it"
        text = f"{run.commit.short} is not pushed: the remote does not have it in {where}"
        return [CheckFinding(text, service_mapping.push(run.env.git, there))]

    def _built_from_tips(self, run: Run, targets: tuple[Target, ...], there: list[Service]) -> list[CheckFinding]:
        """Find cron jobs that Render would build from another commit.

        It takes none for them but the tip of their branch.
        """
        branches = {service.id: service.branch for service in there}
        findings = []
        for target in targets if not run.back else ():
            branch = branches.get(target.service_id, "")
            commit = run.wanted.get(target.name, "" if run.wanted else run.commit.id)
            if target.kind is not Kind.CRON or not branch or not commit:
                continue
            tips = run.env.git.tips_of(branch, here=run.env.config.is_local)
            good = changes.as_good(target, commit, git=run.env.git, shared=run.env.config.settings.shared)
            if tips and not {commit, *good} & set(tips) and self._deploys(run, target, commit):
                text = (
                    f"{target.name}: a cron job is built from the tip of its branch, and {branch} is at {tips[0][:7]}, which "
                    f"has other files of it than {commit[:7]}"
                )
                remedy = f"git fetch, then release that commit: inv deploy --commit {tips[0][:7]}"
                findings.append(CheckFinding(text, f"{remedy}; or let {branch} be at {commit[:7]} (git push)"))
        return findings

    def _deploys(self, run: Run, target: Target, commit: str) -> bool:
        """Tell whether this run would deploy a service.

        One that cannot be compared is told of by the stage that decides.
        """
        wanted = {target.name: commit} if run.wanted else {}
        try:
            live = {target.name: live_of(run.env, target, strict=False)}
            return decide(run, (target,), live, wanted).of(target.name).deploy
        except (Refused, SettingsError, Unreachable):
            return False


def _near(
    described: blueprints.Blueprint | None, here: local.Here
) -> tuple[blueprints.Blueprint | None, tuple[str, ...]]:
    """Read the Blueprint with the databases that are made here."""
    if described is None or here.databases is None:
        return described, ()
    near = tuple(one for one in described.databases if one.name in here.databases)
    apart = [one.name for one in described.databases if one not in near]
    remarks = tuple(f"left out here: the database {name}, which nothing that was asked for needs" for name in apart)
    return msgspec.structs.replace(described, databases=near), remarks


def _unfit(run: Run, described: blueprints.Blueprint) -> tuple[str, ...]:
    """Remind of what was unfit when it was measured on this machine.

    Whoever cannot read that is told, and hindered by nothing.
    """
    here = run.env if run.env.config.is_local else run.env.beside("local")
    try:
        return fitness.remind(here.store, {one.name: one.start_command for one in described.deployable})
    except (SettingsError, Unreachable) as error:
        return (f"whether the programs are fit is not known: {error.message}",)


def _told(look: Callable[[], T], findings: list[CheckFinding]) -> T | None:
    """Ask; give the answer, or None and one more finding."""
    try:
        return look()
    except (SettingsError, Unreachable) as error:
        _tell(error, findings)
        return None


def _tell(error: Refused | SettingsError | Unreachable, findings: list[CheckFinding]) -> None:
    """Add what stopped a look to what was found.

    Alone it is told as what it is.

    Raises:
        Unreachable: nothing else was found, and the platform, the store or the database does not answer.
    """
    if not findings and not isinstance(error, SettingsError):
        raise error
    if (finding := CheckFinding.of(error)) not in findings:
        findings.append(finding)
