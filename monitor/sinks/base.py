"""The contract between the pipeline and a sink.

The pipeline knows *when*, a sink knows *where*. Only the sink's own worker thread calls its methods, so it needs no
locks. An `OSError` (hence `ConnectionError` and `TimeoutError`) out of any method means: nothing is lost, try again
later; a `SlowDown`, which is one, says in how many seconds. A `BadRecord` means: so many of these records can never be
taken, and all others were. Anything else out of `write` means: one of these records is bad, and none of them was
taken; the worker writes them in halves until it is found, and it alone is counted as failed.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from monitor.errors import SpecError
from monitor.records import RECORD_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from urllib.parse import SplitResult

    from monitor.records import Record
    from monitor.runs.run import Run
    from monitor.scalar_block import ScalarBlock
    from monitor.steering.controls import Controls


class Sink(ABC):
    """A place where records go. The constructor touches neither network nor disk.

    Attributes:
        name: how specs and messages call it.
        accepts: record types; others are filtered out before `write`.
        interval: seconds from one flush to the next.
        max_interval: seconds; a sink whose flushes are slow is flushed less often, down to this.
        scalars_first: whether records that are ready, such as scalars, may be written before arrays that were logged
            earlier and are still to be drawn.
        durable: whether what was flushed survives a crash of this process; checkpoints wait for such sinks.
        writes_event_files: whether it writes TensorBoard's event files into the run directory, which comparing,
            resuming and `monitor serve tensorboard` read.
        charts: the charts that the user names, as tags or patterns by the name of the chart, for a sink that draws
            curves; set before `open`.
    """

    name: ClassVar[str] = ""
    accepts: frozenset[type] = RECORD_TYPES
    interval: float = 0.5
    max_interval: float = 0.5
    scalars_first: bool = False
    durable: bool = False
    writes_event_files: ClassVar[bool] = False
    charts: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    @classmethod
    def from_spec(cls, spec: SplitResult) -> Sink:
        """Make the sink that a URL-like spec names; raise `SpecError` for parts that it does not take."""
        if spec.netloc or spec.path not in ("", cls.name) or spec.query or spec.fragment:
            raise SpecError(f"sink {spec.geturl()!r}: {cls.name} takes no address; accepted: {cls.name!r}")
        return cls()

    @abstractmethod
    def open(self, run: Run) -> None:
        """Get ready to write; called again after an `OSError`."""

    def recall(self, records: Sequence[Record]) -> None:  # noqa: B027 - most sinks have nothing to do
        """Take in what earlier processes of a resumed run delivered; for sinks whose state is the whole run.

        Called after `open`, before the first `write`.
        """

    @abstractmethod
    def write(self, records: Sequence[Record]) -> None:
        """Take in records; local and quick. After an `OSError` the same records come again."""

    def write_scalars(self, block: ScalarBlock) -> None:
        """Take in many scalars at once, with the contract of `write`.

        Override it to take the columns as they are: building records costs some 20 times as much. A sink that keeps
        them in an event file sets `block.stored` when they are flushed.
        """
        self.write(block.records())

    def prepare(self, record: Record) -> Any:
        """Return what `write` gets in place of a record with an array, such as the drawn and encoded picture.

        Called on another thread, so that scalars do not wait for a picture; it must not touch the state of the sink.
        An exception means that the record is bad. Only a sink with `scalars_first` gets these calls.
        """
        return record

    @abstractmethod
    def flush(self) -> None:
        """Make everything written visible. After an `OSError` it is called again, with nothing written twice.

        A `BadRecord` means: so many of the records written cannot be shown, and all others are visible.
        """

    @abstractmethod
    def close(self) -> None:
        """Release what the sink holds; never delete data."""


class DashboardSink(Sink):
    """A sink whose records a server shows on a page.

    Commands find or start the server before the run, print the address of the page, open it in a browser, save what it
    shows with the run, and compare and replay runs on it.

    Attributes:
        title: the dashboard's name, as people read it.
        has_address: whether the server is settled: the user named it, or it was found. Otherwise a port may change.
        logdir: the folder of the runs that the server shows; None if that is not known.
    """

    title: ClassVar[str] = ""
    has_address: bool = False
    logdir: Path | None = None

    def page_name(self, run: Run) -> str:
        """Return a name for the page of a run that no other run of the server has, from its path below `logdir`."""
        path = Path(os.path.realpath(run.path))
        if self.logdir is None or not path.is_relative_to(self.logdir):
            return run.name
        return ".".join(path.relative_to(self.logdir).parts) or run.name

    @property
    @abstractmethod
    def url(self) -> str:
        """The address of the server, such as `http://127.0.0.1:8097`."""

    @abstractmethod
    def connect_to(self, url: str) -> None:
        """Use the server at `url` instead; before `open` only."""

    def withhold_login(self) -> None:
        """Send no login from the environment to a server on another machine; before `open` only.

        For a sink whose address comes from a file, such as a checkpoint, and not from the user.
        """

    def steer(self, controls: Controls) -> bool:
        """Let the page change `controls` from `open` to `close`; before `open` only. Tell whether it can.

        Only a page that nobody else can reach, or one behind a login, may change anything.
        """
        return False

    @abstractmethod
    def page_url(self, run: Run) -> str:
        """Return the address of the page that shows `run`."""

    def open_page(self, run: Run) -> str:
        """Make the page that shows `run`, so that it is there before a record is, and return its address.

        Called before `open`, on the thread that starts the run, which waits for it. Raises `OSError`.
        """
        return self.page_url(run)

    @abstractmethod
    def spec_of_page(self, name: str) -> str:
        """Return the spec of a sink that shows its run on a page of this name, on the same server."""

    @abstractmethod
    def is_served(self) -> bool:
        """Tell whether a server of this kind answers at `url`, even if it needs a login. Blocks for some seconds."""

    def server_command(self, port: int, folder: Path, logdir: Path | None = None) -> list[str] | None:
        """Return the command line of a server for this sink, or None if it cannot be started from here.

        The server listens on the sink's host and on `port`, 0 for any free one, and keeps its data in `folder`. It may
        show what is saved with the runs in the log directory `logdir`, if there is one. When
        its page answers it prints one line, `TITLE: URL`; lines before it are shown to the user, at the level that
        they start with, as in `INFO: loading`. It ends when its parent process does.
        """
        return None

    @abstractmethod
    def forget(self, trace: str, step: int) -> None:
        """Drop the points at `step` and above from all curves whose tags end in `/trace`."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what the page shows into `folder`, so that it can be seen after the server has ended.

        Called after `close`. Raises `OSError`.
        """

    def view_command(self, folder: Path) -> str | None:
        """Return the command that shows what `save` wrote into `folder`, or None if there is none."""
        return None
