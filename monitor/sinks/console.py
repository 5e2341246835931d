"""The console sink: a progress bar with the latest values on a terminal, one line per epoch elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text as RichText

from monitor import records as r
from monitor.alerts import ALERT_TAG
from monitor.metrics import is_background
from monitor.render.escaping import escape_control_chars
from monitor.sinks.base import Sink

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.records import Record
    from monitor.runs.run import Run
    from monitor.scalar_block import ScalarBlock

MAX_TEXT_CHARS = 2000


class _Console(Console):
    """A console that goes quiet when its output is closed; rich's own would end the program."""

    is_disconnected = False

    def on_broken_pipe(self) -> None:
        """Remember that nobody reads the output anymore."""
        self.is_disconnected = True


class _Bar(Progress):
    """A progress bar with the latest values below it, because a narrow terminal has no space beside it."""

    values = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return the bar and the values."""
        yield from super().get_renderables()
        yield RichText(self.values)


class ConsoleSink(Sink):
    """Show how far the run is and the latest value of each metric; print texts when they are logged."""

    name = "console"
    accepts = frozenset({r.Scalar, r.Text, r.Progress})

    def __init__(self, console: Console | None = None) -> None:
        """Write to `console`; by default, to a new one on stdout."""
        self._console = console
        self._latest: dict[str, float] = {}
        self._step = 0
        self._bar: _Bar | None = None
        self._task = TaskID(0)
        self._progress = r.Progress(0, 0, 0, 0, 0.0)
        self._lines: list[str] = []

    def open(self, run: Run) -> None:
        """Start the progress bar, if the output is a terminal."""
        if self._console is None:
            self._console = _Console()
        if self._console.is_terminal and self._bar is None:
            self._bar = _Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
                auto_refresh=False,  # `flush` draws it, on the worker's thread
            )
            self._task = self._bar.add_task(run.name, total=None)
            self._bar.start()

    def write(self, records: Sequence[Record]) -> None:
        """Take in the values, and queue the lines to print."""
        for record in records:
            if isinstance(record, r.Scalar):
                if is_background(record.tag):
                    continue
                self._latest[record.tag] = record.value
                self._step = max(self._step, record.step)
            elif isinstance(record, r.Text) and record.tag == ALERT_TAG:
                pass  # the log reports alerts, with or without a console
            elif isinstance(record, r.Text):
                gap = "\n" if "\n" in record.text else " "  # several lines, such as a table, start on a new line
                self._lines.append(
                    escape_control_chars(f"{record.tag} (step {record.step}):{gap}{record.text}", MAX_TEXT_CHARS)
                )
            elif isinstance(record, r.Progress):
                self._progress = record
                self._step = max(self._step, record.step)
                if record.epoch:
                    self._lines.append(
                        f"epoch {record.epoch}/{record.epochs}  step {record.step}/{record.steps}  {self._values()}"
                    )

    def write_scalars(self, block: ScalarBlock) -> None:
        """Take in the last value of each tag, and the highest step."""
        for tag, calls, places in block.places():
            if is_background(tag):
                continue
            self._latest[tag] = float(block.values[places[-1]])
            self._step = max(self._step, int(block.steps[calls].max()))

    def flush(self) -> None:
        """Print the queued lines and redraw the progress bar."""
        if self._console is None or getattr(self._console, "is_disconnected", False):
            return
        while self._lines:
            self._console.print(RichText(self._lines[0]), soft_wrap=True)
            del self._lines[0]
        if self._bar is not None:
            epoch, epochs = self._progress.epoch, self._progress.epochs
            current = f"epoch {min(epoch + 1, epochs)}/{epochs} " if epochs else ""
            self._bar.values = self._values()
            self._bar.update(
                self._task,
                description=f"{current}step {self._step}",
                completed=self._step,
                total=self._progress.steps or None,
                refresh=True,
            )

    def close(self) -> None:
        """Leave the progress bar as it is, and show the cursor again."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _values(self) -> str:
        return "  ".join(f"{escape_control_chars(tag)} {value:.4g}" for tag, value in self._latest.items())
