"""What all runners share on the command line."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from monitor.alerts import parse_rules
from monitor.errors import MissingExtra, MonitorError
from monitor.sinks import registry

F = TypeVar("F", bound=Callable[..., Any])

# Names alone, so that `--help` is there without torch; the tests compare them with the parts themselves.
ACTIVATIONS = (
    "relu", "leaky-relu", "selu", "softplus", "elu", "tanh", "sigmoid", "relu6", "celu", "gelu", "silu", "mish",
    "prelu", "rrelu", "hardtanh", "hardswish", "hardsigmoid", "logsigmoid", "softsign", "softshrink", "hardshrink",
    "tanhshrink",
)  # fmt: skip
OPTIMIZERS = (
    "sgd", "adam", "adamw", "adamax", "adagrad", "adadelta", "asgd", "lbfgs", "rmsprop", "rprop", "nadam", "radam",
    "adafactor",
)  # fmt: skip
LOSSES = (
    "log", "l1", "l2", "expectation", "regularised-expectation", "chebyshev", "hinge", "hinge2", "hinge3", "log2",
    "tanimoto", "cauchy-schwarz", "mse",
)  # fmt: skip
INITS = ("default", "kaiming", "xavier", "normal")
IMAGES = ("mnist", "fashion-mnist", "kmnist", "cifar10", "digits")


def sink_options(command: F) -> F:
    """Add the options that say where to log."""
    for option in reversed(
        [
            click.option("--sink", "sinks", multiple=True, callback=_sinks,
                         help="Where to log; repeatable. Also visdom://host:port/env.  "
                         "[default: tensorboard, visdom where it is installed, console]"),
            click.option("--open", "open_browser", is_flag=True, help="Open the dashboard in a browser."),
            click.option("--logdir", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"),
                         help="Where runs go."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def run_options(command: F) -> F:
    """Add the options of every runner: sinks, log directory, name, seed, device, how often to log."""
    for option in reversed(
        [
            sink_options,
            click.option("--name", callback=_name, help="The run's name.  [default: runner, date and time]"),
            click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Same seed, same curve."),
            click.option("--device", default="auto", help="auto, cpu, cuda, cuda:1, …"),
            click.option("--log-every", type=click.IntRange(min=1), default=1,
                         help="Steps from one point of train/loss to the next."),
            click.option("--checkpoint-every", metavar="epoch|STEPS", callback=lambda c, p, v: epoch_or_steps(v),
                         help="Save all that --resume needs."),
            click.option("--resume", type=click.Path(path_type=Path), metavar="RUN",
                         help="Go on with this run from its newest checkpoint, with its settings."),
            click.option("--log-ranks", is_flag=True, help="Under torchrun, log each process's own loss too."),
            click.option("--alert", "alerts", multiple=True, callback=_alerts, metavar="RULE",
                         help="Such as 'test/loss > 2 * best for 3' or 'no progress for 10 minutes'; repeatable."),
            click.option("--stop-on-alert", is_flag=True, help="End the run at the first alert."),
            click.option("--in-group", is_flag=True, hidden=True),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def data_options(command: F) -> F:
    """Add the options that say where data sets are."""
    for option in (
        click.option("--mnist-mirror", metavar="URL", callback=url, help="Download MNIST from here first."),
        click.option("--data-dir", type=click.Path(path_type=Path),
                     help="Where data sets are, or go.  [default: a user cache]"),
    ):  # fmt: skip
        command = option(command)
    return command


def optimizer_options(command: F) -> F:
    """Add the options of the optimizer, but the learning rate: its default is the runner's."""
    share = click.FloatRange(min=0, max=1, max_open=True)
    for option in (
        click.option("--scheduler", type=click.Choice(["none", "step", "cosine"]), default="none",
                     help="Learning rate: step divides it by ten after each third of the epochs."),
        click.option("--weight-decay", type=click.FloatRange(min=0), callback=finite, default=0.0, help="L2 penalty."),
        click.option("--momentum", type=share, callback=finite, default=0.0, help="For sgd and rmsprop."),
    ):  # fmt: skip
        command = option(command)
    return command


def data_directory(given: Path | None) -> Path:
    """Return the user's data directory, or the one that all runs share."""
    if given is not None:
        return given
    from platformdirs import user_cache_path

    return user_cache_path("training-monitor") / "data"


def _sinks(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what no sink takes before anything is loaded or written; without any, use all dashboards."""
    ctx.params["all_dashboards"] = not value
    if not value:
        return tuple(spec for spec in ("tensorboard", "visdom", "console") if _installed(spec))
    for spec in value:
        try:
            registry.make(spec)
        except MonitorError as error:
            raise click.BadParameter(str(error), ctx, param) from error
    return tuple(dict.fromkeys(value))


def _installed(spec: str) -> bool:
    try:
        registry.make(spec)
    except MissingExtra:
        return False
    return True


def _alerts(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        parse_rules(value)
    except MonitorError as error:
        raise click.BadParameter(str(error), ctx, param) from error
    return value


def _name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    if not value.strip() or value != Path(value).name or value.startswith(".") or not value.isprintable():
        raise click.BadParameter(f"{value!r} is no name for a directory; give one without '/' or a leading dot.")
    if len(value.encode("utf-8", "replace")) > 200:
        raise click.BadParameter(f"{value[:20]!r}… is too long; 200 bytes are accepted.")
    return value


def epoch_or_steps(value: str | None) -> str | int | None:
    """Read `epoch`, or a number of steps."""
    if value is None or value == "epoch":
        return value
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise click.BadParameter(f"{value!r} is neither 'epoch' nor a number of steps, 1 or more.")
    return int(value)


def widths(ctx: click.Context, param: click.Parameter, value: str) -> list[int]:
    """Read `200,200` as widths of layers; empty means no hidden layer."""
    parts = [part.strip() for part in value.split(",")] if value.strip() else []
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} is no list of widths, such as 200,200.", ctx, param)
    return [int(part) for part in parts]


def finite(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """Refuse NaN and infinity, which compare with no range."""
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is no finite number.", ctx, param)
    return value


def finite_or_none(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse NaN and infinity of an option that may be left out."""
    return None if value is None else finite(ctx, param, value)


def url(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse what is no address of the web."""
    if value is not None and not value.startswith(("http://", "https://")):
        raise click.BadParameter(f"{value!r} is no URL, such as http://host/mnist/.", ctx, param)
    return value


def device_of(name: str) -> Any:
    """Return the torch device; `auto` is a GPU where there is one."""
    import torch

    try:
        if name == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise click.BadParameter(f"{name!r} is not to be had here: {reason}", param_hint="'--device'") from error
    return device
