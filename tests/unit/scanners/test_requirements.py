"""Which packages a tree names, and what is made of the answers about them; no tool is started."""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path

import pytest

from deploylib.errors import SettingsError
from deploylib.models.findings import Verdict
from deploylib.scanners import Product
from deploylib.scanners.dependencies import scan_dependencies
from deploylib.system import process
from tests.support.fakes import FakeClock, RecordingRunner, write
from tests.support.packages import examined, knowing, npm, printing


def pins(root: Path, text: str) -> list[tuple[str, str, int]]:
    """Name, version and line of what a requirements file pins."""
    seen: list[str] = []

    def answer(lines: list[str]) -> object:
        seen.extend(lines)
        return knowing(lines)

    examined(root, {"requirements.txt": text}, RecordingRunner(answers={"pip_audit": printing(answer)}))
    return [(*line.split("=="), 0) for line in seen]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Flask_Login==0.6.3", "flask-login==0.6.3"),
        ("psycopg[binary, pool] == 3.2.1  # driver", "psycopg==3.2.1"),
        ("a==1 ; python_version < '3.12'", "a==1"),
        ("a==1.0.post1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n", "a==1.0.post1"),
        ("a===1+local", "a==1+local"),
        ("--index-url https://packages.example.com/simple\n-c limits.txt\na==1", "a==1"),
    ],
)
def test_a_pinned_package_is_asked_about_however_it_is_written(tmp_path: Path, text: str, found: str) -> None:
    """Also one that only another platform would install."""
    assert [found] == ["==".join(pin[:2]) for pin in pins(tmp_path, text)]


@pytest.mark.parametrize(
    "line", ["a", "a>=1", "a==1.*", "a @ https://x/y.whl", "-e .", "./wheels/a.whl", "git+https://x/y"]
)
def test_a_package_without_an_exact_version_is_a_gap(tmp_path: Path, line: str) -> None:
    """There is nothing to look up; the place is named."""
    said = examined(tmp_path, {"requirements.txt": f"# via x\nb==1\n{line}\n"})

    assert (Verdict.NOT_EXAMINED, {"package": 1}) == (said.verdict, said.counted)
    assert [("requirements.txt:3", "no exact version, so nothing to look up")] == [
        (g.what, g.reason) for g in said.gaps
    ]


def test_a_list_that_powershell_has_written_is_read(tmp_path: Path) -> None:
    """UTF-16 with a mark, which pip reads as well."""
    (tmp_path / "requirements.txt").write_bytes("\ufeffa==1\r\nb==2\r\n".encode("utf-16-le"))
    said = examined(tmp_path, {})

    assert ({"package": 2}, ()) == (said.counted, said.gaps)


@pytest.mark.parametrize("marked", [True, False], ids=["with a mark", "without"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("go.mod", "module x\n\nrequire y v1.0.0\n"),
        ("Gemfile", "gem 'rails'\n"),
        ("Cargo.toml", "[dependencies]\nx = '1'\n"),
        ("setup.py", "setup(install_requires=['jinja2'])\n"),
        ("setup.cfg", "[options]\ninstall_requires =\n  jinja2<3\n"),
        ("pyproject.toml", "[project]\ndependencies = ['a>=1']\n"),
        ("package.json", '{"dependencies": {"a": "1"}}'),
        ("requirements.txt", "a>=1\n"),
    ],
)
def test_what_names_packages_does_so_in_any_encoding(tmp_path: Path, name: str, text: str, *, marked: bool) -> None:
    """Of one that cannot be read nobody knows that it names none."""
    (tmp_path / name).write_bytes((codecs.BOM_UTF16_LE if marked else b"") + text.encode("utf-16-le"))

    assert [name] == [gap.what.partition(":")[0] for gap in examined(tmp_path, {}).gaps]


