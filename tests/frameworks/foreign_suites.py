"""Run a foreign test suite with its own writer and with ours, and compare the results test by test.

    FOREIGN_SUITE=path/to/tensorboardX python -m tests.frameworks.foreign_suites tests/test_writer.py …

The folder is a checkout; by default its files `tests/*test*.py` are run. Only the class is replaced, from outside. For
Lightning's loggers, where ours takes the place of `CSVLogger`:

    FOREIGN_SUITE=path/to/pytorch-lightning/tests FOREIGN_PLUGIN=swapped_loggers python -m
        tests.frameworks.foreign_suites tests_pytorch/loggers/test_all.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

FOLDER, PLUGIN = "FOREIGN_SUITE", "FOREIGN_PLUGIN"
TIMEOUT_S = 900
HERE = Path(__file__).parent  # a suite may have a package `tests` too, so the plugin is found by its own name
WORSE = {"passed": 0, "skipped": 1, "failed": 2, "missing": 3}


def results(folder: Path, file: str, *, is_swapped: bool) -> dict[str, str]:
    """Run one file of the suite in a process of its own; return how each test ended."""
    plugin = ["-p", os.environ.get(PLUGIN, "swapped_writers")] if is_swapped else []
    with tempfile.TemporaryDirectory() as reports:
        report = Path(reports, "report.xml")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--junitxml={report}",
            *plugin,
            file,
        ]
        path = os.pathsep.join(
            [str(folder), str(HERE), str(HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
        environment = {**os.environ, "PYTHONPATH": path, "MPLBACKEND": "agg"}
        subprocess.run(command, cwd=folder, env=environment, timeout=TIMEOUT_S, check=False, stdout=subprocess.DEVNULL)
        if not report.exists():
            return {}
        cases = list(ElementTree.parse(report).iter("testcase"))
    return {f"{case.get('classname', '').rpartition('.')[2]}.{case.get('name')}": _outcome(case) for case in cases}


def _outcome(case: ElementTree.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


def main() -> int:
    """Print the table; return how many tests pass with the stock class and not with ours."""
    folder = Path(os.environ[FOLDER]).resolve()
    files = sys.argv[1:] or sorted(str(path.relative_to(folder)) for path in folder.glob("tests/*test*.py"))
    with tempfile.TemporaryDirectory() as copies:  # one each, because tests find what earlier ones left
        stock, ours = (shutil.copytree(folder, Path(copies, name), symlinks=True) for name in ("stock", "ours"))
        return compare(stock, ours, files)


def compare(stock_copy: Path, our_copy: Path, files: list[str]) -> int:
    """Run the files in both copies and print the table; return how many tests pass in the first copy only."""
    worse = total = stock_passed = ours_passed = 0
    for file in files:
        stock, ours = results(stock_copy, file, is_swapped=False), results(our_copy, file, is_swapped=True)
        passed = [sum(outcome == "passed" for outcome in found.values()) for found in (stock, ours)]
        print(f"{file:45} {len(stock):4} tests, {passed[0]:4} pass with the stock class, {passed[1]:4} with ours")
        total, stock_passed, ours_passed = total + len(stock), stock_passed + passed[0], ours_passed + passed[1]
        for test in sorted({*stock, *ours}):
            before, after = stock.get(test, "missing"), ours.get(test, "missing")
            if before != after:
                print(f"    {test}: {before} with the stock class, {after} with ours")
                worse += WORSE[after] > WORSE[before] == 0
    print(f"{total} tests: {stock_passed} pass with the stock class, {ours_passed} with ours")
    return worse


if __name__ == "__main__":
    sys.exit(main())
