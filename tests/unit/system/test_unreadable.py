"""What others have written is read or told, with what to do about it: none of it is ever a bug of ours."""

from __future__ import annotations

import codecs
import errno
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploylib import settings
from deploylib.backups import scratch_server
from deploylib.backups.scratch_server import ScratchUnfit
from deploylib.cli import github, session
from deploylib.environment import Environment
from deploylib.errors import DeployError, MigrationFailed, SettingsError, Unreachable
from deploylib.migrations import Tool
from deploylib.migrations.tool import Applied, convert_part
from deploylib.models import Revision, Secret, decoding, units
from deploylib.models.results import Report
from deploylib.postgres import binaries, connection
from deploylib.postgres.binaries import Programs
from deploylib.probes import address
from deploylib.release import preflight, service_mapping
from deploylib.render import blueprints, decode, local, rate_limit
from deploylib.render.endpoint import find_endpoint
from deploylib.scanners import Product
from deploylib.scanners.blueprint import scan_blueprint
from deploylib.scanners.requirements import read_packages
from deploylib.system import files, http, process
from localrender import blueprint as of_local_render
from localrender import yaml12
from localrender.endpoint import read_endpoint
from localrender.errors import LocalRenderError
from tests.support.fakes import RecordingRunner, write
from tests.support.repository import Repository

DEEP = b"[" * 200_000
NO_JSON = [b"", b"{", b"<html>", b"\xff\xfe", b'{"a": "\xff"}', DEEP, b"[]", b"null"]


def late(_command: process.Command) -> process.Completed:
    """A program that does not end."""
    raise process.ProgramFailed("it did not end within 1 s", remedy="see what it said")


@pytest.mark.parametrize("body", NO_JSON)
def test_a_document_is_read_or_told(body: bytes) -> None:
    """One error for all that can be wrong with it, and nothing of it is quoted."""
    with pytest.raises(decoding.Undecodable) as raised:
        decoding.json(body, dict[str, str])

    assert len(str(raised.value)) < 100


def test_a_byte_order_mark_is_no_part_of_a_document() -> None:
    """Editors put one there; text for people may be UTF-16, as PowerShell writes it."""
    assert decoding.json(b'\xef\xbb\xbf{"a": "b"}', dict[str, str]) == {"a": "b"}
    assert decoding.toml(b'\xef\xbb\xbfa = "b"\r\n') == {"a": "b"}
    marked = ("hé".encode("utf-8-sig"), "\ufeffhé".encode("utf-16-le"), "\ufeffhé".encode("utf-16-be"), b"h\xc3\xa9")
    assert {decoding.decode_text(body) for body in marked} == {"hé"}
    assert decoding.decode_text(b"h\xff") == "h\ufffd"


@pytest.mark.parametrize(
    ("read", "body", "bound"),
    [
        (decoding.toml, b"a = " + b"[" * 65 + b"]" * 65, "64 levels"),
        (decoding.toml, b"a" + b".a" * 20_000 + b" = 1", "64 levels"),
        (decoding.toml, b"[a" + b' . "a"' * 65 + b"]\nb = 1", "64 levels"),
        (decoding.toml, b"a = " + b"{a=" * 65 + b"1" + b"}" * 65, "64 levels"),
        (decoding.toml, b"a = '" + b"x" * 1_000_000 + b"'", "1 MB"),
        (lambda body: decoding.json(body, list[object]), b"[" * 65 + b"]" * 65, "64 levels"),
        (lambda body: decoding.json(body, list[object]), b'[{"a": ' * 500_000, "1 MB"),
        (lambda body: decoding.json(body, list[object]), b'[{"a": ' * 33, "64 levels"),
        (lambda body: decoding.json(body, list[object], most=decoding.LOCK), b"[" + b"1," * decoding.LOCK, "32 MB"),
    ],
)
def test_a_document_has_a_size_and_a_depth(read: Callable[[bytes], object], body: bytes, bound: str) -> None:
    """Both are told by their bounds, and found before a reader takes its time."""
    began = time.process_time()
    with pytest.raises(decoding.Undecodable, match=bound):
        read(body)

    assert time.process_time() - began < 2


