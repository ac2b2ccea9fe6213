"""Whether what is skipped here was to be expected: ``--expected-skips`` names a file of reasons, and any other one fails."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.needed import require
from tests.support.skips import expected

require()  # before the other files of this kind are read, each of which would be an error of its own
ODD = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    told = "a file with a pattern a line for each reason to skip a test that may come up here; any other fails the run"
    parser.addoption("--expected-skips", type=Path, metavar="FILE", help=told)


class _Skips:
    """Compares each skipped test with what was expected."""

    def __init__(self, reasons: re.Pattern[str]) -> None:
        self.reasons, self.odd = reasons, dict[str, str]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of a test has ended, here or at a worker."""
        if report.skipped and not hasattr(report, "wasxfail"):
            _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, str(report.longrepr))
            if not self.reasons.fullmatch(said := reason.removeprefix("Skipped: ")):
                self.odd[report.nodeid] = said

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A whole file may be skipped."""
        self.pytest_runtest_logreport(report)  # type: ignore[arg-type]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A run in which everything else is well fails."""
        if self.odd and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Which."""
        if self.odd:
            terminalreporter.section("skipped, which was not expected", red=True)
            for test, reason in self.odd.items():
                terminalreporter.line(f"{test}: {reason}")


def pytest_configure(config: pytest.Config) -> None:
    """Only where all is reported: a worker's reports come to the one who started it."""
    if (file := config.getoption("expected_skips")) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Skips(expected(file)))
