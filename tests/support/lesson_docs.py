"""The commands in `docs/lessons.md` and their output: `make lessons` writes it, and a test compares it with a new run.

A block begins with `<!-- output of: monitor … -->` and ends with `<!-- end of output -->`. Of the runs of a lesson, it
has what comes after them: the table, the slide's numbers, and what was seen.
"""

from __future__ import annotations

import re
import shlex
import sys
import tempfile
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, NamedTuple

import torch
from click.testing import CliRunner

from monitor.cli import main
from runners.course.catalogue import LESSONS
from tests.support.requirements import DATA

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "lessons.md"
BLOCK = re.compile(r"(?<=<!-- output of: )(monitor [^\n]*)( -->\n```text\n)(.*?)(?=```\n<!-- end of output -->)", re.S)
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
MESSAGES = ("INFO: ", "WARNING: ", "Training finished")  # on stderr, and of the dashboards
WIDTH = 110  # characters of a table
# Training on images differs a little between processors, by the order in which they add up.
ACCURACY_TOLERANCE, LOSS_TOLERANCE = 0.03, 0.25  # absolute, of a share; relative, of a loss
LOW_ACCURACY, LOW_ACCURACY_TOLERANCE = 0.8, 0.2  # a network that learns slowly or badly
DIGITS_TOLERANCE = 2  # in the last digit printed, of everything else


class Block(NamedTuple):
    """A command in the page, and the output that the page has for it."""

    command: str
    output: str

    @property
    def has_images(self) -> bool:
        """Whether the command trains on images."""
        name = shlex.split(self.command)[-1 if self.command.count(" ") == 1 else 2]
        return name in LESSONS and LESSONS[name].has_images and bool(LESSONS[name].runs)


def blocks() -> Iterator[Block]:
    """Yield the blocks of the page."""
    for match in BLOCK.finditer(PAGE.read_text()):
        yield Block(match[1], match[3])


def run(block: Block, folder: Path, mnist: Path) -> str:
    """Run a block's command, with `folder` for its runs and `mnist` for the images; return its output.

    It runs on one thread of PyTorch: sums depend on the number of threads, and on a busy machine, several wait
    for each other.
    """
    words = [str(DATA / word) if word.endswith(".csv") else word for word in shlex.split(block.command)[1:]]
    if len(words) > 1:
        words += ["--logdir", str(folder), "--sink", "tensorboard"]
    if block.has_images:
        words += ["--data", "mnist", "--data-dir", str(mnist)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        said = CliRunner(env={"COLUMNS": str(WIDTH)}).invoke(main, words)
    finally:
        torch.set_num_threads(threads)
    if said.exit_code != 0:
        raise AssertionError(f"{block.command} exits with {said.exit_code}:\n{said.output}")
    return _shown(said.output, str(folder))


def _shown(output: str, folder: str) -> str:
    """Leave out the runs before the table of a lesson, and what names the folder."""
    lines = [line.rstrip() for line in output.splitlines() if folder not in line and not line.startswith(MESSAGES)]
    table = next((number for number, line in enumerate(lines) if line.startswith("┏")), None)
    text = "\n".join(lines if table is None else lines[table:]).strip("\n")
    return re.sub(r"\n{3,}", "\n\n", text) + "\n"


def differences(block: Block, output: str) -> list[str]:
    """Return in which lines the output of a command is not the one in the page, within the tolerances above."""
    before, now = (_lines(text, block) for text in (block.output, output))
    if len(before) != len(now):
        return [f"{len(now)} lines instead of {len(before)}:\n{output}"]
    return [
        f"{line!r} where the page has {wanted!r}"
        for wanted, line in zip(before, now)
        if not _is_close(wanted, line, block.has_images)
    ]


def _lines(text: str, block: Block) -> list[str]:
    """Return the lines to compare; of images, what was seen may name another best run."""
    lines = [" ".join(line.replace("*", " ").split()) for line in text.splitlines()]
    return [line for line in lines if line and not (block.has_images and line.startswith("Seen:"))]


def _is_close(wanted: str, line: str, has_images: bool) -> bool:
    if NUMBER.sub("#", wanted) != NUMBER.sub("#", line):
        return False
    pairs = zip(NUMBER.findall(wanted), NUMBER.findall(line))
    return all(_is_number_close(a, b, has_images) for a, b in pairs)


def _is_number_close(a: str, b: str, has_images: bool) -> bool:
    x, y = (float(text.replace(",", "")) for text in (a, b))
    if not has_images:
        digits = len(a.partition("e")[0].partition(".")[2])
        unit = 10.0**-digits * 10.0 ** float(a.partition("e")[2] or 0)
        return abs(x - y) <= (DIGITS_TOLERANCE if digits or "e" in a else 0) * float(unit) * (1 + 1e-9)
    if 0 <= x <= 1:
        tolerance = LOW_ACCURACY_TOLERANCE if x < LOW_ACCURACY else ACCURACY_TOLERANCE
        return abs(x - y) <= tolerance
    return abs(x - y) <= LOSS_TOLERANCE * abs(x)


def write(names: list[str]) -> None:
    """Run the commands of the page, or those with one of `names` as a word, and write their output into it."""
    for block in list(blocks()):
        if names and not any(name in shlex.split(block.command) for name in names):
            continue
        with tempfile.TemporaryDirectory() as folder:
            started = process_time()
            try:
                output = run(block, Path(folder), DATA)
            except AssertionError as error:
                print(error, flush=True)
                continue
        print(f"{block.command}: {process_time() - started:.0f} s of a core\n{output}", flush=True)
        before = f"{block.command} -->\n```text\n{block.output}```"
        PAGE.write_text(PAGE.read_text().replace(before, f"{block.command} -->\n```text\n{output}```", 1))


if __name__ == "__main__":
    write(sys.argv[1:])