def test_what_only_looks_deep_is_read() -> None:
    """Brackets and dots of texts and remarks, and as many lists beside each other as there are."""
    text = b"[[a]]\n" * 100 + b"# [[[[\n" * 30 + b"b = ''' [[[[ ''''\n" + b'c = """ \\" [[[[ """"\n' + b'd = "[[[["\n'

    assert decoding.toml(text + b"e = '" + b"[" * 99 + b"'\n")["a"][-1]["b"] == " [[[[ '"
    assert decoding.json(b'["\\"' + b"[" * 99 + b'"]', list[str]) == ['"' + "[" * 99]
    assert decoding.json(b"[" * 64 + b"]" * 64, list[object])


@pytest.mark.parametrize("body", [b"\xff", b"a =", b"a = " + b"[" * 10_000, b"a = " + b"9" * 5000, b"a = 1\na = 2"])
def test_settings_that_cannot_be_read_are_told(tmp_path: Path, body: bytes) -> None:
    """In a file of their own, and in that of the project; they are never taken for none."""
    for name in ("deploylib.toml", "pyproject.toml"):
        (tmp_path / name).write_bytes(body)
        with pytest.raises(SettingsError, match=name):
            settings.load(tmp_path, environ={})
        (tmp_path / name).unlink()


def test_settings_from_another_editor_are_read(tmp_path: Path) -> None:
    """With a mark before them, and with the ends of lines of Windows."""
    (tmp_path / "deploylib.toml").write_bytes(codecs.BOM_UTF8 + b'target = "7m"\r\n\r\n[environments.a]\r\n')

    config = settings.load(tmp_path, "a", environ={}, looking=True)

    assert config.settings.target == "7m"


@pytest.mark.parametrize("name", ["deploylib.toml", "pyproject.toml"])
def test_a_link_to_settings_that_are_not_there_is_told(tmp_path: Path, name: str) -> None:
    """Whoever made it has settings; the defaults are others."""
    (tmp_path / name).symlink_to("elsewhere.toml")

    with pytest.raises(SettingsError, match=f"{name} is a link to elsewhere.toml, which is not there"):
        settings.load(tmp_path, environ={})


def test_a_place_of_settings_that_is_no_file_is_told(tmp_path: Path) -> None:
    """A folder of that name, a link in circles; a table of other tools that is none is not ours."""
    (tmp_path / "deploylib.toml").mkdir()
    with pytest.raises(SettingsError, match=r"deploylib\.toml cannot be read"):
        settings.load(tmp_path, environ={})

    (tmp_path / "deploylib.toml").rmdir()
    (tmp_path / "deploylib.toml").symlink_to("deploylib.toml")
    with pytest.raises(SettingsError, match=r"deploylib\.toml cannot be read"):
        settings.load(tmp_path, environ={})

    (tmp_path / "deploylib.toml").unlink()
    write(tmp_path, {"pyproject.toml": "tool = 'x'\n"})
    assert settings.load(tmp_path, environ={}).settings.target == "5m"


@pytest.mark.parametrize("body", [*NO_JSON, b'{"api_url": 1, "api_key": "k"}', b'{"api_url": null, "api_key": "k"}'])
def test_what_the_local_render_has_written_down_is_read_or_told(tmp_path: Path, body: bytes) -> None:
    """Whatever is in the file; a folder in its place likewise. It is not taken for a local Render that does not run."""
    file = tmp_path / ".localrender" / "endpoint.json"
    file.parent.mkdir()
    file.write_bytes(body)
    with pytest.raises(Unreachable, match="cannot be read"):
        find_endpoint(settings.load(tmp_path, environ={}))

    file.unlink()
    file.mkdir()
    with pytest.raises(Unreachable, match="cannot be read"):
        find_endpoint(settings.load(tmp_path, environ={}))


@pytest.mark.parametrize("key", ["rnd_kéy", "rnd\nkey", "rnd\x00key", "“rnd_key”"])
def test_a_key_that_is_none_is_told_without_it(tmp_path: Path, key: str) -> None:
    """It would be a header; what was pasted with it is not quoted."""
    write(tmp_path, {"deploylib.toml": '[environments.x]\nstore = "s"\nonly_this_machine = true\n'})

    with pytest.raises(SettingsError, match="is no API key") as raised:
        find_endpoint(settings.load(tmp_path, "x", {"RENDER_API_KEY": key}))
    assert key not in raised.value.diagnostics()


