"""What the methods of a `SummaryWriter` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.integrations.writer.summaries import capture
from monitor.integrations.writer.summaries.encoding import summary_record

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from monitor.integrations.writer.file_writer import FileWriter
    from monitor.integrations.writer.summaries.builders import Builders


class WriterMethods:
    """Add summaries to a `FileWriter`."""

    logdir: Any
    file_writer: FileWriter | None
    all_writers: dict[str, FileWriter] | None

    def _get_file_writer(self) -> FileWriter:
        raise NotImplementedError

    @property
    def _builders(self) -> Builders:
        raise NotImplementedError

    def _add(
        self,
        function: str,
        tag: str,
        arrays: Sequence[Any],
        options: Mapping[str, Any],
        key: Hashable,
        global_step: Any,
        walltime: Any,
        builders: Builders | None = None,
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
            builders: which packages may build it.

        Raises:
            Exception: what the function raises.
        """
        writer = self._get_file_writer()
        step, now = writer.step_and_time(global_step, walltime)
        writer.put(capture.built, builders or self._builders, function, tag, arrays, options, key, step, now)

    def _add_now(
        self, function: str, tag: str, global_step: Any, walltime: Any, *arguments: Any, **options: Any
    ) -> None:
        """Build a small summary now."""
        writer = self._get_file_writer()
        step, now = writer.step_and_time(global_step, walltime)
        summary = self._builders.call(function, *arguments, **options)
        writer.put(capture.ready, summary_record(tag, summary, step, now))
