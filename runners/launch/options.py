"""What all runners share on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from runners.launch.validators import alerts, epoch_or_steps, finite, run_name, sinks, url

F = TypeVar("F", bound=Callable[..., Any])


def sink_options(command: F) -> F:
    """Add the options that say where to log."""
    for option in reversed(
        [
            click.option("--sink", "sinks", multiple=True, callback=sinks,
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
            click.option("--name", callback=run_name, help="The run's name.  [default: runner, date and time]"),
            click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Same seed, same curve."),
            click.option("--device", default="auto", help="auto, cpu, cuda, cuda:1, …"),
            click.option("--log-every", type=click.IntRange(min=1), default=1,
                         help="Steps from one point of train/loss to the next."),
            click.option("--checkpoint-every", metavar="epoch|STEPS", callback=epoch_or_steps,
                         help="Save all that --resume needs."),
            click.option("--resume", type=click.Path(path_type=Path), metavar="RUN",
                         help="Go on with this run from its newest checkpoint, with its settings."),
            click.option("--log-ranks", is_flag=True, help="Under torchrun, log each process's own loss too."),
            click.option("--alert", "alerts", multiple=True, callback=alerts, metavar="RULE",
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
        raise click.BadParameter(f"{name!r} is not available: {reason}", param_hint="'--device'") from error
    return device
