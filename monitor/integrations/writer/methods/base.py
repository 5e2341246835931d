"""What the methods of a `SummaryWriter` have in common."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from monitor.capture.pending import PendingRecord
from monitor.integrations.writer.file_writer import MAX_STEP, FileWriter
from monitor.integrations.writer.summaries import builders, capture
from monitor.integrations.writer.summaries.encoding import summary_record
from monitor.records import Summary

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence


class WriterMethods:
    """Add summaries to a `FileWriter`."""

    logdir: Any
    purge_step: int | None
    max_queue: int
    flush_secs: float
    filename_suffix: str
    _options: dict[str, Any]
    file_writer: FileWriter | None
    all_writers: dict[str, FileWriter] | None

    @property
    def _builders(self) -> builders.Builders:
        """The functions that build summaries."""
        return builders.either()

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
        self, function: str, tag: str, arguments: tuple[Any, ...], nbytes: int, global_step: Any, walltime: Any
    ) -> None:
        """Let a worker build a summary of arguments that the packages accept, and that nobody changes.

        Args:
            function: the name of the function in the packages' `summary` modules.
            tag: names the summary.
            arguments: all that the function takes.
            nbytes: bytes of memory that they take.
            global_step: the step.
            walltime: seconds since the epoch.
        """
        writer = self.file_writer
        log = writer.ready if writer is not None else None
        is_quick = log is not None and walltime is None
        if is_quick and type(global_step) is int and -MAX_STEP <= global_step < MAX_STEP:
            step, now = global_step, time.time()
        else:
            step, now = self._get_file_writer().step_and_time(global_step, walltime)
        build = partial(capture.summary, self._builders, function, tag, arguments, step, now)
        record = PendingRecord(Summary, tag, nbytes, build)
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
