"""Advisories, asked for by the real tools of a local service that answers in every way."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from datetime import date
from pathlib import Path

import msgspec
import pytest

from deploylib.models.extras import install_command
from deploylib.models.findings import AcceptedFinding, Examined, Verdict
from deploylib.scanners import Product
from deploylib.scanners.dependencies import scan_dependencies
from deploylib.settings import ScanSettings
from deploylib.system import Clock, Deadline, process
from tests.support.answerer import answering
from tests.support.fakes import FakeClock, write

VULNERABLE = {"requirements.txt": "# via hand\njinja2==2.11.2\nsix==1.17.0\n"}
PATCHED = {"requirements.txt": "# via hand\njinja2==3.1.6\nsix==1.17.0\n"}
LOCK = {
    "package.json": json.dumps({"name": "shop", "version": "1.0.0", "dependencies": {"minimist": "1.2.5"}}),
    "package-lock.json": json.dumps(
        {
            "name": "shop",
            "version": "1.0.0",
            "lockfileVersion": 3,
            "packages": {
                "": {"name": "shop", "version": "1.0.0", "dependencies": {"minimist": "1.2.5"}},
                "node_modules/minimist": {"version": "1.2.5"},
            },
        }
    ),
}
CALM = {name: text.replace("minimist", "ms") for name, text in LOCK.items()}
npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


def examined(root: Path, files: dict[str, str], url: str = "", **settings: object) -> Examined:
    """What is said of a tree with these files."""
    write(root, files)
    chosen = msgspec.convert({"osv_url": url and f"{url}/v1/query", **settings}, ScanSettings)
    clock = FakeClock()
    said = scan_dependencies(Product(root, chosen, deadline=clock.deadline(60)))
    return said.judge(chosen.accepted, clock.now().date())


@pytest.mark.parametrize(
    "name", ["json.py", *(pytest.param(name, marks=pytest.mark.load) for name in ("pip_audit.py", "requests.py"))]
)
def test_nothing_of_the_folder_is_run_in_which_it_is_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A working copy may have a file that is called like the tool, or like what the tool imports."""
    write(tmp_path / "here", {name: "raise SystemExit('{}')\n"})
    monkeypatch.chdir(tmp_path / "here")

    with answering() as service:
        said = examined(tmp_path / "product", PATCHED, service.url)

    assert (Verdict.CLEAN, {"package": 2}) == (said.verdict, said.counted)


def test_packages_without_advisories_are_clean(tmp_path: Path) -> None:
    """Every one was asked about and answered."""
    with answering() as service:
        said = examined(tmp_path, PATCHED, service.url)

    assert (Verdict.CLEAN, {"package": 2}, ()) == (said.verdict, said.counted, said.findings)
    assert {"jinja2", "six"} == {asked["package"]["name"] for asked in service.asked}


def test_a_vulnerable_version_is_a_finding_with_its_place_and_remedy(tmp_path: Path) -> None:
    """Which package, where it is named, and the version that mends it."""
    with answering() as service:
        said = examined(tmp_path, VULNERABLE, service.url)

    [found] = said.findings
    assert said.verdict is Verdict.FINDINGS
    assert ("PYSEC-2021-66", "jinja2 2.11.2 (requirements.txt:2)") == (found.rule, found.where)
    assert "CVE-2020-28493" in found.text
    assert "raise it to 2.11.3 or later" in found.remedy


def test_two_versions_of_a_package_are_both_asked_about(tmp_path: Path) -> None:
    """The tool takes a name once, so a second version needs a second round."""
    both = {"a/requirements.txt": VULNERABLE["requirements.txt"], "b/requirements-dev.txt": PATCHED["requirements.txt"]}
    with answering() as service:
        said = examined(tmp_path, both, service.url)

    assert (Verdict.FINDINGS, {"package": 3}) == (said.verdict, said.counted)
    assert ["jinja2 2.11.2 (a/requirements.txt:2)"] == [found.where for found in said.findings]


@pytest.mark.parametrize("how", [404, 500])
def test_a_service_that_answers_with_an_error_is_never_clean(tmp_path: Path, how: int) -> None:
    """It is asked three times, and then nothing was examined."""
    with answering(how) as service:
        said = examined(tmp_path, PATCHED, service.url)

    assert (Verdict.NOT_EXAMINED, {"package": 0}) == (said.verdict, said.counted)
    assert [f"the service osv answered {how}"] == [gap.reason for gap in said.gaps]
    assert len(service.asked) >= process.TRIES


