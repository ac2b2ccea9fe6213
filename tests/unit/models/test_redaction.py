"""Secrets are struck out in each form they can take, and foreign text only says something."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from deploylib.cli import github, session, text
from deploylib.cli.outlet import Outlet
from deploylib.cli.progress import Plain
from deploylib.errors import MigrationFailed
from deploylib.models import Commit, Live, Opened, Secret
from deploylib.models.redaction import Struck, document, harmless, no_command
from deploylib.models.results import Ending, Report, StageResult, StageStatus
from deploylib.notifications.slack_blocks import render
from deploylib.state.history import History
from deploylib.state.run_state import RunState
from deploylib.store.folder import Folder
from tests.support.fakes import NEW, START, FakeClock
from tests.support.messages import outcome_of

PASSWORDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["Cs", "Cc", "Cn", "Zs"]),
    min_size=8,
    max_size=30,
).filter(lambda text: len(set(text)) > 3)
WAYS: dict[str, Callable[[str], str]] = {
    "as it is": lambda secret: secret,
    "in an address": lambda secret: quote(secret, safe=""),
    "in an address, in small letters": lambda secret: (
        quote(secret, safe="").replace("%2F", "%2f").replace("%3A", "%3a")
    ),
    "partly in an address": lambda secret: quote(secret[:4], safe="") + secret[4:],
    "in a form": quote_plus,
    "in JSON": lambda secret: json.dumps(secret)[1:-1],
    "in JSON, as it is": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "in a repr": lambda secret: repr(secret)[1:-1],
    "in bytes": lambda secret: repr(secret.encode())[2:-1],
    "in a shell": shlex.quote,
    "in SQL": lambda secret: secret.replace("'", "''"),
    "in a DSN": lambda secret: secret.replace("\\", "\\\\").replace("'", "\\'"),
    "in a page": html.escape,
    "in base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "in base64 without its end": lambda secret: base64.b64encode(secret.encode()).decode().rstrip("="),
    "in hex": lambda secret: secret.encode().hex(),
    "in an address in an address": lambda secret: quote(quote(secret, safe=""), safe=""),
}


def left_of(secret: str, text: str) -> bool:
    """Whether somebody who reads the text could still read the secret."""
    return any(way(secret) in text for way in WAYS.values())


@settings(max_examples=30, deadline=None)
@example(password="0000012\u2028", way="in JSON")
@example(password="00\u00a0 \u200300123", way="in an address")
@given(password=PASSWORDS, way=st.sampled_from(sorted(WAYS)))
def test_a_password_is_struck_in_every_form(way: str, password: str) -> None:
    """However the program that shows it has written it."""
    for known in (password, f"postgresql://ada:{quote(password, safe='')}@db.example:5432/book"):
        struck = Struck([Secret(known)])

        shown = struck.text(f"FATAL: {WAYS[way](password)} is wrong")

        assert "•••" in shown
        assert not left_of(password, shown)


@pytest.mark.parametrize("secret", ["a", "book", "postgres", "ada", "", "password"])
def test_what_is_no_secret_by_itself_is_struck_only_inside_an_address(secret: str) -> None:
    """A password that is a word, or the name of its user, would take every such word away."""
    struck = Struck([Secret(f"postgresql://ada:{secret}@db.example/book")])

    assert "Postgres of ada holds the book" == struck.text("Postgres of ada holds the book")
    assert struck.text(f"cannot connect to postgresql://ada:{secret or 'x'}@db/book").endswith("://ada:•••@db/book")


def test_an_address_with_a_password_is_struck_although_nobody_knows_it() -> None:
    """Also one that a program made up."""
    assert "redis://:•••@cache/0 x://u:•••@h" == Struck().text("redis://:s3cret@cache/0 x://u:p%40q@h")


def test_lines_of_a_key_are_struck_one_by_one() -> None:
    """A private key comes back line by line."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nabcdefghijklmnop\n-----END KEY-----"

    assert "x ••• y" == Struck([Secret(key)]).text("x MIIEvQIBADANBgkqhkiG9w0BAQEFAASC y")


def test_names_and_ids_of_a_record_stay_as_they_are() -> None:
    """Only free text is struck: what a later command looks for is found."""
    struck = Struck([Secret("backend")])
    state = {"service": "backend", "deploy_id": "dep-backend", "lines": ["backend failed"], "error": "backend"}

    assert {**state, "lines": ["••• failed"], "error": "•••"} == struck.value(state)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(password=PASSWORDS, way=st.sampled_from(sorted(WAYS)))
