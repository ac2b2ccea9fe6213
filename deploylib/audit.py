"""What others know of the product: advisories about its packages, bandit's opinion of its code.

The tools are child processes, and their exit codes say too little: pip-audit ends with 0 when it was told nothing about
any package, and with 1 for a finding, a service that is down and a bug alike. What counts is what they write down.
"""

from __future__ import annotations

import json
import posixpath
import random
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

import msgspec

from deploylib.clock import Clock, Deadline
from deploylib.errors import DeployError, SettingsError
from deploylib.examined import INSTALL, Examined, Finding, Gap, ScanSettings, judged, listed
from deploylib.process import Command, ProgramFailed, Runner
from deploylib.units import count

__all__ = ["code", "dependencies"]

TRIES = 3
PAUSE = 2.0
PATIENCE = 60.0
REQUIREMENTS = re.compile(r"requirements[^/]*\.txt")
PINNED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*===?\s*(?P<version>\w[\w.!+-]*)\s*(?:[;\s].*)?")
INCLUDED = re.compile(r"(?:-r|--requirement)[\s=]*(?P<path>\S+)")
COMPILED = re.compile(r"--hash=|#\s+via\b")
NPM_LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
EXPORT = "write it as a requirements file: uv export, poetry export or pip-compile"
ELSEWHERE = "audit it among the tests, and leave it out by scan.ignored"
OTHER_LOCKS = {
    **dict.fromkeys(("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"), EXPORT),
    **dict.fromkeys(("yarn.lock", "pnpm-lock.yaml", "bun.lock"), ELSEWHERE),
    **dict.fromkeys(("Cargo.lock", "go.sum", "Gemfile.lock", "composer.lock", "mix.lock"), ELSEWHERE),
}
# B105-B107 are about secrets, which `deploylib.leaks` finds better, and quote them; B104 is about listening on all
# addresses, as a web service on Render must.
NOT_ASKED = "B104,B105,B106,B107"
AT_ONCE = 1000
MISSING = "{} is not installed"
TROUBLES = (
    (r"(\d{3}) (?:Client|Server) Error", "answered {}"),
    (r"refused", "refuses the connection"),
    (r"NameResolution|resolve|getaddrinfo", "is not found on the network"),
    (r"[Tt]imed? ?out", "did not answer in time"),
    (r"SSL|[Cc]ertificate", "shows a certificate that is not trusted"),
    (r"ConnectionError|ProtocolError", "broke the connection"),
)
Answer = TypeVar("Answer")


class _Advisory(msgspec.Struct, frozen=True):
    id: str
    fix_versions: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


class _Package(msgspec.Struct, frozen=True):
    """What pip-audit says of one package; a *skip_reason* means that it has not looked."""

    name: str
    version: str = ""
    skip_reason: str = ""
    vulns: tuple[_Advisory, ...] = ()


class _Audit(msgspec.Struct, frozen=True):
    dependencies: tuple[_Package, ...]


class _Issue(msgspec.Struct, frozen=True):
    filename: str
    line_number: int
    test_id: str
    issue_text: str
    more_info: str = ""


class _Unread(msgspec.Struct, frozen=True):
    filename: str


class _Opinion(msgspec.Struct, frozen=True):
    """What bandit says; a file that it could not parse is among the errors."""

    results: tuple[_Issue, ...]
    errors: tuple[_Unread, ...]
    metrics: dict[str, msgspec.Raw]


class _Via(msgspec.Struct, frozen=True):
    name: str
    severity: str
    source: int = 0
    url: str = ""
    range: str = ""


class _NpmPackage(msgspec.Struct, frozen=True):
    """A package with advisories of its own, or (by name) with packages that have some."""

    via: tuple[str | _Via, ...]


class _NpmMetadata(msgspec.Struct, frozen=True):
    dependencies: dict[str, int]


class _NpmAudit(msgspec.Struct, frozen=True):
    vulnerabilities: dict[str, _NpmPackage]
    metadata: _NpmMetadata


class _Pin(NamedTuple):
    """One package in one version, and where it is named."""

    name: str
    version: str
    path: str
    line: int


