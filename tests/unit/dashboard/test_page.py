"""The page: valid, of itself, harmless whatever others have written, and the same for a person and for a program."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from justhtml import JustHTML

from deploylib.dashboard import Fact, Panel, Serving, Site, State, figures, page
from deploylib.errors import SettingsError, Unreachable
from deploylib.models.summaries import RunSummary
from tests.support.counted_store import CountedStore
from tests.support.fakes import START, FakeClock
from tests.support.told_runs import KINDS, Teller

HOSTILE = "</title></script><script>alert(1)</script><img src=x onerror=alert(1)>\"' {{ 7 * 7 }} \u202eevil\x1b[31m"


def told(subject: str = "Add paging", author: str = "Ada") -> tuple[RunSummary, ...]:
    """Runs of each kind, newest first."""
    teller = Teller(CountedStore(), FakeClock(), author=author)
    for number, kind in enumerate(KINDS * 2):
        teller.tell(kind, f"{number:040x}", subject=subject)
    return teller.history.read_summaries("production")[0]


def panel(runs: tuple[RunSummary, ...], text: str = "words", name: str = "production") -> Panel:
    """An environment with something of everything."""
    fates = figures.judge_failures(runs)
    return Panel(
        name=name,
        serving=(
            Serving(service="api", commit="a" * 40, state=State.PASS, health=text, since=START, by=text, url=text),
            Serving(service="web", commit="", state=State.UNREACHABLE, health="no answer"),
        ),
        facts=(
            Fact(name="Waiting", text=text, at=START, private=text, lines=(text, text)),
            Fact(name="Alerts", text="not examined", state=State.UNKNOWN),
        ),
        runs=runs,
        unreadable=("run-lost",),
        recovered={run.id: fates[run.id].seconds for run in runs if run.id in fates},
        figures=figures.figures(runs, {}, START + timedelta(days=1)),
    )


def site(*panels: Panel, public: bool = False) -> Site:
    """A page of them."""
    return Site(product="shop", built_at=START, every=3600.0, public=public, panels=panels)


def text_of(html: str) -> str:
    """What a reader sees of it, with single spaces."""
    root = JustHTML(html, sanitize=False).root
    return " ".join(root.to_text().split())


def _links(document: JustHTML) -> list[str | None]:
    """Where its links lead."""
    return [(link.attrs or {})["href"] for link in document.query("a")]


@pytest.mark.parametrize(
    "made",
    [
        site(panel(told())),
        site(panel(told(HOSTILE, HOSTILE), HOSTILE)),
        site(panel(()), Panel(name="staging", trouble=HOSTILE), Panel(name="local")),
        site(panel(told()), public=True),
    ],
    ids=["plain", "hostile", "several", "public"],
)
def test_the_page_is_valid_html(made: Site) -> None:
    """A strict parser finds no error in it, and no id is there twice."""
    html = page.make_files(made)["index.html"].decode()

    document = JustHTML(html, strict=True, sanitize=False)

    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert len(document.query("h1")) == 1
    assert len(document.query("main")) == 1


def test_nothing_that_others_write_acts_on_the_page() -> None:
    """Subjects, authors and reasons are text: no element comes of them, and no character turns the writing round."""
    html = page.make_files(site(panel(told(HOSTILE, HOSTILE), HOSTILE)))["index.html"].decode()
    document = JustHTML(html, sanitize=False)

    assert len(document.query("script")) == 1
    assert document.query("img") == []
    assert "{{ 7 * 7 }}" in text_of(html)
    assert "\u202e" not in html
    assert "\x1b" not in html
    assert _links(document) == []


def test_an_address_that_is_none_is_no_link() -> None:
    """``javascript:`` leads nowhere, and so does what is no address."""
    runs = told()
    for url, links in (("javascript:alert(1)", 0), ("https://ci.example/7?a=1&b=2", 1)):
        one = msgspec.structs.replace(runs[0], url=url)
        document = JustHTML(page.make_files(site(panel((one,))))["index.html"].decode(), sanitize=False)
        assert _links(document) == [url] * links


def test_the_page_needs_nothing_else_and_forbids_everything_else() -> None:
    """Its style and its script are named by their hashes, and no address is loaded."""
    html = page.make_files(site(panel(told())))["index.html"].decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None

    for name in ("style", "script"):
        (body,) = re.findall(rf"<{name}>(.*?)</{name}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{name}-src &#39;sha256-{digest}&#39;" in policy[1]
    assert policy[1].startswith("default-src 'none'; ")
    assert not re.search(r"\bsrc=|@import|url\(| style=|\bon\w+=|<link|<iframe", html)


def test_json_says_what_the_page_says() -> None:
    """A program reads the same values: each figure, each fact, each run."""
    one = panel(told())
    files = page.make_files(site(one))
    document = json.loads(files["status.json"])
    shown = text_of(files["index.html"].decode())

    assert (document["version"], document["product"], document["panels"][0]["state"]) == (1, "shop", "unreachable")
    for figure in document["panels"][0]["figures"]:
        assert figure["name"] in shown
        assert figure["text"] in shown
    assert [run["id"] for run in document["panels"][0]["runs"]] == [run.id for run in one.runs]


def test_each_figure_opens_to_what_it_counts_and_what_it_leaves_out() -> None:
    """Every run stands in one of the two lists, with the reason."""
    one = panel(told())
    html = page.make_files(site(one))["index.html"].decode()
    shown = {figure.name: figure for figure in one.figures}

    cards = [card for card in JustHTML(html, sanitize=False).query("li") if card.query("details h4")]
    assert len(cards) == len(one.figures) == 4
    for card in cards:
        words = " ".join(card.to_text().split())
        figure = next(each for name, each in shown.items() if words.startswith(name))
        assert f"{len(figure.counted)} counted, {len(figure.left_out)} left out" in words
        assert [each.reason for each in figure.left_out if each.reason not in words] == []


def test_a_badge_is_a_picture_that_says_what_it_shows() -> None:
    """In words, for who sees no colour; of each environment one."""
    files = page.make_files(site(panel(told()), Panel(name="staging", trouble="gone")))

    roots = {name: ET.fromstring(body) for name, body in files.items() if name.endswith(".svg")}  # noqa: S314 - our own
    assert {name: root.attrib["aria-label"] for name, root in roots.items()} == {
        "badge-production.svg": "production: aaaaaaa unreachable",
        "badge-staging.svg": "staging: unknown",
    }


def test_no_secret_is_on_the_page() -> None:
    """Whoever wrote it there: what is known to be one is struck out of every file."""
    files = page.make_files(
        site(panel(told("hunter2hunter2"), "hunter2hunter2")), lambda text: text.replace("hunter2", "•")
    )

    assert [name for name, body in files.items() if b"hunter2" in body] == []
    assert "•" in files["status.json"].decode() or "\\u2022" in files["status.json"].decode()


@pytest.mark.parametrize(
    ("serving", "last", "state"),
    [
        ((), None, State.UNKNOWN),
        ((State.UNKNOWN,), None, State.UNKNOWN),
        ((State.PASS, State.UNKNOWN), 0, State.PASS),
        ((State.PASS,), 14, State.WARN),
        ((State.PASS,), 20, State.FAIL),
        ((State.PASS, State.WARN), 0, State.WARN),
        ((State.PASS, State.UNREACHABLE), 0, State.UNREACHABLE),
        ((State.UNREACHABLE, State.FAIL), 0, State.FAIL),
    ],
)
def test_an_environment_is_as_well_as_its_worst_part(
    serving: tuple[State, ...], last: int | None, state: State
) -> None:
    """What nobody could look at is no sign of health."""
    run = RunSummary(id="1", at=START, ended=START, commit=told()[0].commit, outcome="so", exit_code=last or 0)
    services = tuple(Serving(service=each, commit="a", state=each) for each in serving)

    assert Panel(name="x", serving=services, runs=(run,) if last is not None else ()).state is state


@pytest.mark.parametrize("out", ["", "deep/er"])
def test_the_files_are_whole_and_any_web_server_may_read_them(tmp_path: Path, out: str) -> None:
    """Written anew, in the place of the old ones, and nothing else lies there."""
    folder = tmp_path / "site" / out
    for _ in range(2):
        places = page.write_page(site(panel(told())), str(folder), lambda text: text)

    assert places[0] == f"{folder}/index.html"
    assert sorted(map(str, folder.iterdir())) == sorted(places)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


@pytest.mark.parametrize(
    ("out", "why"),
    [
        ("file", "file is a file, and no folder"),
        ("file/site", "file/site is a file, or a part of it is"),
        ("others", r"index\.html was not made by inv dashboard, and is left as it is"),
        ("table", r"status\.json was not made by inv dashboard"),
        ("blank", r"index\.html was not made by inv dashboard"),
        ("taken", r"index\.html is a folder, and no file"),
        ("", "--out names no folder"),
        ("https://example.org/site", "neither s3://"),
        ("s3://", "s3:// names no bucket"),
        ("s3:///prefix", "names no bucket"),
    ],
)
def test_a_place_that_is_none_is_told_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, why: str
) -> None:
    """A file in the place of the folder, files of others, which are never replaced, or an address of no kind."""
    monkeypatch.chdir(tmp_path)
    texts = {"file": "", "others/index.html": "<h1>our shop</h1>", "table/status.json": "[1]", "blank/index.html": ""}
    for name, text in texts.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    Path("taken/index.html").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(SettingsError, match=why):
        page.write_page(site(panel(())), out, lambda text: text)

    assert sorted(tmp_path.rglob("*")) == before
    assert {name: Path(name).read_text() for name in texts} == texts


def test_the_folder_may_have_files_of_others_beside(tmp_path: Path) -> None:
    """They stay."""
    (tmp_path / "CNAME").write_text("status.example.org")

    page.write_page(site(panel(())), str(tmp_path), lambda text: text)

    assert (tmp_path / "CNAME").read_text() == "status.example.org"
    assert (tmp_path / "index.html").exists()


def test_a_folder_that_nobody_may_write_is_told(tmp_path: Path) -> None:
    """With who could help."""
    tmp_path.chmod(0o500)
    user = os.geteuid()
    try:
        if user == 0:  # who may write everywhere
            os.seteuid(65534)
        with pytest.raises(SettingsError, match="cannot be written: Permission denied") as raised:
            page.write_page(site(panel(())), str(tmp_path), lambda text: text)
    finally:
        os.seteuid(user)
    assert "see who may write there" in raised.value.remedy


def test_a_bucket_without_credentials_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, not by the name of a class."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(Unreachable, match="s3://deploys/site cannot be reached: there are no credentials") as raised:
        page.write_page(site(panel(())), "s3://deploys/site", lambda text: text)
    assert "AWS_ACCESS_KEY_ID" in raised.value.remedy
