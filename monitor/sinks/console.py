"""The console: a progress bar with the newest values on a terminal, one plain line an epoch elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text as RichText

from monitor import records as r
from monitor.alerts import ALERT_TAG
from monitor.render.escaping import escape_control_chars
from monitor.sinks.base import Sink

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.records import Record
    from monitor.runs.run import Run

MAX_TEXT_CHARS = 2000  # characters of a text


class _Console(Console):
    """A console that stays quiet once nobody reads it; rich's own ends the program then."""

    is_disconnected = False

    def on_broken_pipe(self) -> None:
        self.is_disconnected = True


class _Bar(Progress):
    """A bar with the newest values under it: on a narrow terminal they would not fit beside it."""

    values = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield RichText(self.values)


class ConsoleSink(Sink):
    """Show how far the run is, and the newest value of every scalar; texts as they come."""

    name = "console"
    accepts = frozenset({r.Scalar, r.Text, r.Progress})

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._newest: dict[str, float] = {}
        self._step = 0
        self._bar: _Bar | None = None
        self._task = TaskID(0)
        self._progress = r.Progress(0, 0, 0, 0, 0.0)
        self._lines: list[str] = []

    def open(self, run: Run) -> None:
        if self._console is None:
            self._console = _Console()
        if self._console.is_terminal and self._bar is None:
            self._bar = _Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
                auto_refresh=False,  # drawn by this sink's own thread
            )
            self._task = self._bar.add_task(run.name, total=None)
            self._bar.start()

    def write(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, r.Scalar):
                self._newest[record.tag] = record.value
                self._step = max(self._step, record.step)
            elif isinstance(record, r.Text) and record.tag == ALERT_TAG:
                pass  # told through the log already, also where there is no console
            elif isinstance(record, r.Text):
                gap = "\n" if "\n" in record.text else " "  # a table starts on a line of its own
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

    def flush(self) -> None:
        if self._console is None or getattr(self._console, "gone", False):
            return
        while self._lines:
            self._console.print(RichText(self._lines[0]), soft_wrap=True)
            del self._lines[0]
        if self._bar is not None:
            epoch = (
                f"epoch {min(self._progress.epoch + 1, self._progress.epochs)}/{self._progress.epochs}"
                if self._progress.epochs
                else ""
            )
            self._bar.values = self._values()
            self._bar.update(
                self._task,
                description=f"{epoch} step {self._step}".strip(),
                completed=self._step,
                total=self._progress.steps or None,
                refresh=True,
            )

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _values(self) -> str:
        return "  ".join(f"{tag} {value:.4g}" for tag, value in self._newest.items())
