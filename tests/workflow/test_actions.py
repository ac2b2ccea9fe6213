"""What the GitHub of these tests promises, on toy workflows."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent, indent

import pytest

from tests.support.edges import has_ended
from tests.workflow.actions import Actions, Run

CHECKOUT = "uses: actions/checkout@0123456789012345678901234567890123456789"
HEAD = """\
name: toy
on:
  push:
    branches: [main]
  workflow_dispatch:
    inputs:
      way: {type: choice, options: [there, back], default: there}
permissions: {}
defaults: {run: {shell: bash}}
jobs:
"""
Make = Callable[..., Actions]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a GitHub that has one repository with two commits and the given jobs."""
    made: list[Actions] = []

    def _make(jobs: str, files: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None) -> Actions:
        repository = tmp_path / "repository"
        texts = {**(files or {}), ".github/workflows/toy.yml": HEAD + indent(dedent(jobs), "  ")}
        identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main", repository], check=True)
        for name in ("first", "second"):
            for path, text in {**texts, "name": name}.items():
                (repository / path).parent.mkdir(parents=True, exist_ok=True)
                (repository / path).write_text(dedent(text))
            subprocess.run(["git", "add", "."], cwd=repository, check=True)
            subprocess.run(["git", *identity, "commit", "--quiet", f"--message={name}"], cwd=repository, check=True)
        given = {"OUT": str(tmp_path), **(environ or {})}
        made.append(Actions(repository, tmp_path, {"KEY": "a key\nof two lines"}, {"PLACE": "here"}, given))
        return made[-1]

    yield _make
    for actions in made:
        with actions:
            pass


def start(actions: Actions, run_id: int = 7) -> Run:
    """Push."""
    return actions.push(workflow="toy.yml", run_id=run_id)


