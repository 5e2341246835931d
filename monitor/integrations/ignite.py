"""PyTorch Ignite: `MonitorLogger`, and the handlers that Ignite's other loggers have.

with MonitorLogger(name="mlp") as logger:
logger.attach_output_handler(
trainer, Events.ITERATION_COMPLETED, tag="train", output_transform=lambda loss: {"loss": loss}
)
trainer.run(loader, max_epochs=5)
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ignite.handlers.base_logger import (
    BaseLogger,
    BaseOptimizerParamsHandler,
    BaseOutputHandler,
    BaseWeightsHandler,
    BaseWeightsScalarHandler,
)
from ignite.handlers.utils import global_step_from_engine as global_step_from_engine

from monitor.integrations import common
from monitor.runs.status import exception_status

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from monitor.logger import Logger
    from monitor.rules.alerts import Rule, StallRule
    from monitor.sinks.base import Sink

__all__ = [
    "GradsHistHandler",
    "GradsScalarHandler",
    "MonitorLogger",
    "OptimizerParamsHandler",
    "OutputHandler",
    "WeightsHistHandler",
    "WeightsScalarHandler",
    "global_step_from_engine",
]

log = logging.getLogger("monitor")


class MonitorLogger(BaseLogger):  # type: ignore[misc]  # Ignite is not there when types are checked
    """Log what Ignite's engines produce. It has every method of a `monitor.Logger` too, such as `images`.

    Attributes:
        logger: the `monitor.Logger`.
    """

    def __init__(
        self,
        logger: Logger | None = None,
        *,
        name: str | None = None,
        logdir: str | os.PathLike[str] = "runs",
        sinks: Iterable[str | Sink] | None = None,
        config: Mapping[str, Any] | None = None,
        alerts: Iterable[str | Rule | StallRule] = (),
    ) -> None:
        """Log to `logger`, which the caller closes, or else to a new run `logdir/name`.

        In a distributed training, rank 0 alone logs.

        Args:
            logger: a logger of the caller's own.
            name: the run's name, by default "ignite". If `logdir` already holds such a run, a number is added.
            logdir: the folder of the runs. Under `monitor run`, a run without a name or folder is as that says.
            sinks: as in `monitor.Logger`; by default TensorBoard, and those in `MONITOR_SINKS`.
            config: the run's settings, by name.
            alerts: as in `monitor.Logger`.

        Raises:
            TypeError, SpecError, MissingExtra, AlertError, OSError: as in `monitor.Logger`.
        """
        self._owns = logger is None
        self.logger = common.open_logger(
            logger, name=name, default="ignite", logdir=logdir, sinks=sinks, config=config, alerts=alerts
        )

    def __getattr__(self, name: str) -> Any:
        if name == "logger":  # a copy that is still empty
            raise AttributeError(name)
        return getattr(self.logger, name)

    def close(self) -> None:
        """End the run. In an `except` or `finally` block its status is that of the exception being handled.

        Blocks while the sinks make progress. A logger of the caller's own stays open.
        """
        if self._owns:
            status, error = common.current_outcome()
            self.logger.close(status=status, error=error)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._owns:
            return
        if kind is None:
            self.logger.close()
        else:
            status, error = exception_status(kind, value)
            self.logger.close(status=status, error=error)

    def _create_output_handler(self, *args: Any, **kwargs: Any) -> OutputHandler:
        return OutputHandler(*args, **kwargs)

    def _create_opt_params_handler(self, *args: Any, **kwargs: Any) -> OptimizerParamsHandler:
        return OptimizerParamsHandler(*args, **kwargs)


class OutputHandler(BaseOutputHandler):  # type: ignore[misc]
    """Log metrics, an engine's output, and attributes of its state; the arguments are those of Ignite's handlers.

    Numbers become curves and texts become notes. Items of lists and of one-dimensional tensors get their index as the
    last part of the tag. Values on a GPU are not read here.
    """

    def __call__(self, engine: Any, logger: MonitorLogger, event_name: Any) -> None:
        """Log what the engine has now; raise `TypeError` if the global step is not an int."""
        step = self.global_step_transform(engine, event_name)
        if not isinstance(step, int):
            raise TypeError(f"global_step_transform must return an int, not {type(step).__name__}")
        scalars = {}
        for tag, value in _flatten(self._values(engine), self.tag):
            if isinstance(value, str):
                logger.logger.text(tag, value, step)
            elif common.is_number(value):
                scalars[tag] = value
            elif value is not None:
                log.debug("%s is not logged: it is no number or text, but %s", tag, type(value).__name__)
        if scalars:
            logger.logger.scalars(scalars, step)

    def _values(self, engine: Any) -> dict[str, Any]:
        metrics = engine.state.metrics
        names = list(metrics) if self.metric_names == "all" else self.metric_names or ()
        values = {name: metrics.get(name) for name in names}
        if self.output_transform is not None:
            output = self.output_transform(engine.state.output)
            values.update(output if isinstance(output, Mapping) else {"output": output})
        values.update({name: getattr(engine.state, name, None) for name in self.state_attributes or ()})
        return values


class OptimizerParamsHandler(BaseOptimizerParamsHandler):  # type: ignore[misc]
    """Log a parameter of an optimizer, such as its learning rate, for each of its parameter groups."""

    def __call__(self, engine: Any, logger: MonitorLogger, event_name: Any) -> None:
        """Log the parameter, at the number of the event."""
        prefix = f"{self.tag}/" if self.tag else ""
        values = {
            f"{prefix}{self.param_name}/group_{number}": group[self.param_name]
            for number, group in enumerate(self.optimizer.param_groups)
        }
        logger.logger.scalars(values, engine.state.get_event_attrib_value(event_name))


class WeightsScalarHandler(BaseWeightsScalarHandler):  # type: ignore[misc]
    """Log a number for each weight of a model, by default its norm. Does not wait for a GPU."""

    def __call__(self, engine: Any, logger: MonitorLogger, event_name: Any) -> None:
        """Log the numbers, at the number of the event."""
        kind = f"weights_{self.reduction.__name__}"
        values = {tag: self.reduction(weight.detach()) for tag, weight in _tagged(self, kind)}
        logger.logger.scalars(values, engine.state.get_event_attrib_value(event_name))


class WeightsHistHandler(BaseWeightsHandler):  # type: ignore[misc]
    """Log a histogram of each weight of a model. Does not wait for a GPU."""

    def __call__(self, engine: Any, logger: MonitorLogger, event_name: Any) -> None:
        """Log the histograms, at the number of the event."""
        for tag, weight in _tagged(self, "weights"):
            logger.logger.histogram(tag, weight.detach(), engine.state.get_event_attrib_value(event_name))


class GradsScalarHandler(BaseWeightsScalarHandler):  # type: ignore[misc]
    """Log a number for each gradient of a model, by default its norm. Does not wait for a GPU."""

    def __call__(self, engine: Any, logger: MonitorLogger, event_name: Any) -> None:
        """Log the numbers, at the number of the event."""
        kind = f"grads_{self.reduction.__name__}"
        values = {tag: self.reduction(w.grad) for tag, w in _tagged(self, kind) if w.grad is not None}
        logger.logger.scalars(values, engine.state.get_event_attrib_value(event_name))


class GradsHistHandler(BaseWeightsHandler):  # type: ignore[misc]
    """Log a histogram of each gradient of a model. Does not wait for a GPU."""

    def __call__(self, engine: Any, logger: MonitorLogger, event_name: Any) -> None:
        """Log the histograms, at the number of the event."""
        for tag, weight in _tagged(self, "grads"):
            if weight.grad is not None:
                logger.logger.histogram(tag, weight.grad, engine.state.get_event_attrib_value(event_name))


def _tagged(handler: Any, kind: str) -> Iterator[tuple[str, Any]]:
    """Yield the weights of a handler with their tags, in the form of Ignite's other loggers."""
    prefix = f"{handler.tag}/" if handler.tag else ""
    for name, weight in handler.weights:
        yield f"{prefix}{kind}/{name.replace('.', '/')}", weight


def _flatten(value: Any, tag: str) -> Iterator[tuple[str, Any]]:
    """Yield the values in mappings, sequences, and one-dimensional tensors, with their tags."""
    if isinstance(value, Mapping):
        items: Any = value.items()
    elif (isinstance(value, Sequence) and not isinstance(value, str)) or getattr(value, "ndim", 0) == 1:
        items = enumerate(value)
    else:
        yield tag, value
        return
    for key, item in items:
        yield from _flatten(item, f"{tag}/{key}")
