"""The console sink against the contract, on a terminal and elsewhere."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from monitor import Run
from monitor import records as r
from monitor.scalar_block import ScalarBlock
from monitor.sinks.console import ConsoleSink
from monitor.sinks.run_status import RunStatusSink
from monitor.testing import check_sink

if TYPE_CHECKING:
    from pathlib import Path


def console(terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=120, color_system=None), out


def test_the_console_writes_a_plain_line_an_epoch(run: Run) -> None:
    to, out = console(terminal=False)
    check_sink(lambda: ConsoleSink(to), run)
    report = ["", "| a | b |", "|---|---|", "| *1* | <b>2</b> |"]
    assert out.getvalue().splitlines() == [
        "notes (step 0): step 0: <b>plain</b> text & more",
        "report (step 0):",
        "# Step 0",
        *report,
        "epoch 1/2  step 1/2 (values of step 0)  test/accuracy 0.5  test/loss 2.25  train/loss 2.5  alone 7",
        "notes (step 1): step 1: <b>plain</b> text & more",
        "report (step 1):",
        "# Step 1",
        *report,
        "epoch 2/2  step 2/2 (values of step 1)  test/accuracy 0.75  test/loss 1.25  train/loss 1.5  alone 7",
    ]


def test_the_console_draws_progress_on_a_terminal(run: Run) -> None:
    to, out = console(terminal=True)
    check_sink(lambda: ConsoleSink(to), run)
    drawn = out.getvalue()
    assert re.search(r"epoch 2/2 step 2 .*━", drawn)
    assert "test/accuracy 0.75" in drawn
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h"), "the cursor must come back"


def screen(width: int, *show: str) -> list[str]:
    """Return the lines that a terminal of this width gets over a run of two epochs, without the control sequences."""
    shown = io.StringIO()
    sink = ConsoleSink(Console(file=shown, force_terminal=True, width=width, color_system=None), show=show)
    sink.open(Run("run", is_written=False))
    for epoch in (1, 2):
        values = {"lr": 0.01, "train/loss": 0.25, "test/loss": 0.125, "test/accuracy": 0.9123456, "gradient_norm": 2.5}
        sink.write([r.Scalar(tag, value, 1500 * epoch, 0.0) for tag, value in values.items()])
        sink.write([r.Progress(epoch, 2, 1500 * epoch, 3000, 0.0)])
        sink.flush()
    sink.close()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue()).replace("\r", "\n").splitlines()


@pytest.mark.parametrize("width", [20, 30, 45, 60, 80, 120])
def test_no_word_is_broken_at_any_width(width: int) -> None:
    lines = screen(width)
    assert all(len(line) <= width for line in lines)
    words = set(" ".join(lines).split())
    tags = {"test/accuracy", "test/loss", "train/loss", "lr"}
    assert {word for word in words if "/" in word and not word[0].isdigit() and "…" not in word} <= tags
    assert "gradient_norm" not in words, "four values are shown"
    assert "0.9123" in words


def test_a_line_has_four_values_and_the_last_epoch_is_there_once() -> None:
    lines = [line for line in screen(120) if line.startswith("epoch")]
    whole = "step 3000/3000  test/accuracy 0.9123  test/loss 0.125  train/loss 0.25  lr 0.01"
    assert [line for line in lines if whole in line] == [f"epoch 2/2  {whole}"]


def test_what_is_shown_can_be_chosen() -> None:
    lines = screen(120, "gradient_norm", "t*", "lr")
    first = "epoch 2/2  step 3000/3000  gradient_norm 2.5  train/loss 0.25  test/loss 0.125  test/accuracy 0.9123"
    assert "  lr 0.01" in lines[lines.index(first) :]


def test_a_run_without_epochs_leaves_its_last_values() -> None:
    to, out = console(terminal=True)
    sink = ConsoleSink(to)
    sink.open(Run("run", is_written=False))
    sink.write([r.Scalar("loss", 0.5, 7, 0.0)])
    sink.flush()
    sink.close()
    assert out.getvalue().rstrip().endswith("step 7  loss 0.5")


def test_the_console_spells_control_characters_out_and_cuts_what_is_long(tmp_path: Path) -> None:
    import io

    from rich.console import Console

    from monitor import Logger
    from monitor.sinks.console import ConsoleSink

    out = io.StringIO()
    with Logger(tmp_path / "run", [ConsoleSink(Console(file=out, width=100_000))]) as log:
        log.text("t", "bell \x07 and \x1b[31mred\x1b[0m", 0)
        log.text("long", "x" * 1_000_000, 0)
    assert "bell \\u0007 and \\u001b[31mred" in out.getvalue()
    assert len(out.getvalue()) < 3000
    assert "more characters" in out.getvalue()


def test_the_epoch_goes_on_where_few_of_many_are_reported() -> None:
    out = io.StringIO()
    sink, status = ConsoleSink(Console(file=out, width=100, force_terminal=True)), RunStatusSink()
    for one in (sink, status):
        one.open(Run("run", is_written=False))
        one.write([r.Progress(0, 1_000_000, 0, 8_000_000, 0.0), r.Scalar("train/loss", 0.5, 8088, 0.0)])
    sink.flush()
    sink.close()
    assert "epoch 1012/1000000 step 8088" in out.getvalue()
    assert status.fields()["progress"] == {"epoch": 1011, "epochs": 1_000_000, "step": 8088, "steps": 8_000_000}
    status.write([r.Progress(2000, 1_000_000, 16_000, 8_000_000, 0.0), r.Scalar("train/loss", 0.5, 9_000_000, 0.0)])
    assert status.fields()["progress"]["epoch"] == 1_000_000, "and not beyond the end"
    status.write([r.Progress(3, 0, 7, 0, 0.0)])
    assert status.fields()["progress"]["epoch"] == 3, "as reported, where the end is not known"


def test_a_value_of_an_older_step_says_so() -> None:
    to, out = console(terminal=False)
    sink = ConsoleSink(to)
    sink.open(Run("run", is_written=False))
    sink.write([r.Scalar("test/loss", 0.5, 10, 0.0), r.Scalar("lr", 0.1, 0, 0.0)])
    calls = [r.Scalar("train/loss", 1 / step, step, 0.0) for step in range(1, 11)]
    sink.write_scalars(ScalarBlock.of(calls[:-1]))
    sink.write([r.Progress(1, 2, 10, 20, 0.0)])
    sink.write_scalars(ScalarBlock.of(calls))
    sink.write([r.Progress(1, 2, 10, 20, 0.0)])
    sink.flush()
    sink.close()
    assert out.getvalue().splitlines() == [
        "epoch 1/2  step 10/20  test/loss 0.5  train/loss 0.1111 (step 9)  lr 0.1 (step 0)",
        "epoch 1/2  step 10/20  test/loss 0.5  train/loss 0.1  lr 0.1 (step 0)",
    ]
