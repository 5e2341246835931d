"""Lightning: `Trainer(logger=MonitorLogger("mlp"))`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or ("pytorch_lightning" not in sys.modules and find_spec("lightning") is not None):
    from lightning.pytorch.callbacks import Callback
    from lightning.pytorch.loggers.logger import Logger as LightningLogger
    from lightning.pytorch.loggers.logger import rank_zero_experiment
    from lightning.pytorch.utilities import rank_zero_only
else:  # the same package under its older name
    from pytorch_lightning.callbacks import Callback
    from pytorch_lightning.loggers.logger import Logger as LightningLogger
    from pytorch_lightning.loggers.logger import rank_zero_experiment
    from pytorch_lightning.utilities import rank_zero_only

from monitor.integrations import common
from monitor.integrations.session import Session
from monitor.runs.status import RunStatus
from monitor.sinks.registry import specs_from_environment

if TYPE_CHECKING:
    import os
    from argparse import Namespace
    from collections.abc import Iterable, Mapping

    from monitor.logger import Logger
    from monitor.rules.alerts import Rule, StallRule
    from monitor.sinks.base import Sink


class MonitorLogger(LightningLogger):  # type: ignore[misc]  # Lightning is not there when types are checked
    """Log what a Lightning `Trainer` logs, from rank 0.

    The run starts with the first `fit`, `validate`, or `test`. It ends with each of them, with the true status, and the
    next one continues it. Tags are the names of the metrics with the split in front: `train_loss` becomes `train/loss`.
    Checkpoints and other files that Lightning writes go into the run directory.
    """

    def __init__(
        self,
        name: str | None = None,
        logdir: str | os.PathLike[str] = "runs",
        save_dir: str | os.PathLike[str] | None = None,
        *,
        sinks: Iterable[str | Sink] | None = None,
        config: Mapping[str, Any] | None = None,
        alerts: Iterable[str | Rule | StallRule] = (),
        prefix: str = "",
        log_graph: bool = False,
        logger: Logger | None = None,
    ) -> None:
        """Log to a new run `logdir/name`, or to `logger`, which the caller closes. Nothing is written yet.

        Args:
            name: the run's name, by default "lightning". If `logdir` already holds such a run, a number is added.
            logdir: the folder of the runs. Under `monitor run`, a run without a name or folder is as that says.
            save_dir: the same, under the name that Lightning's other loggers have for it.
            sinks: as in `monitor.Logger`; by default TensorBoard, and those in `MONITOR_SINKS`.
            config: settings, beside the hyperparameters that Lightning logs.
            alerts: as in `monitor.Logger`.
            prefix: put before each tag, with a `/`.
            log_graph: whether the graph of a model with `example_input_array` is logged, for TensorBoard.
            logger: a logger of the caller's own, in place of the arguments about the run.

        Raises:
            TypeError, SpecError, MissingExtra, AlertError: as in `monitor.Logger`.
        """
        super().__init__()
        logdir = logdir if save_dir is None else save_dir
        self._session = Session(
            logger, name=name, default="lightning", logdir=logdir, sinks=sinks, config=config, alerts=alerts
        )
        chosen, folder = common.place(name, logdir)
        self._name, self._logdir = chosen or "lightning", str(folder)
        self._prefix, self._log_graph = prefix, log_graph
        self._next_step = 0  # after all steps so far

    @property
    @rank_zero_experiment
    def experiment(self) -> Logger:
        """The `monitor.Logger`, for everything that Lightning has no method for; a dummy on other ranks than 0.

        Opens the run, or continues it after its end; raises `OSError` if it cannot be written.
        """
        return self._session.logger

    @property
    def name(self) -> str:
        """The name of the run, without the number that tells it from others of the same name."""
        if self._session.owns or self._session.path is None:
            return self._name
        return self._session.path.name

    @property
    def version(self) -> int:
        """The number of the run among those of the same name, from 1."""
        directory = Path(self.log_dir).name
        number = directory.removeprefix(f"{self.name}-")
        return int(number) if number != directory and number.isdecimal() else 1

    @property
    def root_dir(self) -> str:
        """The folder of the runs."""
        return str(Path(self.log_dir).parent)

    @property
    def log_dir(self) -> str:
        """The run directory. Opens the run on rank 0."""
        if self._session.path is None and rank_zero_only.rank == 0:
            self._session.logger  # noqa: B018 - it chooses the directory
        return str(self._session.path or Path(self._logdir, self._name))

    @property
    def save_dir(self) -> str:
        """The run directory, where Lightning puts checkpoints and the `config.yaml` of its command line."""
        return self.log_dir

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log the numbers among `metrics` at `step`, by default the next one. Does not block."""
        step = self._next_step if step is None else int(step)
        self._next_step = max(self._next_step, step + 1)
        values = common.scalars(common.split_tags(metrics), self._prefix)
        if values:
            self._session.logger.scalars(values, step)

    @rank_zero_only
    def log_hyperparams(
        self,
        params: Mapping[str, Any] | Namespace,
        metrics: Mapping[str, Any] | None = None,
        step: int | None = None,
        *_args: Any,
        **_kwargs: Any,
    ) -> None:
        """Add hyperparameters to the settings of the run, and log `metrics`, if there are any."""
        self._session.add_config(params)
        if metrics:
            self.log_metrics(metrics, step)

    @rank_zero_only
    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Log the graph of the model if that was asked for, and if it can be traced. Blocks while it is traced."""
        inputs = getattr(model, "example_input_array", None) if input_array is None else input_array
        if self._log_graph and inputs is not None:
            if hasattr(model, "transfer_batch_to_device"):
                inputs = model.transfer_batch_to_device(inputs, model.device, 0)
            common.log_graph(self._session.logger, model, inputs)

    @rank_zero_only
    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Mark the place of the checkpoint, so that `monitor.reopen` can continue from there. Does not block."""
        path = getattr(checkpoint_callback, "_last_checkpoint_saved", "") or checkpoint_callback.best_model_path
        if path:
            self._session.logger.checkpoint(Path(path).name, self._next_step, timeout=0)

    def save(self) -> None:
        """Do nothing: what is logged is on disk within a second. Lightning calls this after every metric."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """End the run: Lightning calls this at the end of `fit`, `validate`, and `test`, and when one raises.

        Blocks while the sinks make progress. A logger of the caller's own stays open.
        """
        if status in ("success", "finished"):
            self._session.end()
            return
        outcome, error = common.current_outcome()
        if error is None:
            outcome, error = RunStatus.FAILED, status
        elif "SIGTERM" in error:  # Lightning's handler turns the signal into an exit without a code
            outcome, error = RunStatus.KILLED, "SIGTERM"
        self._session.end(outcome, error)


class _AddLogger(Callback):  # type: ignore[misc]
    """Add a `MonitorLogger` to a trainer whose own loggers our sinks do not get."""

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Add the logger, unless the trainer has none, or one that writes through a `SummaryWriter` or is ours."""
        served = ("MonitorLogger", "TensorBoardLogger")
        names = {base.__name__ for logger in trainer.loggers for base in type(logger).__mro__}
        if trainer.loggers and names.isdisjoint(served):
            trainer.loggers = [*trainer.loggers, MonitorLogger()]


def callbacks() -> list[Callback]:
    """Return the callbacks that Lightning adds to each trainer, through an entry point: none without `MONITOR_SINKS`.

    `monitor run` sets the variable. Then a trainer that logs to CSV files or to a service alone is watched too.
    """
    return [_AddLogger()] if specs_from_environment() else []