def test_nothing_that_is_printed_told_or_recorded_shows_a_password(
    tmp_path_factory: pytest.TempPathFactory, password: str, way: str
) -> None:
    """A migration's error quotes it: history, report, JSON, summary, message and log are without it."""
    of_another = "q7#Vx2!mZp"
    assume(
        not any(left_of(password, text) for text in everything_of(tmp_path_factory.mktemp("store"), of_another, way))
    )

    texts = everything_of(tmp_path_factory.mktemp("store"), password, way)

    assert not any(left_of(password, text) for text in texts)


def everything_of(folder: Path, password: str, way: str) -> list[str]:
    """All that is said of a migration whose error quotes a password."""
    struck, said = Struck([Secret(f"postgresql://ada:{quote(password, safe='')}@db/book")]), WAYS[way](password)
    error = MigrationFailed(f"it says {said}", details=(f"  {said}", "x"), remedy=f"not {said}")
    result = StageResult.of("migrate", error, 1.0)
    told = struck.of(
        Report(
            run="r", environment="staging", commit=Commit(id=NEW), stages=(result,), seconds=1.0,
            **msgspec.structs.asdict(Ending.of(error)),
        )
    )  # fmt: skip
    history = History(Folder(folder), FakeClock(), clean=struck.value)
    opened = Opened(run="r", environment="staging", commit=Commit(id=NEW))
    history.begin(opened)
    history.append("r", "stage", result)
    history.close(RunState(opened=opened, at=START, last=START, stages={"migrate": result}), told)
    stream = StringIO()
    Plain(Outlet(stream), lambda line: harmless(struck.text(line))).ended(result)

    texts = [path.read_text() for path in folder.rglob("*.json")]
    texts += [stream.getvalue(), text.format_report(told), github.summary(told), json.dumps(render(outcome_of(told)))]
    return [*texts, msgspec.json.encode(told).decode()]


@pytest.mark.parametrize("user", ["a", "ad", "ada"])
def test_base64_of_a_user_and_a_password_does_not_show_the_password(user: str) -> None:
    """HTTP's basic authentication; where in it the password begins is another alignment each time."""
    shown = Struck([Secret("s3cretpassword")]).text(base64.b64encode(f"{user}:s3cretpassword".encode()).decode())

    assert "•••" in shown
    assert len(shown) <= len("YWRhOn") + len("•••")


NAMED = "pass" + "word="


@pytest.mark.parametrize(
    ("known", "text"),
    [
        (f"postgresql://db/book?user=ada&{NAMED}s3cr%40pass", "wrong s3cr@pass"),
        (f"host=db user=ada {NAMED}s3cr@pass", "wrong s3cr@pass"),
        ("https://hooks.example/services/T0/B0/s3cr@pass", "404 /services/T0/B0/s3cr@pass"),
        (" s3cr@pass ", "key s3cr@pass!"),
        ("s3cr@pass\n", "key s3cr@pass!"),
        ("postgresql://ada:s3@db/book", f"cannot connect: user=ada {NAMED}s3 host=db"),
    ],
)
def test_a_password_is_found_wherever_a_secret_holds_it(known: str, text: str) -> None:
    """In a query, a DSN, a webhook's path, between blanks."""
    assert "s3" not in Struck([Secret(known)]).text(text)


