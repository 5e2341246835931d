"""`GlobalSummaryWriter`: one writer for all forked processes of a program, which counts the steps itself."""

from __future__ import annotations

import logging
import multiprocessing
from typing import TYPE_CHECKING, Any, ClassVar

from monitor.integrations.writer.summary_writer import SummaryWriter

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from monitor.integrations.writer.file_writer import FileWriter

log = logging.getLogger("monitor")


class GlobalSummaryWriter:
    """Write events of several processes into one file, with a step per tag that grows by one with each event.

    What forked processes log is sent to the process that made the writer.

    Attributes:
        smw: the `SummaryWriter`.
    """

    writer_class: ClassVar[type[SummaryWriter]] = SummaryWriter
    _instance: ClassVar[GlobalSummaryWriter | None] = None

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
        coalesce_process: bool = True,
        **kwargs: Any,
    ) -> None:
        """Make the directory, and start the process that holds the steps; the arguments are those of the writer.

        `coalesce_process` changes nothing: there is one file.
        """
        self.coalesce_process = coalesce_process
        self.smw = self.writer_class(
            logdir,
            comment,
            purge_step,
            max_queue,
            flush_secs,
            filename_suffix,
            write_to_disk,
            log_dir,
            children="forward",
            **kwargs,
        )
        self.file_writer.logger()  # before the first fork, so that its children know where to send
        self.lock = multiprocessing.Lock()
        self._manager = multiprocessing.Manager()
        self.scalar_tag_to_step = self._manager.dict()
        self.image_tag_to_step = self._manager.dict()
        self.histogram_tag_to_step = self._manager.dict()
        self.text_tag_to_step = self._manager.dict()
        self.audio_tag_to_step = self._manager.dict()

    def add_scalar(self, tag: str, scalar_value: Any, walltime: float | None = None) -> None:
        """Add a point to a curve."""
        with self.lock:
            self.smw.add_scalar(tag, scalar_value, _next(self.scalar_tag_to_step, tag), walltime)

    def add_image(self, tag: str, img_tensor: Any, walltime: float | None = None, dataformats: str = "CHW") -> None:
        """Add an image."""
        with self.lock:
            step = _next(self.image_tag_to_step, tag)
            self.smw.add_image(tag, img_tensor, step, walltime=walltime, dataformats=dataformats)

    def add_text(self, tag: str, text_string: str, walltime: float | None = None) -> None:
        """Add a text."""
        with self.lock:
            self.smw.add_text(tag, text_string, global_step=_next(self.text_tag_to_step, tag), walltime=walltime)

    @classmethod
    def getSummaryWriter(cls) -> GlobalSummaryWriter:
        """Return the writer of this program, made at the first call."""
        if cls._instance is None:
            cls._instance = cls()
        log.info("the global writer logs to %s", cls._instance.file_writer.get_logdir())
        return cls._instance

    @property
    def file_writer(self) -> FileWriter:
        """The writer of the file."""
        return self.smw._get_file_writer()  # noqa: SLF001 - frameworks call it, too

    def close(self) -> None:
        """Deliver what is left and end the run."""
        self.smw.close()


def _next(steps: MutableMapping[str, int], tag: str) -> int:
    step = steps.get(tag, -1) + 1
    steps[tag] = step
    return step
