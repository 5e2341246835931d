"""Hugging Face Accelerate: `MonitorTracker`, and `log_with="monitor"`.

    import monitor.integrations.accelerate  # lets `log_with` accept "monitor", in Accelerate 1.15 and newer
    accelerator = Accelerator(log_with="monitor")
    accelerator.init_trackers("mlp", config={"lr": 0.01})

To choose the sinks or the alerts: `init_trackers("mlp", init_kwargs={"monitor": {"sinks": ["visdom"]}})`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accelerate import tracking
from accelerate.tracking import GeneralTracker, on_main_process

from monitor.integrations import common
from monitor.integrations.reported import log_reported
from monitor.integrations.session import Session
from monitor.runs.scripts.script_session import script_run

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from monitor.logger import Logger
    from monitor.rules.alerts import Rule, StallRule
    from monitor.sinks.base import Sink


class MonitorTracker(GeneralTracker):  # type: ignore[misc]  # Accelerate has no types
    """Log what `Accelerator.log` gets, from the main process only.

    Tags are the keys of the values; nested ones are joined by a `/`. The run starts when something is logged or stored.
    `end_training` ends it, and what is logged later continues it. Without that call, it ends with the program.
    """

    name = "monitor"
    requires_logging_directory = False
    main_process_only = True

    def __init__(
        self,
        run_name: str | None = None,
        logger: Logger | None = None,
        *,
        logdir: str | os.PathLike[str] = "runs",
        sinks: Iterable[str | Sink] | None = None,
        alerts: Iterable[str | Rule | StallRule] = (),
    ) -> None:
        """Log to `logger`, which the caller closes, or else to a new one for the run `logdir/run_name`.

        Args:
            run_name: the run's name, by default "accelerate"; `init_trackers` passes the name of the project.
            logger: a logger of the caller's own.
            logdir: the folder of the runs. Under `monitor run`, a run without a name or folder is as that says.
            sinks: as in `Logger`; by default TensorBoard, and those in `MONITOR_SINKS`.
            alerts: as in `Logger`.

        Raises:
            TypeError, SpecError, MissingExtra, AlertError: as in `Logger`.
        """
        super().__init__()
        self._session = Session(logger, name=run_name, default="accelerate", logdir=logdir, sinks=sinks, alerts=alerts)
        self._next_step = 0

    @property
    def tracker(self) -> Logger:
        """The logger. Starts the run, or continues it after its end; raises `OSError` if it cannot be written."""
        return self._session.logger

    @on_main_process  # type: ignore[untyped-decorator]
    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """Add `values` to the settings of the run, and start it."""
        self._session.add_config(values)
        self._session.logger  # noqa: B018 - opens the run

    @on_main_process  # type: ignore[untyped-decorator]
    def log(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Log numbers as scalars and texts as texts; without a step, at the one after the last. Does not block."""
        log_reported(self.tracker, values, self._step(step))

    @on_main_process  # type: ignore[untyped-decorator]
    def log_images(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Log images: N×C×H×W or N×H×W×C arrays or tensors, or lists of PIL images of one size. Does not block."""
        step = self._step(step)
        for tag, images in values.items():
            self.tracker.images(str(tag), channels_first(images), step)

    @on_main_process  # type: ignore[untyped-decorator]
    def log_table(
        self,
        table_name: str,
        columns: Sequence[str] | None = None,
        data: Sequence[Sequence[Any]] | None = None,
        dataframe: Any = None,
        step: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Log a table as text: rows of `data` under `columns`, or a pandas `dataframe`. Does not block."""
        if dataframe is not None:
            columns, data = list(map(str, dataframe.columns)), dataframe.to_numpy().tolist()
        rows = [list(columns or ()), *(list(row) for row in data or ())]
        self.tracker.text(table_name, "\n".join(" | ".join(map(str, row)) for row in rows if row), self._step(step))

    @on_main_process  # type: ignore[untyped-decorator]
    def finish(self) -> None:
        """End the run, unless the logger is the caller's. Blocks as `Logger.close` does."""
        self._session.end(*common.current_outcome())

    def _step(self, step: int | None) -> int:
        chosen = self._next_step if step is None else step
        self._next_step = chosen + 1
        return chosen


def channels_first(images: Any) -> Any:
    """Return images as N×C×H×W if they are N×H×W×C or PIL images; leave out an alpha channel."""
    if isinstance(images, list | tuple):
        import numpy as np

        images = np.stack([np.asarray(image) for image in images])
    shape = tuple(images.shape)
    if len(shape) == 4 and shape[1] not in (1, 3) and shape[3] in (1, 3, 4):
        channels = 3 if shape[3] == 4 else shape[3]
        images = images[..., :channels].swapaxes(2, 3).swapaxes(1, 2)
    return images


def register() -> None:
    """Let `log_with` accept `"monitor"`, also as one of `"all"`. Importing this module has done it.

    Under `monitor run`, `"all"` has us in TensorBoard's tracker already: its `SummaryWriter` is ours.
    """
    if not hasattr(tracking, "register_tracker_class"):  # older releases take a `MonitorTracker` instead of its name
        return
    if tracking.LOGGER_TYPE_TO_CLASS.get(MonitorTracker.name) is not MonitorTracker:
        tracking.register_tracker_class(MonitorTracker)
    available = tracking.get_available_trackers()
    if MonitorTracker.name not in available and not (script_run() and "tensorboard" in map(str, available)):
        available.append(MonitorTracker.name)


register()
