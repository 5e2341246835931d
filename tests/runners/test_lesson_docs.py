"""Every command in `docs/lessons.md` prints what the page says, within the tolerances of `lesson_docs.py`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from runners.course.catalogue import LESSONS
from tests.support import lesson_docs
from tests.support.requirements import DATA, skip_or_fail

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = list(lesson_docs.blocks())
QUICK = ("monitor lessons", "monitor lessons bce-by-hand", "monitor lessons why-not-mse", "monitor lessons entropy")


def test_every_lesson_is_in_the_page() -> None:
    shown = {shlex.split(block.command)[2] for block in BLOCKS if len(shlex.split(block.command)) > 2}
    assert set(LESSONS) <= shown
    assert "hours-optimizers" in shown


@pytest.mark.parametrize(
    "block",
    [pytest.param(b, marks=() if b.command in QUICK else pytest.mark.slow, id=b.command) for b in BLOCKS],
)
def test_a_command_prints_what_the_page_says(
    block: lesson_docs.Block, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if ".csv" in block.command and not (DATA / "diabetes.csv").is_file():
        skip_or_fail(f"there is no diabetes.csv in {DATA}; set MONITOR_TEST_DATA to a folder that has it")
    mnist = request.getfixturevalue("mnist") if block.has_images else tmp_path
    assert lesson_docs.differences(block, lesson_docs.run(block, tmp_path / "runs", mnist)) == []


@pytest.mark.parametrize(
    ("command", "before", "now", "is_same"),
    [
        ("monitor lessons hours", "at 1.55 hours", "at 1.57 hours", True),
        ("monitor lessons hours", "at 1.55 hours", "at 1.58 hours", False),
        ("monitor lessons hours", "3 of 4 rows", "4 of 4 rows", False),
        ("monitor lessons hours", "2 hours, a fail", "2 hours, a pass", False),
        ("monitor lessons mlp", "│ adam │ 0.9700 * │", "│ adam │ 0.9600   │", True),
        ("monitor lessons mlp", "│ adam │ 0.9700 * │", "│ adam │ 0.9300   │", False),
        ("monitor lessons mlp", "│ adam │ 0.7500 │", "│ adam │ 0.7000 │", True),
        ("monitor lessons mlp", "│ adam │ 0.9700 │", "│ sgd │ 0.9700 │", False),
        ("monitor lessons mlp", "Seen: the best is a.", "Seen: the best is b.", True),
        ("monitor lessons mlp", "one line\n", "two\nlines\n", False),
    ],
)
def test_what_counts_as_a_difference(command: str, before: str, now: str, is_same: bool) -> None:
    assert (lesson_docs.differences(lesson_docs.Block(command, before), now) == []) is is_same