def until(path: Path) -> None:
    """Wait for a step to make *path*."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"no step has made {path.name}"
        time.sleep(0.02)


def test_a_job_has_a_copy_and_a_home_of_its_own_and_nothing_before_it_checks_out(make: Make) -> None:
    """Nothing goes from one job to the next but outputs."""
    actions = make(f"""
        whole:
          runs-on: ubuntu-latest
          steps:
            - run: ls -A | wc -l
            - {CHECKOUT}
              with: {{fetch-depth: 0}}
            - run: |
                git log --format=%s; git fetch origin && git status --short --branch
                [ "$(git rev-parse HEAD)" = "$GITHUB_SHA" ]
                touch left ~/left
        last:
          needs: whole
          runs-on: ubuntu-latest
          steps:
            - {CHECKOUT}
            - run: git log --format=%s; ls ~; ls; git push --quiet origin HEAD:refs/heads/pushed
        """)
    ended = start(actions).wait(30)
    assert {"whole": "success", "last": "success"} == ended.results
    assert "0\nsecond\nfirst\n## main...origin/main\n" == ended.outputs["whole"]
    assert "second\nname\n" == ended.outputs["last"]


def test_results_outputs_summaries_and_errors_are_told_by_job(make: Make) -> None:
    """What a workflow does after a failure is what its conditions say."""
    setup = """
        name: setup
        description: toy
        inputs: {who: {description: who, required: true}}
        outputs: {version: {description: version, value: "${{ steps.python.outputs.python-version }}"}}
        runs:
          using: composite
          steps:
            - {id: python, uses: actions/setup-python@v6, with: {python-version: "3.12"}}
            - {shell: bash, run: 'echo "set up for ${{ inputs.who }}"'}
        """
    actions = make(
        f"""
        first:
          runs-on: ubuntu-latest
          outputs:
            said: ${{{{ steps.say.outputs.said }}}}
          steps:
            - {CHECKOUT}
            - {{id: setup, uses: ./.github/actions/setup, with: {{who: me}}}}
            - {{uses: actions/cache@v4, with: {{path: x, key: "${{{{ hashFiles('name') }}}}"}}}}
            - {{id: say, run: 'echo "said=${{{{ vars.PLACE }}}}" >> "$GITHUB_OUTPUT"; echo "# done" >> "$GITHUB_STEP_SUMMARY"'}}
            - run: exec python -c 'import sys; print(sys.version_info[0])'
        fails:
          needs: first
          runs-on: ubuntu-latest
          environment: {{name: production, url: "https://${{{{ vars.PLACE }}}}.test"}}
          timeout-minutes: 5
          env: {{KEY: "${{{{ secrets.KEY }}}}"}}
          steps:
            - run: echo "$GITHUB_RUN_ID.$GITHUB_RUN_ATTEMPT ${{{{ needs.first.outputs.said }}}} $KEY"; exit 3
            - run: echo never
            - {{if: failure(), run: 'echo "::error title=Deploy::it broke"'}}
        always:
          needs: [first, fails]
          if: always() && contains(needs.*.result, 'failure')
          runs-on: ubuntu-latest
          steps:
            - run: echo "${{{{ needs.first.result }}}}, ${{{{ needs.fails.result }}}}"
        left-out:
          needs: fails
          if: ${{{{ !cancelled() && !failure() }}}}
          runs-on: ubuntu-latest
          steps: [run: echo never]
        """,
        {".github/actions/setup/action.yml": setup},
    )
    run = actions.push(workflow="toy.yml", run_id=7, attempt=2)
    ended = run.wait(30)
    assert {"first": "success", "fails": "failure", "always": "success", "left-out": "skipped"} == ended.results
    assert 1 == ended.exit_code
    assert "set up for me\n3\n" == ended.outputs["first"]
    assert "7.2 here a key\nof two lines\n::error title=Deploy::it broke\n" == ended.outputs["fails"]
    assert "success, failure\n" == ended.outputs["always"]
    assert "# done\n" == ended.summaries["first"]
    assert [("fails", "Deploy", "it broke")] == [(e.job, e.title, e.message) for e in ended.errors]
    assert "never" not in ended.outputs["left-out"] + ended.outputs["fails"]


def test_a_lost_job_does_nothing_more_and_the_others_go_on(make: Make, tmp_path: Path) -> None:
    """Neither its traps nor its steps that always run."""
    run = start(
        make("""
        lost:
          runs-on: ubuntu-latest
          steps:
            - run: trap 'touch "$OUT/trapped"' EXIT; sleep 60 & touch "$OUT/begun"; wait
            - {if: always(), run: 'touch "$OUT/cleaned"'}
        other:
          runs-on: ubuntu-latest
          steps:
            - run: until [ -e "$OUT/go" ]; do sleep 0.02; done
        after:
          needs: [lost, other]
          if: always()
          runs-on: ubuntu-latest
          steps:
            - run: echo "${{ needs.lost.result }}, ${{ needs.other.result }}"
        """)
    )
    until(tmp_path / "begun")
    run.kill_job("lost")
    (tmp_path / "go").touch()
    ended = run.wait(30)
    assert {"lost": "failure", "other": "success", "after": "success"} == ended.results
    assert "failure, success\n" == ended.outputs["after"]
    assert not (tmp_path / "trapped").exists()
    assert not (tmp_path / "cleaned").exists()


def test_a_cancelled_run_interrupts_its_steps_and_only_runs_what_always_runs(make: Make, tmp_path: Path) -> None:
    """A program that takes the shell's place gets the signal, and the time to write down where it is."""
    program = """
        import os, pathlib, time
        try:
            pathlib.Path(os.environ["OUT"], "begun").touch()
            time.sleep(60)
        except KeyboardInterrupt:
            print("interrupted")
    """
    run = start(
        make(
            f"""
            deploy:
              runs-on: ubuntu-latest
              steps:
                - {CHECKOUT}
                - run: exec python3 program.py
                - {{if: always(), run: echo cleaned}}
                - run: echo never
            next:
              needs: deploy
              runs-on: ubuntu-latest
              steps: [run: echo never]
            finish:
              needs: deploy
              if: always()
              runs-on: ubuntu-latest
              steps: [run: echo finished]
            """,
            {"program.py": program},
        )
    )
    until(tmp_path / "begun")
    run.cancel()
    ended = run.wait(30)
    assert {"deploy": "cancelled", "next": "skipped", "finish": "success"} == ended.results
    assert "interrupted\ncleaned\n" == ended.outputs["deploy"]
    assert "finished\n" == ended.outputs["finish"]


