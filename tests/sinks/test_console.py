"""The console sink against the contract, on a terminal and elsewhere."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from rich.console import Console

from monitor import Run
from monitor import records as r
from monitor.sinks.console import ConsoleSink
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
        "epoch 1/2  step 1/2  train/loss 2.5  test/loss 2.25  test/accuracy 0.5  alone 7",
        "notes (step 1): step 1: <b>plain</b> text & more",
        "report (step 1):",
        "# Step 1",
        *report,
        "epoch 2/2  step 2/2  train/loss 1.5  test/loss 1.25  test/accuracy 0.75  alone 7",
    ]


def test_the_console_draws_progress_on_a_terminal(run: Run) -> None:
    to, out = console(terminal=True)
    check_sink(lambda: ConsoleSink(to), run)
    drawn = out.getvalue()
    assert re.search(r"epoch 2/2 step 2 .*━", drawn)
    assert "test/accuracy 0.75" in drawn
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h"), "the cursor must come back"


def test_the_console_shows_all_values_on_a_narrow_terminal(run: Run) -> None:
    shown = io.StringIO()
    sink = ConsoleSink(Console(file=shown, force_terminal=True, width=80))
    sink.open(run)
    sink.write([r.Scalar(f"group/value{n}", n / 7, 5, 0.0) for n in range(8)])
    sink.flush()
    sink.close()
    for n in range(8):
        assert f"value{n} {n / 7:.4g}" in " ".join(shown.getvalue().split())


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
