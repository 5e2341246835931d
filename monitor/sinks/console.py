"""The console sink: a progress bar with the latest values on a terminal, one line per epoch elsewhere."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text as RichText

from monitor import records as r
from monitor.metrics import goal, is_background, sort_key
from monitor.render.text.escaping import escape_control_chars
from monitor.rules.alerts import ALERT_TAG
from monitor.sinks.base import Sink

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.records import Record
    from monitor.runs.run import Run
    from monitor.scalar_block import ScalarBlock

MAX_TEXT_CHARS = 2000
MAX_VALUES = 4  # on a line
GAP = "  "
INDENT = "  "  # of a line that continues another
BAR_CHARS, TIME_CHARS = 24, 9  # of the parts of a progress bar


class _Console(Console):
    """A console that goes quiet when its output is closed; rich's own would end the program."""

    is_disconnected = False

    def on_broken_pipe(self) -> None:
        """Remember that nobody reads the output anymore."""
        self.is_disconnected = True


class _Bar(Progress):
    """A progress bar with the latest values below it, because a narrow terminal has no space beside it."""

    values: Sequence[str] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return the bar and the values."""
        yield from super().get_renderables()
        for line in self.values:
            yield RichText(line, no_wrap=True, overflow="ellipsis")

    def fit(self, description: str) -> None:
        """Leave out the parts for which the terminal is too narrow beside the description."""
        room = self.console.width - cell_len(description)
        parts: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
        if room > BAR_CHARS + 2 * TIME_CHARS:
            parts.append(BarColumn(bar_width=BAR_CHARS))
        if room > 2 * TIME_CHARS:
            parts += [TimeElapsedColumn(), TimeRemainingColumn()]
        self.columns = tuple(parts)


class ConsoleSink(Sink):
    """Show how far the run is and the latest value of the main scalars; print texts when they are logged."""

    name = "console"
    accepts = frozenset({r.Scalar, r.Text, r.Progress})

    def __init__(self, console: Console | None = None, show: Iterable[str] = ()) -> None:
        """Write to `console`; by default, to a new one on stdout.

        `show` names the scalars to show, as tags or patterns such as `test/*`, in this order. By default, these are up
        to four, those of held-out data first, as many as fit on a line.
        """
        self.show = tuple(show)
        self._console = console
        self._latest: dict[str, tuple[float, int]] = {}  # value and step
        self._step = 0
        self._bar: _Bar | None = None
        self._task = TaskID(0)
        self._progress = r.Progress(0, 0, 0, 0, 0.0)
        self._lines: list[str] = []
        self._has_printed_epochs = False
        self._shown: list[str] = []
        self._known_tags = 0  # when `_shown` was made

    def open(self, run: Run) -> None:
        """Start the progress bar, if the output is a terminal."""
        if self._console is None:
            self._console = _Console()
        if self._console.is_terminal and self._bar is None:
            # `flush` draws it, on the worker's thread; in the end, the lines above it say everything.
            self._bar = _Bar(console=self._console, auto_refresh=False, transient=True)
            self._bar.fit(run.name)
            self._task = self._bar.add_task(run.name, total=None)
            self._bar.start()

    def write(self, records: Sequence[Record]) -> None:
        """Take in the values, and queue the lines to print."""
        for record in records:
            if isinstance(record, r.Scalar):
                if is_background(record.tag):
                    continue
                self._latest[record.tag] = record.value, record.step
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
                    self._has_printed_epochs = True
                    place = f"epoch {record.epoch}/{record.epochs}{GAP}step {record.step}/{record.steps}"
                    self._lines += self._with_values(place, record.step)

    def write_scalars(self, block: ScalarBlock) -> None:
        """Take in the last value of each tag, and the highest step."""
        for tag, calls, places in block.places():
            if is_background(tag):
                continue
            self._latest[tag] = float(block.values[places[-1]]), int(block.steps[calls[-1]])
            self._step = max(self._step, int(block.steps[calls].max()))

    def flush(self) -> None:
        """Print the queued lines and redraw the progress bar."""
        if self._console is None or getattr(self._console, "is_disconnected", False):
            return
        is_terminal = self._console.is_terminal
        while self._lines:
            self._console.print(RichText(self._lines[0]), soft_wrap=not is_terminal)
            del self._lines[0]
        if self._bar is not None:
            epoch, epochs = self._progress.epoch_at(self._step), self._progress.epochs
            current = f"epoch {min(epoch + 1, epochs)}/{epochs} " if epochs else ""
            description = f"{current}step {self._step}"
            self._bar.fit(description)
            self._bar.values = self._with_values("", self._step)
            self._bar.update(
                self._task,
                description=description,
                completed=self._step,
                total=self._progress.steps or None,
                refresh=True,
            )

    def close(self) -> None:
        """Remove the progress bar, and show the cursor again; print its last values where no epoch's line has."""
        if self._bar is None:
            return
        self._bar.stop()
        self._bar = None
        if self._latest and not self._has_printed_epochs:
            self._lines += self._with_values(f"step {self._step}", self._step)
            self.flush()

    def _with_values(self, place: str, step: int) -> list[str]:
        """Return lines of values that start with `place`: no wider than the terminal, and with at most four values.

        A value of another step than `step` says so; the line does where all of them are of one other step.
        """
        assert self._console is not None
        width = self._console.width if self._console.is_terminal else None
        tags = self._shown_tags()
        steps = {self._latest[tag][1] for tag in tags}
        if place and len(steps) == 1 and step not in steps:
            (step,) = steps
            place += f" (values of step {step})"
        lines, count = [place], 0
        for tag in tags:
            number, logged_at = self._latest[tag]
            value = f"{number:.4g}" if logged_at == step else f"{number:.4g} (step {logged_at})"
            tag_room = None if width is None else width - len(INDENT) - len(value) - 1
            part = f"{_shortened(escape_control_chars(tag), tag_room)} {value}"
            fits = width is None or cell_len(lines[-1]) + len(GAP) + cell_len(part) <= width
            if lines[-1] and (count == MAX_VALUES or not fits):
                if not self.show and count:
                    break  # one line is enough where nobody asked for more
                lines.append(INDENT + part if place else part)
                count = 1
            else:
                lines[-1] += (GAP if lines[-1] else "") + part
                count += 1
        return lines

    def _shown_tags(self) -> list[str]:
        """Return the tags to show, in their order."""
        if len(self._latest) != self._known_tags:
            self._known_tags = len(self._latest)
            if self.show:
                matching = (tag for pattern in self.show for tag in self._latest if fnmatchcase(tag, pattern))
                self._shown = list(dict.fromkeys(matching))
            else:
                self._shown = sorted(self._latest, key=_importance)[:MAX_VALUES]
        return self._shown


def _importance(tag: str) -> tuple[bool, tuple[int, str, str]]:
    """Return a sort key: metrics that should be low or high come first, those of held-out data before others."""
    return goal(tag) is None, sort_key(tag) if goal(tag) else (0, "", "")


def _shortened(tag: str, room: int | None) -> str:
    """Cut the beginning of a tag that is too long; its end says what it is."""
    if room is None or cell_len(tag) <= room:
        return tag
    return "…" + tag[len(tag) - max(1, room - 1) :]
