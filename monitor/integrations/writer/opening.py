"""Make the `Logger` behind a writer: its run, its event files, and the other sinks."""

from __future__ import annotations

import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.events.files import event_files
from monitor.integrations.writer.loggers import WriterLogger
from monitor.integrations.writer.sink import WriterFileSink
from monitor.recording.recorder import record_of_a_writer
from monitor.runs.processes.rank import process_rank
from monitor.runs.reuse import reuse
from monitor.runs.scripts.script_session import alerts_from_environment
from monitor.runs.trials.trial import current_trial
from monitor.sinks import registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.integrations.writer.names import Names
    from monitor.rules.alerts import Rule, StallRule
    from monitor.sinks.base import Sink

FILES = "tensorboard"  # the spec that stands for the writer's event files


def open_logger(
    base: str,
    directory: str,
    suffix: str,
    names: Names,
    sinks: Sequence[str | Sink] | None,
    alerts: Sequence[str | Rule | StallRule],
    children: str,
) -> tuple[WriterLogger, WriterFileSink | None]:
    """Return a logger for a directory that is used as it is, and the sink that writes its files.

    Args:
        base: the working directory when the writer was made; the program may be in another one by now.
        directory: where the files go.
        suffix: the end of their names.
        names: of the scalars.
        sinks: specs and sinks; None for the files and what `MONITOR_SINKS` names.
        alerts: as for a `Logger`; without any, those in `MONITOR_ALERTS`.
        children: as for a `Logger`.
    """
    specs = [FILES, *registry.specs_from_environment()] if sinks is None else list(sinks)
    files = WriterFileSink(base, suffix, names.routes) if FILES in specs else None
    if files is not None:
        files.is_trial = current_trial() is not None and process_rank() == 0
    others = [registry.make(spec) for spec in dict.fromkeys(specs) if spec != FILES]
    run = reuse(Path(base, directory))
    if not run.is_written and sinks is None:
        others = []  # whoever logs to this directory already has its page
    earlier = run.is_written and bool(event_files(run.path))
    run.is_resumed = earlier and bool(others)  # so that pages show it all, as TensorBoard does
    rules = list(alerts) or alerts_from_environment()
    record = record_of_a_writer()
    log = WriterLogger(
        run,
        [*([files] if files else []), *others],
        alerts=rules,
        every_rank=True,
        children=children,
        record=record,
    )
    if earlier and not run.is_resumed:
        log.remember(run.metrics)
    _close_at_the_end_of_a_child(log)
    return log, files


def _close_at_the_end_of_a_child(log: WriterLogger) -> None:
    """In a child of `multiprocessing`, which ends without the functions of `atexit`, close before it ends."""
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, _close, args=(weakref.ref(log),), exitpriority=10)


def _close(reference: weakref.ref[WriterLogger]) -> None:
    log = reference()
    if log is not None:
        log.close()
