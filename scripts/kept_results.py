"""A plugin of pytest: what came of each test is kept at once, and a run that was stopped goes on after what did not fail.

    python -m pytest -p kept_results --kept FILE

FILE has a line of JSON for each test, [name, outcome], in the order in which they ran; the last of a name holds.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ORDER = ("passed", "skipped", "failed")


def read(file: Path) -> dict[str, str]:
    """Outcomes by the tests' names; a last line that was cut off is left out."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
    return dict(json.loads(line) for line in lines if line.endswith("\n"))


def counts(outcomes: dict[str, str]) -> str:
    """As pytest's last line has it."""
    found = list(outcomes.values())
    return ", ".join(f"{found.count(outcome)} {outcome}" for outcome in ORDER if outcome in found)


class Keeper:
    """Writes the file, and leaves out what stands in it."""

    def __init__(self, file: Path, writes: bool) -> None:
        self.writes = writes  # not in xdist's workers, whose reports come to where they were started
        self.file = file.resolve()  # a test may be in another folder
        before = read(file)
        self.before = {name for name, outcome in before.items() if outcome != "failed"}
        if writes:
            file.write_text("".join(json.dumps(each) + "\n" for each in before.items()), encoding="utf-8")

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in self.before])
        items[:] = [item for item in items if item.nodeid not in self.before]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:  # a file of tests that asks for what is not there; one that cannot be imported ends the run
            self.keep(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            self.keep(report)

    def keep(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if self.writes:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps([report.nodeid, report.outcome]) + "\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kept", type=Path, help="where what came of each test is kept")


def pytest_configure(config: pytest.Config) -> None:
    if file := config.getoption("kept"):
        config.pluginmanager.register(Keeper(file, not hasattr(config, "workerinput")))