def test_a_link_to_a_file_of_the_tree_is_read_and_any_other_is_a_gap(tmp_path: Path) -> None:
    """Whatever its target is called; one that names no packages is nobody's business here."""
    write(tmp_path, {"tree/deps/list": "a==1 # via x\n", "outside/requirements.txt": "b==1\n", "tree/lock": "{}"})
    links = {"api/requirements.txt": "../deps/list", "web/requirements.txt": "../../outside/requirements.txt"}
    links |= {"web/package.json": "gone.json", "go.mod": "go.mod", "deno.lock": "lock", "notes.txt": "/etc/hostname"}
    for name, target in links.items():
        (tmp_path / "tree" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "tree" / name).symlink_to(target)

    said = examined(tmp_path / "tree", {})

    assert {"package": 1} == said.counted
    assert ["deno.lock", "go.mod", "web/package.json", "web/requirements.txt"] == sorted(gap.what for gap in said.gaps)
    ignored = ["web/**", "go.mod", "deno.lock"]
    assert examined(tmp_path / "tree", {}, ignored=ignored).verdict is Verdict.CLEAN


def test_lists_that_include_each_other_are_read_once(tmp_path: Path) -> None:
    """Whoever begins."""
    files = {
        "requirements.txt": "-r dev-requirements.txt\na==1 # via x",
        "dev-requirements.txt": "-r requirements.txt\nb==1 # via x",
    }

    said = examined(tmp_path, files)

    assert ({"package": 2}, ()) == (said.counted, said.gaps)


@pytest.mark.parametrize(
    ("lock", "text"),
    [
        ("poetry.lock", ""),
        ("uv.lock", "version = 1\n"),
        ("pylock.toml", 'lock-version = "1.0"\npackages = []\n'),
        ("requirements.txt", "# nothing\n"),
        ("Pipfile.lock", "{}"),
    ],
)
def test_a_lock_without_packages_speaks_for_none(tmp_path: Path, lock: str, text: str) -> None:
    """What is named beside it is not examined."""
    files = {lock: text, "pyproject.toml": "[project]\ndependencies = ['a>=1']\n", "Pipfile": "[packages]\na = '*'\n"}

    assert examined(tmp_path, files).verdict is Verdict.NOT_EXAMINED


@pytest.mark.parametrize(
    ("lock", "more"),
    [
        ("pnpm-lock.yaml", {"pnpm-workspace.yaml": "packages: [web]\n"}),
        ("yarn.lock", {"package.json": '{"workspaces": ["web"]}'}),
        ("bun.lock", {"package.json": '{"workspaces": ["web"]}'}),
        (
            "Cargo.lock",
            {"Cargo.toml": "[workspace]\nmembers = ['web']\n", "web/Cargo.toml": "[dependencies]\nx = '1'\n"},
        ),
        ("deno.lock", {"deno.json": '{"workspace": ["web"]}', "web/deno.json": '{"imports": {"a": "npm:a@1"}}'}),
        ("composer.lock", {"composer.json": '{"require": {"x/y": "1"}}'}),
    ],
)
def test_a_lock_of_a_workspace_is_not_examined_and_says_so(tmp_path: Path, lock: str, more: dict[str, str]) -> None:
    """Nor what its members name."""
    files = {lock: "", **more, "web/package.json": '{"dependencies": {"a": "1"}}'}

    assert lock in [gap.what for gap in examined(tmp_path, files).gaps]


def test_files_are_found_included_and_chosen(tmp_path: Path) -> None:
    """Those of hidden folders, too; of foreign ones only when they are named."""
    files = {
        "requirements.txt": "-r deps/base.txt\na==1 # via x",
        "deps/base.txt": "b==1 # via x",
        "api/requirements-dev.txt": "c==1 # via x",
        ".ci/requirements.txt": "d==1 # via x",
        "node_modules/x/requirements.txt": "e==1",
    }
    assert {"package": 4} == examined(tmp_path, files).counted
    assert {"package": 1} == examined(tmp_path, {}, requirements=[".ci/requirements.txt"]).counted


@pytest.mark.parametrize("include", ["-r missing.txt", "--requirement=../outside.txt", "-r /etc/hostname"])
def test_an_included_file_must_be_in_the_tree(tmp_path: Path, include: str) -> None:
    """Else not all of it was examined."""
    write(tmp_path, {"outside.txt": "b==1"})
    said = examined(tmp_path / "tree", {"requirements.txt": f"a==1 # via x\n{include}\n"})

    assert ["there is no such file in the tree"] == [gap.reason for gap in said.gaps]


