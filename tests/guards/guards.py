"""The safeguards of the library: where each is, how it is taken out, and the test that must fail then."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """One safeguard.

    Attributes:
        what: it guards against.
        file: that it is in.
        old: text that is there once.
        new: what takes its place when the safeguard is taken out.
        test: that must fail without it.
    """

    what: str
    file: str
    old: str
    new: str
    test: str


RELEASE, CROWD = "tests/failures/test_release.py::", "tests/failures/test_crowd.py::"
BACK, LOST = "tests/failures/test_going_back.py::", "tests/failures/test_lost_answers.py::"
DATABASE = "tests/failures/test_database.py::"
LIMITS, SIGNALS = "tests/unit/test_web_limits.py::", "tests/hostile/test_signals.py::"

GUARDS = (
    Guard(
        "a release of two halves",
        "deploylib/recovery.py",
        "        recover(ctx)\n",
        "        return first\n",
        f"{RELEASE}test_a_partial_failure_is_put_back_as_one_unit",
    ),
    Guard(
        "a failed build that is told as something else",
        "deploylib/causes.py",
        "    if deploy.status is DeployStatus.BUILD_FAILED:\n",
        "    if False:\n",
        f"{RELEASE}test_a_build_of_one_service_only_promotes_none",
    ),
    Guard(
        "a dead command that keeps the environment",
        "deploylib/lease.py",
        '"dead" if holder.dead else "held"',
        '"held"',
        "tests/crash/test_seeded_kills.py::test_five_crashes_are_settled",
    ),
    Guard(
        "an answer that never came, told as a bug",
        "deploylib/render.py",
        "except (_Again, HttpError) as error:",
        "except HttpError as error:",
        f"{LOST}test_a_platform_that_answers_nothing_is_unreachable",
    ),
    Guard(
        "a canceled deploy that is taken for somebody else's",
        "deploylib/causes.py",
        "    return DeployStopped(\n",
        "    return ForeignDeploy(\n",
        f"{RELEASE}test_a_deploy_that_somebody_canceled",
    ),
    Guard(
        "a first release that is to be put back to nothing",
        "deploylib/recovery.py",
        "        if intent.previous.deploy_id:\n",
        "        if True:\n",
        f"{RELEASE}test_a_first_deploy_has_nothing_to_go_back_to",
    ),
    Guard(
        "a migration that failed, told without the revision that was reached",
        "deploylib/migrate.py",
        '    if "failed" in found:\n',
        "    if False:\n",
        "tests/integration/test_failures.py::test_a_migration_that_fails",
    ),
    Guard(
        "a build that fails while its sibling goes live later",
        "deploylib/recovery.py",
        "            deploy.settle(target, deploy_id, render=ctx.render, clock=ctx.clock, deadline=deadline)\n",
        "",
        f"{RELEASE}test_a_failed_build_is_told_at_once",
    ),
    Guard(
        "two releases at once",
        "deploylib/lease.py",
        '        return self.state == "held"\n',
        "        return False\n",
        f"{CROWD}test_two_releases_at_once",
    ),
    Guard(
        "a deploy of somebody else on its way",
        "deploylib/stages/survey.py",
        "            if one.id not in left:\n",
        "            if one.id not in left and False:\n",
        f"{CROWD}test_a_deploy_of_somebody_else_that_is_on_its_way",
    ),
    Guard(
        "undoing what somebody else has deployed",
        "deploylib/recovery.py",
        "if ctx.live_of(target).deploy_id != made[target.name] and target.name not in ctx.state.back_intents:",
        "if False:",
        f"{CROWD}test_somebody_has_gone_back_before_us",
    ),
    Guard(
        "a deploy in our place that is taken for a failure of ours",
        "deploylib/causes.py",
        "    if newest.id != deploy.id:\n",
        "    if False:\n",
        f"{CROWD}test_somebody_else_takes_the_place_of_our_deploy",
    ),
    Guard(
        "rolling back because a newer release was quicker",
        "deploylib/stages/release.py",
        "raise (_superseded(ctx, error) or error) from error",
        "raise error from error",
        f"{CROWD}test_a_newer_release_in_our_place_is_no_failure",
    ),
    Guard(
        "going back by releasing an older commit",
        "deploylib/changes.py",
        "    if git.is_ancestor(head.id, base):\n",
        "    if False:\n",
        f"{CROWD}test_an_older_commit_is_refused",
    ),
    Guard(
        "a release during a freeze",
        "deploylib/attempt.py",
        "            stages.not_held(ctx)\n",
        "            pass\n",
        f"{CROWD}test_a_person_holds_everything",
    ),
    Guard(
        "asking twice for what was accepted",
        "deploylib/acceptance.py",
        "    accepted = accepted or _find(order, intent, render, clock, within=look_for)\n",
        "    if accepted is None:\n        accepted, lost = _send(order, render)\n",
        f"{LOST}test_a_deploy_whose_answer_was_lost_is_adopted",
    ),
    Guard(
        "sending again what may have arrived",
        "deploylib/acceptance.py",
        "    if accepted is None:\n        raise PersonNeeded(",
        "    if accepted is None:\n        accepted, lost = _send(order, render)\n    if accepted is None:\n"
        "        raise PersonNeeded(",
        f"{LOST}test_a_deploy_that_may_never_have_arrived_is_not_sent_again",
    ),
    Guard(
        "giving up at the first bad answer",
        "deploylib/render.py",
        "on=_back_off, attempts=6",
        "on=_back_off, attempts=1",
        f"{LOST}test_reads_are_asked_again",
    ),
    Guard(
        "a write that was one too many",
        "deploylib/render.py",
        "on=_back_off_unsent, attempts=6",
        "on=_back_off_unsent, attempts=1",
        f"{LOST}test_a_deploy_that_was_one_too_many_is_sent_again",
    ),
    Guard(
        "a word of the platform that we do not know",
        "deploylib/models/platform.py",
        "    def _missing_(cls, _value: object) -> DeployStatus:\n        return cls.UNKNOWN\n",
        "    def _missing_(cls, _value: object) -> DeployStatus:\n        return cls.CANCELED\n",
        f"{LOST}test_a_status_that_nobody_knows_is_waited_for",
    ),
    Guard(
        "null where the document promises a value",
        "deploylib/answers.py",
        'commit=part(item, "commit").get("id") or "",',
        'commit=item["commit"]["id"],',
        f"{LOST}test_nulls_as_they_are_on_the_wire",
    ),
    Guard(
        "an answer of the old version as a failure",
        "deploylib/verify.py",
        "            if not expected.previous.startswith(served):\n",
        "            if True:\n",
        f"{RELEASE}test_an_answer_of_the_old_version_is_not_yet",
    ),
    Guard(
        "a version that nobody of us released",
        "deploylib/verify.py",
        "    if live is not None and live.commit and live.commit != expected.commit:\n",
        "    if False:\n",
        f"{RELEASE}test_what_the_platform_says_is_live_instead_is_somebody_elses",
    ),
    Guard(
        "our own fault, told as somebody else's",
        "deploylib/verify.py",
        "    if live is not None and live.commit and live.commit != expected.commit:\n",
        "    if True:\n",
        f"{RELEASE}test_a_name_that_nobody_released_is_our_own_fault",
    ),
    Guard(
        "a platform that went away, told as a failure",
        "deploylib/stages/unknown.py",
        "    if not ctx.state.intents or",
        "    if True or",
        f"{RELEASE}test_a_platform_that_goes_away_while_it_deploys_is_not_a_failure",
    ),
    Guard(
        "a page that is still the old one",
        "deploylib/verify.py",
        "        elif not expected.commit.startswith(served):\n",
        "        elif target.kind is not Kind.STATIC and not expected.commit.startswith(served):\n",
        f"{RELEASE}test_a_page_of_the_old_version_is_no_release",
    ),
    Guard(
        "well once, and then it crashes",
        "deploylib/verify.py",
        "        if pace.bake > 0:\n            _bake(target, asking, clock, pace, progress)\n",
        "        if False:\n            _bake(target, asking, clock, pace, progress)\n",
        f"{RELEASE}test_well_once_and_then_it_crashes",
    ),
    Guard(
        "health that flaps",
        "deploylib/verify.py",
        "        if window.count(False) >= BAD_OF_LAST[0] or deadline.passed():\n",
        "        if deadline.passed():\n            return None\n        if False:\n",
        f"{RELEASE}test_health_that_flaps_does_not_count",
    ),
    Guard(
        "a redirect in place of health",
        "deploylib/web.py",
        "return 200 <= self.status < 300",
        "return 200 <= self.status < 400",
        f"{RELEASE}test_a_redirect_is_no_health",
    ),
    Guard(
        "silence as a pass",
        "deploylib/verify.py",
        "        if answer is None or not answer.ok:\n            window.append(clock",
        "        if answer is None or answer.status >= 500:\n            return None\n"
        "        if answer is None or not answer.ok:\n"
        "            window.append(clock",
        f"{RELEASE}test_no_answer_is_no_pass",
    ),
    Guard(
        "waiting for the platform's own limit",
        "deploylib/deploy.py",
        "    if deploy.status is DeployStatus.UPDATING and starting > start_within:\n",
        "    if False:\n",
        f"{RELEASE}test_a_health_check_that_never_answers_is_cut_short",
    ),
    Guard(
        "a deploy that does not end",
        "deploylib/deploy.py",
        "    if deadline.passed():\n        raise DeployStopped(",
        "    if False:\n        raise DeployStopped(",
        f"{RELEASE}test_a_deploy_that_does_not_end_is_stopped_at_the_deadline",
    ),
    Guard(
        "building on a state that nobody asked for",
        "deploylib/recovery.py",
        "    ctx.holds.place((), ",
        "    (lambda *_, **__: None)((), ",
        f"{BACK}test_a_recovery_that_fails_needs_a_person",
    ),
    Guard(
        "a rollback to what the platform does not keep",
        "deploylib/acceptance.py",
        "        if order.from_deploy:\n            raise _ArtifactGone(error.message) from error\n",
        "",
        f"{BACK}test_an_artifact_that_is_no_longer_kept",
    ),
    Guard(
        "shipping again what was gone back from",
        "deploylib/ending.py",
        "    if state.opened.back and left:\n",
        "    if False:\n",
        f"{BACK}test_the_commit_that_was_left_is_held_and_a_newer_one_clears_it",
    ),
    Guard(
        "a hold that nothing ends",
        "deploylib/hold.py",
        "            if mended or (hold.everything and hold.run):\n",
        "            if hold.everything and hold.run:\n",
        f"{BACK}test_the_commit_that_was_left_is_held_and_a_newer_one_clears_it",
    ),
    Guard(
        "going back to what is known to be bad",
        "deploylib/rollback.py",
        "(named or not set(commits.values()) & set(bad))",
        "True",
        f"{BACK}test_a_known_bad_release_is_passed_over",
    ),
    Guard(
        "releasing again what did not prove itself",
        "deploylib/recovery.py",
        "    if first.exit_code == VerificationFailed.exit_code and",
        "    if False and",
        f"{BACK}test_a_release_that_was_live_and_unfit_is_held",
    ),
    Guard(
        "code that does not go with the schema",
        "deploylib/stages/back.py",
        "            self._fits(ctx, release, history)\n",
        "",
        f"{DATABASE}test_across_a_compatible_schema_and_not_across_an_incompatible_one",
    ),
    Guard(
        "a migration under code that needs what it takes away",
        "deploylib/stages/survey.py",
        "        self._goes_with(ctx, migration)\n",
        "",
        f"{DATABASE}test_a_migration_that_the_serving_code_does_not_survive",
    ),
    Guard(
        "a migration that waits for ever, and all readers behind it",
        "deploylib/migrators.py",
        "-c lock_timeout={lock} ",
        "",
        f"{DATABASE}test_a_migration_that_waits_for_a_lock",
    ),
    Guard(
        "a migration that fails on the data",
        "deploylib/stages/data.py",
        "        hazards.require(examined)\n",
        "",
        f"{DATABASE}test_a_migration_that_fails_on_the_copy_is_never_run",
    ),
    Guard(
        "a migration that locks too much",
        "deploylib/stages/survey.py",
        "        hazards.require(examined)\n",
        "",
        f"{DATABASE}test_a_migration_that_holds_readers_up_is_refused",
    ),
    Guard(
        "a restore in the place of what was never backed up",
        "deploylib/backups.py",
        "    if into == DATABASE:\n        _saved(ctx)\n",
        "",
        "tests/failures/test_lost_data.py::test_into_the_database_itself",
    ),
    Guard(
        "a dump while migrating",
        "deploylib/postgres.py",
        'while not _one(connection, "select pg_try_advisory_lock(%s)", LOCK):',
        "while False:",
        f"{DATABASE}test_backup_and_migration_wait_for_each_other",
    ),
    Guard(
        "a gate that is left out without a word",
        "deploylib/attempt.py",
        "    if ctx.skip and not ctx.reason.strip():\n",
        "    if False:\n",
        "tests/failures/test_gates.py::test_a_gate_that_is_left_out_is_told",
    ),
    Guard(
        "a message that nobody got and nobody knows of",
        "deploylib/ending.py",
        "        if not sent.delivered:\n",
        "        if False:\n",
        "tests/failures/test_told.py::test_slack_does_not_answer",
    ),
    Guard(
        "a clean-up that makes a success a failure",
        "deploylib/stages/data.py",
        '        except DeployError as error:\n            return (f"older ones',
        '        except ZeroDivisionError as error:\n            return (f"older ones',
        "tests/unit/test_stages.py::test_a_store_that_keeps_what_should_go",
    ),
    Guard(
        "a half-finished run under a new one",
        "deploylib/attempt.py",
        "        for left in left_behind(ctx):\n            settle(ctx, left)\n",
        "        for left in left_behind(ctx):\n            abandon(ctx, left)\n",
        "tests/unit/test_flow_crash.py::test_a_newer_commit_ends_what_was_left_first",
    ),
    Guard(
        "a recovery that is begun anew",
        "deploylib/recovery.py",
        "        intents=ctx.state.back_intents,\n        triggered=ctx.state.back_triggered,\n",
        "",
        "tests/unit/test_flow_crash.py::test_a_recovery_goes_on_where_it_was_killed",
    ),
    Guard(
        "a rollback that goes on to another release than it had chosen",
        "deploylib/stages/back.py",
        "        if ctx.state.restoring is not None:\n            release",
        "        if False:\n            release",
        "tests/unit/test_flow_crash.py::test_a_rollback_goes_on_to_the_release_that_it_had_chosen",
    ),
    Guard(
        "a dump that was cut by its program's death",
        "deploylib/process.py",
        '            if child.wait() != 0:\n                raise _failed(command, f"ended with',
        '            if child.wait() > 0:\n                raise _failed(command, f"ended with',
        "tests/backup/test_killed.py::test_a_pg_dump_that_is_killed_is_no_backup",
    ),
    Guard(
        "what a killed backup has left on its way",
        "deploylib/manifest.py",
        "        store.sweep(f",
        "        str(f",
        "tests/backup/test_whole_backup.py::test_a_kill_leaves_nothing_after_the_next_run",
    ),
    Guard(
        "a dump that nobody has given up",
        "deploylib/manifest.py",
        "                remove(store, key)",
        "                pass",
        "tests/backup/test_whole_backup.py::test_a_store_that_goes_away_leaves_the_last_good_one",
    ),
    Guard(
        "a backup of something else",
        "deploylib/proof.py",
        "    if wrong := differences(expected, found):",
        "    if wrong := ():",
        "tests/backup/test_corruption.py::test_a_dump_of_something_else_is_found_out_by_name",
    ),
    Guard(
        "a damaged dump",
        "deploylib/archive.py",
        "    if digest.hexdigest() != backup.sha256:",
        "    if False:",
        "tests/backup/test_corruption.py::test_a_damaged_dump_is_never_restored",
    ),
    Guard(
        "a lock that is nobody's",
        "deploylib/postgres.py",
        "            return\n    raise SettingsError(\n        \"the database's URL leads to a pooler",
        "            return\n    return\n    raise SettingsError(\n        \"the database's URL leads to a pooler",
        "tests/migrations/test_pooler.py::test_a_pooler_is_refused_before_anything",
    ),
    Guard(
        "a rehearsal in earnest",
        "deploylib/rehearsal.py",
        "        if not entered():",
        "        if False:",
        "tests/migrations/test_other_tools.py::test_a_tool_that_does_not_open_the_copy_is_not_let_loose",
    ),
    Guard(
        "a migration of a database that nobody has backed up, as nobody can open it",
        "deploylib/stages/data.py",
        "        if exported and (changed := self._changed_migrations(ctx)):",
        '        if exported and (changed := ""):',
        "tests/integration/test_exported_backups.py::test_only_a_release_with_a_migration_waits_for_an_export",
    ),
    Guard(
        "a look that takes every lock of the server",
        "deploylib/snapshot.py",
        "        if batch and weight > left:",
        "        if False:",
        "tests/backup/test_refusals.py::test_a_database_of_many_tables_is_read_within_its_locks",
    ),
    Guard(
        "a refusal of any kind that is blamed on rights",
        "deploylib/postgres.py",
        "rights if rights and sqlstates.is_right(error.sqlstate) else",
        "rights if rights else",
        "tests/backup/test_refusals.py::test_each_refusal_is_told_with_the_step_that_fits",
    ),
    Guard(
        "a migration after which there is no backup",
        "deploylib/stages/data.py",
        "    if tried.cause:",
        "    if False:",
        f"{DATABASE}test_a_migration_that_makes_the_database_unrestorable_is_refused",
    ),
    Guard(
        "the only dump there is, thrown away for want of a proof",
        "deploylib/backup.py",
        "        except (BackupFailed, ProgramFailed) as error:\n            failed",
        "        except ZeroDivisionError as error:\n            failed",
        f"{DATABASE}test_a_backup_that_cannot_be_proven_is_kept_and_a_person_may_go_on",
    ),
    Guard(
        "a scratch server's death that is told as something else",
        "deploylib/scratch.py",
        "                _require_alive(place, url, error)\n",
        "",
        "tests/backup/test_refusals.py::test_a_scratch_server_that_dies_is_no_fault_of_the_backup",
    ),
    Guard(
        "a half-unpacked package that is taken for whole",
        "deploylib/programs.py",
        "            if _missing(home, archive):",
        "            if not home.exists():",
        "tests/unit/test_programs.py::test_a_package_that_was_unpacked_half_way_is_unpacked_again",
    ),
    Guard(
        "a server that drips for ever",
        "deploylib/web.py",
        "        if self.deadline is None:\n",
        "        if True:\n",
        f"{LIMITS}test_a_body_without_an_end_is_no_answer",
    ),
    Guard(
        "JSON that explodes",
        "deploylib/web.py",
        " > VALUES:",
        " > VALUES**2:",
        f"{LIMITS}test_json_that_explodes_is_no_json",
    ),
    Guard(
        "a bucket that answers without an end",
        "deploylib/s3client.py",
        "answer.raw.read(ANSWER + 1)",
        "answer.raw.read()",
        "tests/unit/test_s3_limits.py::test_a_bucket_that_answers_without_an_end_is_not_reached",
    ),
    Guard(
        "a listing in circles",
        "deploylib/s3.py",
        'in seen | {""}:',
        "in ():",
        "tests/unit/test_s3_limits.py::test_a_listing_that_goes_in_circles_has_no_end",
    ),
    Guard(
        "a webhook that answers without an end",
        "deploylib/notify.py",
        "said = got.read(ANSWER)",
        "said = got.read()",
        "tests/unit/test_notify.py::test_a_webhook_that_answers_without_an_end_takes_neither_memory_nor_time",
    ),
    Guard(
        "a program that prints without an end",
        "deploylib/process.py",
        "                if heard.lost and not command.shown:\n",
        "                if False:\n",
        "tests/unit/test_process.py::test_a_program_that_says_too_much_is_a_failure_in_little_memory",
    ),
    Guard(
        "threads that are waited for after a signal",
        "deploylib/threads.py",
        'name="aside", daemon=True).start()',
        'name="aside", daemon=False).start()',
        f"{SIGNALS}test_a_signal_is_heeded_wherever_it_waits",
    ),
    Guard(
        "a signal that is taken for something else",
        "deploylib/console.py",
        "woken.settimeout(HEEDED_WITHIN)",
        "woken.settimeout(None)",
        f"{SIGNALS}test_a_signal_is_heeded_wherever_it_waits",
    ),
)
