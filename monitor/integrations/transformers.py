"""Hugging Face transformers: `MonitorCallback`, and `report_to="monitor"`.

    import monitor.integrations.transformers  # adds "monitor" to the names that `report_to` accepts
    trainer = Trainer(args=TrainingArguments(output_dir="out", report_to="monitor"), …)

To choose the sinks or the alerts, pass a callback instead: `Trainer(callbacks=[MonitorCallback(sinks=…)], …)`.
"""

from __future__ import annotations

import atexit
import functools
import math
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, integrations
from transformers.integrations import integration_utils

from monitor.integrations.reported import directory_name, log_reported
from monitor.integrations.session import Session
from monitor.runs.scripts.script_session import script_run
from monitor.runs.status import RunStatus

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from monitor.logger import Logger
    from monitor.rules.alerts import Rule, StallRule
    from monitor.sinks.base import Sink

SPLITS = ("eval", "test")  # transformers puts these before the metrics of held-out data, and nothing before the others
UNFINISHED = "the training did not reach its end"


class MonitorCallback(TrainerCallback):  # type: ignore[misc]  # transformers is not there when types are checked
    """Log what a `Trainer` logs, from the main process only, into one run for each `train()`.

    Tags have the names that transformers gives the metrics, after the split: `train/loss`, `train/learning_rate`,
    `eval/loss`. The step is the global step. The settings are the `TrainingArguments` (with tokens masked), the model's
    configuration, and the parameters of the trial in a search.

    A run ends with its `train()`; a later `evaluate()` continues it. It has failed if the training did not reach its
    end, which is known when the next one begins, at `close`, or when the program ends.
    """

    def __init__(
        self,
        logger: Logger | None = None,
        *,
        name: str | None = None,
        logdir: str | os.PathLike[str] = "runs",
        sinks: Iterable[str | Sink] | None = None,
        alerts: Iterable[str | Rule | StallRule] = (),
    ) -> None:
        """Log to `logger`, which the caller closes, or else to new runs `logdir/name`. Nothing is written yet.

        Args:
            logger: a logger of the caller's own. If it has `stop_on_alert`, an alert ends a training on one process.
            name: the run's name; by default `run_name`, else the last part of `output_dir`, and the trial's name.
            logdir: the folder of the runs.
            sinks: as in `Logger`; by default TensorBoard, and those in `MONITOR_SINKS`.
            alerts: as in `Logger`.

        Raises:
            TypeError, SpecError, MissingExtra, AlertError: as in `Logger`.
        """
        self._session = Session(logger, name=name, logdir=logdir, sinks=sinks, alerts=alerts)
        self._is_training = self._has_trained = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start a run; raise `OSError` if it cannot be written."""
        if not state.is_world_process_zero:
            return
        self.close()  # a training that raised
        if self._has_trained:
            self._session.start_over()
        self._begin(args, state, kwargs.get("model"))
        self._is_training = self._has_trained = True
        atexit.register(self._at_exit)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Log the numbers and texts. Does not block during a training, and does not wait for a GPU."""
        if not state.is_world_process_zero or not logs:
            return
        if not self._session.is_open:
            self._begin(args, state, kwargs.get("model"))
        logger = self._session.logger
        log_reported(logger, {tag(name): value for name, value in logs.items()}, state.global_step)
        if self._is_training and state.max_steps > 0:
            epochs = math.ceil(state.num_train_epochs)
            logger.progress(int(state.epoch or 0), epochs, state.global_step, state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop the training if an alert says so; not on several processes, of which the others would wait for ever."""
        if args.world_size == 1 and self._session.is_open and self._session.logger.should_stop:
            control.should_training_stop = True

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End a run that was continued for an evaluation after the training, or started for one without a training."""
        if not self._is_training:
            self._session.end()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End the run. Blocks while the sinks make progress."""
        self._is_training = False
        self.close()

    def close(self) -> None:
        """End the run if it is open, as failed if its training did not reach its end. Blocks as `Logger.close` does."""
        atexit.unregister(self._at_exit)
        if self._is_training:
            self._session.end(RunStatus.FAILED, UNFINISHED)
        else:
            self._session.end()
        self._is_training = False

    def _at_exit(self) -> None:
        if getattr(sys, "last_value", None) is None:  # otherwise the logger records the exception
            self.close()

    def _begin(self, args: Any, state: Any, model: Any) -> None:
        """Open the run, or continue it, with the settings that are known."""
        if self._session.path is None:
            is_chosen = bool(args.run_name) and args.run_name != args.output_dir  # older releases make them equal
            self._session.suggest(run_name(args, state), is_chosen=is_chosen)
        self._session.add_config(settings(args, state, model))
        self._session.logger  # noqa: B018 - opens the run


def tag(name: str) -> str:
    """Return the tag of a metric as transformers names it: `eval_loss` as `eval/loss`, `loss` as `train/loss`."""
    split, _, rest = name.partition("_")
    return f"{split}/{rest}" if rest and split in SPLITS else f"train/{name}"


def run_name(args: Any, state: Any) -> str:
    """Return the name of a run: as the arguments call it, with the trial's name in a search."""
    name = directory_name(PurePath(args.run_name or args.output_dir or "").name) or "trainer"
    return f"{name}-{directory_name(state.trial_name)}" if state.trial_name else name


def settings(args: Any, state: Any, model: Any) -> dict[str, Any]:
    """Return the training's arguments, the model's configuration under `model`, and a trial's parameters."""
    found: dict[str, Any] = dict(args.to_dict())
    describe = getattr(getattr(model, "config", None), "to_dict", None)
    if callable(describe):
        found["model"] = describe()
    if state.trial_params:
        found |= state.trial_params
    return found


def register() -> None:
    """Let `report_to` accept `"monitor"`, also as one of `"all"`. Importing this module has done it."""
    integration_utils.INTEGRATION_TO_CALLBACK["monitor"] = MonitorCallback
    list_others = integration_utils.get_available_reporting_integrations
    if getattr(list_others, "lists_monitor", False):
        return

    @functools.wraps(list_others)
    def list_all() -> list[str]:
        found: list[str] = list_others()
        # Under `monitor run`, the callback for TensorBoard logs to our `SummaryWriter`.
        return found if script_run() and "tensorboard" in found else [*found, "monitor"]

    list_all.lists_monitor = True  # type: ignore[attr-defined]
    integration_utils.get_available_reporting_integrations = list_all
    integrations.get_available_reporting_integrations = list_all  # it keeps what somebody has asked for before


register()
