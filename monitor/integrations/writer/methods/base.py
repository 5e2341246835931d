"""What the methods of a `SummaryWriter` have in common."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from monitor.integrations.writer.file_writer import MAX_STEP, FileWriter
from monitor.integrations.writer.summaries import builders, capture
from monitor.integrations.writer.summaries.encoding import summary_record

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence


class WriterMethods:
    """Add summaries to a `FileWriter`."""

    _builders: builders.Builders = builders.EITHER
    logdir: Any
    purge_step: int | None
    max_queue: int
    flush_secs: float
    filename_suffix: str
    _options: dict[str, Any]
    file_writer: FileWriter | None
    all_writers: dict[str, FileWriter] | None

    def _get_file_writer(self) -> FileWriter:
        """Return the writer of the directory, made anew after `close`."""
        if self.all_writers is None or self.file_writer is None:
            purge_step, self.purge_step = self.purge_step, None
            self.file_writer = FileWriter(
                self.logdir,
                self.max_queue,
                self.flush_secs,
                self.filename_suffix,
                purge_step=purge_step,
                **self._options,
            )
            self.all_writers = {self.file_writer.get_logdir(): self.file_writer}
        return self.file_writer

    def _add(
        self,
        function: str,
        tag: str,
        arrays: Sequence[Any],
        options: Mapping[str, Any],
        key: Hashable,
        global_step: Any,
        walltime: Any,
        builder: builders.Builders | None = None,
    ) -> None:
        """Let a worker build a summary of arrays, which are copied now.

        Args:
            function: the name of the function in the packages' `summary` modules.
            tag: names the summary.
            arrays: what the function takes after the tag.
            options: further arguments of the function.
            key: what distinguishes the options.
            global_step: the step.
            walltime: seconds since the epoch.
            builder: which packages may build it.

        Raises:
            Exception: what the function raises.
        """
        writer = self._get_file_writer()
        step, now = writer.step_and_time(global_step, walltime)
        writer.put(capture.built, builder or self._builders, function, tag, arrays, options, key, step, now)

    def _add_later(
        self, build: Callable[..., Any], tag: str, arguments: tuple[Any, ...], nbytes: int, step: Any, walltime: Any
    ) -> None:
        """Let a worker build a summary of arguments that the packages accept, and that nobody changes.

        Args:
            build: builds it of the builders, the tag, and the arguments.
            tag: names the summary.
            arguments: the other arguments.
            nbytes: bytes of memory that they take.
            step: the step.
            walltime: seconds since the epoch.
        """
        writer = self.file_writer
        log = writer.ready if writer is not None else None
        is_plain = step is None or (type(step) is int and -MAX_STEP <= step < MAX_STEP)
        if log is not None and is_plain and walltime is None:
            number, now = step or 0, time()
        else:
            number, now = self._get_file_writer().step_and_time(step, walltime)
        record = capture.PendingSummary(build, self._builders, tag, arguments, nbytes, number, now)
        if log is None or not log.put_record(record):
            self._get_file_writer().put(capture.ready, record)

    def _add_now(
        self, function: str, tag: str, global_step: Any, walltime: Any, *arguments: Any, **options: Any
    ) -> None:
        """Build a small summary now."""
        writer = self._get_file_writer()
        step, now = writer.step_and_time(global_step, walltime)
        summary = self._builders.call(function, *arguments, **options)
        writer.put(capture.ready, summary_record(tag, summary, step, now))
