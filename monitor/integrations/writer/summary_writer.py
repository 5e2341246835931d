"""`SummaryWriter`: write what a script logs for TensorBoard through the pipeline of this package.

It has the methods of `tensorboardX.SummaryWriter` and of `torch.utils.tensorboard.SummaryWriter`, and its event files
hold what theirs would. The calls check, copy, and return; a worker builds and writes.
"""

from __future__ import annotations

import contextlib
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from monitor.capture.snapshot import is_tensor
from monitor.integrations.writer.exported import ExportedScalars
from monitor.integrations.writer.methods.charts import ChartMethods
from monitor.integrations.writer.methods.hparams import HParamsMethods
from monitor.integrations.writer.methods.media import MediaMethods
from monitor.integrations.writer.methods.models import ModelMethods
from monitor.integrations.writer.methods.series import SeriesMethods
from monitor.integrations.writer.summaries.capture import is_numpy_number
from monitor.rules.alerts import parse_rules
from monitor.runs.scripts.script_session import default_directory
from monitor.runs.status import exception_status
from monitor.sinks.registry import as_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from monitor.integrations.writer.file_writer import FileWriter
    from monitor.rules.alerts import Rule, StallRule
    from monitor.sinks.base import Sink


class SummaryWriter(SeriesMethods, HParamsMethods, MediaMethods, ChartMethods, ModelMethods):
    """Write events for TensorBoard, and show them in other sinks too.

    Parameters that only one of the two packages has may be passed by name; by position, a call means what it means in
    the package that accepts it. Without torch, summaries are built as tensorboardX does, otherwise as PyTorch does.

    Attributes:
        file_writer: the `FileWriter`; None after `close` until something is logged.
        all_writers: by directory, the writers of this object; None after `close`.
        default_bins: the edges of the buckets of histograms.
    """

    def __init__(
        self,
        logdir: Any = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        write_to_disk: bool = True,
        log_dir: Any = None,
        comet_config: dict[str, Any] | None = None,
        *,
        sinks: Iterable[str | Sink] | None = None,
        alerts: Iterable[str | Rule | StallRule] = (),
        children: str = "off",
        **kwargs: Any,
    ) -> None:
        """Make the directory; threads and files are made when something is logged.

        Args:
            logdir: a directory, used as it is. By default, a new one in `runs`, named by the time and the host, or
                under `monitor run` the directory of the run.
            comment: the end of that default name.
            purge_step: TensorBoard drops what is in the directory already, from this step on.
            max_queue: ignored: nothing waits for a queue.
            flush_secs: ignored: what is logged is on disk within a second.
            filename_suffix: the end of the names of the event files.
            write_to_disk: false for a writer that logs nothing.
            log_dir: the same as `logdir`.
            comet_config: ignored: nothing is sent to Comet.
            sinks: as for a `Logger`, where `"tensorboard"` stands for the event files of this writer. By default these
                and the sinks in `MONITOR_SINKS`.
            alerts: rules, as for a `Logger`.
            children: what happens in forked processes: with "off", they write files of their own; with "forward", this
                process writes what they log.
            kwargs: ignored.

        Raises:
            OSError: if the directory cannot be made.
            ValueError: for a directory that is not on a file system, such as `s3://bucket/name`.
        """
        logdir = logdir or log_dir or default_directory(comment or "") or _default_directory(comment or "")
        if is_remote(logdir):
            raise ValueError(f"{logdir!r} is not a local directory; log to one, and copy it")
        self.logdir = self.log_dir = logdir
        self.purge_step, self.max_queue, self.flush_secs = purge_step, max_queue, flush_secs
        self.filename_suffix = filename_suffix
        self._options: dict[str, Any] = {
            "write_to_disk": write_to_disk,
            "sinks": as_list(sinks),
            "alerts": parse_rules(alerts),
            "children": children,
        }
        self.comet_config, self.kwargs = comet_config, kwargs
        self.default_bins = list(_default_bins())
        self._exported = ExportedScalars()
        self.file_writer: FileWriter | None = None
        self.all_writers: dict[str, FileWriter] | None = None
        self._get_file_writer()

    def get_logdir(self) -> Any:
        """Return the directory, as it was passed."""
        return self.logdir

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: Any = None,
        walltime: float | None = None,
        new_style: bool | str = False,
        double_precision: bool | str = False,
        display_name: str = "",
        summary_description: str = "",
    ) -> None:
        """Add a point to the curve `tag`. Does not wait for a GPU.

        Args:
            tag: names the curve.
            scalar_value: a number, or an array or tensor of one element.
            global_step: the x value; 0 by default.
            walltime: seconds since the epoch; now by default.
            new_style: whether TensorBoard gets the value as a tensor; a text is taken as `display_name`, tensorboardX's
                fifth parameter.
            double_precision: whether that tensor is float64; a text is taken as `summary_description`.
            display_name: the title of the chart.
            summary_description: the text behind the chart's information icon.

        Raises:
            Exception: what the stock classes raise, such as `AssertionError` for an array of several elements.
        """
        writer = self.file_writer
        log = writer.ready if writer is not None else None
        if log is not None and not (new_style or display_name or summary_description):
            kind = type(scalar_value)
            value: Any = float(scalar_value) if kind is int else scalar_value
            if kind.__module__ == "numpy" and is_numpy_number(scalar_value):
                value = float(scalar_value.item())
            step = 0 if global_step is None else global_step
            if (type(value) is float or (is_tensor(value) and value.numel() == 1)) and type(step) is int:
                name = writer.names.plain.get(tag)  # type: ignore[union-attr]
                if name is not None and log.scalar_at(name, value, step, walltime):
                    return
        self._add_scalar(
            tag, scalar_value, global_step, walltime, new_style, double_precision, display_name, summary_description
        )

    def flush(self) -> None:
        """Wait until everything logged so far is on disk."""
        if self.file_writer is not None:
            self.file_writer.flush()

    def close(self) -> None:
        """Deliver what is left and end the run. What is logged later goes into a new file."""
        self._close("finished", None)

    def _close(self, status: str, error: str | None) -> None:
        writer, self.file_writer, self.all_writers = self.file_writer, None, None
        if writer is not None:
            writer.close(status, error)

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if exc_type is None:
            self.close()
        else:
            self._close(*exception_status(exc_type, exc_val))

    @contextlib.contextmanager
    def use_metadata(self, *, global_step: Any = None, walltime: float | None = None) -> Iterator[SummaryWriter]:
        """Log at this step and time what names none."""
        with self._get_file_writer().use_metadata(global_step=global_step, walltime=walltime):
            yield self

    def __getstate__(self) -> dict[str, Any]:
        """Become a writer of the same directory in another process, or in a copy."""
        return {**self.__dict__, "file_writer": None, "all_writers": None}


def is_remote(logdir: Any) -> bool:
    """Tell whether a directory is one that TensorBoard's writers reach over the network, such as `s3://bucket/name`."""
    return isinstance(logdir, str) and "://" in logdir


def _default_directory(comment: str) -> str:
    import socket

    now = time.strftime("%b%d_%H-%M-%S")
    return f"runs/{now}_{socket.gethostname()}{comment}"


@lru_cache
def _default_bins() -> tuple[float, ...]:
    """Return the edges that TensorFlow uses: each is 1.1 times the one before, on both sides of 0."""
    edges = []
    edge = 1e-12
    while edge < 1e20:
        edges.append(edge)
        edge *= 1.1
    return (*(-edge for edge in reversed(edges)), 0, *edges)