def test_a_service_that_refuses_is_never_clean(tmp_path: Path) -> None:
    """Nobody listens there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        said = examined(tmp_path, PATCHED, f"http://127.0.0.1:{free.getsockname()[1]}")

    assert [(Verdict.NOT_EXAMINED, "the service osv refuses the connection")] == [
        (said.verdict, gap.reason) for gap in said.gaps
    ]


def test_a_service_that_hangs_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    """The tool is ended, and nothing was examined."""
    write(tmp_path, PATCHED)
    with answering("never") as service:
        settings = ScanSettings(osv_url=f"{service.url}/v1/query")
        said = scan_dependencies(Product(tmp_path, settings, deadline=Deadline.after(3, Clock())))

    assert [(Verdict.NOT_EXAMINED, "the service osv did not answer in time")] == [
        (said.verdict, gap.reason) for gap in said.gaps
    ]


def test_an_index_without_advisories_is_never_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool itself says that there are no vulnerabilities and ends with 0, having been told nothing."""
    with answering(404) as service:
        redirect = (
            "import re, requests\n"
            "real = requests.Session.request\n"
            "def request(self, method, url, **more):\n"
            f"    return real(self, method, re.sub('^https://[^/]+', {service.url!r}, url), **more)\n"
            "requests.Session.request = request\n"
        )
        write(tmp_path, {"site/sitecustomize.py": redirect})
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
        said = examined(tmp_path / "tree", PATCHED)

    assert (Verdict.NOT_EXAMINED, {"package": 0}) == (said.verdict, said.counted)
    assert ["the service pypi answered about 0 of 2 packages"] == [gap.reason for gap in said.gaps]


def test_a_tool_that_is_not_installed_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    """And it is not asked again."""
    write(tmp_path, {**PATCHED, "python": f'#!/bin/sh\nexec {sys.executable} -S "$@"\n'})
    (tmp_path / "python").chmod(0o755)
    clock = FakeClock()

    said = scan_dependencies(Product(tmp_path, deadline=clock.deadline(60), python=str(tmp_path / "python")))

    assert [("pip-audit is not installed", install_command("scan"))] == [(gap.reason, gap.remedy) for gap in said.gaps]
    assert clock.slept == []


def test_an_accepted_advisory_is_told_with_its_reason_until_its_day(tmp_path: Path) -> None:
    """Also by another of its names; afterwards it is a finding again, and says since when."""
    yes = AcceptedFinding(rule="CVE-2020-28493", reason="no input of strangers", until=date(2026, 3, 1))
    with answering() as service:
        good = examined(tmp_path, VULNERABLE, service.url, accepted=[yes])
        late = examined(
            tmp_path, VULNERABLE, service.url, accepted=[msgspec.structs.replace(yes, until=date(2026, 2, 28))]
        )

    assert Verdict.CLEAN is good.verdict
    assert "no input of strangers" in good.accepted[0]
    assert "(accepted until 2026-02-28)" in late.findings[0].text


def test_what_is_not_pinned_is_not_examined_and_the_rest_is(tmp_path: Path) -> None:
    """Half a look is none, and says where."""
    with answering() as service:
        said = examined(tmp_path, {"requirements.txt": "# via x\nsix==1.17.0\nflask>=3\n-e .\n"}, service.url)

    assert (Verdict.NOT_EXAMINED, {"package": 1}) == (said.verdict, said.counted)
    assert ["requirements.txt:3 and 1 more"] == [gap.what for gap in said.gaps]


@npm
def test_the_three_outcomes_of_npm_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with 1 for a finding and for a registry that has no audit alike."""
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))

    def said(name: str, files: dict[str, str], how: str | int) -> Examined:
        with answering(how) as service:
            monkeypatch.setenv("npm_config_registry", service.url)
            return examined(tmp_path / name, files)

    found, clean, silent = said("found", LOCK, "right"), said("clean", CALM, "right"), said("silent", LOCK, 405)

    assert [("GHSA-xvch-5gv4-984h", "minimist (package-lock.json)")] == [
        (one.rule, one.where) for one in found.findings
    ]
    assert [Verdict.FINDINGS, Verdict.CLEAN, Verdict.NOT_EXAMINED] == [one.verdict for one in (found, clean, silent)]
    assert [{"package": 1}, {"package": 1}, {"package": 0}] == [one.counted for one in (found, clean, silent)]
    assert ["the registry answers no audit"] == [gap.reason for gap in silent.gaps]