@pytest.mark.parametrize("known", ["'abcdefg", "ab\n\n\n\n\n\ncdefgh", "abcdefg%", "\\\\\\\\abc", "''a"], ids=ascii)
@pytest.mark.parametrize("text", ["\\", "a.", "a://b:", "ab\n", "%25", "'", "password='"], ids=ascii)
def test_no_text_makes_the_search_slow(known: str, text: str) -> None:
    """A log line of 60 KB that somebody has made for it; it took minutes once, and nothing here measures seconds."""
    struck, line = Struck([Secret(known)]), text * (60_000 // len(text))

    assert struck.text(line) is not None


def test_a_traceback_shows_no_password(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours, or --debug: its last line may quote a driver."""
    monkeypatch.setattr(session, "STRUCK", Struck([Secret(f"postgresql://ada:{quote('s3cr@pass')}@db/book")]))

    session.print_crash(ValueError, ValueError("wrong s3cr@pass\n::add-mask::x"), None)

    assert ["ValueError: wrong •••", ": :add-mask::x"] == capsys.readouterr().err.splitlines()


def test_outputs_of_fifty_services_are_whole_json(tmp_path: Path) -> None:
    """What is only shown is cut; what the next job reads is not."""
    output, names = tmp_path / "output", tuple(f"a-service-with-a-rather-long-name-{number:03}" for number in range(99))
    told = Report(run="r", environment="e", outcome="succeeded", exit_code=0, deploying=names)

    github.publish(told, {"GITHUB_OUTPUT": str(output)})

    [line] = [line for line in output.read_text().splitlines() if line.startswith("services=")]
    assert list(names) == json.loads(line.removeprefix("services="))


def test_an_address_of_somebody_makes_no_link_in_a_summary() -> None:
    """Neither in a subject, nor by an address of a service that is Markdown."""
    live = Live(service="a", url="https://x.example/ ![x](https://evil.example)")
    commit = Commit(id=NEW, subject="see https://evil.example www.evil.example $x$")
    shown = github.summary(
        Report(run="r", environment="e", outcome="succeeded", exit_code=0, commit=commit, live=(live,))
    )

    assert "https://" not in shown
    assert "www." not in shown
    assert "![" not in shown


HOSTILE = [
    "\x1b[2J\x1b[H", "\x1b]8;;https://evil.example\x07here\x1b]8;;\x07", "\x9b31m", "\r::error::x", "\b\b\b", "\x00",
    "\u202egnp.exe", "\u200bzero", "\u2066x\u2069", "\u2028", "\u061c", "\xad", "\x7f", "\U000e0041", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_what_acts_on_who_reads_it_is_shown_by_its_number(text: str) -> None:
    """Nothing moves a cursor, hides, or turns the order of writing round."""
    shown = harmless(f"a{text}b")

    assert shown.isprintable()
    assert "\\" in shown
    assert json.loads(document(json.dumps({"x": text}, ensure_ascii=False))) == {"x": text}
    assert document(json.dumps({"x": text}, ensure_ascii=False)).isprintable()


@given(text=st.text(max_size=80))
def test_a_line_is_printable_and_one_line(text: str) -> None:
    """Whatever anybody writes; JSON says the same and is printable too."""
    shown = harmless(text).replace("\t", "")

    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    lossless = document(msgspec.json.encode([text]).decode())
    assert [text] == json.loads(lossless)
    assert lossless.isprintable()


def test_a_name_that_is_no_text_can_be_recorded() -> None:
    """A file may be called anything; JSON takes text only."""
    told = Struck().value({"path": "name\udce9", "lines": ["x\udcff"]})

    assert json.loads(msgspec.json.encode(told)) == {"path": "name\\udce9", "lines": ["x\\udcff"]}


def test_text_of_people_stays_readable() -> None:
    """Accents, other scripts and signs are not taken away."""
    assert "Füge Seiten hinzu · 分页 ✓ 🎉\t(x)" == harmless("Füge Seiten hinzu · 分页 ✓ 🎉\t(x)")


def test_a_long_line_is_cut_and_that_is_said() -> None:
    """A program may write a megabyte without a new line."""
    assert harmless("x" * 5000).endswith("… (+3000 characters)")


@pytest.mark.parametrize(
    "line",
    [
        "::set-output name=x::y",
        "  ::add-mask::x",
        "##[error]x",
        "a ##[group]b",
        "##vso[task.setvariable]x",
        "##teamcity[x]",
        "::stop-commands::x",
        "\t::debug::x",
    ],
)
def test_no_line_commands_a_runner(line: str) -> None:
    """Neither the newer nor the older form of a command."""
    shown = no_command(line)

    assert not shown.lstrip().startswith("::")
    assert not re.search(r"##\w*\[", shown)
    assert "##" not in document(json.dumps(line))
    assert line == json.loads(document(json.dumps(line)))


def test_outputs_are_one_line_each(tmp_path: Path) -> None:
    """A platform whose address has a new line in it cannot give the jobs after this one what it likes."""
    output = tmp_path / "output"
    url = "https://x.example/\nservices=[]"
    told = Report(run="r", environment="e", outcome="succeeded", exit_code=0, live=(Live(service="a", url=url),))

    github.publish(told, {"GITHUB_OUTPUT": str(output)})

    assert [line.partition("=")[0] for line in output.read_text().splitlines()] == ["run", "outcome", "services", "url"]


def test_what_is_printed_is_clean(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Results as well: on GitHub no line of them is a command, and no mark-up of the view acts."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    session.tell({}, ["::add-mask::x", "[red]a[/red]\x1b[0m", "one\n::error::two"], json=False)

    assert [": :add-mask::x", "[red]a[/red]\\x1b[0m", "one", ": :error::two"] == capsys.readouterr().out.splitlines()
    assert StageStatus.FAILED.value == "failed"
