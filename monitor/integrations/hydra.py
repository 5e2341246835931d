"""Hydra: a callback that is named in the configuration, so that the script needs no import, makes each job a run.

    hydra:
      callbacks:
        monitor:
          _target_: monitor.integrations.hydra.MonitorCallback

Or on the command line: `+hydra.callbacks.monitor._target_=monitor.integrations.hydra.MonitorCallback`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobStatus
from hydra.experimental.callback import Callback
from omegaconf import OmegaConf

from monitor.integrations import common
from monitor.integrations.reported import log_reported
from monitor.rules.alerts import parse_rules
from monitor.runs.status import RunStatus, exception_status
from monitor.sinks.registry import as_list

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from monitor.logger import Logger
    from monitor.rules.alerts import Rule, StallRule
    from monitor.sinks.base import Sink

_loggers: list[Logger] = []  # of the jobs that run in this process, the innermost last


class MonitorCallback(Callback):  # type: ignore[misc]  # Hydra is not there when types are checked
    """Make each job a run `logdir/NAME`, in a multirun `logdir/NAME/NUMBER`, with the job's configuration as settings.

    What the job returns is logged as `result/value`, or under its names if it is a mapping. The job itself logs to
    `current_logger()`. The run ends with the job, and has failed if the job raised.
    """

    def __init__(
        self,
        name: str | None = None,
        logdir: str | os.PathLike[str] = "runs",
        sinks: Iterable[str | Sink] | None = None,
        alerts: Iterable[str | Rule | StallRule] = (),
    ) -> None:
        """Say where the runs go.

        Args:
            name: the run's name; by default that of the job, which is the script's.
            logdir: the folder of the runs, from where Hydra was started. Under `monitor run`, a run without a name or
                folder is as that says.
            sinks: as in `Logger`; by default TensorBoard, and those in `MONITOR_SINKS`.
            alerts: as in `Logger`.
        """
        self._name, self._logdir = name, logdir
        self._sinks, self._alerts = as_list(sinks), parse_rules(alerts)

    def on_job_start(self, config: Any, **kwargs: Any) -> None:
        """Start the run."""
        job = config.hydra.job
        number = OmegaConf.select(config, "hydra.job.num", throw_on_missing=False)
        name, logdir = common.place(self._name, self._logdir)
        name = name or job.name
        settings = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
        logger = common.open_logger(
            None,
            name=name if number is None else f"{name}/{number}",
            logdir=Path(config.hydra.runtime.cwd) / logdir,
            sinks=self._sinks,
            config=OmegaConf.to_container(settings, resolve=True),
            alerts=self._alerts,
        )
        _loggers.append(logger)

    def on_job_end(self, config: Any, job_return: Any, **kwargs: Any) -> None:
        """Log what the job returned, and end the run. Blocks as `Logger.close` does."""
        if not _loggers:
            return
        logger = _loggers.pop()
        value = job_return._return_value  # noqa: SLF001 - the property raises it if it is an exception
        if job_return.status is JobStatus.FAILED:
            status, error = exception_status(type(value), value)
            logger.close(status=status, error=error)
            return
        result = value if isinstance(value, Mapping) else {"value": value}
        log_reported(logger, {f"result/{tag}": item for tag, item in result.items()}, 0)
        logger.close(status=RunStatus.FINISHED)


def current_logger() -> Logger:
    """Return the logger of the job that is running. Raises `RuntimeError` if there is none."""
    if not _loggers:
        raise RuntimeError("no Hydra job with monitor.integrations.hydra.MonitorCallback is running")
    return _loggers[-1]