def test_a_list_that_is_not_a_whole_lock_gets_a_note(tmp_path: Path) -> None:
    """What its packages bring along is not examined, and nobody should believe it is."""
    said = examined(tmp_path, {"requirements.txt": "a==1\n"})

    assert [("incomplete-lock", False)] == [(one.rule, one.blocks) for one in said.findings]
    assert said.verdict is Verdict.CLEAN


@pytest.mark.parametrize(
    ("name", "text", "gap"),
    [
        ("uv.lock", "", True),
        ("web/yarn.lock", "", True),
        ("go.sum", "", True),
        ("pyproject.toml", "[project]\ndependencies = ['a>=1']\n", True),
        ("pyproject.toml", "[tool.ruff]\n", False),
        ("pyproject.toml", "[", True),
        ("package.json", '{"dependencies": {"a": "^1"}}', True),
        ("package.json", '{"scripts": {}}', False),
        ("package.json", '{"devDependencies": {"vite": "^4"}}', True),
        ("package.json", "[", True),
        ("pyproject.toml", "[project]\nname = 'x'\n[project.optional-dependencies]\ny = ['a']\n", True),
        ("pyproject.toml", "[dependency-groups]\ny = ['a', {include-group = 'z'}]\n", True),
        ("pyproject.toml", "[tool.poetry]\nname = 'x'\n[tool.poetry.dependencies]\npython = '^3'\n", False),
        ("pyproject.toml", "[tool.poetry]\nname = 'x'\n[tool.poetry.dependencies]\njinja2 = '<3'\n", True),
        ("pyproject.toml", "[tool.poetry.group.dev.dependencies]\njinja2 = '<3'\n", True),
        ("pyproject.toml", "[tool.pdm.dev-dependencies]\ndev = ['jinja2']\n", True),
        ("pyproject.toml", "[tool.uv]\ndev-dependencies = ['jinja2']\n", True),
        ("pyproject.toml", "[project]\ndynamic = ['dependencies']\n", True),
        ("setup.cfg", "[options]\ninstall_requires =\n  jinja2<3\n", True),
        ("setup.cfg", "[options.extras_require]\nx =\n  jinja2\n", True),
        ("setup.cfg", "[flake8]\nselect = E\n", False),
        ("setup.py", "setup(install_requires=['jinja2'])\n", True),
        ("setup.py", "setup()\n", False),
        ("Pipfile", "[packages]\njinja2 = '*'\n", True),
        ("environment.yml", "dependencies:\n- pip:\n  - jinja2==2.11.2\n", True),
        ("environment.yml", "name: staging\n", False),
        ("Gemfile", "source 'x'\ngem 'rails'\n", True),
        ("go.mod", "module x\n\nrequire y v1.0.0\n", True),
        ("go.mod", "module x\n", False),
        ("Cargo.toml", "[dependencies]\nx = '1'\n", True),
        ("composer.json", '{"require": {"x/y": "1"}}', True),
        ("pom.xml", "<dependency>", True),
        ("deno.lock", "{}", True),
        ("web/deno.json", '{"imports": {"a": "jsr:@std/a@1"}}', True),
        ("import_map.json", '{"imports": {"a": "https://deno.land/x/a/mod.ts"}}', True),
        ("pixi.toml", "[dependencies]\nnumpy = '*'\n", True),
        ("conda-lock.yml", "package: []\n", True),
        ("rebar.config", "{deps, [cowboy]}.\n", True),
        ("rebar.config", "{deps, []}.\n", False),
        ("gradle/libs.versions.toml", "[libraries]\nx = 'a:b:1'\n", True),
    ],
)
def test_packages_that_nobody_reads_are_a_gap(tmp_path: Path, name: str, text: str, *, gap: bool) -> None:
    """A tree in another language is not clean because there is nothing for Python in it."""
    said = examined(tmp_path, {name: text})

    assert [name] * gap == [one.what for one in said.gaps]
    assert examined(tmp_path, {}, ignored=[name]).verdict is Verdict.CLEAN