@pytest.mark.parametrize("body", NO_JSON[:-2])
def test_an_answer_of_the_local_render_is_read_or_told(tmp_path: Path, body: bytes) -> None:
    """It is not taken for an answer that says nothing; one that does not come is no answer."""
    product = settings.load(tmp_path, environ={})

    for said in (body, late):
        runner = RecordingRunner(answers={"localrender": said})
        with pytest.raises(Unreachable, match=r"no answer that can be read|did not answer"):
            local.up(product, runner=runner)
        with pytest.raises(Unreachable, match=r"no answer that can be read|did not answer"):
            local.read_status(product, runner=runner)


@pytest.mark.parametrize("body", [*NO_JSON, b'{"error": "x"}', b'{"error": {"message": 3, "remedy": [4]}}'])
def test_an_error_of_the_local_render_may_be_anything(tmp_path: Path, body: bytes) -> None:
    """What cannot be read of it is told by its words, or not at all."""
    failed = RecordingRunner(
        answers={"localrender": lambda command: process.Completed(tuple(command.args), 3, body, b"")}
    )

    with pytest.raises(DeployError, match=r"could not do what it was asked|3"):
        local.read_status(settings.load(tmp_path, environ={}), runner=failed)


@pytest.mark.parametrize("body", NO_JSON)
def test_what_a_tool_prints_is_an_answer_or_silence(body: bytes) -> None:
    """pip-audit, bandit, npm and squawk are asked so."""
    runner = RecordingRunner(answers={"audit": body})

    with pytest.raises(process.Unanswered):
        process.ask_program(process.Command(["audit", "x"]), dict[str, str], "the service", runner=runner)


@pytest.mark.parametrize(
    "url",
    [
        "http://a..b/",
        f"http://{'a' * 70}.com/",
        "http://127.0.0.1:1/\udcff",
        "ftp://a/",
        "http://a:99999/",
        "http://[::1",
    ],
)
def test_an_address_that_is_none_was_not_asked(url: str) -> None:
    """Of the platform in the settings, of a service in an answer, of an export."""
    with http.Session(timeout=2.0) as session:
        with pytest.raises(http.NotSent):
            session.request("GET", url)
        with pytest.raises(http.NotSent):
            list(session.pieces(url))


@pytest.mark.parametrize("mark", ["<![foo[ ]]>", "<![CDATA[x]]>", "<![", "<!DOCTYPE [", "<!x"])
def test_a_page_with_odd_marks_is_read_to_its_end(mark: str) -> None:
    """As a browser reads it: what is no mark of HTML is a comment."""
    page = f'{mark}><meta name="release" content="{"a" * 40}">'.encode()

    assert address.identity_of(http.Answer(200, {"content-type": "text/html"}, page)) in {"a" * 40, ""}
    assert address.identity_of(http.Answer(200, {"content-type": "text/html"}, b"<![foo[ ]]>" + page[-80:])) == "a" * 40


@pytest.mark.parametrize(
    "text",
    [
        "a: !!timestamp x", "a: !!int x", "a: !!float x", "a: !!bool x", f"a: {'9' * 5000}",
        f"a: {'[' * 600}", "\0", "a: &a [*a]", "previews: &a [*a]", "- 1", "a: !!set [1]", "? [a]: b",
    ],
)  # fmt: skip
def test_a_blueprint_that_cannot_be_read_is_told(tmp_path: Path, text: str) -> None:
    """By both programs, whatever the library of YAML raises for it; the scan names the file and quotes nothing."""
    with pytest.raises(SettingsError, match=r"render\.yaml"):
        blueprints.parse(text)
    write(tmp_path, {"render.yaml": text})
    assert [one.rule for one in scan_blueprint(Product(tmp_path)).findings] == ["invalid"]

    (tmp_path / "render.yaml").write_bytes(text.encode() + b"\xff")
    with pytest.raises(LocalRenderError) as raised:
        of_local_render.load(tmp_path / "render.yaml")
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("text", ["a: !!timestamp x", "a: !!int x", f"a: {'9' * 5000}", f"a: {'[' * 600}", "a: \0"])
def test_yaml_that_cannot_be_read_is_told_by_the_local_render(text: str) -> None:
    """What its library has no place for, too."""
    with pytest.raises(LocalRenderError, match="not valid YAML"):
        yaml12.load_yaml(text, "render.yaml")