def dependencies(
    files: Path,
    settings: ScanSettings,
    *,
    runner: Runner,
    clock: Clock,
    deadline: Deadline,
    python: str = sys.executable,
) -> Examined:
    """Ask for advisories about every pinned package of the tree.

    Args:
        files: the tree.
        deadline: when it must have ended.
        python: the interpreter that has pip-audit.
    """
    began = clock.monotonic()
    names = listed(files, settings.ignored)
    pins, notes, gaps = _pins(files, names, settings)
    found, audited = [], 0
    for distinct in _rounds(pins):

        def once(within: float, distinct: dict[str, str] = distinct) -> _Audit | str:
            return _pip_audit(distinct, settings, runner=runner, python=python, within=within)

        said = _asked(once, clock=clock, deadline=deadline)
        if isinstance(said, str):
            remedy = (
                INSTALL
                if said == MISSING.format("pip-audit")
                else "try again, or name another: scan.service, scan.osv_url"
            )
            gaps.append(Gap(count(len(distinct), "Python package"), said, remedy))
            continue
        looked = {_canonical(one.name): one for one in said.dependencies if not one.skip_reason}
        gaps += _skipped(distinct, looked, settings)
        audited += len(looked.keys() & distinct.keys())
        found += [
            _advised(pin, advisory)
            for pin in pins
            if distinct.get(pin.name) == pin.version and pin.name in looked
            for advisory in looked[pin.name].vulns
        ]
    for name in names:
        if PurePosixPath(name).name in NPM_LOCKS:
            number, more, missing = _npm(files, name, runner=runner, clock=clock, deadline=deadline)
            audited, found, gaps = audited + number, [*found, *more], [*gaps, *missing]
    stand, accepted = judged([*found, *notes], settings.accepted, clock.now().date())
    return Examined(
        name="dependencies",
        counted={"package": audited},
        findings=tuple(stand),
        gaps=tuple(gaps),
        accepted=tuple(accepted),
        seconds=clock.monotonic() - began,
    )


def code(
    files: Path,
    settings: ScanSettings,
    *,
    runner: Runner,
    clock: Clock,
    deadline: Deadline,
    python: str = sys.executable,
) -> Examined:
    """Let bandit read the Python files of the tree; see `dependencies` for the arguments.

    The files are named one by one: for a folder it would obey a ``.bandit`` in it, and a commit could switch it off.
    """
    began = clock.monotonic()
    names = [name for name in listed(files, settings.ignored) if name.endswith((".py", ".pyw"))]
    found: list[Finding] = []
    gaps: list[Gap] = []
    looked = 0
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        said = _bandit(files, some, settings, runner=runner, python=python, within=deadline.left())
        if isinstance(said, str):
            remedy = INSTALL if said == MISSING.format("bandit") else "raise scan.within; python -m bandit says more"
            gaps.append(Gap(count(len(some), "Python file"), said, remedy))
            continue
        unread = {_relative(one.filename) for one in said.errors}
        read = {_relative(name) for name in said.metrics} - unread
        remedy = f"correct it; it is read as Python {sys.version_info.major}.{sys.version_info.minor}"
        gaps += [Gap(name, "bandit cannot parse it", remedy) for name in some if name not in read]
        looked += len(read.intersection(some))
        found += [_opinion(issue) for issue in said.results]
    stand, accepted = judged(found, settings.accepted, clock.now().date())
    return Examined(
        name="code",
        counted={"file": looked},
        findings=tuple(stand),
        gaps=tuple(gaps),
        accepted=tuple(accepted),
        seconds=clock.monotonic() - began,
    )


def _asked(once: Callable[[float], Answer | str], *, clock: Clock, deadline: Deadline) -> Answer | str:
    """The answer, or in words why there is none after several tries."""
    why = "time ran out"
    for attempt in range(TRIES):
        if attempt:
            pause = PAUSE * 2**attempt * random.uniform(0.25, 0.5)  # noqa: S311 - spreads those who ask
            clock.sleep(min(pause, deadline.left()))
        if deadline.passed():
            break
        said = once(min(PATIENCE, deadline.left()))
        if not isinstance(said, str):
            return said
        why = said
        if why.endswith("is not installed"):
            break
    return why


def _pip_audit(
    pins: dict[str, str], settings: ScanSettings, *, runner: Runner, python: str, within: float
) -> _Audit | str:
    """Ask once; in words why there is no answer."""
    service = "osv" if settings.osv_url else settings.service
    with tempfile.TemporaryDirectory(prefix="deploylib-") as folder:
        asked, answer = Path(folder) / "requirements.txt", Path(folder) / "answer.json"
        asked.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
        args = [python, "-m", "pip_audit", "--no-deps", "--disable-pip", f"--requirement={asked}", "--desc=off"]
        args += ["--progress-spinner=off", "--format=json", f"--output={answer}", "--aliases=on", "--timeout=10"]
        args += [f"--vulnerability-service={service}", *([f"--osv-url={settings.osv_url}"] if settings.osv_url else [])]
        return _answered(runner, Command(args, timeout=within, check=False), answer, _Audit, f"the service {service}")


