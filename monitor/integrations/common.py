"""What the adapters share: open a logger, name tags, pick the numbers, record settings, and find the true status."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from monitor.capture.calls.log_methods import LogMethods
from monitor.logger import Logger
from monitor.metrics import SPLIT_ORDER
from monitor.records import Summary
from monitor.rules.alerts import parse_rules
from monitor.runs.processes.rank import process_rank
from monitor.runs.reuse import take_over
from monitor.runs.run import Run
from monitor.runs.scripts.script_session import alerts_from_environment, default_directory, script_run
from monitor.runs.settings.convert import as_mapping, to_settings
from monitor.runs.status import RunStatus, exception_status
from monitor.sinks.registry import make_all, specs_from_environment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.rules.alerts import Rule, StallRule
    from monitor.sinks.base import Sink

log = logging.getLogger("monitor")

LOGDIR = "runs"


def default_sinks() -> list[str]:
    """Return the sinks of a logger that nobody passed sinks to: TensorBoard, and those in `MONITOR_SINKS`."""
    return list(dict.fromkeys(["tensorboard", *specs_from_environment()]))


def place(name: str | None, logdir: str | os.PathLike[str]) -> tuple[str | None, Path]:
    """Return the name and the folder of a run; under `monitor run`, its name and folder where none were chosen.

    A folder that is the default was not chosen, and a name goes with its folder.
    """
    started = script_run() if os.fspath(logdir) == LOGDIR else None
    return (name, Path(logdir)) if started is None else (name or started.name, started.parent)


def open_logger(
    logger: Logger | None,
    *,
    name: str | None,
    default: str = "run",
    logdir: str | os.PathLike[str] = LOGDIR,
    sinks: Iterable[str | Sink] | None = None,
    config: Any = None,
    alerts: Iterable[str | Rule | StallRule] = (),
    children: str = "off",
) -> Logger:
    """Return `logger` with `config` added to its settings; without one, a new logger for a run.

    Settings that cannot be stored are left out with a warning: a framework's hyperparameters hold any object.

    Args:
        logger: a logger of the caller's own, or None.
        name: the run's name, or None. If there is such a run already, a number is added.
        default: the name if there is none, and no `monitor run` that has one.
        logdir: the folder of the runs; under `monitor run`, its default is the folder that was chosen there.
        sinks: as in `Logger`; by default those of `default_sinks`.
        config: settings, as in `Logger`.
        alerts: as in `Logger`; without any, those in `MONITOR_ALERTS`.
        children: as in `Logger`.

    Raises:
        TypeError: if `logger` comes with sinks or alerts: it has its own.
        SpecError, MissingExtra, AlertError, OSError: as in `Logger`.
    """
    check_arguments(logger, name, logdir)
    if logger is None:
        chosen = default_sinks() if sinks is None else sinks
        made = make_all(chosen)  # before anything is written
        rules = parse_rules(alerts) or parse_rules(alerts_from_environment())
        chosen_name, folder = place(name, logdir)
        run = _new_run(folder / (chosen_name or default), storable(config))
        return Logger(run, made, alerts=rules, children=children)
    if sinks is not None or parse_rules(alerts):
        raise TypeError("sinks and alerts go with a new logger; the one that was passed has its own")
    add_config(logger, config)
    return logger


def check_arguments(logger: object, name: object, logdir: object) -> None:
    """Raise `TypeError` for a logger, a name, or a folder that is none."""
    if logger is not None and not isinstance(logger, LogMethods):
        raise TypeError(f"logger is a monitor.Logger, not {logger!r}")
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name is a text, such as 'mlp', not {name!r}")
    if not isinstance(logdir, str | os.PathLike):
        raise TypeError(f"logdir is a folder, such as 'runs', not {logdir!r}")


def _new_run(directory: Path, config: Mapping[str, Any]) -> Run:
    """Return a new run; in the directory that `monitor run` keeps for this script, the run that is there."""
    if process_rank() > 0:
        return Run(directory, config, is_written=False)
    if directory != script_run():
        return Run(directory, config)
    directory = Path(default_directory() or directory)  # a writer without a directory gets another one then
    return take_over(directory, config) or Run(directory, config)


def add_config(logger: Logger, config: Any) -> None:
    """Add settings to those of the run; those that cannot be stored are left out with a warning."""
    logger.config.update(storable(config))


def storable(config: Any) -> dict[str, Any]:
    """Return the settings that `run.json` can hold, as it holds them; warn about each of the others.

    Raises `TypeError` if `config` holds no settings.
    """
    settings: dict[str, Any] = {}
    for name, value in as_mapping(config).items():
        try:
            found = to_settings({name: value}, "config")
            if both := sorted(settings.keys() & found.keys()):
                raise ValueError(f"config has two settings that are {both[0]!r}")
            settings |= found
        except (TypeError, ValueError) as error:
            log.warning("a setting is not recorded: %s", error)
    return settings


def scalars(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the numbers among `metrics` under their tags, ready for `Logger.scalars`; leave out everything else.

    Nested mappings are flattened, their keys joined by `/`. What is kept is a real number, or an array or tensor of one
    element. A tensor on a GPU is not read, so this never waits for one.

    Args:
        metrics: values by name, at any depth.
        prefix: put before each tag, with a `/`.
    """
    found: dict[str, Any] = {}
    _collect(metrics, prefix, found)
    return found