@pytest.mark.parametrize(
    "name",
    [
        "requirements/base.txt",
        "dev-requirements.txt",
        "api/requirements_dev.txt",
        "requirements.in",
        "requirements/dev.in",
        "requirements.lock",
        "api/requirements-dev.lock",
    ],
)
def test_a_list_is_read_however_it_is_called(tmp_path: Path, name: str) -> None:
    """Also a source of which nobody has compiled anything."""
    assert examined(tmp_path, {name: "jinja2==2.11.2 --hash=sha256:00"}).counted == {"package": 1}


def test_a_source_is_examined_by_way_of_what_was_compiled_from_it(tmp_path: Path) -> None:
    """One that names more than that is not."""
    files = {"requirements.in": "a>=1\n", "requirements.txt": "a==1 # via x\nb==2 # via a\n"}

    assert examined(tmp_path, files).gaps == ()
    files["requirements.in"] += "c\n"
    assert [one.what for one in examined(tmp_path, files).gaps] == ["requirements.in:1 and 1 more"]


def test_a_lock_by_the_standard_is_read(tmp_path: Path) -> None:
    """PEP 751; a package without a version is none that can be looked up, and what is no lock is not clean."""
    head = 'lock-version = "1.0"\ncreated-by = "hand"\n'
    entry = '[[packages]]\nname = "jinja2"\nversion = "2.11.2"\n'
    said = examined(tmp_path, {"pylock.toml": head + entry, "api/pylock.dev.toml": f'{head}[[packages]]\nname = "x"\n'})

    assert (said.counted, [one.what for one in said.gaps]) == ({"package": 1}, ["api/pylock.dev.toml"])
    assert [one.what for one in examined(tmp_path, {"pylock.toml": "[", "api/pylock.dev.toml": head}).gaps] == [
        "pylock.toml",
        "api/pylock.dev.toml",
    ]


def test_a_list_of_one_service_does_not_speak_for_another(tmp_path: Path) -> None:
    """Nor for what it has not heard of; one that was compiled elsewhere says from what."""
    project = "[project]\ndependencies = ['a>=1', 'w; platform_system == \"Windows\"']\n"
    files = {"api/requirements.txt": "a==1 # via x\n", "api/pyproject.toml": project, "web/pyproject.toml": project}

    assert [one.what for one in examined(tmp_path, files).gaps] == ["web/pyproject.toml"]
    files["locks/web.requirements.txt"] = "a==1\n    # via web (web/pyproject.toml)\n"
    assert examined(tmp_path, files).gaps == ()
    files["web/pyproject.toml"] = project.replace("'a>=1'", "'a>=1', 'b'")
    assert [(one.what, "b" in one.reason) for one in examined(tmp_path, files).gaps] == [("web/pyproject.toml", True)]


@pytest.mark.parametrize(
    ("lock", "text"),
    [
        ("uv.lock", '[[package]]\nname = "a"\nversion = "1"\n[[package]]\nname = "me"\nsource = { virtual = "." }\n'),
        ("poetry.lock", '[[package]]\nname = "a"\nversion = "1"\n'),
        ("Pipfile.lock", '{"_meta": {}, "default": {"a": {}}, "develop": {}}'),
    ],
)
def test_a_lock_that_nobody_reads_is_examined_by_way_of_its_export(tmp_path: Path, lock: str, text: str) -> None:
    """As its remedy says; one that has less than the lock is not enough."""
    files = {lock: text, "pyproject.toml": "[project]\ndependencies = ['a']\n"}

    assert [one.what for one in examined(tmp_path, files).gaps] == [lock]
    assert examined(tmp_path, {"requirements.txt": "a==1 # via x\n"}).gaps == ()
    assert [one.what for one in examined(tmp_path, {"requirements.txt": "b==1 # via x\n"}).gaps] == [lock]