def test_aliases_do_not_explode() -> None:
    """Some lines of them stand for a billion values."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]

    with pytest.raises(SettingsError, match="as its aliases repeat them"):
        blueprints.parse("\n".join(lines))


@pytest.mark.parametrize(
    "text", [f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", f"Mon, 01 Jan 2026 00:00:00 +{'9' * 15}", "²", "9" * 30, "x", ""]
)
def test_a_wait_that_cannot_be_read_is_the_usual_one(text: str) -> None:
    """A header is whatever stands between us and the platform."""
    assert rate_limit.seconds_to_wait({"retry-after": text}, datetime(2026, 3, 1, tzinfo=UTC)) <= rate_limit.LONGEST


@pytest.mark.parametrize("words", [["ls", "a\0b"], ["ls", "\ud800"], ["a\0b"]])
def test_a_command_that_cannot_be_one_is_a_matter_of_settings(words: list[str]) -> None:
    """TOML may hold a NUL; a variable neither that nor an equals sign in its name."""
    with pytest.raises(SettingsError, match="cannot be started"):
        process.SYSTEM.run(process.Command(words))
    with pytest.raises(SettingsError, match="cannot be started"):
        process.SYSTEM.run(process.Command(["ls"], env={"A=": "x"}))


@pytest.mark.parametrize("line", ["", "  ", "npm run 'migrate", 'a "'])
def test_a_command_line_is_one_or_told(line: str) -> None:
    """As the settings have it: ``tests``, ``migrations.command``."""
    with pytest.raises(SettingsError, match="is no command"):
        units.words(line, "tests")
    assert units.words("npm run 'a b'") == ["npm", "run", "a b"]


@pytest.mark.parametrize("pattern", ["/abs/*.sql", "a**"])
def test_a_glob_that_is_none_is_told(tmp_path: Path, pattern: str) -> None:
    """Of the other tool's files."""
    write(tmp_path, {"deploylib.toml": f"[migrations]\ncommand = 'a'\npending = 'b'\nfiles = '{pattern}'\n"})
    product = settings.load(tmp_path, environ={})
    if sys.version_info >= (3, 13) and pattern == "a**":
        pytest.skip("this Python takes it for a*")

    with pytest.raises(SettingsError, match=r"migrations\.files"):
        Tool(tmp_path, product, RecordingRunner()).list_pending(Secret("postgresql://h/x"))


def test_what_a_revision_says_of_itself_is_understood_or_told(tmp_path: Path) -> None:
    """``tolerates = 5`` is no revision."""
    with pytest.raises(MigrationFailed, match="tolerates"):
        convert_part({"pending": [{"id": "a", "tolerates": 5}]}, "pending", tuple[Revision, ...])
    assert convert_part({}, "applied", tuple[Applied, ...]) == ()


@pytest.mark.parametrize("body", [b"", b"[", b"\xff", DEEP])
def test_an_answer_of_the_migrations_is_read_or_told(tmp_path: Path, body: bytes) -> None:
    """``env.py`` may end the program, or write where it should not."""
    write(tmp_path, {"migrations/env.py": ""})

    def child(command: process.Command) -> process.Completed:
        Path(command.args[-1]).write_bytes(body)
        return process.Completed(tuple(command.args), 0, b"")

    tool = Tool(tmp_path, settings.load(tmp_path, environ={}), RecordingRunner(answers={"alembic_child": child}))
    with pytest.raises(MigrationFailed, match="without an answer"):
        tool.read_status(Secret("postgresql://h/x"))