def _bandit(
    files: Path, names: Sequence[str], settings: ScanSettings, *, runner: Runner, python: str, within: float
) -> _Opinion | str:
    with tempfile.TemporaryDirectory(prefix="deploylib-") as folder:
        answer = Path(folder) / "answer.json"
        args = [python, "-m", "bandit", "--quiet", "--format=json", f"--output={answer}", "--exit-zero"]
        args += [f"--severity-level={settings.severity}", f"--confidence-level={settings.confidence}"]
        args += [f"--skip={NOT_ASKED}", *(f"./{name}" for name in names)]
        return _answered(runner, Command(args, cwd=files, timeout=within, check=False), answer, _Opinion, "bandit")


def _answered(runner: Runner, command: Command, answer: Path, kind: type[Answer], who: str) -> Answer | str:
    """What the program wrote down, or in words why there is nothing; what it printed may quote anything."""
    try:
        done = runner.run(command)
    except DeployError as error:
        return f"{who} did not answer in time" if isinstance(error, ProgramFailed) else error.message
    try:
        return msgspec.json.decode(answer.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        said = done.stderr.decode(errors="replace")
    module = command.args[2]
    if f"No module named {module}" in said or f"No module named '{module}'" in said:
        return MISSING.format(module.replace("_", "-"))
    for words, meaning in TROUBLES:
        if found := re.search(words, said):
            return f"{who} {meaning.format(*found.groups())}"
    return f"{who} gave no answer; the program ended with code {done.returncode}"


def _pins(files: Path, names: Sequence[str], settings: ScanSettings) -> tuple[list[_Pin], list[Finding], list[Gap]]:
    """What the requirement files name: pinned packages, what is worth telling, and what nobody can look up."""
    pins: list[_Pin] = []
    notes: list[Finding] = []
    gaps: list[Gap] = []
    waiting, seen = list(settings.requirements or filter(_is_requirements, names)), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if not (files / name).resolve().is_relative_to(files.resolve()) or not (files / name).is_file():
            gaps.append(Gap(name, "there is no such file in the tree", "correct scan.requirements, or who includes it"))
            continue
        text = (files / name).read_bytes().decode(errors="replace")
        pinned, included, loose = _read(name, text)
        pins += pinned
        waiting += included
        if loose:
            where = f"{name}:{loose[0]}" if len(loose) == 1 else f"{name}:{loose[0]} and {len(loose) - 1} more"
            gaps.append(Gap(where, "no exact version, so nothing to look up", "pin it with ==, best by pip-compile"))
        if pinned and not COMPILED.search(text):
            says = f"{name} names packages but not what those bring along, which is not examined"
            notes.append(_note("incomplete-lock", name, says, "compile it: pip-compile --generate-hashes"))
    return pins, notes, [*gaps, *_unread(files, names, read=bool(seen))]


def _read(name: str, text: str) -> tuple[list[_Pin], list[str], list[int]]:
    """Of one file: the packages it pins, the files it includes, and the lines that name no exact version."""
    pins, included, loose = [], [], []
    for number, line in _lines(text):
        if match := INCLUDED.match(line):
            included.append(posixpath.normpath(posixpath.join(posixpath.dirname(name), match["path"])))
        elif match := PINNED.fullmatch(line):
            pins.append(_Pin(_canonical(match["name"]), match["version"], name, number))
        elif not line.startswith("-") or line.startswith(("-e", "--editable")):
            loose.append(number)
    return pins, included, loose


def _unread(files: Path, names: Sequence[str], *, read: bool) -> Iterator[Gap]:
    """Files that name packages and that nobody here reads."""
    folders = {name.rpartition("/")[0] for name in names if PurePosixPath(name).name in (*NPM_LOCKS, *OTHER_LOCKS)}
    for name in names:
        folder, _, last = name.rpartition("/")
        if last in OTHER_LOCKS:
            yield Gap(name, "nothing here reads this kind of lock", OTHER_LOCKS[last])
        elif last == "pyproject.toml" and not read and _named(files / name, tomllib.loads, ("project", "dependencies")):
            yield Gap(name, "it names packages without exact versions", EXPORT)
        elif last == "package.json" and folder not in folders and _named(files / name, json.loads, ("dependencies",)):
            yield Gap(
                name, "it names packages without exact versions", "npm install --package-lock-only, and commit the lock"
            )


def _named(file: Path, read: Callable[[str], object], keys: tuple[str, ...]) -> bool:
    """Whether a file has anything under these keys; one that cannot be read may have."""
    try:
        value = read(file.read_text(errors="replace"))
    except ValueError:
        return True
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return bool(value)


def _is_requirements(name: str) -> bool:
    *folders, last = name.split("/")
    return bool(REQUIREMENTS.fullmatch(last)) and not any(folder.startswith(".") for folder in folders)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first: joined where they end with a backslash, without comments."""
    start, held = 1, ""
    for number, line in enumerate(text.splitlines(), 1):
        start = start if held else number
        plain = re.sub(r"(?:^|\s)#.*$", "", line)
        held += plain.removesuffix("\\")
        if plain.endswith("\\"):
            held += " "
            continue
        if held.strip():
            yield start, held.strip()
        held = ""
    if held.strip():
        yield start, held.strip()


def _rounds(pins: Sequence[_Pin]) -> list[dict[str, str]]:
    """The distinct packages, in as many rounds as one of them has versions: pip-audit takes each name once."""
    rounds: list[dict[str, str]] = []
    for name, version in dict.fromkeys((pin.name, pin.version) for pin in pins):
        fits = next((one for one in rounds if name not in one), None)
        if fits is None:
            rounds.append(fits := {})
        fits[name] = version
    return rounds


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _relative(name: str) -> str:
    return posixpath.normpath(name)


def _skipped(asked: dict[str, str], looked: dict[str, _Package], settings: ScanSettings) -> Iterator[Gap]:
    """The packages that the service said nothing about: unknown there, or an index that keeps no advisories."""
    silent = [f"{name} {version}" for name, version in asked.items() if name not in looked]
    if silent:
        more = f" and {len(silent) - 3} more" if len(silent) > 3 else ""
        what = f"{', '.join(silent[:3])}{more}"
        service = "osv" if settings.osv_url else settings.service
        reason = f"the service {service} answered about {len(asked) - len(silent)} of {len(asked)} packages"
        yield Gap(what, reason, 'ask another: scan.service = "osv" (a mirror often keeps no advisories)')


def _advised(pin: _Pin, advisory: _Advisory) -> Finding:
    raised = (
        f"raise it to {advisory.fix_versions[0]} or later"
        if advisory.fix_versions
        else "no version mends it: replace it"
    )
    known = next((alias for alias in advisory.aliases if alias.startswith("CVE-")), "")
    return Finding(
        tool="pip-audit",
        rule=advisory.id,
        where=f"{pin.name} {pin.version} ({pin.path}:{pin.line})",
        text=f"{pin.name} {pin.version} has a known vulnerability{f', {known}' if known else ''}",
        remedy=f"{raised}; or [[scan.accepted]] with rule, reason and until",
        path=pin.path,
        also=advisory.aliases,
    )


def _note(rule: str, path: str, text: str, remedy: str) -> Finding:
    return Finding(tool="deploylib", rule=rule, where=path, text=text, remedy=remedy, blocks=False, path=path)


def _opinion(issue: _Issue) -> Finding:
    name = _relative(issue.filename)
    return Finding(
        tool="bandit",
        rule=issue.test_id,
        where=f"{name}:{issue.line_number}",
        text=issue.issue_text.strip().split(". ")[0].rstrip("."),
        remedy=f"{issue.more_info}; where it is meant: # nosec {issue.test_id} with a reason, or [[scan.accepted]]",
        path=name,
    )


def _npm(
    files: Path, lock: str, *, runner: Runner, clock: Clock, deadline: Deadline
) -> tuple[int, list[Finding], list[Gap]]:
    """Ask npm about one lock: how many packages it looked at, what it found, and why it could not look."""
    patient = {
        "npm_config_fetch_retries": "0",
        "npm_config_fetch_timeout": "20000",
        "npm_config_update_notifier": "false",
    }

    def once(within: float) -> dict[str, object] | str:
        args = ["npm", "audit", "--json", "--package-lock-only", "--ignore-scripts"]
        try:
            done = runner.run(Command(args, cwd=(files / lock).parent, env=patient, timeout=within, check=False))
            said = msgspec.json.decode(done.stdout, type=dict[str, object])
        except SettingsError:
            return "npm is not installed"
        except ProgramFailed:
            return "npm did not answer in time"
        except msgspec.MsgspecError:
            return "npm gave no answer"
        return said if "vulnerabilities" in said and "error" not in said else "the registry answers no audit"

    said = _asked(once, clock=clock, deadline=deadline)
    if isinstance(said, str):
        return 0, [], [Gap(lock, said, "npm audit says more; or audit it elsewhere, and leave it out by scan.ignored")]
    try:
        audit = msgspec.convert(said, _NpmAudit)
    except msgspec.ValidationError:
        return 0, [], [Gap(lock, "npm answers in a form that is not known", "npm install --global npm@latest")]
    found = [
        Finding(
            tool="npm audit",
            rule=via.url.rpartition("/")[2] or str(via.source),
            where=f"{via.name} ({lock})",
            text=f"{via.name} {via.range} has a known vulnerability of severity {via.severity}",
            remedy="npm audit fix; or [[scan.accepted]] with rule, reason and until",
            blocks=via.severity not in {"info", "low"},
            path=lock,
        )
        for package in audit.vulnerabilities.values()
        for via in package.via
        if isinstance(via, _Via)
    ]
    return audit.metadata.dependencies.get("total", 0), list(dict.fromkeys(found)), []