def _collect(metrics: Mapping[Any, Any], prefix: str, found: dict[str, Any]) -> None:
    for name, value in metrics.items():
        tag = f"{prefix}/{name}" if prefix else str(name)
        if isinstance(value, Mapping):
            _collect(value, tag, found)
        elif tag.strip() and is_number(value):
            found[tag] = value


def is_number(value: Any) -> bool:
    """Tell whether `value` is a real number, or an array or tensor of one element; does not read it."""
    if isinstance(value, Real | Decimal):
        return True
    numel = getattr(value, "numel", None)
    count = numel() if callable(numel) else getattr(value, "size", None)
    kind = str(getattr(value, "dtype", "")).removeprefix("torch.")
    return isinstance(count, int) and count == 1 and kind.startswith(("float", "bfloat", "int", "uint", "bool"))


def split_tag(name: str) -> str:
    """Return a metric's name as a tag with its split in front: `val_loss` as `val/loss`.

    A name that does not begin with a split and an underscore, such as `loss` or `val/loss`, stays as it is.
    """
    split, _, rest = name.partition("_")
    return f"{split}/{rest}" if rest and split in SPLIT_ORDER else name


def split_tags(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values under the tags of `split_tag`; one that another value has already stays as it is."""
    tags = {name: split_tag(name) for name in values}
    return {name if tags[name] in values else tags[name]: value for name, value in values.items()}


def current_outcome() -> tuple[RunStatus, str | None]:
    """Return the status and the error of a run that ends now: those of the exception being handled, if there is one."""
    kind, value, _ = sys.exc_info()
    return exception_status(kind, value) if kind is not None else (RunStatus.FINISHED, None)


def log_graph(logger: Logger, model: Any, inputs: Any) -> None:
    """Log the graph of a PyTorch model for TensorBoard's GRAPHS; warn if it cannot be traced. Blocks meanwhile.

    Args:
        logger: where to.
        model: a `torch.nn.Module`.
        inputs: what it is called with: a tensor, or a tuple of arguments.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from torch.utils.tensorboard._pytorch_graph import graph

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own tracer is deprecated, and there is no other for this
            definition, _ = graph(model, inputs)  # type: ignore[no-untyped-call]
    except Exception as error:  # whatever the model raises
        log.warning("the graph of the model is not logged: %s", " ".join(str(error).split()))
        return
    now = time()
    event = Event(wall_time=now, graph_def=definition.SerializeToString())
    logger._put(Summary("graph", event.SerializeToString(), 0, now))  # noqa: SLF001 - there is no log call for it