def test_a_lock_that_has_not_heard_of_a_package_does_not_speak_for_it(tmp_path: Path) -> None:
    """It is older than what was named since; a package of the product's own is known to it."""
    lock = '[[package]]\nname = "a"\nversion = "1"\n[[package]]\nname = "ours"\nsource = { editable = "ours" }\n'
    files = {
        "uv.lock": lock,
        "requirements.txt": "a==1 # via x\n",
        "pyproject.toml": "[project]\ndependencies = ['a', 'ours']\n",
    }

    assert examined(tmp_path, files).gaps == ()
    files["pyproject.toml"] = "[project]\ndependencies = ['a', 'b', 'ours']\n"
    assert [(one.what, one.reason) for one in examined(tmp_path, files).gaps] == [
        ("pyproject.toml", "it names what no list beside it has: b")
    ]


def test_a_list_that_was_not_chosen_is_not_examined(tmp_path: Path) -> None:
    """Whoever names the lists names all of them, or leaves one out on purpose."""
    files = {"api/requirements.txt": "a==1 # via x\n", "web/requirements.txt": "b==1 # via x\n"}

    said = examined(tmp_path, files, requirements=["api/requirements.txt"])

    assert [(one.what, one.reason) for one in said.gaps] == [
        ("web/requirements.txt", "it is not among scan.requirements")
    ]


def test_npms_lock_speaks_for_what_it_has(tmp_path: Path) -> None:
    """Its own package and its workspaces; not for one beside them, nor for what was added after it."""
    answer = {"vulnerabilities": {}, "metadata": {"dependencies": {"total": 2}}}
    packages = {"": {"dependencies": {"a": "1"}}, "node_modules/a": {}, "web": {}, "web/node_modules/@x/b": {}}
    files = {
        "package-lock.json": json.dumps({"lockfileVersion": 3, "packages": packages}),
        "package.json": '{"dependencies": {"a": "1"}}',
        "web/package.json": '{"devDependencies": {"@x/b": "1"}}',
        "worker/package.json": '{"dependencies": {"a": "1"}}',
    }

    said = examined(tmp_path, files, npm(json.dumps(answer).encode()))

    assert [one.what for one in said.gaps] == ["worker/package.json"]
    files["package.json"] = '{"dependencies": {"a": "1"}, "devDependencies": {"c": "1"}}'
    assert [one.reason for one in examined(tmp_path, files, npm(json.dumps(answer).encode())).gaps] == [
        "its lock does not have c",
        "it names packages without exact versions",
    ]


def test_a_submodule_that_was_not_fetched_is_not_examined(tmp_path: Path) -> None:
    """Nothing in it was looked at."""
    modules = '[submodule "a"]\n\tpath = libs/a\n\turl = x\n[submodule "b"]\n\tpath = libs/b\n\turl = y\n'

    said = examined(tmp_path, {".gitmodules": modules, "libs/b/readme": ""})

    assert [one.what for one in said.gaps] == ["libs/a"]
    assert "submodule update --init" in said.gaps[0].remedy


def test_a_skipped_package_is_not_examined(tmp_path: Path) -> None:
    """Nor is one that the answer leaves out; those that were answered count."""
    runner = RecordingRunner(
        answers={
            "pip_audit": printing(
                lambda _: {
                    "dependencies": [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "no"}]
                }
            )
        }
    )
    said = examined(tmp_path, {"requirements.txt": "a==1 # via x\nb==1\nc==1"}, runner)

    assert (Verdict.NOT_EXAMINED, {"package": 1}) == (said.verdict, said.counted)
    assert [("b 1, c 1", "the service pypi answered about 1 of 3 packages")] == [(g.what, g.reason) for g in said.gaps]