@pytest.mark.parametrize("name", ["package.json", "pyproject.toml"])
@pytest.mark.parametrize("body", [b"\xff", b"{", DEEP])
def test_a_list_of_packages_that_cannot_be_read_may_name_some(tmp_path: Path, name: str, body: bytes) -> None:
    """It is not examined, and so no clean one; one that went away likewise."""
    (tmp_path / name).write_bytes(body)
    assert [gap.what for gap in read_packages(tmp_path, [name]).gaps] == [name]

    (tmp_path / name).unlink()
    assert [gap.what for gap in read_packages(tmp_path, [name]).gaps] == [name]


def test_without_a_folder_for_temporary_files_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an export of a commit nor a scratch Postgres."""
    monkeypatch.setattr(tempfile, "tempdir", "/gone")

    with pytest.raises(SettingsError, match="no folder for temporary files"), files.temporary_folder():
        pass
    with pytest.raises(ScratchUnfit, match="is no folder"):
        begun()


def begun(folder: Path | None = None, size: int = 0) -> None:
    """Begin a scratch Postgres."""
    with scratch_server.server(Programs(Path("/nowhere"), "16.1"), runner=process.SYSTEM, folder=folder, size=size):
        pass


def test_a_scratch_folder_that_goes_meanwhile_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command sweeps the same ones."""
    monkeypatch.setattr(Path, "glob", lambda self, _pattern: iter([self / f"{scratch_server.NAME}-999999-x"]))

    with pytest.raises(ScratchUnfit, match="a restore needs"):
        begun(Path("/tmp"), size=10**18)  # noqa: S108 - nothing is written


