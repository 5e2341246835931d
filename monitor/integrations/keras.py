"""Keras 3: `model.fit(..., callbacks=[MonitorCallback(name="mlp")])`; no TensorFlow with the torch backend."""

from __future__ import annotations

import atexit
import sys
import threading
from typing import TYPE_CHECKING, Any

from keras.callbacks import Callback

from monitor.integrations.common import is_number, scalars
from monitor.integrations.session import Session
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from monitor.logger import Logger
    from monitor.rules.alerts import Rule, StallRule
    from monitor.sinks.base import Sink

LEARNING_RATE = "train/learning_rate"
UNFINISHED = "the training did not reach its end"


class MonitorCallback(Callback):  # type: ignore[misc]  # Keras is not there when types are checked
    """Log what Keras reports per batch and per epoch, the learning rate, and what `evaluate` finds.

    The step is the number of batches so far. Tags are `train/loss` for what Keras reports of the training, which is
    its mean over the epoch so far, `val/loss` for the validation of `fit`, and `test/loss` for `evaluate`. The run
    starts with the first of `fit` and `evaluate` and ends with each of them; the next one continues it. It has failed
    if a training did not reach its end, which is known when the next one begins or the program ends.

    Attributes:
        async_safe: tells Keras to read the metrics of a batch on another thread, so that the training does not wait.
    """

    async_safe = True

    def __init__(
        self,
        logger: Logger | None = None,
        *,
        name: str | None = None,
        logdir: str | os.PathLike[str] = "runs",
        sinks: Iterable[str | Sink] | None = None,
        config: Mapping[str, Any] | None = None,
        alerts: Iterable[str | Rule | StallRule] = (),
        every: int = 1,
    ) -> None:
        """Log to `logger`, which the caller closes, or else to a new run `logdir/name`. Nothing is written yet.

        Args:
            logger: a logger of the caller's own. If it has `stop_on_alert`, an alert ends the training.
            name: the run's name, by default "keras". If `logdir` already holds such a run, a number is added.
            logdir: the folder of the runs. Under `monitor run`, a run without a name or folder is as that says.
            sinks: as in `Logger`; by default TensorBoard, and those in `MONITOR_SINKS`.
            config: settings, beside those of the model, its optimizer, and `fit`.
            alerts: as in `Logger`.
            every: how many batches there are from one point of the training curves to the next.

        Raises:
            TypeError, SpecError, MissingExtra, AlertError: as in `Logger`.
            ValueError: if `every` is not positive.
        """
        super().__init__()
        if type(every) is not int or every < 1:
            raise ValueError(f"every must be an int of at least 1, not {every!r}")
        self._session = Session(
            logger, name=name, default="keras", logdir=logdir, sinks=sinks, config=config, alerts=alerts
        )
        self._every = every
        self._is_training = False
        self._step = self._logged_step = 0
        self._base = 0  # the step before the epoch
        self._waiting: dict[int, dict[str, Any] | None] = {}  # the steps to log, with their values if they are known
        self._lock: threading.Lock | None = None  # during an epoch, for the threads on which Keras ends batches

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Start or continue the run; raise `OSError` if it cannot be written."""
        if self._is_training:  # Keras does not tell callbacks that `fit` raised
            self._session.end(RunStatus.FAILED, UNFINISHED)
        self._begin(self.params or {})
        self._is_training = True
        atexit.register(self._at_exit)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Find the step of a training that starts at a later epoch."""
        self._base = self._step or epoch * (self.params.get("steps") or 0)
        self._waiting, self._lock = {}, threading.Lock()

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log the learning rate if it is time to. Does not block, and does not wait for a GPU."""
        before = self._step
        self._step = self._step_after(batch - 1 + (getattr(self.model, "steps_per_execution", 1) or 1))
        logger = self._session.logger
        if self._step // self._every > before // self._every:
            self._waiting[self._step] = None
            rate = self._learning_rate()
            if rate is not None:
                logger.scalar(LEARNING_RATE, rate, self._step)
        if logger.should_stop:
            self.model.stop_training = True

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log the metrics, in the order of the batches. Keras calls this on other threads, which read the values."""
        step = self._step_after(batch)
        if step not in self._waiting:
            return
        assert self._lock is not None
        with self._lock:
            self._waiting[step] = scalars(logs or {}, "train")
            for known in list(self._waiting):
                values = self._waiting[known]
                if values is None:
                    break
                del self._waiting[known]
                self._log(values, known)
                self._logged_step = known

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log the metrics of the validation, and those of the training if the last batch was not logged."""
        logs = logs or {}
        held_out = {name: value for name, value in logs.items() if name.startswith("val_")}
        values = scalars({name.removeprefix("val_"): value for name, value in held_out.items()}, "val")
        if self._logged_step != self._step:
            values |= scalars({name: value for name, value in logs.items() if name not in held_out}, "train")
        self._log(values, self._step)
        epochs = max(self.params.get("epochs") or 0, epoch + 1)
        steps = self.params.get("steps") or self._step // (epoch + 1)
        self._session.logger.progress(epoch + 1, epochs, self._step, max(self._step, steps * epochs))

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """End the run. Blocks while the sinks make progress."""
        self._is_training, self._lock = False, None
        atexit.unregister(self._at_exit)
        self._session.end()

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Start or continue the run for `evaluate`."""
        if not self._is_training:
            self._begin({})  # its steps are not those of the training

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Log what `evaluate` found, and end the run; the validation of `fit` comes with the end of the epoch."""
        if not self._is_training:
            self._log(scalars(logs or {}, "test"), self._step)
            self._session.end()

    def _begin(self, params: Mapping[str, Any]) -> None:
        self._session.add_config(_settings(self.model, params))
        self._session.logger  # noqa: B018 - opens the run

    def _step_after(self, batch: int) -> int:
        """Return the number of batches at the end of `batch`; Keras counts too many if several run at once."""
        steps = self.params.get("steps")
        return self._base + (min(batch + 1, steps) if steps else batch + 1)

    def _log(self, values: Mapping[str, Any], step: int) -> None:
        if values:
            self._session.logger.scalars(values, step)

    def _learning_rate(self) -> Any:
        """Return the learning rate as a tensor or a number, or None if the optimizer has none."""
        rate = getattr(getattr(self.model, "optimizer", None), "learning_rate", None)
        rate = getattr(rate, "value", rate)
        return rate if is_number(rate) else None

    def _at_exit(self) -> None:
        if getattr(sys, "last_value", None) is None:  # otherwise the logger records the exception
            self._session.end(RunStatus.FAILED, UNFINISHED)


def _settings(model: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a training before it begins."""
    settings = {name: params[name] for name in ("epochs", "steps") if params.get(name) is not None}
    settings["model"] = getattr(model, "name", type(model).__name__)
    if getattr(model, "built", False):
        settings["parameters"] = model.count_params()
    optimizer, loss = getattr(model, "optimizer", None), getattr(model, "loss", None)
    if optimizer is not None:
        settings["optimizer"] = optimizer.get_config()
    if loss is not None:
        settings["loss"] = loss if isinstance(loss, str) else getattr(loss, "name", None) or str(loss)
    return settings