def test_a_service_that_recovers_is_asked_again(tmp_path: Path) -> None:
    """With growing pauses that chance spreads; the third answer counts."""
    tries: list[process.Command] = []

    def run(command: process.Command) -> process.Completed:
        tries.append(command)
        return (
            printing(knowing)(command) if len(tries) == 3 else process.Completed((), 1, b"", b"503 Server Error: busy")
        )

    write(tmp_path, {"requirements.txt": "a==1 # via x"})
    clock = FakeClock()
    runner = RecordingRunner(answers={"pip_audit": run})
    said = scan_dependencies(Product(tmp_path, runner=runner, deadline=clock.deadline(600)))

    assert (Verdict.CLEAN, 3) == (said.verdict, len(tries))
    assert [True, True] == [low <= pause <= 2 * low for low, pause in zip((1, 2), clock.slept, strict=True)]


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (b"requests.exceptions.HTTPError: 503 Server Error", "the service pypi answered 503"),
        (b"NewConnectionError: Connection refused", "the service pypi refuses the connection"),
        (b"NameResolutionError: x", "the service pypi is not found on the network"),
        (b"ReadTimeout: Read timed out", "the service pypi did not answer in time"),
        (b"SSLError: bad", "the service pypi shows a certificate that is not trusted"),
        (b"ConnectionError: aborted", "the service pypi broke the connection"),
        (b"KeyError: 's3cr3t'", "the service pypi gave no answer; the program ended with code 1"),
    ],
)
def test_why_there_is_no_answer_is_said_in_our_own_words(tmp_path: Path, stderr: bytes, reason: str) -> None:
    """What a tool prints may quote anything."""
    runner = RecordingRunner(answers={"pip_audit": lambda _: process.Completed((), 1, b"", stderr)})

    said = examined(tmp_path, {"requirements.txt": "a==1 # via x"}, runner)

    assert [reason] == [gap.reason for gap in said.gaps]
    assert "s3cr3t" not in repr(said)


@pytest.mark.parametrize("answer", [[], {"dependencies": 3}, {"other": []}])
def test_an_answer_of_another_form_is_none(tmp_path: Path, answer: object) -> None:
    """A newer tool that says it differently must not look clean."""
    runner = RecordingRunner(answers={"pip_audit": printing(lambda _: answer)})

    said = examined(tmp_path, {"requirements.txt": "a==1 # via x"}, runner)

    assert ["the service pypi answers in a form that is not known"] == [gap.reason for gap in said.gaps]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (SettingsError("no npm", remedy="x"), "npm is not installed"),
        (process.ProgramFailed("late", remedy="x"), "npm did not answer in time"),
        (b"<html>", "npm gave no answer; the program ended with code 1"),
        (b'{"statusCode": 405, "error": {"summary": ""}}', "the registry answers no audit"),
        (
            b'{"vulnerabilities": {}, "metadata": {"dependencies": {"total": 0}}, "error": {}}',
            "the registry answers no audit",
        ),
        (b'{"vulnerabilities": {}}', "the registry answers no audit"),
        (b'{"vulnerabilities": {"a": 1}, "metadata": {}}', "npm answers in a form that is not known"),
    ],
)
def test_an_npm_that_cannot_look_is_a_gap(tmp_path: Path, said: bytes | Exception, reason: str) -> None:
    """Its exit code says nothing."""
    assert [reason] == [gap.reason for gap in examined(tmp_path, {"package-lock.json": "{}"}, npm(said)).gaps]


def test_an_advisory_of_npm_is_told_once_and_a_mild_one_is_a_note(tmp_path: Path) -> None:
    """Packages that only lead to it are not findings of their own."""
    url = "https://github.com/advisories/GHSA-1111-2222-3333"
    mild = {"name": "b", "severity": "low", "url": re.sub("1111", "4444", url), "range": "<2"}
    answer = {
        "vulnerabilities": {
            "a": {"via": ["b"]},
            "b": {"via": [{"name": "b", "severity": "high", "url": url, "range": "<2"}, mild]},
        },
        "metadata": {"dependencies": {"total": 7}},
    }
    said = examined(tmp_path, {"package-lock.json": "{}"}, npm(json.dumps(answer).encode()))

    assert {"package": 7} == said.counted
    assert [("GHSA-1111-2222-3333", True), ("GHSA-4444-2222-3333", False)] == [
        (f.rule, f.blocks) for f in said.findings
    ]