def test_a_place_that_the_system_refuses_is_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    """No room for a file, no right to give it away: nothing was found out about the backup."""

    def full(**_options: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    with pytest.raises(ScratchUnfit, match="No space left"):
        begun(Path("/tmp"))  # noqa: S108 - nothing is written


def test_without_an_account_for_postgres_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Postgres does not run as root."""

    def nobody(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("pwd.getpwnam", nobody)
    with pytest.raises(ScratchUnfit, match="no account nobody"):
        begun(Path("/tmp"))  # noqa: S108 - removed at once


def test_programs_that_do_not_answer_are_passed_over(tmp_path: Path) -> None:
    """As if they were not there: what is said names those that are."""
    write(tmp_path, {"pg_dump": "", "pg_restore": ""})

    assert binaries.find_installed(str(tmp_path), runner=RecordingRunner(answers={"pg_dump": late})) == []
    assert binaries.find_installed(str(tmp_path), runner=RecordingRunner(answers={"pg_dump": b"no version"})) == []
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert binaries.find_installed(str(loop), runner=RecordingRunner()) == []


def test_what_git_cannot_say_is_not_taken_for_no(repository: Repository) -> None:
    """A file that a commit has not, and one that git cannot read; a commit that is no ancestor, and one that is not there."""
    old = repository.commit({"a": "1"})
    new = repository.commit({"a": "2"})
    git = repository.git

    assert git.read(new, "b") is None
    with pytest.raises(SettingsError, match="git cannot read a of"):
        git.read("f" * 40, "a")
    assert not git.is_ancestor(new, old)
    with pytest.raises(SettingsError, match="git cannot compare"):
        git.is_ancestor("f" * 40, new)


def test_a_folder_that_cannot_be_looked_at_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store is to be: on a disk that does not answer any more, for example."""

    def gone(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(shutil, "disk_usage", gone)
    [found] = preflight.disk(tmp_path, "1MB")
    assert "cannot be looked at: Input/output error" in found.text


def test_a_repository_that_leads_nowhere_is_another_one(repository: Repository) -> None:
    """The platform names it; a NUL and a link in circles are in no path of ours."""
    repository.commit()
    loop = repository.root / "loop"
    loop.symlink_to(loop)

    for name in ("/x\0y", str(loop)):
        assert not service_mapping._same_repository(name, repository.git)  # noqa: SLF001


def test_what_a_job_hands_on_and_cannot_write_is_told(tmp_path: Path) -> None:
    """The jobs after it go by it."""
    report = Report(run="r", environment="x", outcome="succeeded", exit_code=0)

    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        with pytest.raises(SettingsError, match="cannot be written"):
            github.publish(report, {name: str(tmp_path / "gone" / "file")})


def test_the_outcome_is_what_it_is_although_nobody_can_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release that succeeded has; one that only paused is gone on with by jobs that would not know of what."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "gone" / "file"))
    env = Environment.open(folder=tmp_path)
    session.print_result(Report(run="r", environment="x", outcome="succeeded", exit_code=0), env, "", {}, json=False)
    assert "cannot be written" in capsys.readouterr().err

    with pytest.raises(SettingsError, match="cannot be written"):
        session.print_result(Report(run="r", environment="x", outcome="paused", exit_code=0), env, "", {}, json=False)


def test_a_folder_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that a command is typed in."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    with pytest.raises(SettingsError, match="the current folder is gone"):
        Environment.open()


@pytest.mark.parametrize("address", ["foo", "http://[bad"])
def test_an_s3_client_that_cannot_be_set_up_is_a_matter_of_settings(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """An address that is none; a profile that nobody has written."""
    from deploylib.store.s3 import Bucket

    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
    with pytest.raises(SettingsError, match="cannot be set up"):
        Bucket("s3://b")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    monkeypatch.setenv("AWS_PROFILE", "nobody-has-written-it")
    with pytest.raises(SettingsError, match="ProfileNotFound"):
        Bucket("s3://b")


@pytest.mark.parametrize("url", ["x", "http://[bad", "postgresql:///x?host=%00", "postgresql://u%ff@h/x"])
def test_a_database_s_address_is_read_or_told(url: str) -> None:
    """Wherever a name is taken from it."""
    with pytest.raises(SettingsError, match="cannot be read"):
        connection.names_of(Secret(url))


def test_a_size_has_an_end() -> None:
    """Python gives up at some thousand digits."""
    with pytest.raises(SettingsError, match="is not a size"):
        units.size(f"{'9' * 5000}MB")


@pytest.mark.parametrize("body", NO_JSON[1:-2])
def test_what_a_local_render_has_written_down_is_read_or_told_by_itself(tmp_path: Path, body: bytes) -> None:
    """On its own command line."""
    (tmp_path / "endpoint.json").write_bytes(body)

    with pytest.raises(LocalRenderError, match="cannot be read"):
        read_endpoint(tmp_path)
    (tmp_path / "endpoint.json").unlink()
    assert read_endpoint(tmp_path) is None


def test_exports_are_typed_at_the_edge() -> None:
    """An address that is a number is no answer; an export without a moment is none yet."""
    moment = "2026-03-01T12:00:00Z"
    with pytest.raises(decode.Unreadable):
        decode.read_export({"id": "exp-1", "url": 3, "createdAt": moment})
    assert decode.read_export({"id": "exp-1", "url": "https://x/", "createdAt": "x"}) is None
    assert decode.read_export({"id": "exp-1", "url": None, "createdAt": moment}) is not None


def test_uploads_that_lack_their_names_are_no_listing() -> None:
    """Of a store that answers something else."""
    from deploylib.store.s3 import Bucket

    class Server:
        def list_multipart_uploads(self, **_options: object) -> dict[str, object]:
            """One upload without anything."""
            return {"IsTruncated": False, "Uploads": [{}], "ResponseMetadata": {"HTTPHeaders": {}}}

    with pytest.raises(Unreachable, match="uploads without a name"):
        Bucket("s3://b", Server()).sweep("backups/", 1.0)


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://a:99999",
        "https://",
        "file:///etc/passwd",
        "//a.example",
        "https://a\0b",
        "api.example",
        " ",
    ],
)
def test_an_address_of_a_service_that_is_none_is_no_answer(url: str) -> None:
    """Nobody could be asked there, so that a good release would not prove itself."""
    said = {"id": "srv-a", "type": "web_service", "name": "a", "serviceDetails": {"url": url}}
    with pytest.raises(decode.Unreadable, match="an address of srv-a that is none"):
        decode.read_service(said)


def test_who_is_not_asked_may_be_anywhere() -> None:
    """A private service has a name in its network, and one that is being made no address yet."""
    for kind, url in (("private_service", "a:10000"), ("web_service", ""), ("web_service", "https://a.example")):
        found = decode.read_service({"id": "srv-a", "type": kind, "serviceDetails": {"url": url}})
        assert found is not None
        assert found.url == url