def test_a_job_sees_what_a_runner_has_and_nothing_of_this_machine(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its variables, nor a terminal, nor the environment that the tests run in."""
    for name in ("RENDER_API_KEY", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "VIRTUAL_ENV", "PYTHONPATH"):
        monkeypatch.setenv(name, "of this machine")
    monkeypatch.setenv("UV_CACHE_DIR", "shared")
    actions = make(
        """
        job:
          runs-on: ubuntu-latest
          env: {PLACE: the job's}
          steps:
            - run: |
                env; [ ! -t 0 ] && [ ! -t 1 ] && cat
                python3 -c 'import sys; print(sys.prefix == sys.base_prefix)'
                ! command -v act
        """,
        environ={"RENDER_HOST": "the runner's", "PLACE": "the runner's"},
    )
    ended = start(actions).wait(30)
    said = ended.outputs["job"].splitlines()
    assert {"job": "success"} == ended.results
    assert {"CI=true", "RENDER_HOST=the runner's", "PLACE=the job's", "UV_CACHE_DIR=shared", "True"} <= set(said)
    assert not [line for line in said if "of this machine" in line or line.startswith("ACT")]


def test_jobs_and_runs_of_one_repository_go_on_at_the_same_time(make: Make) -> None:
    """Each waits for every other one."""
    meet = (
        'touch "$OUT/$GITHUB_RUN_ID-$GITHUB_JOB"; until [ "$(ls -d "$OUT"/?-[ab] | wc -l)" = 4 ]; do sleep 0.02; done'
    )
    steps = f"runs-on: ubuntu-latest\n          steps:\n            - run: {meet}"
    actions = make(f"""
        a:
          {steps}
        b:
          {steps}
        """)
    for run in [start(actions, 1), start(actions, 2)]:
        assert {"a": "success", "b": "success"} == run.wait(30).results


def test_inputs_are_there_when_somebody_starts_it_and_refused_when_github_refuses_them(make: Make) -> None:
    """A push has none, not even the defaults."""
    actions = make("""
        job:
          runs-on: ubuntu-latest
          steps:
            - run: echo "[${{ inputs.way }}] [${{ github.event.inputs.way }}]"
        """)
    assert "[] []\n" == start(actions).wait(30).outputs["job"]
    for given, said in (({}, "[there] [there]\n"), ({"way": "back"}, "[back] [back]\n")):
        assert said == actions.dispatch(given, workflow="toy.yml", run_id=7).wait(30).outputs["job"]
    for refused in ({"way": "up"}, {"unknown": "x"}):
        with pytest.raises(ValueError, match="GitHub refuses"):
            actions.dispatch(refused, workflow="toy.yml", run_id=7)


def test_a_matrix_is_one_job_for_each_value_that_an_earlier_one_has_found(make: Make, tmp_path: Path) -> None:
    """They run at the same time, one of them may be lost, and what comes after sees what became of all."""
    actions = make("""
        find:
          runs-on: ubuntu-latest
          outputs:
            names: ${{ steps.find.outputs.names }}
          steps:
            - {id: find, run: 'echo "names=[\\"a\\", \\"b\\"]" >> "$GITHUB_OUTPUT"'}
        each:
          needs: find
          runs-on: ubuntu-latest
          strategy:
            fail-fast: false
            matrix:
              service: ${{ fromJSON(needs.find.outputs.names) }}
          env: {SERVICE: "${{ matrix.service }}"}
          steps:
            - run: touch "$OUT/$SERVICE"; until [ -e "$OUT/a" ] && [ -e "$OUT/b" ]; do sleep 0.02; done; echo "met $SERVICE"
            - run: '[ "$SERVICE" = a ] && sleep 60; touch "$OUT/through"'
            - {if: always(), run: 'touch "$OUT/cleaned-$SERVICE"'}
        after:
          needs: each
          if: always()
          runs-on: ubuntu-latest
          steps: [run: 'echo "${{ needs.each.result }}"']
        """)
    run = start(actions)
    until(tmp_path / "through")
    run.kill_job("each (a)")
    ended = run.wait(30)
    assert {
        "find": "success", "each": "failure", "each (a)": "failure", "each (b)": "success", "after": "success"
    } == ended.results  # fmt: skip
    assert ("met a\n", "met b\n") == (ended.outputs["each (a)"], ended.outputs["each (b)"])
    assert ended.outputs["after"] == "failure\n"
    assert (tmp_path / "cleaned-b").exists()
    assert not (tmp_path / "cleaned-a").exists()


def test_only_the_failed_jobs_are_run_again_with_the_outputs_of_the_others(make: Make, tmp_path: Path) -> None:
    """As the next attempt of the same run."""
    actions = make("""
        first:
          runs-on: ubuntu-latest
          outputs:
            said: ${{ steps.say.outputs.said }}
          steps:
            - {id: say, run: 'echo "said={\\"a b\\": 1}" >> "$GITHUB_OUTPUT"'}
            - run: touch "$OUT/first-$GITHUB_RUN_ATTEMPT"
        second:
          needs: first
          runs-on: ubuntu-latest
          env: {SAID: "${{ needs.first.outputs.said }}"}
          steps: [run: 'echo "$SAID"; [ "$GITHUB_RUN_ATTEMPT" = 2 ]']
        """)
    run = start(actions)
    assert {"first": "success", "second": "failure"} == run.wait(30).results
    again = actions.rerun_failed(run).wait(30)
    assert {"first": "success", "second": "success"} == again.results
    assert again.outputs["second"] == '{"a b": 1}\n'
    assert [path.name for path in tmp_path.glob("first-*")] == ["first-1"]


def test_nothing_of_a_run_is_left_when_it_is_over(make: Make, tmp_path: Path) -> None:
    """Not even what a step left in the background, which the next step still finds."""
    actions = make("""
        job:
          runs-on: ubuntu-latest
          steps:
            - run: |
                { until [ -e "$OUT/asked" ]; do sleep 0.02; done; touch "$OUT/answered"; sleep 60; } > /dev/null 2>&1 &
                echo $! > "$OUT/pid"
            - run: sleep 0.2; touch "$OUT/asked"; until [ -e "$OUT/go" ]; do sleep 0.02; done
        """)
    run = start(actions)
    until(tmp_path / "answered")
    with pytest.raises(TimeoutError, match="did not end within"):
        run.wait(0.1)
    assert not _runs(int((tmp_path / "pid").read_text()))
    (tmp_path / "go").touch()
    assert {"job": "success"} == start(actions).wait(30).results
    assert not _runs(int((tmp_path / "pid").read_text()))


def _runs(pid: int) -> bool:
    return not has_ended(pid)


def test_a_workflow_that_cannot_run_is_an_error_and_not_a_run_with_skipped_jobs(make: Make) -> None:
    """Wrong keys, and actions that nothing stands for."""
    with pytest.raises(RuntimeError, match="Unknown Property stepz"):
        start(make("job: {runs-on: ubuntu-latest, stepz: []}")).wait(30)
    with pytest.raises(FileNotFoundError, match="nothing stands for the action owner/unknown@v1"):
        start(make("job: {runs-on: ubuntu-latest, steps: [{uses: owner/unknown/part@v1}]}"))


@pytest.mark.parametrize(("queue", "refused"), [("single", False), ("max", False), ("lifo", True)])
def test_only_keys_that_github_has_are_taken_out_for_act(make: Make, queue: str, *, refused: bool) -> None:
    """A queue that GitHub would refuse is refused here as well, and not silently dropped."""
    actions = make(
        f"""
        one:
          runs-on: ubuntu-latest
          environment:
            name: production
            deployment: false
          concurrency:
            group: one
            queue: {queue}
          steps: [run: echo it ran]
        """
    )
    if refused:
        with pytest.raises(ValueError, match="GitHub refuses"):
            actions.push(workflow="toy.yml", run_id=8)
        return
    assert "it ran" in actions.push(workflow="toy.yml", run_id=8).wait(30).outputs["one"]
